// SPDX-License-Identifier: MIT
// What a listener remembers: the knocks it has seen, and how the addresses behave. Both bounded.

const SOURCES = 4096

/**
 * Remembers tags until they are too old to be accepted again: twice the window, since a knock may be dated ahead.
 * `full` refuses: a live one is never forgotten to make room.
 */
export function createReplayMemory(windowSeconds: number, capacity: number) {
  const until = new Map<string, number>()
  const sweep = (nowSeconds: number): void => {
    for (const [tag, end] of until) if (end < nowSeconds) until.delete(tag)
  }
  return {
    take(tag: string, timestamp: number, nowSeconds: number): 'new' | 'seen' | 'full' {
      if (until.has(tag)) return 'seen'
      if (until.size >= capacity) sweep(nowSeconds)
      if (until.size >= capacity) return 'full'
      until.set(tag, Math.max(timestamp, nowSeconds) + 2 * windowSeconds)
      return 'new'
    },
    get size() {
      return until.size
    }
  }
}

/** createPatience is a bucket per address that invalid packets empty five times as fast as valid ones. */
export function createRateLimit({ perSecond, burst }: { perSecond: number; burst: number }) {
  const sources = new Map<string, { left: number; atMs: number }>()
  const bucketOf = (address: string, nowMs: number) => {
    const known = sources.get(address)
    // A clock that was set back must not take anything away.
    const passedMs = known ? Math.max(0, nowMs - known.atMs) : 0
    const left = known ? Math.min(burst, known.left + (passedMs / 1000) * perSecond) : burst
    sources.delete(address)
    // The one that has been quiet for longest goes: it has its patience back by then, or is one of a flood.
    if (sources.size >= SOURCES) sources.delete(sources.keys().next().value as string)
    const bucket = { left, atMs: nowMs }
    sources.set(address, bucket)
    return bucket
  }
  return {
    /** Whether a datagram of this address is looked at. */
    mayTry(address: string, nowMs: number): boolean {
      const bucket = bucketOf(address, nowMs)
      if (bucket.left < 1) return false
      bucket.left -= 1
      return true
    },
    blame(address: string, nowMs: number): void {
      bucketOf(address, nowMs).left -= 4
    }
  }
}
