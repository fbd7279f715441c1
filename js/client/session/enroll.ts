// SPDX-License-Identifier: MIT
// Enrols a device key: from a key to a session, by any login or by a code that is mailed (R82 to R86).

import { encodeBase64Url } from '../../common/base64.ts'
import { CountersignError, isCountersignError } from '../../common/errors.ts'
import { parseJson } from '../../common/text.ts'
import type { Algorithm, Bytes, RoundTrip, Stored } from '../../common/types.ts'
import { badArgument } from '../../core/args.ts'
import { writeMessage } from '../../core/messages.ts'
import { type CallLimits, withinLimits } from '../call-options.ts'
import { isGuest, prepareKey, saveSession } from '../keys/create-key.ts'
import type { DeviceKey } from '../keys/device-key.ts'
import { isSessionId, type Session } from '../keys/key-vault.ts'
import { persistStorage } from '../keys/storage-report.ts'
import { resolveUrl } from '../options.ts'
import type { HttpBinding } from '../transport/bindings/binding.ts'
import { isHttpResult, readEnvelope } from '../transport/bindings/header.ts'
import { essence, makeCall, openAnswer, ownCall, readBody, send, unsignedAnswer } from '../transport/exchange.ts'
import { withHint } from '../transport/loss-hint.ts'
import { readRefusal } from '../transport/refusals.ts'
import type { CallContext } from '../transport/types.ts'
import type { DeviceSession } from './device-session.ts'

/** The key and the tools that `client.enroll` passes to `register`, which takes the key to the gateway by any login. */
export type Registration = {
  readonly publicKey: Bytes
  readonly algorithm: Algorithm
  /**
   * Signs the proof of possession for one challenge. `email` is the address exactly as sent, or the login's user id.
   */
  prove(challengeId: string, email: string): Promise<Bytes>
  /** Posts JSON to the gateway's origin by the client's own rules: no redirect, no credentials, no referrer. */
  post(path: string, body: unknown, signal?: AbortSignal): Promise<Response>
  /** The guest's session that this enrolment ends, where there is one. Its `prove` signs what the other `prove` signs. */
  readonly guest?: { readonly sessionId: string; prove(challengeId: string, email: string): Promise<Bytes> }
  /** Aborts when the enrolment is over early: another one took its place, or the client was closed. Close a dialogue then. */
  readonly signal: AbortSignal
}

/** Registers a key and resolves to the gateway's answer to the confirm request. It must not read the body. */
export type Register = (registration: Registration) => Promise<Response>

/** The id that the answer to the confirm request must carry, and the time of the proof on the monotonic clock. */
type SentProof = { requestId: string; sentMs: number; isGuest: boolean }

/** The result of a registration. `sample` is the first sample of the server's clock (R84). */
export type EnrollmentResult = { sessionId: string; sample: RoundTrip; isGuest: boolean }

type EnrollContext = Omit<CallContext, 'session' | 'synchronise' | 'learn'>

/** The parts of a client that an enrolment uses. */
export type EnrollHost = EnrollContext & {
  readonly trust: { notes(): Pick<Stored, 'serverKeys'> }
  readonly deviceSession: DeviceSession
  readonly binding: HttpBinding
  checkOpen(): void
  contextOf(session: Session): CallContext
  /** The enrolment under way. */
  enrolling: Enrolling | undefined
}

/** An enrolment under way. `isProved`: its confirmation may be on its way, so none takes its place. */
export type Enrolling = { isProved: boolean; end(error: CountersignError): void; readonly over: Promise<unknown> }

/** The most bytes of an enrolment's answer. */
export const BODY_BYTES = 16 * 1024

const limitsOf = ({ settings, ends }: EnrollContext, signal?: AbortSignal): CallLimits => {
  const { timeoutMs, schedule } = settings
  return { signal, timeoutMs, schedule, ends }
}

const post = (context: EnrollContext, path: string, body: unknown, signal?: AbortSignal): Promise<Response> => {
  const { settings } = context
  const url = resolveUrl(path, settings.origin).href
  const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
  return withinLimits(limitsOf(context, signal), (inner) =>
    send(settings, url, init, inner).catch(async (error) => {
      throw await withHint(settings, error, inner)
    })
  )
}

