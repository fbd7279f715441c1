// SPDX-License-Identifier: MIT
// The question to a user whether a session gets a new key (R150): asked by a mail, or by the application.

import type { Algorithm } from '../common/types.ts'
import type { SessionRecord } from './stores/types.ts'

/** A session that asks for a new key. All of it is verified, except `source`. */
export type StepUpRequest = {
  readonly session: SessionRecord
  readonly userId: string
  readonly algorithm: Algorithm
  /** The new key. The client has proved that it has the private half. */
  readonly publicKey: Uint8Array
  /**
   * The new key's thumbprint (RFC 7638), which the client shows too. Show it to the user with the question, and let the
   * answer count for this session and this thumbprint only.
   */
  readonly thumbprint: string
  /** The answer of the user to an earlier question. Absent in the first request of a rotation. */
  readonly confirmation?: { readonly challengeId: string; readonly code: string }
  /** The source of the request, by which its rate is counted. It is not signed. */
  readonly source: string
  /** Aborts when the client is gone, the time of a handler is up, or the gateway closes. */
  readonly signal: AbortSignal
}

/**
 * The decision about a new key. `allowed`: the key is replaced. `refused`: it is not. `unavailable`: this user cannot be
 * asked. An object with `challengeId`, 1 to 128 bytes of text: the user was asked, and the client sends this id again
 * with the answer. An object with `retryAfterMs`: there were too many requests, and the client may try again after so
 * many milliseconds.
 */
export type StepUpVerdict =
  | 'allowed'
  | 'refused'
  | 'unavailable'
  | { readonly challengeId: string }
  | { readonly retryAfterMs: number }

/**
 * Decides whether the user of a session wants its new key. It must bound wrong answers by itself. An exception refuses the
 * request with `cs.unavailable`, and the key stays.
 */
export type StepUp = (request: StepUpRequest) => StepUpVerdict | Promise<StepUpVerdict>

/** A key that was replaced: `publicKey` is the new one, and `session` the record before, with the old one. */
export type RotatedEvent = Omit<StepUpRequest, 'confirmation' | 'signal'>
