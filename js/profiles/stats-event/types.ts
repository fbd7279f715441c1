// SPDX-License-Identifier: MIT
// The types of the profile. Times are Unix milliseconds.

import type { Json, JsonObject } from '../common/canonical-json.ts'

export type { Json, JsonObject } from '../common/canonical-json.ts'

/**
 * The signature mode of an event. `compatible` is StatsCode's signature, which leaves `data` out. `covered` adds a
 * second signature over all of `data`, which StatsCode ignores. `strict` is one signature over everything.
 */
export type EventMode = 'strict' | 'covered' | 'compatible'

/** The application's part of an event. signEvent fills in the rest. */
export type StatsEventFields = {
  /** StatsCode uses `session` and `interaction`. */
  type: string
  data: unknown
  /** Unix milliseconds. A strict or covered event takes only integers. Default: the present time. */
  timestamp?: number
  /** Default: 8 random bytes in hexadecimal. */
  nonce?: string
}

export type StatsEvent = { type: string; data: Json; timestamp: number; deviceId: string; nonce: string }

/** An event as it is sent. `signature` is 64 lower-case hexadecimal digits. */
export type SignedEvent = StatsEvent & { signature: string }

/** An object that may be an event. Nothing in it is verified. */
export type EventLike = SignedEvent | StatsEvent | JsonObject

/** Why an event was refused. */
export type VerifyReason = 'malformed' | 'device_mismatch' | 'weak_key' | 'signature_mismatch'

export type StatsVerdict = { ok: boolean; reason?: VerifyReason }

export type TrustLevel = 'verified' | 'suspicious' | 'untrusted'
