// SPDX-License-Identifier: MIT
// The anomalies that StatsCode finds in one event, as a table.

import { type StatsLimits, statsLimits } from './limits.ts'

/** The anomalies of one event, in the order in which they are listed. */
export type Anomaly = 'timestamp_future' | 'timestamp_too_old' | 'session_too_short' | 'session_too_long'

type AnomalyRule = {
  reason: Anomaly
  /** The compared value: the event's time, or the duration that a session claims. */
  member: 'timestamp' | 'duration'
  side: 'above' | 'below'
  /** Returns the bound in milliseconds. The bound itself is no anomaly. */
  bound: (limits: StatsLimits, nowMs: number) => number
}

const rows: readonly AnomalyRule[] = [
  { reason: 'timestamp_future', member: 'timestamp', side: 'above', bound: ({ futureMs }, nowMs) => nowMs + futureMs },
  { reason: 'timestamp_too_old', member: 'timestamp', side: 'below', bound: ({ oldMs }, nowMs) => nowMs - oldMs },
  {
    reason: 'session_too_short',
    member: 'duration',
    side: 'below',
    bound: ({ shortestSessionMs }) => shortestSessionMs
  },
  { reason: 'session_too_long', member: 'duration', side: 'above', bound: ({ longestSessionMs }) => longestSessionMs }
]

function memberOf(value: unknown, name: string): unknown {
  return value === null || value === undefined ? undefined : (value as { [name: string]: unknown })[name]
}

/**
 * Lists the anomalies of one event at a given time, in StatsCode's order. It compares as JavaScript does, texts
 * included. It checks no signature: in compatible mode `data.duration_ms` is not signed.
 *
 * @example
 * ```ts
 * detectAnomalies(event, Date.now()) // ['session_too_short']
 * ```
 */
export function detectAnomalies(event: object, nowMs: number, limits: StatsLimits = statsLimits): Anomaly[] {
  const timestamp = memberOf(event, 'timestamp')
  const duration = memberOf(event, 'type') === 'session' ? memberOf(memberOf(event, 'data'), 'duration_ms') : undefined
  return rows
    .filter(({ member, side, bound }) => {
      const value = member === 'timestamp' ? timestamp : duration
      // A missing value, 0 and the empty text are no duration. A value that is not a number is neither above nor
      // below.
      if (value === undefined || (member === 'duration' && !value)) return false
      const edge = bound(limits, nowMs)
      return side === 'above' ? (value as number) > edge : (value as number) < edge
    })
    .map(({ reason }) => reason)
}
