// SPDX-License-Identifier: MIT
// Makes a call over HTTP, from top to bottom: a call within its limits, its tries, one exchange, one fetch, one body. A try
// hashes, takes the time, signs and sends at once, in this order (R53).

import { CountersignError } from '../../common/errors.ts'
import { encodeJson } from '../../common/text.ts'
import type { Bytes } from '../../common/types.ts'
import { chunkOf } from '../../core/args.ts'
import { pause, withinLimits } from '../call-options.ts'
import type { ClientSettings } from '../options.ts'
import type { HttpBinding, RawAnswer, SignedRequest } from './bindings/binding.ts'
import { isRefusal, isSigned, refusalOf } from './refusals.ts'
import { finalError, isUntouched, pauseBeforeRetry } from './retry.ts'
import type { Answer, Call, CallContext, CallState, PreparedCall, ReadLimits, RequestMessage } from './types.ts'

/** Makes a call within its limits and returns its verified answer. Rejects with the final error of the call. */
export async function makeCall(context: CallContext, call: Call, signal?: AbortSignal): Promise<Answer> {
  const state: CallState = { isSent: false }
  const { ends, settings } = context
  const limits = { signal, timeoutMs: call.timeoutMs, schedule: settings.schedule, ends }
  try {
    return await withinLimits(limits, (inner) => exchangeUntilDone(context, call, inner, state))
  } catch (error) {
    context.learn(error)
    throw finalError(error, isRetriableCall(call), state.isSent)
  }
}

const exchangeUntilDone = async (
  from: CallContext,
  call: Call,
  signal: AbortSignal,
  state: CallState
): Promise<Answer> => {
  let context = from
  const { settings, core, clock } = context
  const { retries, random, schedule } = settings
  const isRetriable = isRetriableCall(call)
  const payload = typeof call.payload === 'function' ? await call.payload(signal) : call.payload
  const startMs = clock.monotonic()
  const prepared = { call, payload, payloadHash: await core.digest(payload), signal, state }
  const hashMs = clock.monotonic() - startMs
  let isResigned = false
  let isRenewed = false
  let sent = 0
  for (let tries = 1; ; tries++) {
    const timestampMs = await (call.isProbe ? clock.probeStamp() : takeTime(context, isRetriable))
    sent++
    try {
      const answer = await exchange(context, prepared, timestampMs)
      Object.assign(answer.timings, { hashMs, totalMs: clock.monotonic() - startMs, tries: sent })
      return answer
    } catch (error) {
      signal.throwIfAborted()
      if (isUntouched(error)) state.isSent = false
      if (isSigned(error, 'cs.stale') && !isResigned && !call.isProbe) {
        isResigned = true
        tries--
        continue
      }
      const renewed =
        isRenewed || !isSigned(error, 'cs.unauthenticated') ? undefined : await context.renew?.().catch(() => undefined)
      if (renewed) {
        signal.throwIfAborted()
        context = { ...context, session: renewed }
        isRenewed = true
        tries--
        continue
      }
      const waitMs = pauseBeforeRetry(error, { isRetriable, tries, retries, fraction: random.fraction() })
      const leftMs = startMs + call.timeoutMs - clock.monotonic()
      if (waitMs === undefined || waitMs >= leftMs) throw (await context.explain?.(error, signal)) ?? error
      await pause(schedule, waitMs, signal)
    }
  }
}

/** Returns whether a second try is as good as one: the call is declared safe, or has an idempotency key. */
function isRetriableCall({ isSafe, idempotencyKey }: Pick<Call, 'isSafe' | 'idempotencyKey'>): boolean {
  return isSafe || idempotencyKey !== undefined
}

/** Returns a call of one of the protocol's own types. All of them are safe to repeat. */
export function ownCall(
  { settings, binding }: { readonly settings: ClientSettings; readonly binding: HttpBinding },
  type: string,
  members?: object
): Call {
  return {
    type,
    payload: members ? encodeJson(members) : new Uint8Array(0),
    binding,
    idempotencyKey: undefined,
    isSafe: true,
    timeoutMs: settings.timeoutMs
  }
}

