// SPDX-License-Identifier: MIT
// The server's side of StatsCode's signed events.

export { type StatsLimits, statsLimits } from '../limits.ts'
export { type Phase, type PhaseRule, phaseRules } from '../phases.ts'
export { statsRoutes } from './routes.ts'
export { createStats, type Stats } from './stats.ts'
export { memoryStatsStore } from './store-memory.ts'
export type * from './types.ts'
