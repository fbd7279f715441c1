// SPDX-License-Identifier: MIT
// The shapes of the server's part. Types only.

import type { BytesLike } from '../../../common/types.ts'
import type { SecretKey } from '../create.ts'
import type { VerifiedAction } from '../types.ts'

/** The checks of a proof, in their order; a record says where one ended. */
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

/** Why a proof was refused, as the answer's `error` says it. */
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

/** One accepted or refused proof, for an audit: who, what, where it ended and why. No secrets, no signatures. */
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
  /** What the caller handed in about the sender, for hooks that look at addresses and devices. */
  sender?: unknown
}

/** What the records of a user, or all of them, have come to. */
export type ProofAlert = { kind: 'refusals' | 'score_rise'; userId?: string; value: number; windowMs: number }

/** One kind of action: what it is worth, and whether it can have been. */
export type ActionKind = {
  /** Computed by the server from the verified action; the client's `expected_points` is compared, never taken. */
  points: number | ((action: VerifiedAction) => number)
  /** Whether this action of this user is possible: a time too short, moves too few. */
  isPlausible?: (action: VerifiedAction, who: { userId: string }) => boolean | Promise<boolean>
}

/** A proof that was accepted, for whoever keeps the score. */
export type AcceptedAction = { userId: string; sessionId: string; action: VerifiedAction; points: number }

/** A body of one proof or of several, and who sent it. */
export type ProofRequest = {
  body: BytesLike | string
  /** From the authenticated session, never from the proof; absent where there is none. */
  userId?: string
  sessionId?: string
  /** The secret's id, from the header `action-key`. */
  keyId?: string
  /** The proof came as a signed request of the exchange: its bytes are the device session's already. */
  isSigned?: boolean
  sender?: unknown
}

export type ProofOutcome = {
  status: 200 | 400 | 401 | 403 | 409 | 422 | 429 | 503
  body: { [member: string]: unknown }
}

/** The secrets of the compatible mode. */
export interface ActionSecrets {
  /** The secret of a session now, to be issued in a signed answer. */
  issue(sessionId: string, nowMs: number): { id: string; text: string }
  /** The secrets whose proofs are accepted now: the one of that id, else the present and the one before. */
  of(sessionId: string, nowMs: number, id: string | undefined): Promise<readonly SecretKey[]>
}
