// SPDX-License-Identifier: MIT
// One exchange: a request is stamped, signed and sent, and its answer is opened.

import { CountersignError } from '../../common/errors.ts'
import type { Bytes } from '../../common/types.ts'
import type { ClientCore } from '../../core/client-core.ts'
import type { Session } from '../keys/key-record.ts'
import type { CallLimits } from '../limits.ts'
import type { ClientSettings, ServerKey } from '../options.ts'
import type { ServerClock } from '../server-clock.ts'
import type { HttpBinding, RawAnswer, SignedRequest } from './bindings/binding.ts'
import { digest } from './digest.ts'
import { type Progress, readBody, send } from './http.ts'
import { isRefusal, refusalOf } from './refusals.ts'

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
  readonly sign?: typeof signRequest
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
  readonly ends: CallLimits['ends']
  /** Asks for the server's time. */
  synchronise(): Promise<void>
  /** Gives the session with another key than the one that was refused, where there is one by now. */
  renew?(): Promise<Session | undefined>
  /** Tells the checks that an answer passed, and the one that refused it. */
  report(requestId: string, failure?: unknown): void
  /** Learns from a failure what it says about the core and the session. */
  learn(error: unknown): void
}

/** isRetriableCall tells whether doing a call twice is doing it once: declared safe, or with an idempotency key. */
export function isRetriableCall({ isSafe, idempotencyKey }: Pick<Call, 'isSafe' | 'idempotencyKey'>): boolean {
  return isSafe || idempotencyKey !== undefined
}

/** How far a call has come; it outlives the call's own promise, which an abort settles early. */
export type CallState = { isSent: boolean }

/** Returns the time to sign, in Unix milliseconds; asks the server first where it has to. Rejects with ERR_CLOCK_UNKNOWN. */
export async function takeTime({ clock, synchronise }: CallContext, isRetriable: boolean): Promise<number> {
  const stampMs = clock.stamp(isRetriable)
  if (stampMs !== undefined) return stampMs
  await synchronise()
  const nowMs = clock.stamp(isRetriable)
  if (nowMs === undefined) throw new CountersignError('ERR_CLOCK_UNKNOWN')
  return nowMs
}

/** What is signed of a call. */
export type RequestMessage = Pick<Call, 'type' | 'idempotencyKey'> & { readonly payload: Bytes }

/** signRequest binds a fresh id to the request and signs it. */
export async function signRequest(
  { settings, core, session }: CallContext,
  { type, payload, idempotencyKey }: RequestMessage,
  payloadHash: Bytes,
  timestampMs: number,
  random = settings.random.id()
): Promise<SignedRequest> {
  const { id: deviceSessionId, key } = session
  const { requestId, signingInput } = core.beginRequest({
    label: settings.label,
    deviceSessionId,
    messageType: type,
    timestampMs,
    requestId: idempotencyKey === undefined ? random : `${random}~${idempotencyKey}`,
    payloadHash
  })
  const signature = await key.sign(signingInput)
  return { deviceSessionId, messageType: type, timestampMs, requestId, payload, payloadHash, signingInput, signature }
}

type OpenedAnswer = { resultCode: string; timestampMs: number }

/** openAnswer runs an answer's checks in their order and reports them; what fails one is thrown away with its error. */
export async function openAnswer(
  { settings, core, clock, trust, report }: Pick<CallContext, 'settings' | 'core' | 'clock' | 'trust' | 'report'>,
  requestId: string,
  { envelope, payload, anyKey = false }: RawAnswer,
  isResult: (resultCode: string) => boolean
): Promise<OpenedAnswer> {
  try {
    const payloadHash = await digest(core, payload)
    const { label } = settings
    const opened = await trust.check(
      (keys) =>
        core.openEnvelope(envelope, payloadHash, { label, keys, requestId, timeFloorMs: clock.floorMs, anyKey }),
      anyKey
    )
    const { resultCode } = opened
    if (!isRefusal(resultCode) && !isResult(resultCode)) throw new CountersignError('ERR_RESULT_MISMATCH')
    report(requestId)
    return opened
  } catch (error) {
    report(requestId, error)
    throw error
  }
}

/** Signs a message and makes its frame, for a carrier of its own. Rejects as a request does before it is sent. */
export async function signFrame(
  context: CallContext,
  message: RequestMessage,
  isRetriable: boolean
): Promise<{ frame: Bytes; requestId: string }> {
  const { core } = context
  const { payload } = message
  const payloadHash = await digest(core, payload)
  const request = await signRequest(context, message, payloadHash, await takeTime(context, isRetriable))
  const { requestId, signingInput, signature } = request
  return { frame: core.buildFrame({ signingInput, keyId: '', signature, payload }), requestId }
}

/** A call with its payload read and hashed, and how it is limited. */
export type PreparedCall = {
  readonly call: Call
  readonly payload: Bytes
  readonly payloadHash: Bytes
  readonly signal: AbortSignal
  readonly state: CallState
}

/** Makes one try of a call and returns its verified answer. */
export async function exchange(
  context: CallContext,
  { call, payload, payloadHash, signal, state }: PreparedCall,
  timestampMs: number
): Promise<Answer> {
  const { settings, core, clock } = context
  const { binding, onProgress } = call
  const startMs = clock.monotonic()
  const request = await (call.sign ?? signRequest)(context, { ...call, payload }, payloadHash, timestampMs)
  const { requestId } = request
  const { url, init } = binding.write(core, request)
  signal.throwIfAborted()
  state.isSent = true
  const sentMs = clock.monotonic()
  const response = await send(settings, url, init, signal)
  const headMs = clock.monotonic()
  const receive = (cap: number): Promise<Bytes> =>
    readBody(response, { cap, tooLarge: 'ERR_ANSWER_TOO_LARGE', signal, onProgress })
  const raw = await binding.read(core, response, receive).catch((error) => {
    if (!signal.aborted) context.report(requestId, error)
    throw error
  })
  // A binding reads its envelope or its base64 on top of the limit.
  if (raw.payload.length > settings.maxPayload) throw new CountersignError('ERR_ANSWER_TOO_LARGE')
  const receivedMs = clock.monotonic()
  const isResult = (code: string): boolean => binding.isResult(code, response.status)
  const { resultCode, timestampMs: serverTimeMs } = await openAnswer(context, requestId, raw, isResult)
  // The caller has been told already that this call was aborted or late; what comes after that is not news.
  signal.throwIfAborted()
  clock.sample({ sentMs, receivedMs: headMs, serverMs: serverTimeMs, replace: resultCode === 'cs.stale' })
  if (isRefusal(resultCode)) throw refusalOf(resultCode, raw.payload)
  const [signMs, sendMs, verifyMs] = [sentMs - startMs, receivedMs - sentMs, clock.monotonic() - receivedMs]
  const timings = { hashMs: 0, signMs, sendMs, verifyMs, totalMs: 0, tries: 0 }
  return { resultCode, payload: raw.payload, requestId, serverTimeMs, timings, response }
}
