// SPDX-License-Identifier: MIT
// The shapes of the profile. Times are Unix milliseconds.

import type { Json, JsonObject } from '../common/canonical-json.ts'

export type { Json, JsonObject } from '../common/canonical-json.ts'

/**
 * How an event is signed. `compatible`: as StatsCode does, which leaves `data` out. `covered`: the same, and a second
 * signature over everything inside `data`, which StatsCode does not look at. `strict`: one signature over everything.
 */
export type EventMode = 'strict' | 'covered' | 'compatible'

/** What an application says; the rest of an event is filled in. */
export type StatsEventFields = {
  /** `session` and `interaction` are StatsCode's. */
  type: string
  data: unknown
  /** Unix milliseconds; now where absent. A strict or covered event takes integers only. */
  timestamp?: number
  /** 8 random bytes in hexadecimal where absent. */
  nonce?: string
}

export type StatsEvent = { type: string; data: Json; timestamp: number; deviceId: string; nonce: string }

/** An event as it is sent: `signature` is 64 lower-case hexadecimal digits. */
export type SignedEvent = StatsEvent & { signature: string }

/** Any object that may be an event: what arrived, not yet judged. */
export type EventLike = SignedEvent | StatsEvent | JsonObject

/** Why an event was not accepted. */
export type VerifyReason = 'malformed' | 'device_mismatch' | 'weak_key' | 'signature_mismatch'

export type StatsVerdict = { ok: boolean; reason?: VerifyReason }

export type TrustLevel = 'verified' | 'suspicious' | 'untrusted'
