// SPDX-License-Identifier: MIT
// What a call is, what it needs of its client and what it comes to.

import type { CountersignError, ErrorCode } from '../../common/errors.ts'
import type { Bytes } from '../../common/types.ts'
import type { ClientCore } from '../../core/client-core.ts'
import type { Progress } from '../call-options.ts'
import type { Session } from '../keys/key-vault.ts'
import type { ClientSettings, ServerKey } from '../options.ts'
import type { ServerClock } from '../server-clock.ts'
import type { HttpBinding, SignedRequest } from './bindings/binding.ts'

/** Where the time of a call went, in milliseconds; the parts are those of its last try. */
export type Timings = {
  hashMs: number
  signMs: number
  sendMs: number
  verifyMs: number
  totalMs: number
  tries: number
}

/** A verified answer; `response` is its unverified shell, for the header binding. */
export type Answer = {
  resultCode: string
  payload: Bytes
  requestId: string
  serverTimeMs: number
  timings: Timings
  response: Response
}

export type Call = {
  readonly type: string
  /** The bytes, or what reads them within the limits of the call. */
  readonly payload: Bytes | ((signal: AbortSignal) => Promise<Bytes>)
  /** Stands in for signRequest, where the payload of a try depends on its id. */
  readonly sign?: SignRequest
  readonly binding: HttpBinding
  readonly idempotencyKey: string | undefined
  /** Declared safe: without effect. */
  readonly isSafe: boolean
  readonly timeoutMs: number
  readonly onProgress?: ((progress: Progress) => void) | undefined
  /** The `cs.time` request that asks for the server's time. */
  readonly isProbe?: boolean
}

/** Runs a check with the server keys that are trusted: once more where another key has been learned meanwhile. */
export type Trust = { check<T>(check: (keys: readonly ServerKey[]) => T, anyKey: boolean): Promise<T> }

/** What a call needs of its client. */
export type CallContext = {
  readonly settings: ClientSettings
  readonly core: ClientCore
  readonly clock: ServerClock
  readonly session: Session
  readonly trust: Trust
  /** Each ends one of the client's calls, with an error. */
  readonly ends: Set<(error: CountersignError) => void>
  /** Asks for the server's time. */
  synchronise(): Promise<void>
  /** Gives the session with another key than the one that was refused, where there is one by now. */
  renew?(): Promise<Session | undefined>
  /** Tells the checks that an answer passed, and the one that refused it. */
  report(requestId: string, failure?: unknown): void
  /** Learns from a failure what it says about the core and the session. */
  learn(error: unknown): void
}

/** How far a call has come; it outlives the call's own promise, which an abort settles early. */
export type CallState = { isSent: boolean }

/** What is signed of a call. */
export type RequestMessage = Pick<Call, 'type' | 'idempotencyKey'> & { readonly payload: Bytes }

/** A call with its payload read and hashed, and how it is limited. */
export type PreparedCall = {
  readonly call: Call
  readonly payload: Bytes
  readonly payloadHash: Bytes
  readonly signal: AbortSignal
  readonly state: CallState
}

/** How a body is read. */
export type ReadLimits = {
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
