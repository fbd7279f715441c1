// SPDX-License-Identifier: MIT
// The server's side of StatsCode's signed events.

export { type StatsLimits, statsLimits } from '../limits.ts'
export { phaseRules, type StatsPhase, type StatsPhaseRule } from '../phases.ts'
export { statsRoutes } from './routes.ts'
export { createStats, type Stats } from './stats.ts'
export { memoryStatsStore } from './store-memory.ts'
export type * from './types.ts'
