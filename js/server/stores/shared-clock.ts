// SPDX-License-Identifier: MIT
// The time that the gateways of one store share, as one record, and the steps that change it (R147, R148). The steps
// are pure; a store makes each of them atomic.

import { DAY_MS, HOUR_MS } from '../../common/protocol.ts'
import type { ClockReading, ClockReturn, ReplayStore, SharedClock, SharedTime, TimeSpan } from './types.ts'

/**
 * The record of a store. `clockMs` is the system's time at the last reading, or that of a clock of the store's own. Their
 * difference is the offset.
 */
export type ClockRecord = Omit<SharedTime, 'nowMs'> & { clockMs: number }

/** A hole between two readings that is wider than this counts as a jump, in milliseconds. */
export const JUMP_MS = HOUR_MS
const MAX_RUNS = 8
const MAX_AHEAD = 1024
/** A jump is noted this soon, in milliseconds. */
const NOTED_WITHIN_MS = 2000

const emptyRecord: ClockRecord = { readingMs: 0, clockMs: 0, era: 0, runs: [], burnt: [], ahead: {} }

/** Reads a record that `JSON.stringify` wrote, or begins a new one. */
export function parseClock(text: string | null | undefined): ClockRecord {
  return text ? { ...emptyRecord, ...(JSON.parse(text) as ClockRecord) } : emptyRecord
}

/** Returns the shared time at the moment that the clock of the record reads `clockMs`. */
export function timeOf({ clockMs: notedMs, ...record }: ClockRecord, clockMs: number): SharedTime {
  const { readingMs } = record
  return { ...record, nowMs: readingMs === 0 ? 0 : readingMs + Math.max(0, clockMs - notedMs) }
}

/** Tells whether a time lies in one of the spans. */
export function isWithin(spans: readonly TimeSpan[], ms: number): boolean {
  return spans.some(({ fromMs, toMs }) => fromMs <= ms && ms <= toMs)
}

// Of too many runs the two that are nearest to each other become one: so the widest jump is never forgotten.
function joinNearest(runs: readonly TimeSpan[]): readonly TimeSpan[] {
  if (runs.length <= MAX_RUNS) return runs
  const gaps = runs.slice(1).map(({ fromMs }, index) => fromMs - (runs[index] as TimeSpan).toMs)
  const at = gaps.indexOf(Math.min(...gaps))
  const joined = { fromMs: (runs[at] as TimeSpan).fromMs, toMs: (runs[at + 1] as TimeSpan).toMs }
  return [...runs.slice(0, at), joined, ...runs.slice(at + 2)]
}

function extend(runs: readonly TimeSpan[], { fromMs, toMs }: TimeSpan): readonly TimeSpan[] {
  const last = runs.at(-1)
  if (!last || fromMs - last.toMs > JUMP_MS) return joinNearest([...runs, { fromMs, toMs }])
  return [...runs.slice(0, -1), { ...last, toMs }]
}

// A date that the clock has walked past needs no care any more. One that it jumped over does.
function stillAhead(ahead: ClockRecord['ahead'], runs: readonly TimeSpan[]): ClockRecord['ahead'] {
  const entries = Object.entries(ahead)
  const left = entries.filter(([, ms]) => !isWithin(runs, ms))
  return left.length === entries.length ? ahead : Object.fromEntries(left)
}

/**
 * Notes a reading, taken while the clock of the record reads `clockMs`. Returns the same record when it is no news, and
 * when the clock was brought back since the caller's era.
 */
export function noteReading(
  record: ClockRecord,
  { nowMs, sinceMs, era, burnt }: ClockReading,
  clockMs: number
): ClockRecord {
  const isLost = era > record.era
  if (era < record.era || (nowMs <= record.readingMs && !isLost)) return record
  const runs = extend(record.runs, { fromMs: Math.min(sinceMs, nowMs), toMs: nowMs })
  const noted = { ...record, readingMs: nowMs, clockMs, runs, ahead: stillAhead(record.ahead, runs) }
  return isLost ? { ...noted, era, burnt } : noted
}

/** Notes a request that was dated ahead. Returns undefined when there is no room for its session. */
export function noteAheadOf(record: ClockRecord, sessionId: string, timestampMs: number): ClockRecord | undefined {
  const { ahead } = record
  const known = ahead[sessionId]
  if (known !== undefined && known >= timestampMs) return record
  if (known === undefined && Object.keys(ahead).length >= MAX_AHEAD) return undefined
  return { ...record, ahead: { ...ahead, [sessionId]: timestampMs } }
}

