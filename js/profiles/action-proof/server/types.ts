// SPDX-License-Identifier: MIT
// The types of the server's side.

import type { BytesLike } from '../../../common/types.ts'
import type { SecretKey } from '../create.ts'
import type { VerifiedAction } from '../types.ts'

/** The checks of a proof, in order. A record names the last one. */
export type ProofStage =
  | 'session'
  | 'parse'
  | 'freshness'
  | 'signature'
  | 'nonce'
  | 'rules'
  | 'rate'
  | 'points'
  | 'accepted'

/** Why a proof was refused: the `error` of the answer. */
export type ProofError =
  | 'no_session'
  | 'malformed'
  | 'stale'
  | 'bad_signature'
  | 'nonce_used'
  | 'unknown_action'
  | 'rate_limited'
  | 'implausible'
  | 'duplicate_action'
  | 'unavailable'

/** The audit record of one proof: user, action, last check and reason. It holds no secrets and no signatures. */
export type ProofRecord = {
  atMs: number
  stage: ProofStage
  error?: ProofError
  userId?: string
  sessionId?: string
  actionType?: string
  actionId?: string
  expectedPoints?: number
  points?: number
  /** The caller's data about the sender, for hooks that look at addresses and devices. */
  sender?: unknown
}

/** An alert: the refusals or the points of a user, or of all users, reached a limit. */
export type ProofAlert = { kind: 'refusals' | 'score_rise'; userId?: string; value: number; windowMs: number }

/** One kind of action: its points, and its plausibility. */
export type ActionKind = {
  /** Computed by the server from the verified action. The client's `expected_points` is only compared. */
  points: number | ((action: VerifiedAction) => number)
  /** Returns whether this user can have done this action: not too fast, not in too few moves. */
  isPlausible?: (action: VerifiedAction, who: { userId: string }) => boolean | Promise<boolean>
}

/** An accepted proof, for the code that stores the points. */
export type AcceptedAction = { userId: string; sessionId: string; action: VerifiedAction; points: number }

/** A body with one proof or several, and its sender. */
export type ProofRequest = {
  body: BytesLike | string
  /** From the authenticated session, never from the proof. Absent without a session. */
  userId?: string
  sessionId?: string
  /** The secret's id, from the header `action-key`. */
  keyId?: string
  /** The proof came in a signed request of the exchange, so the device session signed its bytes. */
  isSigned?: boolean
  sender?: unknown
}

export type ProofOutcome = {
  status: 200 | 400 | 401 | 403 | 409 | 422 | 429 | 503
  body: { [member: string]: unknown }
}

/** The secrets of the compatible mode. */
export interface ActionSecrets {
  /** Returns the present secret of a session. Send it only in a signed answer. */
  issue(sessionId: string, nowMs: number): { id: string; text: string }
  /** Returns the secrets whose proofs are valid now: the one with that id, or the present one and the one before. */
  of(sessionId: string, nowMs: number, id: string | undefined): Promise<readonly SecretKey[]>
}
