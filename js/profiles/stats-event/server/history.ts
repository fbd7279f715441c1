// SPDX-License-Identifier: MIT
// Remembers a user's counted sessions and interactions, so that each counts once, and the earlier claims. Memory is
// bounded. `floorMs` is the time up to which events were dropped.

import { DAY_MS, HOUR_MS } from '../../../common/protocol.ts'
import type { JsonObject } from '../../common/canonical-json.ts'
import { detectAnomalies } from '../anomalies.ts'
import type { StatsLimits } from '../limits.ts'
import type { AcceptedEvent } from './evidence.ts'
import { type ClaimedSession, interactionOf, sessionOf } from './read.ts'
import type { Claim, SeenInteraction, SeenSession, StatsReason, UserRecord } from './types.ts'

const MAX_SESSIONS = 5000
const MAX_INTERACTIONS = 5000
/** A week, in milliseconds. */
export const WEEK_MS = 7 * DAY_MS

/** Returns the record of a new user. */
export function emptyUser(userId: string, deviceId: string, nowMs: number): UserRecord {
  return {
    userId,
    deviceId,
    boundMs: nowMs,
    sessions: [],
    interactions: [],
    floorMs: -1,
    newestMs: -1,
    claims: [],
    reviewedMs: -1
  }
}

/** The result of one sync: the new record, and the facts that the rules use. */
export type MergedSync = {
  user: UserRecord
  reasons: StatsReason[]
  /** The fully signed sessions of this sync, also those counted before. The rules compare the totals with them. */
  sent: ClaimedSession[]
  /** The numbers of different sessions and interactions among the accepted events. */
  sentSessions: number
  sentInteractions: number
  /** Whether a new event is dated long before the events of an earlier sync. */
  isDiscontinuous: boolean
}

type HistoryCounts = {
  sessions: Map<string, SeenSession>
  interactions: Map<string, SeenInteraction>
  reasons: Set<StatsReason>
}

// A later event may close an open session. Any other change is refused: the first event counts.
function countSession({ sessions, reasons }: HistoryCounts, session: SeenSession): boolean {
  const [id, startMs, endMs] = session
  const known = sessions.get(id)
  if (known) {
    const [, knownStart, knownEnd] = known
    const isOpen = knownStart === knownEnd
    if (knownStart === startMs && (knownEnd === endMs || endMs === startMs)) return false
    if (knownStart !== startMs || !isOpen) {
      reasons.add('session_changed')
      return false
    }
  }
  sessions.set(id, session)
  return true
}

/**
 * Keeps the entries that are young enough, and of too many the newest. `floorMs` is the time up to which it dropped
 * entries.
 */
function keepNewest<Seen extends SeenSession | SeenInteraction>(
  all: Iterable<Seen>,
  oldestMs: number,
  limit: number
): { kept: Seen[]; floorMs: number } {
  const young = [...all].filter(([, atMs]) => atMs >= oldestMs).sort((one, other) => one[1] - other[1])
  const kept = young.slice(-limit)
  const dropped = young.slice(0, young.length - kept.length)
  const endOf = (seen: Seen): number => (typeof seen[2] === 'number' ? Math.max(seen[1], seen[2]) : seen[1])
  return { kept, floorMs: dropped.reduce((floorMs, seen) => Math.max(floorMs, endOf(seen)), -1) }
}

/** Records a claim: the first of each hour for a week, the last one before that week, and the latest. */
function mergeClaim(user: UserRecord, claim: Claim): Pick<UserRecord, 'claims' | 'latest'> {
  const last = user.claims.at(-1)
  const isNewHour = !last || Math.floor(last.atMs / HOUR_MS) !== Math.floor(claim.atMs / HOUR_MS)
  const claims = isNewHour ? [...user.claims, claim] : user.claims
  const first = claims.findIndex(({ atMs }) => atMs >= claim.atMs - WEEK_MS)
  return { claims: claims.slice(Math.max(0, (first < 0 ? claims.length : first) - 1)), latest: claim }
}

function timeOf(event: JsonObject): number {
  return Number.isFinite(event.timestamp) ? (event.timestamp as number) : Number.NaN
}

/**
 * Adds the accepted events and the claim of a sync to a user's record. It lists anomalous events and leaves them out.
 */
export function mergeSync(
  before: UserRecord,
  accepted: readonly AcceptedEvent[],
  claim: Claim,
  deviceId: string,
  limits: StatsLimits
): MergedSync {
  const nowMs = claim.atMs
  const counts: HistoryCounts = {
    sessions: new Map(before.sessions.map((seen) => [seen[0], seen])),
    interactions: new Map(before.interactions.map((seen) => [seen[0], seen])),
    reasons: new Set()
  }
  const sent = new Map<string, ClaimedSession>()
  const [sentSessions, sentInteractions] = [new Set<string>(), new Set<string>()]
  let [newestMs, isDiscontinuous] = [before.newestMs, false]
  for (const { event, isDataSigned } of accepted) {
    const session = event.type === 'session' ? sessionOf(event, deviceId) : undefined
    const interaction = event.type === 'interaction' ? interactionOf(event) : undefined
    const anomalies = detectAnomalies(event, nowMs, limits)
    for (const anomaly of anomalies) counts.reasons.add(anomaly)
    if (anomalies.length > 0 || !(timeOf(event) > before.floorMs)) continue
    let isNew = false
    if (session) {
      const [id] = session.seen
      sentSessions.add(id)
      const other = sent.get(id)
      if (isDataSigned && (!other || other.durationMs < session.durationMs)) sent.set(id, session)
      isNew = countSession(counts, session.seen)
    } else if (interaction) {
      sentInteractions.add(interaction[0])
      isNew = !counts.interactions.has(interaction[0])
      counts.interactions.set(interaction[0], interaction)
    }
    if (isNew && timeOf(event) < before.newestMs - limits.longestSessionMs) isDiscontinuous = true
    if (isNew) newestMs = Math.max(newestMs, timeOf(event))
  }
  const oldestMs = nowMs - limits.oldMs - limits.longestSessionMs
  const sessions = keepNewest(counts.sessions.values(), oldestMs, MAX_SESSIONS)
  const interactions = keepNewest(counts.interactions.values(), oldestMs, MAX_INTERACTIONS)
  const user: UserRecord = {
    ...before,
    ...mergeClaim(before, claim),
    sessions: sessions.kept,
    interactions: interactions.kept,
    floorMs: Math.max(before.floorMs, sessions.floorMs, interactions.floorMs),
    newestMs
  }
  return {
    user,
    reasons: [...counts.reasons],
    sent: [...sent.values()],
    sentSessions: sentSessions.size,
    sentInteractions: sentInteractions.size,
    isDiscontinuous
  }
}
