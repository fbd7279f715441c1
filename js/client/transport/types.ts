// SPDX-License-Identifier: MIT
// The types of a call: its input, the parts of the client that it uses, and its result.

import type { CountersignError, ErrorCode } from '../../common/errors.ts'
import type { Bytes } from '../../common/types.ts'
import type { ClientCore, HeldKeys } from '../../core/client-core.ts'
import type { Progress } from '../call-options.ts'
import type { Session } from '../keys/key-vault.ts'
import type { ClientSettings } from '../options.ts'
import type { ServerClock } from '../server-clock.ts'
import type { HttpBinding, SignedRequest } from './bindings/binding.ts'

/**
 * The time that the parts of a call took, in milliseconds. The parts are those of the last try, `totalMs` is of the
 * whole call.
 */
export type Timings = {
  hashMs: number
  signMs: number
  sendMs: number
  verifyMs: number
  totalMs: number
  tries: number
}

/** A verified answer. `response` is its unverified shell, for the header binding. */
export type Answer = {
  resultCode: string
  payload: Bytes
  requestId: string
  serverTimeMs: number
  timings: Timings
  /** The headers of the HTTP answer, by their names in lower case. Nobody signs them: use them as hints. */
  headers: { readonly [name: string]: string }
  response: Response
}

/** One call, after its options were checked. */
export type Call = {
  readonly type: string
  /** The bytes, or the function that reads them within the limits of the call. */
  readonly payload: Bytes | ((signal: AbortSignal) => Promise<Bytes>)
  /** Replaces signRequest, for a payload that depends on the id of its try. */
  readonly sign?: SignRequest
  readonly binding: HttpBinding
  readonly idempotencyKey: string | undefined
  /** True when the type has no effect, so that the client may send it again. */
  readonly isSafe: boolean
  readonly timeoutMs: number
  readonly onProgress?: ((progress: Progress) => void) | undefined
  /** True for the `cs.time` request that asks for the server's time. */
  readonly isProbe?: boolean
}

/** Runs a check with the trusted server keys, and once more when the server has delivered a missing key meanwhile. */
export type Trust = { check<T>(check: (keys: HeldKeys) => T, anyKey: boolean): Promise<T> }

/** The parts of a client that a call uses. */
export type CallContext = {
  readonly settings: ClientSettings
  readonly core: ClientCore
  readonly clock: ServerClock
  readonly session: Session
  readonly trust: Trust
  /** Functions that each end one call of the client with an error. */
  readonly ends: Set<(error: CountersignError) => void>
  /** Asks for the server's time. */
  synchronise(): Promise<void>
  /** Returns the session with another key than the refused one, when there is one by now. */
  renew?(): Promise<Session | undefined>
  /** Resolves to the error, with a hint where a request was lost, or to undefined. */
  explain?(error: unknown, signal: AbortSignal): Promise<unknown>
  /** Reports the checks that an answer passed, and the check that refused it. */
  report(requestId: string, failure?: unknown): void
  /** Updates the client's state from a failure that concerns its core or its session. */
  learn(error: unknown): void
}

/** The progress of a call. It outlives the call's own promise, which an abort settles early. */
export type CallState = { isSent: boolean }

/** The part of a call that is signed. */
export type RequestMessage = Pick<Call, 'type' | 'idempotencyKey'> & { readonly payload: Bytes }

/** A call whose payload is read and hashed, with its signal and its progress. */
export type PreparedCall = {
  readonly call: Call
  readonly payload: Bytes
  readonly payloadHash: Bytes
  readonly signal: AbortSignal
  readonly state: CallState
}

/** The limits of reading one body. */
export type ReadLimits = {
  /** The maximum length of the body, in bytes. */
  cap: number
  /** The error for a body over the cap. */
  tooLarge: ErrorCode
  signal: AbortSignal
  onProgress?: ((progress: Progress) => void) | undefined
}

/** Binds a fresh id to a request and signs it. */
export type SignRequest = (
  context: CallContext,
  message: RequestMessage,
  payloadHash: Bytes,
  timestampMs: number
) => Promise<SignedRequest>
