// SPDX-License-Identifier: MIT
// The plausibility rules over a user's merged history, as a table.

import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../../common/protocol.ts'
import type { StatsLimits } from '../limits.ts'
import { type MergedSync, WEEK_MS } from './history.ts'
import { ROUNDING_MS } from './read.ts'
import type { Claim, SeenSession, StatsReason, UserRecord } from './types.ts'

/** Hours have two decimal places. */
const ROUNDING_HOURS = 0.01
/** The share of expected sessions that may be missing as anomalous, when more than a handful is expected. */
const MISSING_SHARE = 0.5
const HANDFUL = 10

/** The input of a rule. */
export type RuleInput = {
  limits: StatsLimits
  claim: Claim
  before: UserRecord
  merged: MergedSync
  /** The counted sessions and interactions that begin after the last review, in order. */
  sessions: readonly SeenSession[]
  interactionsMs: readonly number[]
}

/** Returns how many of `sorted` are below `value`. */
function countBelow(sorted: readonly number[], value: number): number {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle] as number) < value) low = middle + 1
    else high = middle
  }
  return low
}

function sumsOf(sorted: readonly number[]): number[] {
  const sums = [0]
  for (const value of sorted) sums.push((sums.at(-1) as number) + value)
  return sums
}

/** Returns the most time in sessions within any window. Such a window begins or ends where a session does. */
export function mostWithin(sessions: readonly SeenSession[], windowMs: number): number {
  const edges = [1, 2].map((side) => sessions.map((session) => session[side] as number).sort((a, b) => a - b))
  const [starts, ends] = edges as [number[], number[]]
  const [startSums, endSums] = [sumsOf(starts), sumsOf(ends)]
  // The time in sessions before a moment: each session counts from its start, and stops at its end.
  const before = (moment: number): number => {
    const [begun, over] = [countBelow(starts, moment), countBelow(ends, moment)]
    return begun * moment - (startSums[begun] as number) - (over * moment - (endSums[over] as number))
  }
  const within = (moment: number): number => before(moment + windowMs) - before(moment)
  return [...starts, ...ends.map((end) => end - windowMs)].reduce((most, at) => Math.max(most, within(at)), 0)
}

/** Returns whether more than `limit` of these times lie within any window. */
export function isOftenWithin(sorted: readonly number[], limit: number, windowMs: number): boolean {
  return sorted.some((at, index) => index >= limit && at - (sorted[index - limit] as number) < windowMs)
}

function hasOverlap(sessions: readonly SeenSession[]): boolean {
  const busyUntil = new Map<string, number>()
  return sessions.some(([, startMs, endMs, deviceId]) => {
    const until = busyUntil.get(deviceId) ?? Number.NEGATIVE_INFINITY
    busyUntil.set(deviceId, Math.max(until, endMs))
    return startMs < until - ROUNDING_MS
  })
}

/**
 * Returns whether the hours grew too fast since any kept claim: more than a week's limit for each week, and at least
 * one.
 */
function isSpike({ claim, before, limits }: RuleInput): boolean {
  // A review accepts the earlier claims. Growth is measured from there.
  const known = before.claims.filter(({ atMs }) => atMs > before.reviewedMs)
  return [...known, ...(before.latest ? [before.latest] : [])].some(({ atMs, totalHours }) => {
    const weeks = Math.max(1, (claim.atMs - atMs) / WEEK_MS)
    return claim.totalHours - totalHours > limits.weeklyJumpHours * weeks
  })
}

function isLess({ claim, before: { latest } }: RuleInput): boolean {
  return (
    latest !== undefined &&
    (claim.totalHours < latest.totalHours - ROUNDING_HOURS ||
      claim.totalSessions < latest.totalSessions ||
      claim.totalInteractions < latest.totalInteractions)
  )
}

/**
 * Compares the totals with the signed sessions. Only the last hundred sessions are sent, without anomalous ones, so
 * the totals may be higher. They must not be lower, most sessions must not be missing, and the missing sessions must
 * be able to hold the missing hours.
 */
function isMismatch({ claim, merged: { sent, sentSessions, sentInteractions }, limits }: RuleInput): boolean {
  if (claim.totalSessions < sentSessions || claim.totalInteractions < sentInteractions) return true
  const expected = Math.min(claim.totalSessions, limits.sentSessions)
  if (sentSessions > 0 && expected > HANDFUL && sentSessions < expected * MISSING_SHARE) return true
  if (sent.length === 0) return false
  const shownHours = sent.reduce((sum, { durationMs }) => sum + durationMs, 0) / HOUR_MS
  const missing = claim.totalSessions - sent.length
  // A session that was left out as too long may have lasted a day.
  const possibleHours = shownHours + (missing * DAY_MS) / HOUR_MS
  return claim.totalHours < shownHours - ROUNDING_HOURS || claim.totalHours > possibleHours + ROUNDING_HOURS
}

const rules: readonly { reason: StatsReason; isBroken: (input: RuleInput) => boolean }[] = [
  { reason: 'hours_per_day', isBroken: ({ sessions, limits }) => mostWithin(sessions, DAY_MS) > limits.dayMs },
  {
    reason: 'sessions_per_hour',
    isBroken: ({ sessions, limits }) =>
      isOftenWithin(
        sessions.map(([, startMs]) => startMs),
        limits.sessionsPerHour,
        HOUR_MS
      )
  },
  {
    reason: 'interactions_per_minute',
    isBroken: ({ interactionsMs, limits }) => isOftenWithin(interactionsMs, limits.interactionsPerMinute, MINUTE_MS)
  },
  { reason: 'hours_spike', isBroken: isSpike },
  { reason: 'totals_decreased', isBroken: isLess },
  { reason: 'totals_mismatch', isBroken: isMismatch },
  { reason: 'timestamp_discontinuity', isBroken: ({ merged }) => merged.isDiscontinuous },
  { reason: 'duration_mismatch', isBroken: ({ merged }) => merged.sent.some(({ isOff }) => isOff) },
  { reason: 'session_overlap', isBroken: ({ sessions }) => hasOverlap(sessions) },
  {
    reason: 'session_in_future',
    isBroken: ({ sessions, claim, limits }) => sessions.some(([, , endMs]) => endMs > claim.atMs + limits.futureMs)
  }
]

/** Returns the reasons of the broken rules, in the order of the table. */
export function brokenRules(before: UserRecord, merged: MergedSync, claim: Claim, limits: StatsLimits): StatsReason[] {
  const { user } = merged
  const input: RuleInput = {
    limits,
    claim,
    before,
    merged,
    sessions: user.sessions.filter(([, startMs]) => startMs > user.reviewedMs),
    interactionsMs: user.interactions.map(([, atMs]) => atMs).filter((atMs) => atMs > user.reviewedMs)
  }
  return rules.filter(({ isBroken }) => isBroken(input)).map(({ reason }) => reason)
}