/** Registers a key and returns the session id from the verified answer alone. */
const enrollKey = async (
  context: EnrollContext & Pick<EnrollHost, 'enrolling'>,
  key: DeviceKey,
  register: Register,
  { ending, guest }: { ending: AbortSignal; guest: Session | undefined }
): Promise<EnrollmentResult> => {
  const { settings, core, clock } = context
  const { algorithm, publicKey } = key
  const inputOf = (challengeId: string, email: string): Bytes =>
    writeMessage(core.wasm, 'enroll', { label: settings.label, challengeId, algorithm, publicKey, email })
  let proved: SentProof | undefined
  const prove = async (challengeId: string, email: string): Promise<Bytes> => {
    checkOngoing(ending)
    const input = inputOf(challengeId, email)
    // From here on the proof may leave, whatever becomes of this client.
    if (context.enrolling) context.enrolling.isProved = true
    const proof = await key.sign(input)
    const isGuest = email === guestId(challengeId)
    proved = { requestId: encodeBase64Url(core.sha256(input)), sentMs: settings.monotonicNow(), isGuest }
    return proof
  }
  const response = await register({
    publicKey: publicKey.slice(),
    algorithm,
    prove,
    post: (path, body, signal) => post(context, path, body, signal),
    ...(guest && {
      guest: { sessionId: guest.id, prove: async (id, email) => guest.key.sign(inputOf(id, email)) }
    }),
    signal: ending
  })
  const receivedMs = clock.monotonic()
  if (!proved) throw badArgument('register must call prove before it confirms')
  if (typeof response?.headers?.get !== 'function')
    throw badArgument('register must resolve to the Response of confirm')
  return withinLimits(limitsOf(context), (signal) =>
    readConfirmation(context, response, proved as SentProof, receivedMs, signal)
  )
}

/** @throws the signal's reason when the signal has aborted. */
export function checkOngoing(signal: AbortSignal): void {
  if (signal.aborted) throw signal.reason
}

/** Settles as `work` does, or rejects with the signal's reason as soon as the signal aborts. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason)
    signal.addEventListener('abort', abort)
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
    if (signal.aborted) abort()
  })
}

/**
 * Enrols as enrollOnce does, one at a time. An enrolment that still waits for its user gives way to the next one. One that
 * may have sent its confirmation is awaited first. Rejects as `client.enroll` does.
 */
export async function enroll(host: EnrollHost, register: Register): Promise<void> {
  for (let before = host.enrolling; before; before = host.enrolling) {
    const replaced = new CountersignError('ERR_ABORTED', { detail: 'another enrolment has taken its place' })
    if (!before.isProved) before.end(replaced)
    await before.over
  }
  host.checkOpen()
  const controller = new AbortController()
  const end = (error: CountersignError): void => controller.abort(error)
  host.ends.add(end)
  const settle = (): unknown => host.ends.delete(end)
  const work = unlessAborted(enrollOnce(host, register, controller.signal, settle), controller.signal)
  const leave = (): void => {
    settle()
    host.enrolling = undefined
  }
  host.enrolling = { isProved: false, end, over: work.then(leave, leave) }
  return work
}

/** Returns the guest's session that an enrolment ends. Rejects with ERR_ALREADY_ENROLLED for a user's session. */
const guestOf = async ({ state, session, vault }: DeviceSession): Promise<Session | undefined> => {
  if (state !== 'ready' || !session) return undefined
  if (await isGuest(vault, session)) return session
  throw new CountersignError('ERR_ALREADY_ENROLLED')
}

/**
 * Makes or finds the key, registers it and stores the session (R82 to R86). A guest's session and key go on until the
 * user's session is stored (R164). `settle` is called when nothing may end the enrolment any more.
 */
