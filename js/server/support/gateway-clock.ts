// SPDX-License-Identifier: MIT

/** A clock of whole Unix milliseconds that never steps back (PROTOCOL.md, R65). */
export type GatewayClock = {
  now(): number
  /** Moves the clock forward to `ms` (Unix milliseconds) where it is behind. */
  raise(ms: number): void
  /** Moves the clock forward to `ms` where it is behind. From there it runs on, ahead of its source. */
  follow(ms: number): void
}

// Monotonic since the start, so a wall clock that is set back changes nothing. A wall clock that is set forward is
// followed. Otherwise a machine that slept, or booted with a wrong clock, would stay behind the other gateways until a
// restart.
function systemTime(): () => number {
  let base = Date.now() - performance.now()
  return () => {
    // In this order: a process that is held up between the two readings takes the wall clock for slower, which changes
    // nothing. The other way round it would be ahead by that time for good.
    const wallMs = Date.now()
    const elapsed = performance.now()
    base = Math.max(base, wallMs - elapsed)
    return base + elapsed
  }
}

/** Returns a clock that reads `source`, and never returns less than it did before. Default: the system's clock. */
export function createGatewayClock(source: () => number = systemTime()): GatewayClock {
  let last = 0
  let leadMs = 0
  const now = (): number => {
    const reading = Math.floor(source()) + leadMs
    if (reading > last && Number.isSafeInteger(reading)) last = reading
    return last
  }
  return {
    now,
    raise(ms) {
      if (ms > last && Number.isSafeInteger(ms)) last = ms
    },
    follow(ms) {
      const reading = Math.floor(source()) + leadMs
      if (ms <= now() || !Number.isSafeInteger(ms) || !Number.isSafeInteger(reading)) return
      leadMs += ms - reading
      last = ms
    }
  }
}
