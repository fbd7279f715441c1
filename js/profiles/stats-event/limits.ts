// SPDX-License-Identifier: MIT
// The thresholds as data. The client checks its events by this table, and the server decides by it.

import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../common/protocol.ts'

/** The plausible values. Times are in milliseconds. Each bound itself is plausible. */
export const statsLimits = Object.freeze({
  /** How far in the future an event's time may lie. */
  futureMs: 5 * MINUTE_MS,
  /** How old an event may be: 30 days. */
  oldMs: 30 * DAY_MS,
  shortestSessionMs: 5000,
  longestSessionMs: 12 * HOUR_MS,
  /** The time in sessions within any 24 hours. */
  dayMs: 16 * HOUR_MS,
  /** The sessions that begin within any hour. */
  sessionsPerHour: 10,
  /** The interactions within any minute. */
  interactionsPerMinute: 60,
  /** The growth of the claimed hours within a week. */
  weeklyJumpHours: 100,
  /** StatsCode sends at most its last hundred sessions. */
  sentSessions: 100
})

export type StatsLimits = { readonly [Name in keyof typeof statsLimits]: number }
