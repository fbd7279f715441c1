// SPDX-License-Identifier: MIT
// The four phases in which a server moves from unsigned to signed statistics.

import { badArgument } from '../../core/args.ts'

export type StatsPhase = 1 | 2 | 3 | 4

/** The treatment of a sync whose events are unsigned or wrongly signed. */
export type StatsPhaseRule = {
  /** Whether the server accepts it. */
  readonly accepts: boolean
  /** Whether the answer warns its sender. */
  readonly warns: boolean
  /** Whether it can rank on the leaderboard. */
  readonly ranks: boolean
}

/** Phase 1 accepts both, 2 warns, 3 ranks only signed statistics, 4 accepts only signed ones. */
export const phaseRules: { readonly [Name in StatsPhase]: StatsPhaseRule } = Object.freeze({
  1: Object.freeze({ accepts: true, warns: false, ranks: true }),
  2: Object.freeze({ accepts: true, warns: true, ranks: true }),
  3: Object.freeze({ accepts: true, warns: true, ranks: false }),
  4: Object.freeze({ accepts: false, warns: true, ranks: false })
})

/**
 * Checks a phase.
 * @throws ERR_INVALID_ARGUMENT when it is not 1, 2, 3 or 4.
 */
export function phaseOf(phase: unknown): StatsPhase {
  if (phase === 1 || phase === 2 || phase === 3 || phase === 4) return phase
  throw badArgument('phase must be 1, 2, 3 or 4')
}
