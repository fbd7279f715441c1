// SPDX-License-Identifier: MIT
// One call: hashed once, then stamped, signed, sent and its answer opened, as often as R70 to R73 let it.

import { CountersignError, type ErrorCode, isCountersignError } from '../../common/errors.ts'
import type { Bytes } from '../../common/types.ts'
import type { ClientCore } from '../../core/client-core.ts'
import type { Session } from '../keys/key-record.ts'
import { pause } from '../limits.ts'
import type { ServerKey, Settings } from '../options.ts'
import type { ServerClock } from '../server-clock.ts'
import type { Binding, RawAnswer, SignedRequest } from './bindings/binding.ts'
import { digest } from './digest.ts'
import { type Progress, readBody, send } from './http.ts'
import { isRefusal, refusalOf } from './refusals.ts'
import { isUntouched, pauseBeforeRetry } from './retry.ts'

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
  readonly payload: Bytes
  /** Stands in for signRequest, where the payload of a try depends on its id. */
  readonly sign?: typeof signRequest
  readonly binding: Binding
  readonly idempotencyKey: string | undefined
  /** Declared safe: without effect. */
  readonly isSafe: boolean
  readonly timeoutMs: number
  readonly onProgress?: ((progress: Progress) => void) | undefined
  /** The `cs.time` request that asks for the server's time. */
  readonly isProbe?: boolean
}

/** Runs a check with the server keys that are trusted: once more where another key has been learned meanwhile. */
export type Trust = { judge<T>(check: (keys: readonly ServerKey[]) => T, anyKey: boolean): Promise<T> }

/** What a call needs of its client; `report` tells the checks an answer passed and the one that refused it. */
export type Line = {
  readonly settings: Settings
  readonly core: ClientCore
  readonly clock: ServerClock
  readonly session: Session
  readonly trust: Trust
  synchronise(): Promise<void>
  /** Gives the session with another key than the one that was refused, where there is one by now. */
  renew?(): Promise<Session | undefined>
  report(requestId: string, failure?: unknown): void
}

/** isRetriableCall tells whether doing a call twice is doing it once: declared safe, or with an idempotency key. */
export function isRetriableCall({ isSafe, idempotencyKey }: Pick<Call, 'isSafe' | 'idempotencyKey'>): boolean {
  return isSafe || idempotencyKey !== undefined
}

const isSigned = (error: unknown, code: string): boolean => isCountersignError(error) && error.resultCode === code

/** How far a call has come; it outlives the call's own promise, which an abort settles early. */
export type CallState = { isSent: boolean }

/** takeTime gives the time to sign: the server's, asked for first where it has to be. */
export function takeTime({ clock, synchronise }: Line, isRetriable: boolean): number | Promise<number> {
  const stampMs = clock.stamp(isRetriable)
  return stampMs ?? synchronise().then(() => clock.stamp(isRetriable) ?? fail('ERR_CLOCK_UNKNOWN'))
}

const fail = (code: ErrorCode): never => {
  throw new CountersignError(code)
}

/** signRequest binds a fresh id to the request and signs it. */
export async function signRequest(
  { settings, core, session }: Line,
  { type, payload, idempotencyKey }: Pick<Call, 'type' | 'payload' | 'idempotencyKey'>,
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

type Opened = { resultCode: string; timestampMs: number }

/** openAnswer runs an answer's checks in their order and reports them; what fails one is thrown away with its error. */
export async function openAnswer(
  { settings, core, clock, trust, report }: Pick<Line, 'settings' | 'core' | 'clock' | 'trust' | 'report'>,
  requestId: string,
  { envelope, payload, anyKey = false }: RawAnswer,
  isResult: (resultCode: string) => boolean
): Promise<Opened> {
  try {
    const hashed = digest(core, payload)
    const payloadHash = hashed instanceof Promise ? await hashed : hashed
    const { label } = settings
    const opened = await trust.judge(
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

type Attempt = { line: Line; call: Call; hash: Bytes; signal: AbortSignal; state: CallState }

const attempt = async ({ line, call, hash, signal, state }: Attempt, timestampMs: number): Promise<Answer> => {
  const { settings, core, clock } = line
  const stampedMs = clock.monotonic()
  const request = await (call.sign ?? signRequest)(line, call, hash, timestampMs)
  const { requestId } = request
  const { url, init } = call.binding.write(core, request)
  signal.throwIfAborted()
  state.isSent = true
  const sentMs = clock.monotonic()
  const response = await send(settings, url, init, signal)
  const headMs = clock.monotonic()
  const { onProgress } = call
  const receive = (cap: number): Promise<Bytes> =>
    readBody(response, { cap, tooLarge: 'ERR_ANSWER_TOO_LARGE', signal, onProgress })
  const raw = await call.binding.read(core, response, receive).catch((error) => {
    if (!signal.aborted) line.report(requestId, error)
    throw error
  })
  // What a binding reads for its envelope or its base64 comes on top of the limit.
  if (raw.payload.length > settings.maxPayload) throw new CountersignError('ERR_ANSWER_TOO_LARGE')
  const receivedMs = clock.monotonic()
  const { resultCode, timestampMs: serverMs } = await openAnswer(line, requestId, raw, (code) =>
    call.binding.isResult(code, response.status)
  )
  // The caller has been told already that this call was aborted or late; what comes after that is not news.
  signal.throwIfAborted()
  clock.sample({ sentMs, receivedMs: headMs, serverMs, replace: resultCode === 'cs.stale' })
  if (isRefusal(resultCode)) throw refusalOf(resultCode, raw.payload)
  const verifiedMs = clock.monotonic()
  const times = {
    hashMs: 0,
    signMs: sentMs - stampedMs,
    sendMs: receivedMs - sentMs,
    verifyMs: verifiedMs - receivedMs
  }
  const timings = { ...times, totalMs: 0, tries: 0 }
  return { resultCode, payload: raw.payload, requestId, serverTimeMs: serverMs, timings, response }
}

/** exchange makes a call and gives its verified answer; it rejects with the error of its last try. */
export async function exchange(from: Line, call: Call, signal: AbortSignal, state: CallState): Promise<Answer> {
  let line = from
  const { settings, core, clock } = line
  const { retries, random, schedule } = settings
  const isRetriable = isRetriableCall(call)
  const startMs = clock.monotonic()
  const hashed = digest(core, call.payload)
  const hash = hashed instanceof Promise ? await hashed : hashed
  const hashMs = clock.monotonic() - startMs
  let isResigned = false
  let isRenewed = false
  let sent = 0
  for (let tries = 1; ; tries++) {
    const time = call.isProbe ? clock.probeStamp() : takeTime(line, isRetriable)
    const timestampMs = typeof time === 'number' ? time : await time
    sent++
    try {
      const answer = await attempt({ line, call, hash, signal, state }, timestampMs)
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
        isRenewed || !isSigned(error, 'cs.unauthenticated') ? undefined : await line.renew?.().catch(() => undefined)
      if (renewed) {
        signal.throwIfAborted()
        line = { ...line, session: renewed }
        isRenewed = true
        tries--
        continue
      }
      const waitMs = pauseBeforeRetry(error, { isRetriable, tries, retries, fraction: random.fraction() })
      const leftMs = startMs + call.timeoutMs - clock.monotonic()
      if (waitMs === undefined || waitMs >= leftMs) throw error
      await pause(schedule, waitMs, signal)
    }
  }
}
