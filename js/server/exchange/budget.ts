// SPDX-License-Identifier: MIT
// The memory for bodies (R145). Nobody fills it alone: a source and a session each have a share, and bodies whose
// signature has not been checked yet fill half at most.

import type { Limits } from '../types.ts'

/** `share`: a share of the source or the session is full. `full`: the memory of all bodies is. */
export type LeaseVerdict = 'taken' | 'share' | 'full'

/** One request's part of the memory. */
export type Lease = {
  /** Takes bytes, or takes none and says what is full. */
  take(bytes: number): LeaseVerdict
  /** Counts the bytes, those it holds and those to come, as the session's. Call it once the signature has verified. */
  assign(sessionId: string): LeaseVerdict
  release(): void
}

/** Counts bytes by key. No key has more than `limit`. */
function createShares(limit: number) {
  const held = new Map<string, number>()
  return {
    has: (key: string, bytes: number): boolean => (held.get(key) ?? 0) + bytes <= limit,
    add(key: string, bytes: number): void {
      const sum = (held.get(key) ?? 0) + bytes
      if (sum > 0) held.set(key, sum)
      else held.delete(key)
    }
  }
}

type Share = { shares: ReturnType<typeof createShares>; key: string; whenFull: LeaseVerdict }

/** Returns the memory of one gateway. `lease` begins without bytes. */
export function createBudget(
  limits: Required<Pick<Limits, 'bufferedBytes' | 'sourceBufferedBytes' | 'sessionBufferedBytes'>>,
  largestUnverified: number
): { lease(source: string): Lease } {
  const { bufferedBytes, sourceBufferedBytes, sessionBufferedBytes } = limits
  const halfOf = (bytes: number): number => Math.max(Math.floor(bytes / 2), Math.min(bytes, largestUnverified))
  const all = createShares(bufferedBytes)
  const unverified = createShares(halfOf(bufferedBytes))
  const bySource = createShares(sourceBufferedBytes)
  const unverifiedBySource = createShares(halfOf(sourceBufferedBytes))
  const bySession = createShares(sessionBufferedBytes)

  return {
    lease(source) {
      // The first that is full names the refusal.
      const always: Share[] = [
        { shares: all, key: '', whenFull: 'full' },
        { shares: bySource, key: source, whenFull: 'share' }
      ]
      let second: Share[] = [
        { shares: unverified, key: '', whenFull: 'full' },
        { shares: unverifiedBySource, key: source, whenFull: 'share' }
      ]
      let held = 0
      const add = (shares: Share[], bytes: number): void => {
        for (const { shares: part, key } of shares) part.add(key, bytes)
      }
      return {
        take(bytes) {
          const parts = [...always, ...second]
          const short = parts.find(({ shares, key }) => !shares.has(key, bytes))
          if (short) return short.whenFull
          add(parts, bytes)
          held += bytes
          return 'taken'
        },
        assign(sessionId) {
          add(second, -held)
          second = [{ shares: bySession, key: sessionId, whenFull: 'share' }]
          const hasRoom = bySession.has(sessionId, held)
          add(second, held)
          return hasRoom ? 'taken' : 'share'
        },
        release() {
          add([...always, ...second], -held)
          held = 0
        }
      }
    }
  }
}

/** A lease without a bound, for bodies that are small by other limits. */
export const unlimitedLease: Pick<Lease, 'take'> = { take: () => 'taken' }
