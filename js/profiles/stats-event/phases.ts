// SPDX-License-Identifier: MIT
// How a server moves from unsigned statistics to signed ones, in four phases.

import { badArgument } from '../../core/args.ts'

export type StatsPhase = 1 | 2 | 3 | 4

/** What becomes of a sync whose events are not signed, or not validly. */
export type StatsPhaseRule = {
  /** Whether it is taken at all. */
  readonly accepts: boolean
  /** Whether its sender is told so. */
  readonly warns: boolean
  /** Whether it may stand on the leaderboard. */
  readonly ranks: boolean
}

/** The phases: 1 takes both, 2 warns, 3 ranks signed ones only, 4 takes signed ones only. */
export const phaseRules: { readonly [Name in StatsPhase]: StatsPhaseRule } = Object.freeze({
  1: Object.freeze({ accepts: true, warns: false, ranks: true }),
  2: Object.freeze({ accepts: true, warns: true, ranks: true }),
  3: Object.freeze({ accepts: true, warns: true, ranks: false }),
  4: Object.freeze({ accepts: false, warns: true, ranks: false })
})

/** Checks a phase, or throws ERR_INVALID_ARGUMENT. */
export function phaseOf(phase: unknown): StatsPhase {
  if (phase === 1 || phase === 2 || phase === 3 || phase === 4) return phase
  throw badArgument('phase must be 1, 2, 3 or 4')
}