/** What bringing a clock back would do, or why it cannot be done. */
export type ReturnPlan = { change: ClockReturn; ends: string[] } | { reason: string }

const MAX_BURNT = 8

function joinOverlapping(spans: readonly TimeSpan[]): TimeSpan[] {
  const joined: TimeSpan[] = []
  for (const span of [...spans].sort((one, other) => one.fromMs - other.fromMs)) {
    const last = joined.at(-1)
    if (last && span.fromMs <= last.toMs)
      joined[joined.length - 1] = { fromMs: last.fromMs, toMs: Math.max(last.toMs, span.toMs) }
    else joined.push(span)
  }
  return joined
}

/**
 * Plans how a clock is brought back to the system's time `nowMs` (R148). Every time that a request may have been
 * accepted or used up at lies under the fence, in a burnt span, or is of a session that ends.
 */
export function planReturn(
  time: SharedTime,
  floorMs: number,
  { nowMs, pastMs, futureMs }: { nowMs: number; pastMs: number; futureMs: number }
): ReturnPlan {
  const iso = (ms: number): string => new Date(ms).toISOString()
  const current = time.runs.findLast(({ fromMs }) => fromMs <= nowMs)
  const reachedMs = Math.max(nowMs, current?.toMs ?? 0)
  // A clock that is ahead by less stands still for that long (R65).
  if (reachedMs - nowMs > Math.ceil(futureMs / 2))
    return {
      reason: `the gateways' clock has been at ${iso(nowMs)} already and went on to ${iso(reachedMs)}: leave it ahead, or keep the gateways stopped until then`
    }
  const beforeMs = pastMs + 2 * futureMs + NOTED_WITHIN_MS
  const fresh = time.runs
    .filter(({ fromMs }) => fromMs > nowMs)
    .map(({ fromMs, toMs }) => ({ fromMs: fromMs - beforeMs, toMs: toMs + DAY_MS }))
  // A floor that no reading explains was raised by a gateway that notes none.
  const lastMs = Math.max(reachedMs + DAY_MS, ...fresh.map(({ toMs }) => toMs))
  if (floorMs > lastMs) fresh.push({ fromMs: floorMs - DAY_MS - beforeMs, toMs: floorMs + DAY_MS })
  const fenceMs = reachedMs + futureMs + Math.ceil(futureMs / 2)
  const burnt = joinOverlapping([...time.burnt, ...fresh]).filter(({ toMs }) => toMs > fenceMs)
  const first = burnt[0]
  if (first && first.fromMs <= fenceMs)
    return { reason: `the time to burn begins at ${iso(first.fromMs)}, which is now: leave the clock ahead` }
  if (burnt.length > MAX_BURNT)
    return { reason: `${MAX_BURNT} spans are burnt already, and no more can be: leave the clock ahead` }
  const isLost = (ms: number): boolean => ms > fenceMs && !isWithin(burnt, ms)
  const ends = Object.entries(time.ahead).flatMap(([id, ms]) => (isLost(ms) ? [id] : []))
  const { readingMs, era } = time
  return { change: { expected: { readingMs, era }, nowMs: reachedMs, systemMs: nowMs, fenceMs, burnt }, ends }
}

/** Returns the record of a clock that was brought back, or undefined when the record is not the expected one. */
export function returnClock(record: ClockRecord, change: ClockReturn, clockMs: number): ClockRecord | undefined {
  const { expected, nowMs, burnt } = change
  if (record.readingMs !== expected.readingMs || record.era !== expected.era) return undefined
  const runs = record.runs.filter(({ fromMs }) => fromMs <= nowMs)
  return { readingMs: nowMs, clockMs, era: record.era + 1, runs, burnt, ahead: {} }
}

/** A shared clock that its store closes. */
export type ClosableClock = SharedClock & { close(): void }

/** Adds the shared clock to a store of ids, which then refuses every id that is dated in a burnt span. */
export function withClock(replay: ReplayStore, clock: ClosableClock): ReplayStore {
  // The getters of the store have to stay getters.
  return Object.defineProperties(
    { ...replay, clock },
    {
      ...Object.getOwnPropertyDescriptors(replay),
      reserve: {
        value: async (...given: Parameters<ReplayStore['reserve']>) =>
          clock.isBurnt(given[1]) ? 'too-old' : replay.reserve(...given)
      },
      close: {
        value: () => {
          clock.close()
          return replay.close()
        }
      }
    }
  )
}
