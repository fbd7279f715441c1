// SPDX-License-Identifier: MIT
// Guests: sessions of users whom nobody has identified (R161, R162). Their number is bounded where they are made: for a
// source, for its network, and for all of them together.

import { HOUR_MS } from '../../common/protocol.ts'
import { networkOf } from '../exchange/rates.ts'
import type { GatewayClock } from '../support/gateway-clock.ts'
import type { CodeStore } from '../types.ts'
import { CHALLENGE_LIFETIME_MS } from './email-codes.ts'
import { type createEnroller, FULL_RETRY_MS } from './enroller.ts'
import type { KeyedHashes } from './keyed-hashes.ts'
import type { EnrollmentBounds } from './limits.ts'

type GuestParts = {
  codes: CodeStore
  clock: GatewayClock
  hashes: KeyedHashes
  bounds: EnrollmentBounds
  enroller: Pick<ReturnType<typeof createEnroller>, 'challenge'>
}

/** The most active guests by default. */
export const MAX_GUESTS = 2 ** 16

/**
 * Returns the function that counts a new guest of a source and creates the challenge. It resolves to the challenge's id, or
 * to the milliseconds until there may be another guest. It rejects when the store does.
 */
export function createGuestChallenge({ codes, clock, hashes, bounds, enroller }: GuestParts) {
  const take = (key: string, limit: number): Promise<number> =>
    codes.take(key, { limit, windowMs: HOUR_MS, nowMs: clock.now() })
  return async (source: string): Promise<{ challengeId: string } | { retryAfterMs: number }> => {
    const bySource = `guest/source/${hashes.name('source', source)}`
    const byNetwork = `guest/network/${hashes.name('network', networkOf(source))}`
    // One after the other: a source over its limit reaches no other counter.
    const sourceWaitMs = await take(bySource, bounds.guestsPerSource)
    if (sourceWaitMs > 0) return { retryAfterMs: sourceWaitMs }
    const networkWaitMs = await take(byNetwork, bounds.guestsPerNetwork)
    if (networkWaitMs > 0) {
      await codes.giveBack(bySource)
      return { retryAfterMs: networkWaitMs }
    }
    const challenge = await enroller.challenge(undefined, CHALLENGE_LIFETIME_MS)
    if (challenge) return { challengeId: challenge.id }
    await Promise.all([bySource, byNetwork].map((key) => codes.giveBack(key)))
    return { retryAfterMs: FULL_RETRY_MS }
  }
}
