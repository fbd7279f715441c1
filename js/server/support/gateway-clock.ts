// SPDX-License-Identifier: MIT

/** GatewayClock gives whole Unix milliseconds that never step back (PROTOCOL.md, R65). */
export type GatewayClock = {
  now(): number
  /** Moves the clock to `ms` where it is behind. */
  raise(ms: number): void
}

// Monotonic since start, so that a wall clock set back does not reach the gateway. One set forward is followed: a machine
// that slept or booted with a wrong clock would otherwise stay behind the other gateways of its label until a restart.
function systemTime(): () => number {
  let base = Date.now() - performance.now()
  return () => {
    const elapsed = performance.now()
    base = Math.max(base, Date.now() - elapsed)
    return base + elapsed
  }
}

/** createGatewayClock reads `source` (the system by default) and never gives less than it gave before. */
export function createGatewayClock(source: () => number = systemTime()): GatewayClock {
  let last = 0
  return {
    now() {
      const reading = Math.floor(source())
      if (reading > last && Number.isSafeInteger(reading)) last = reading
      return last
    },
    raise(ms) {
      if (ms > last && Number.isSafeInteger(ms)) last = ms
    }
  }
}
