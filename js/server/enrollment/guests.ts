// SPDX-License-Identifier: MIT
// Guests: sessions of users whom nobody has identified (R161, R162). Their number is bounded where they are made: for a
// source, for its network, and for all of them together. Those of pages without an origin are counted apart (R168).

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
 * Returns the function that counts a new guest of a source, or of its pages without an origin, and creates the challenge.
 * It resolves to the challenge's id, or to the milliseconds until there may be another guest. It rejects when the store
 * does.
 */
export function createGuestChallenge({ codes, clock, hashes, bounds, enroller }: GuestParts) {
  const take = (key: string, limit: number): Promise<number> =>
    codes.take(key, { limit, windowMs: HOUR_MS, nowMs: clock.now() })
  return async (source: string, isOpaque: boolean): Promise<{ challengeId: string } | { retryAfterMs: number }> => {
    // A page without an origin that somebody visits must not use up what he has on pages with one.
    const kind = isOpaque ? 'opaque-guest' : 'guest'
    const bySource = `${kind}/source/${hashes.name('source', source)}`
    const byNetwork = `${kind}/network/${hashes.name('network', networkOf(source))}`
    const limits = isOpaque
      ? { source: bounds.opaqueGuestsPerSource, network: bounds.opaqueGuestsPerNetwork }
      : { source: bounds.guestsPerSource, network: bounds.guestsPerNetwork }
    // One after the other: a source over its limit reaches no other counter.
    const sourceWaitMs = await take(bySource, limits.source)
    if (sourceWaitMs > 0) return { retryAfterMs: sourceWaitMs }
    const networkWaitMs = await take(byNetwork, limits.network)
    if (networkWaitMs > 0) {
      await codes.giveBack(bySource)
      return { retryAfterMs: networkWaitMs }
    }
    const challenge = await enroller.challenge(undefined, CHALLENGE_LIFETIME_MS, { isOpaque })
    if (challenge) return { challengeId: challenge.id }
    await Promise.all([bySource, byNetwork].map((key) => codes.giveBack(key)))
    return { retryAfterMs: FULL_RETRY_MS }
  }
}
