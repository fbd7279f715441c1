// SPDX-License-Identifier: MIT
// Calls the application's distribution hook. No failure of the hook ends a sync.

import type { Claim, Distribution, DistributionHook, UserRecord } from './types.ts'

function distributionOf({ userId, deviceId, sessions, interactions }: UserRecord, claim: Claim): Distribution {
  const { atMs: nowMs, ...totals } = claim
  return {
    userId,
    deviceId,
    nowMs,
    totals,
    sessions: sessions.map(([id, startMs, endMs]) => ({ id, startMs, endMs })),
    interactionsMs: interactions.map(([, atMs]) => atMs)
  }
}

/**
 * Resolves to the words of a hook. A hook that throws or returns something else gives `distribution_failed`, which
 * asks for a review.
 */
export async function askDistribution(
  hook: DistributionHook | undefined,
  user: UserRecord,
  claim: Claim
): Promise<string[]> {
  if (!hook) return []
  try {
    const words = await hook(distributionOf(user, claim))
    const isGood =
      Array.isArray(words) && words.every((word) => typeof word === 'string' && /^[a-z_]{1,64}$/.test(word))
    return isGood ? [...words] : ['distribution_failed']
  } catch {
    return ['distribution_failed']
  }
}
