// SPDX-License-Identifier: MIT
// Counts records for metrics, and raises alerts for many refusals and for points that rise too fast. Memory is
// bounded.

import { callHook } from '../../../server/support/checks.ts'
import type { ProofAlert, ProofRecord } from './types.ts'

export type WatchOptions = {
  /** Refusals of one user within a minute that raise `onAlert`. Default: 20. */
  refusals?: number
  /** Points of one user within a minute that raise `onAlert`. Default: 1000. */
  points?: number
  onAlert?: ((alert: ProofAlert) => void) | undefined
}

const WINDOW_MS = 60_000
const USERS = 10_000

type Tally = { sinceMs: number; refusals: number; points: number; alerts: Set<ProofAlert['kind']> }

/** Creates the counters of records. */
export function createWatch({ refusals = 20, points = 1000, onAlert }: WatchOptions) {
  const counts = new Map<string, number>()
  const tallies = new Map<string, Tally>()

  const tallyOf = (userId: string, atMs: number): Tally => {
    const known = tallies.get(userId)
    if (known && atMs - known.sinceMs < WINDOW_MS) return known
    tallies.delete(userId)
    if (tallies.size >= USERS) tallies.delete(tallies.keys().next().value as string)
    const made: Tally = { sinceMs: atMs, refusals: 0, points: 0, alerts: new Set() }
    tallies.set(userId, made)
    return made
  }

  const alert = (tally: Tally, kind: ProofAlert['kind'], userId: string, value: number): void => {
    if (tally.alerts.has(kind)) return
    tally.alerts.add(kind)
    callHook(() => onAlert?.({ kind, userId, value, windowMs: WINDOW_MS }))
  }

  return {
    note({ stage, error, userId, points: given = 0, atMs }: ProofRecord): void {
      const name = error ?? 'accepted'
      counts.set(`${stage}/${name}`, (counts.get(`${stage}/${name}`) ?? 0) + 1)
      if (userId === undefined) return
      const tally = tallyOf(userId, atMs)
      if (error) {
        tally.refusals++
        if (tally.refusals >= refusals) alert(tally, 'refusals', userId, tally.refusals)
      } else {
        tally.points += given
        if (tally.points >= points) alert(tally, 'score_rise', userId, tally.points)
      }
    },
    /** Returns the counts as Prometheus text. */
    metrics(): string {
      const lines = [...counts].map(([name, count]) => {
        const [stage, outcome] = name.split('/')
        return `countersign_action_proofs_total{stage="${stage}",outcome="${outcome}"} ${count}`
      })
      return [
        '# HELP countersign_action_proofs_total Action proofs by the check they ended at.',
        '# TYPE countersign_action_proofs_total counter',
        ...lines,
        ''
      ].join('\n')
    }
  }
}
