// SPDX-License-Identifier: MIT
// The thresholds, as data: one table for the client's own look at its events and for the server's judgement.

const HOUR_MS = 3_600_000

/** What is still plausible. Times are milliseconds; each bound itself is allowed. */
export const statsLimits = Object.freeze({
  /** How far an event may be dated ahead. */
  futureMs: 300_000,
  /** How old an event may be: 30 days. */
  oldMs: 2_592_000_000,
  shortestSessionMs: 5000,
  longestSessionMs: 12 * HOUR_MS,
  /** Time in sessions within any 24 hours. */
  dayMs: 16 * HOUR_MS,
  /** Sessions begun within any hour. */
  sessionsPerHour: 10,
  /** Interactions within any minute. */
  interactionsPerMinute: 60,
  /** Growth of the claimed hours within a week. */
  weeklyJumpHours: 100,
  /** StatsCode sends no more sessions than its last hundred. */
  sentSessions: 100
})

export type StatsLimits = { readonly [Name in keyof typeof statsLimits]: number }
