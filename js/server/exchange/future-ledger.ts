// SPDX-License-Identifier: MIT

/** The result of counting one more request that is dated beyond the window (R63). */
export type FutureVerdict = 'counted' | 'over' | 'full'

const PER_SESSION = 64
const SESSIONS = 65_536

/**
 * Returns a ledger that counts, per session, the live ids of requests dated beyond the window (R63). It only bounds how
 * many of them a session may leave in the replay store. Each of them is reserved there before it is counted.
 */
export function createFutureLedger(perSession = PER_SESSION, sessions = SESSIONS) {
  const live = new Map<string, number[]>()
  const prune = (nowMs: number): void => {
    for (const [id, expiries] of live) {
      const left = expiries.filter((expiresMs) => expiresMs > nowMs)
      if (left.length === 0) live.delete(id)
      else live.set(id, left)
    }
  }
  return {
    count(sessionId: string, expiresMs: number, nowMs: number): FutureVerdict {
      if (!live.has(sessionId) && live.size >= sessions) prune(nowMs)
      if (!live.has(sessionId) && live.size >= sessions) return 'full'
      const expiries = (live.get(sessionId) ?? []).filter((expiry) => expiry > nowMs)
      if (expiries.length >= perSession) return 'over'
      live.set(sessionId, [...expiries, expiresMs])
      return 'counted'
    },
    forget: (sessionId: string): void => void live.delete(sessionId)
  }
}
