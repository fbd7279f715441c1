// SPDX-License-Identifier: MIT
// The shapes of the profile. Types only.

import type { Json } from '../common/canonical-json.ts'

/** What a player did. */
export type ActionFields = {
  /** 1 to 128 characters, such as `puzzle_complete`. */
  actionType: string
  /** When: Unix milliseconds, a Date, or `YYYY-MM-DDTHH:MM:SS[.fff]Z`. */
  timestamp: number | Date | string
  /** Anything JSON can say. */
  actionData: unknown
  /** What the client thinks it is worth; the server computes the points and compares. */
  expectedPoints: number
  /** 8 to 128 of `!` to `~`, used once. */
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

/** What the verified bytes say. */
export type VerifiedAction = {
  actionType: string
  timestamp: string
  timestampMs: number
  actionData: Json
  expectedPoints: number
  nonce: string
  /** Of `action_data.action_id`, where it is a text: the same over all tries of one action. */
  actionId?: string
}

/** Why a proof is refused: its form, its age, its signature. */
export type ProofReason = 'malformed' | 'stale' | 'signature'

export type ProofVerdict = { ok: true; proof: VerifiedAction } | { ok: false; reason: ProofReason }
