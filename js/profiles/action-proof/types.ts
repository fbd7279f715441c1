// SPDX-License-Identifier: MIT
// The types of the profile.

import type { Json } from '../common/canonical-json.ts'

/** The action of a player. */
export type ActionFields = {
  /** 1 to 128 characters, such as `puzzle_complete`. */
  actionType: string
  /** Unix milliseconds, a Date, or `YYYY-MM-DDTHH:MM:SS[.fff]Z`. */
  timestamp: number | Date | string
  /** Any JSON value. */
  actionData: unknown
  /** The points that the client expects. The server computes the points itself and compares. */
  expectedPoints: number
  /** 8 to 128 characters from `!` to `~`, used once. */
  nonce: string
}

/** A proof as it is sent. */
export type ActionProof = {
  action_type: string
  timestamp: string
  action_data: Json
  expected_points: number
  nonce: string
  client_signature: string
}

/** The content of a verified proof. */
export type VerifiedAction = {
  actionType: string
  timestamp: string
  timestampMs: number
  actionData: Json
  expectedPoints: number
  nonce: string
  /** `action_data.action_id`, when it is a text. It stays the same over all tries of one action. */
  actionId?: string
}

/** The failed check of a refused proof: form, age or signature. */
export type ProofReason = 'malformed' | 'stale' | 'signature'

export type ProofVerdict = { ok: true; proof: VerifiedAction } | { ok: false; reason: ProofReason }
