// SPDX-License-Identifier: MIT
// What each reason costs, as data.

import { phaseRules, type StatsPhase, type StatsPhaseRule } from '../phases.ts'
import type { TrustLevel } from '../types.ts'
import type { StatsReason } from './types.ts'

/** Reasons that exclude: somebody else's device, or bytes that nobody signed. All others ask for a review. */
const excluding: ReadonlySet<string> = new Set<StatsReason>([
  'malformed',
  'signature_mismatch',
  'device_mismatch',
  'device_of_another_user'
])

/** Reasons that say no more than that a signature is missing: what they cost is the phase's to say. */
const unsigned: ReadonlySet<string> = new Set<StatsReason>(['unsigned', 'no_enrolled_key', 'data_not_signed'])

/** Gives the level that reasons leave. */
export function trustOf(reasons: readonly string[]): TrustLevel {
  if (reasons.some((reason) => excluding.has(reason))) return 'untrusted'
  return reasons.length > 0 ? 'suspicious' : 'verified'
}

/** Tells whether a user with these reasons stands on the leaderboard in a phase. */
export function isRankedBy(phase: StatsPhase, reasons: readonly string[]): boolean {
  const rule: StatsPhaseRule = phaseRules[phase]
  return reasons.every((reason) => rule.ranks && unsigned.has(reason))
}

/** Lists what a sender is told: in a phase that does not warn, nothing about missing signatures. */
export function warningsOf(phase: StatsPhase, reasons: readonly string[]): string[] {
  return reasons.filter((reason) => phaseRules[phase].warns || !unsigned.has(reason))
}
