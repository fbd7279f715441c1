// SPDX-License-Identifier: MIT
// The memory of a listener: the knocks that it has seen, and the rates of addresses. Both are bounded.

const SOURCES = 4096

/** The refill of a token bucket in tokens a second, and its size. */
export type KnockRate = { perSecond: number; burst: number }

/**
 * Remembers tags until they are too old to be accepted: twice the window, because a knock may be dated ahead. A full
 * memory refuses; it never forgets a live tag to make room.
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

/** Creates a token bucket for each address. A refused datagram takes five tokens, an accepted one takes one. */
export function createRateLimit({ perSecond, burst }: KnockRate) {
  const sources = new Map<string, { left: number; atMs: number }>()
  const bucketOf = (address: string, nowMs: number) => {
    const known = sources.get(address)
    // A clock that was set back must not take tokens away.
    const passedMs = known ? Math.max(0, nowMs - known.atMs) : 0
    const left = known ? Math.min(burst, known.left + (passedMs / 1000) * perSecond) : burst
    sources.delete(address)
    // The address that was quiet for longest goes. Its bucket is full again by then, or it is part of a flood.
    if (sources.size >= SOURCES) sources.delete(sources.keys().next().value as string)
    const bucket = { left, atMs: nowMs }
    sources.set(address, bucket)
    return bucket
  }
  return {
    /** Takes a token. Returns false when the bucket of this address is empty. */
    take(address: string, nowMs: number): boolean {
      const bucket = bucketOf(address, nowMs)
      if (bucket.left < 1) return false
      bucket.left -= 1
      return true
    },
    /** Takes four more tokens, after a refused datagram. */
    penalize(address: string, nowMs: number): void {
      bucketOf(address, nowMs).left -= 4
    }
  }
}
