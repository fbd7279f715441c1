// SPDX-License-Identifier: MIT
// The consequences of reasons, as data.

import { phaseRules, type StatsPhase, type StatsPhaseRule } from '../phases.ts'
import type { TrustLevel } from '../types.ts'
import type { StatsReason } from './types.ts'

/**
 * Reasons that exclude a sync: the device of another user, or bytes without a valid signature. All others ask for a
 * review.
 */
const excluding: ReadonlySet<string> = new Set<StatsReason>([
  'malformed',
  'signature_mismatch',
  'device_mismatch',
  'device_of_another_user'
])

/** Reasons that only say that a signature is missing. The phase decides their consequences. */
const unsigned: ReadonlySet<string> = new Set<StatsReason>(['unsigned', 'no_enrolled_key', 'data_not_signed'])

/** Returns the trust level for these reasons. */
export function trustOf(reasons: readonly string[]): TrustLevel {
  if (reasons.some((reason) => excluding.has(reason))) return 'untrusted'
  return reasons.length > 0 ? 'suspicious' : 'verified'
}

/** Returns whether a user with these reasons ranks on the leaderboard in a phase. */
export function isRankedBy(phase: StatsPhase, reasons: readonly string[]): boolean {
  const rule: StatsPhaseRule = phaseRules[phase]
  return reasons.every((reason) => rule.ranks && unsigned.has(reason))
}

/** Returns the warnings for the sender. A phase that does not warn leaves out the missing signatures. */
export function warningsOf(phase: StatsPhase, reasons: readonly string[]): string[] {
  return reasons.filter((reason) => phaseRules[phase].warns || !unsigned.has(reason))
}
