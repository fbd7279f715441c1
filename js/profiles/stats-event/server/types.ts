// SPDX-License-Identifier: MIT
// The shapes of the server's side. Everything a store keeps is plain JSON. Times are Unix milliseconds.

import type { Anomaly } from '../anomalies.ts'
import type { StatsLimits } from '../limits.ts'
import type { StatsPhase } from '../phases.ts'
import type { Totals } from '../sync.ts'
import type { EventMode, TrustLevel } from '../types.ts'

/** Why a sync is not simply verified. A distribution hook adds words of its own. */
export type StatsReason =
  | Anomaly
  | 'malformed'
  | 'unsigned'
  | 'no_enrolled_key'
  | 'data_not_signed'
  | 'signature_mismatch'
  | 'device_mismatch'
  | 'device_changed'
  | 'device_of_another_user'
  | 'hours_per_day'
  | 'sessions_per_hour'
  | 'interactions_per_minute'
  | 'hours_spike'
  | 'totals_mismatch'
  | 'totals_decreased'
  | 'timestamp_discontinuity'
  | 'duration_mismatch'
  | 'session_overlap'
  | 'session_in_future'
  | 'session_changed'
  | 'distribution_failed'

/** A device as the server knows it. */
export type DeviceRecord = {
  deviceId: string
  userId: string
  /** The enrolled key's text: a secret, which makes signatures as well as it checks them. */
  keyText?: string
  /** An exchange session that stands for the key: what comes signed by it needs no other signature. */
  sessionId?: string
  /** The lowest mode an event of this device is accepted in. */
  lowestMode: EventMode
}

/** A session that was counted: id, start, end (the start again while it is open), device. */
export type SeenSession = readonly [id: string, startMs: number, endMs: number, deviceId: string]

/** An interaction that was counted: nonce, time. */
export type SeenInteraction = readonly [nonce: string, timestampMs: number]

export type Claim = Totals & { atMs: number }

/** What the server remembers of a user, for a month. */
export type UserRecord = {
  userId: string
  /** The device this user is bound to, and since when. */
  deviceId: string
  boundMs: number
  sessions: SeenSession[]
  interactions: SeenInteraction[]
  /** Events dated at or before this time were dropped from memory: they cannot be counted any more. */
  floorMs: number
  /** The latest time of an event so far. */
  newestMs: number
  /** The first claim of each hour, for a week, and the one before that. */
  claims: Claim[]
  latest?: Claim
  /** What lies before a review is not judged again. */
  reviewedMs: number
  verdict?: Standing
}

/** What the last sync of a user came to. */
export type Standing = {
  trustLevel: TrustLevel
  reasons: string[]
  /** Whether the user stands on the leaderboard in this phase. */
  isRanked: boolean
  atMs: number
}

/** What a change of the store reads, and what it leaves behind. */
export type StatsRecords = { user: UserRecord | undefined; device: DeviceRecord | undefined }

/** Keeps users and devices; `update` is its one atomic step. */
export interface StatsStore {
  /**
   * Gives the records of a user and of a device to `change`, which makes the new ones at once, without waiting for anything and
   * perhaps more than once; what it leaves undefined stays as it is. Resolves to its `result` when the change would survive the death of the process.
   */
  update<Result>(
    userId: string,
    deviceId: string,
    change: (records: StatsRecords) => Partial<StatsRecords> & { result: Result }
  ): Promise<Result>
  user(userId: string): Promise<UserRecord | undefined>
  device(deviceId: string): Promise<DeviceRecord | undefined>
  close(): Promise<void> | void
}

/** What a distribution hook looks at: everything counted for a user within the last 30 days, this sync included. */
export type Distribution = {
  userId: string
  deviceId: string
  nowMs: number
  totals: Totals
  /** In the order of their start; an open session ends where it starts. */
  sessions: readonly { id: string; startMs: number; endMs: number }[]
  /** Unix milliseconds, in order. */
  interactionsMs: readonly number[]
}

/** Looks for what is unusual and gives words for it (`[a-z_]`, 1 to 64), none where all is well. */
export type DistributionHook = (distribution: Distribution) => readonly string[] | Promise<readonly string[]>

export type StatsOptions = {
  store: StatsStore
  /** 1 takes unsigned statistics, 2 warns (the default), 3 ranks signed ones only, 4 takes signed ones only. */
  phase?: StatsPhase
  limits?: Partial<StatsLimits>
  distribution?: DistributionHook
  /** Unix milliseconds. */
  now?: () => number
}

export type EnrolOutcome = 'enrolled' | 'needs_verification' | 'device_of_another_user'

export type SyncRequest = {
  /** Who was authenticated: never taken from the body. */
  userId: string
  /** The exchange session whose signature covers the body, where one does. */
  sessionId?: string
  /** The JSON text or its bytes. */
  body: Uint8Array | string
}

/** What to answer: the four members of StatsCode's answer, and a status. */
export type SyncOutcome = {
  status: 200 | 400 | 403
  answer: { success: boolean; verified: boolean; trustLevel: TrustLevel; warnings: string[] }
}
