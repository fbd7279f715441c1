// SPDX-License-Identifier: MIT
// What StatsCode calls anomalies of one event, as a table in the order they are told.

import { type StatsLimits, statsLimits } from './limits.ts'

/** The anomalies of one event, in the order they are told. */
export type Anomaly = 'timestamp_future' | 'timestamp_too_old' | 'session_too_short' | 'session_too_long'

type AnomalyRule = {
  reason: Anomaly
  /** What is looked at: the event's time relative to now, or what a session says of its length. */
  of: 'timestamp' | 'duration'
  is: 'above' | 'below'
  /** Milliseconds; the bound itself is no anomaly. */
  bound: (limits: StatsLimits, nowMs: number) => number
}

const rows: readonly AnomalyRule[] = [
  { reason: 'timestamp_future', of: 'timestamp', is: 'above', bound: ({ futureMs }, nowMs) => nowMs + futureMs },
  { reason: 'timestamp_too_old', of: 'timestamp', is: 'below', bound: ({ oldMs }, nowMs) => nowMs - oldMs },
  { reason: 'session_too_short', of: 'duration', is: 'below', bound: ({ shortestSessionMs }) => shortestSessionMs },
  { reason: 'session_too_long', of: 'duration', is: 'above', bound: ({ longestSessionMs }) => longestSessionMs }
]

function memberOf(value: unknown, name: string): unknown {
  return value === null || value === undefined ? undefined : (value as { [name: string]: unknown })[name]
}

/**
 * Lists what is implausible about one event at a time, in the order of StatsCode. It compares as JavaScript
 * does, texts and all, and looks at no signature: in compatible mode nobody has signed `data.duration_ms`.
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
    .filter(({ of, is, bound }) => {
      const value = of === 'timestamp' ? timestamp : duration
      // Nothing, 0 and the empty text say nothing about a length. What is no number is neither above nor below.
      if (value === undefined || (of === 'duration' && !value)) return false
      const edge = bound(limits, nowMs)
      return is === 'above' ? (value as number) > edge : (value as number) < edge
    })
    .map(({ reason }) => reason)
}
