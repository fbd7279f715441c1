// SPDX-License-Identifier: MIT
// The types of the server's side. Stored records are plain JSON. Times are Unix milliseconds.

import type { Anomaly } from '../anomalies.ts'
import type { StatsLimits } from '../limits.ts'
import type { StatsPhase } from '../phases.ts'
import type { Totals } from '../sync.ts'
import type { EventMode, TrustLevel } from '../types.ts'

/** Why a sync is not verified. A distribution hook adds words of its own. */
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

/** The server's record of a device. */
export type DeviceRecord = {
  deviceId: string
  userId: string
  /** The text of the enrolled key. It is a secret: it creates signatures as well as it verifies them. */
  keyText?: string
  /** The exchange session that stands for the key. A body that it signed needs no other signature. */
  sessionId?: string
  /** The lowest mode in which events of this device are accepted. */
  lowestMode: EventMode
}

/** A counted session: id, start, end, device. The end equals the start while the session is open. */
export type SeenSession = readonly [id: string, startMs: number, endMs: number, deviceId: string]

/** A counted interaction: nonce and time. */
export type SeenInteraction = readonly [nonce: string, timestampMs: number]

export type Claim = Totals & { atMs: number }

/** The server's record of a user. It reaches back a month. */
export type UserRecord = {
  userId: string
  /** The device that this user is bound to, and the time of the binding. */
  deviceId: string
  boundMs: number
  sessions: SeenSession[]
  interactions: SeenInteraction[]
  /** Events at or before this time were dropped from memory, so they cannot be counted any more. */
  floorMs: number
  /** The latest time of an event so far. */
  newestMs: number
  /** The first claim of each hour for a week, and the last one before that week. */
  claims: Claim[]
  latest?: Claim
  /** Events before the last review are not checked again. */
  reviewedMs: number
  verdict?: Standing
}

/** The verdict on a user's last sync. */
export type Standing = {
  trustLevel: TrustLevel
  reasons: string[]
  /** Whether the user ranks on the leaderboard in this phase. */
  isRanked: boolean
  atMs: number
}

/** The records that a change of the store reads and writes. */
export type StatsRecords = { user: UserRecord | undefined; device: DeviceRecord | undefined }

/** Keeps users and devices. `update` is its one atomic step. */
export interface StatsStore {
  /**
   * Passes the records of a user and of a device to `change`, which returns the new ones synchronously. It may be
   * called more than once. A record that it leaves undefined stays as it is. Resolves to its `result` once the change
   * would survive the end of the process.
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

/** The input of a distribution hook: all that counts for a user within the last 30 days, this sync included. */
export type Distribution = {
  userId: string
  deviceId: string
  nowMs: number
  totals: Totals
  /** In the order of their start. An open session ends at its start. */
  sessions: readonly { id: string; startMs: number; endMs: number }[]
  /** Unix milliseconds, in order. */
  interactionsMs: readonly number[]
}

/** Looks for unusual distributions. Returns words for them (`[a-z_]`, 1 to 64 characters), or none. */
export type DistributionHook = (distribution: Distribution) => readonly string[] | Promise<readonly string[]>

export type StatsOptions = {
  store: StatsStore
  /** 1 accepts unsigned statistics, 2 warns, 3 ranks only signed ones, 4 accepts only signed ones. Default: 2. */
  phase?: StatsPhase
  limits?: Partial<StatsLimits>
  distribution?: DistributionHook
  /** Returns the present time, in Unix milliseconds. */
  now?: () => number
}

export type EnrolOutcome = 'enrolled' | 'needs_verification' | 'device_of_another_user'

export type SyncRequest = {
  /** The authenticated user, never taken from the body. */
  userId: string
  /** The exchange session whose signature covers the body. Absent without one. */
  sessionId?: string
  /** The JSON text or its bytes. */
  body: Uint8Array | string
}

/** The answer to send: StatsCode's four members, and a status. */
export type SyncOutcome = {
  status: 200 | 400 | 403
  answer: { success: boolean; verified: boolean; trustLevel: TrustLevel; warnings: string[] }
}