/**
 * Returns the time to sign, in Unix milliseconds, and asks the server first when it must. Rejects with
 * ERR_CLOCK_UNKNOWN.
 */
async function takeTime({ clock, synchronise }: CallContext, isRetriable: boolean): Promise<number> {
  const stampMs = clock.stamp(isRetriable)
  if (stampMs !== undefined) return stampMs
  await synchronise()
  const nowMs = clock.stamp(isRetriable)
  if (nowMs === undefined) throw new CountersignError('ERR_CLOCK_UNKNOWN')
  return nowMs
}

/** Binds a fresh id to the request and signs it. Rejects with ERR_SIGNING_FAILED. */
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

/**
 * Makes an answer's checks in their order, reports them and returns the answer's fields. Rejects with the error of the
 * first check that refuses. The client made the id itself, so an answer to it is fresh (R51).
 */
export async function openAnswer(
  { settings, core, clock, trust, report }: Pick<CallContext, 'settings' | 'core' | 'clock' | 'trust' | 'report'>,
  requestId: string,
  { envelope, payload, anyKey = false }: RawAnswer,
  isResult: (resultCode: string) => boolean
): Promise<OpenedAnswer> {
  try {
    const payloadHash = await core.digest(payload)
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

/**
 * Signs a message and returns its frame, for a carrier of the application. Rejects as a request does before it is sent.
 */
export async function signFrame(
  context: CallContext,
  message: RequestMessage,
  isRetriable: boolean
): Promise<{ frame: Bytes; requestId: string }> {
  const { core } = context
  const { payload } = message
  const payloadHash = await core.digest(payload)
  const request = await signRequest(context, message, payloadHash, await takeTime(context, isRetriable))
  const { requestId, signingInput, signature } = request
  return { frame: core.buildFrame({ signingInput, keyId: '', signature, payload }), requestId }
}

/** Makes one try of a call and returns its verified answer. Rejects with the error of this try. */
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
  // The binding's own cap adds room for the envelope or the base64, so the payload is checked again.
  if (raw.payload.length > settings.maxPayload) throw new CountersignError('ERR_ANSWER_TOO_LARGE')
  const receivedMs = clock.monotonic()
  const isResult = (code: string): boolean => binding.isResult(code, response.status)
  const { resultCode, timestampMs: serverTimeMs } = await openAnswer(context, requestId, raw, isResult)
  // The caller already has the rejection when the call was aborted or late, so a late answer changes nothing.
  signal.throwIfAborted()
  clock.sample({ sentMs, receivedMs: headMs, serverMs: serverTimeMs, replace: resultCode === 'cs.stale' })
  if (isRefusal(resultCode)) throw refusalOf(resultCode, raw.payload)
  const [signMs, sendMs, verifyMs] = [sentMs - startMs, receivedMs - sentMs, clock.monotonic() - receivedMs]
  const timings = { hashMs: 0, signMs, sendMs, verifyMs, totalMs: 0, tries: 0 }
  const headers = Object.fromEntries(response.headers.entries?.() ?? [])
  return { resultCode, payload: raw.payload, requestId, serverTimeMs, timings, headers, response }
}

// The client sends nothing that it has not signed, and does not follow a redirect (R33).
const RULES = { redirect: 'error', credentials: 'omit', referrerPolicy: 'no-referrer', cache: 'no-store' } as const

const REDIRECTED = { message: 'unexpected redirect' }

// The request behind an answer: its method, origin and path. A query may hold what must not be in a log.
const requests = new WeakMap<object, string>()

/** Makes one HTTP exchange up to the answer's head. Rejects with ERR_NETWORK, or with the signal's reason. */
export async function send(
  { fetch }: ClientSettings,
  url: string,
  init: RequestInit,
  signal: AbortSignal
): Promise<Response> {
  const request = `${init.method} ${url.split('?', 1)[0]}`
  try {
    const response = await fetch(url, { ...init, ...RULES, signal })
    // The platform's fetch refuses redirects already. These two checks are for a fetch of the application.
    if (typeof response.headers.get !== 'function') throw new TypeError('no answer of this server')
    if (response.redirected) throw new TypeError('redirected', { cause: REDIRECTED })
    requests.set(response, request)
    return response
  } catch (cause) {
    if (signal.aborted) throw signal.reason
    // Node names the cause, a browser does not. The server would redirect the next try as well.
    const { message } = ((cause as Error | undefined)?.cause ?? {}) as { message?: unknown }
    const redirect = { detail: `the server redirected ${request}`, retry: 'never' } as const
    const detail = { detail: request }
    throw new CountersignError('ERR_NETWORK', { cause, ...(message === REDIRECTED.message ? redirect : detail) })
  }
}

type HttpMessage = Pick<Response, 'body' | 'bodyUsed' | 'headers'>

/** Drops a body that the client does not read, so that its connection is free again. */
export function discard(response: HttpMessage): void {
  response.body?.cancel().catch(() => {})
}

/** Returns the error for an answer without a signature. Its cause has the HTTP status and the request, as a hint. */
export function unsignedAnswer(response: Response): CountersignError {
  discard(response)
  const { status } = response
  const detail = `HTTP status ${status} for ${requests.get(response) ?? 'a request'}`
  return new CountersignError('ERR_UNSIGNED_ANSWER', { cause: { status }, detail })
}

/** Returns a response's media type without parameters, in lower case. */
export function essence({ headers }: Response): string {
  return (headers.get('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
}

const joined = (chunks: readonly Uint8Array[], length: number): Bytes => {
  const bytes = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}

const declaredLength = ({ headers }: HttpMessage): number | undefined => {
  const length = headers.get('content-length')
  // The declared length counts encoded bytes, and the cap counts decoded ones.
  return length === null || headers.has('content-encoding') ? undefined : Number(length)
}

/**
 * Reads a body of at most `cap` bytes, counted after decoding. Rejects with the error `tooLarge` or with ERR_NETWORK,
 * whose cause is ERR_INVALID_ARGUMENT when a chunk is no Uint8Array.
 */
export async function readBody(response: HttpMessage, limits: ReadLimits): Promise<Bytes> {
  const { cap, tooLarge, signal, onProgress } = limits
  const totalBytes = declaredLength(response)
  if (totalBytes !== undefined && totalBytes > cap) {
    discard(response)
    throw new CountersignError(tooLarge)
  }
  if (response.bodyUsed || response.body?.locked)
    throw new CountersignError('ERR_NETWORK', { detail: 'the body was already read' })
  const reader = response.body?.getReader()
  if (!reader) return new Uint8Array(0)
  const cancel = (): void => {
    reader.cancel().catch(() => {})
  }
  // A fetch of the application may ignore the signal.
  signal.addEventListener('abort', cancel)
  const chunks: Uint8Array[] = []
  let receivedBytes = 0
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (signal.aborted) throw signal.reason
      if (done) return joined(chunks, receivedBytes)
      const chunk = chunkOf(value)
      receivedBytes += chunk.length
      if (receivedBytes > cap) throw new CountersignError(tooLarge)
      chunks.push(chunk)
      onProgress?.({ receivedBytes, totalBytes })
    }
  } catch (cause) {
    cancel()
    if (signal.aborted) throw signal.reason
    const isTooLarge = cause instanceof CountersignError && cause.code === tooLarge
    throw isTooLarge ? cause : new CountersignError('ERR_NETWORK', { cause, detail: requests.get(response) })
  } finally {
    signal.removeEventListener('abort', cancel)
  }
}