const enrollOnce = async (
  host: EnrollHost,
  register: Register,
  ending: AbortSignal,
  settle: () => unknown
): Promise<void> => {
  const { deviceSession, clock, settings } = host
  const { vault } = deviceSession
  const guest = await guestOf(deviceSession)
  try {
    const key = await prepareKey(vault, guest !== undefined)
    checkOngoing(ending)
    const { sessionId, sample, isGuest } = await enrollKey(host, key, register, { ending, guest })
    checkOngoing(ending)
    host.checkOpen()
    const session = { id: sessionId, key }
    clock.sample(sample)
    const notes = { ...clock.notes(), ...host.trust.notes(), ...(isGuest && { guest: true as const }) }
    await saveSession(vault, session, notes, guest).catch((error) => withdraw(host, session, error))
    settle()
    deviceSession.begin(session)
    if (settings.persist && !settings.store) persistStorage()
  } catch (error) {
    // Another tab was faster. Its session is this client's too, but perhaps of another account than the caller's.
    if (isCountersignError(error) && error.code === 'ERR_ALREADY_ENROLLED') await deviceSession.reload()
    throw error
  }
}

// One device must have one session, so the second one is ended.
const withdraw = (host: EnrollHost, session: Session, error: unknown): never => {
  if (isCountersignError(error) && error.code === 'ERR_ALREADY_ENROLLED') {
    const call = ownCall(host, 'cs.revoke', { device_session_id: session.id })
    host.deviceSession.later('a second session could not be ended', makeCall(host.contextOf(session), call))
  }
  throw error
}

const readConfirmation = async (
  context: EnrollContext,
  response: Response,
  { requestId, sentMs, isGuest }: SentProof,
  receivedMs: number,
  signal: AbortSignal
): Promise<EnrollmentResult> => {
  const isSigned = response.headers.has('countersign')
  if (!isSigned && !response.ok) throw await enrollmentRefused(response, signal)
  const envelope = readEnvelope(response)
  const payload = await readBody(response, { cap: BODY_BYTES, tooLarge: 'ERR_ANSWER_TOO_LARGE', signal })
  const isResult = (code: string): boolean => isHttpResult(code, response.status) && response.status === 200
  const { resultCode, timestampMs } = await openAnswer(context, requestId, { envelope, payload }, isResult)
  const sessionId = memberOf(payload, 'device_session_id')
  if (!isHttpResult(resultCode, 200) || !isSessionId(sessionId, context.settings.compatible)) {
    throw new CountersignError('ERR_ENROLLMENT_REFUSED', { resultCode, cause: { status: response.status } })
  }
  return { sessionId, isGuest, sample: { sentMs, receivedMs, serverMs: timestampMs } }
}

/** Returns one member of a JSON body, or undefined when there is none. */
export function memberOf(body: Bytes, name: string): unknown {
  try {
    return (parseJson(body) as { [name: string]: unknown } | null)?.[name]
  } catch {
    return undefined
  }
}

/**
 * Returns the error for an unsigned refusal: with the gateway's problem, or with the plain fact that no gateway wrote
 * the answer. Its details are hints only, since they are not signed.
 */
export async function enrollmentRefused(response: Response, signal: AbortSignal): Promise<CountersignError> {
  const { status } = response
  if (essence(response) !== 'application/problem+json' || status < 400) return unsignedAnswer(response)
  let problem: unknown
  let retryAfterMs: number | undefined
  try {
    const body = await readBody(response, { cap: BODY_BYTES, tooLarge: 'ERR_ANSWER_TOO_LARGE', signal })
    retryAfterMs = readRefusal(body).retryAfterMs
    problem = parseJson(body)
  } catch (error) {
    if (isCountersignError(error)) throw error
  }
  // A gateway of an earlier release says it in the header alone, which a page of another origin may not read.
  const seconds = Number(response.headers.get('retry-after') || Number.NaN)
  if (retryAfterMs === undefined && seconds >= 0) retryAfterMs = seconds * 1000
  return new CountersignError('ERR_ENROLLMENT_REFUSED', {
    cause: { status, problem },
    detail: `HTTP status ${status}`,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs, retry: 'after' })
  })
}

/** Returns the id of the guest whom a challenge enrols (R161). */
export function guestId(challengeId: string): string {
  return `guest:${challengeId}`
}
