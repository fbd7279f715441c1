// SPDX-License-Identifier: MIT
// Enrols a device key: from a key to a session, by any login or by a code that is mailed (R82 to R86).

import { encodeBase64, encodeBase64Url } from '../../common/base64.ts'
import { foldCode } from '../../common/codes.ts'
import { CountersignError, isCountersignError } from '../../common/errors.ts'
import { parseJson } from '../../common/text.ts'
import type { Algorithm, Bytes, RoundTrip, Stored } from '../../common/types.ts'
import { badArgument, functionOf, optionsOf, textOf } from '../../core/args.ts'
import { type CallLimits, signalOf, withinLimits } from '../call-options.ts'
import { prepareKey, saveSession } from '../keys/create-key.ts'
import type { DeviceKey } from '../keys/device-key.ts'
import { isSessionId, type Session } from '../keys/key-vault.ts'
import { persistStorage } from '../keys/storage-report.ts'
import { resolveUrl } from '../options.ts'
import type { HttpBinding } from '../transport/bindings/binding.ts'
import { isHttpResult, readEnvelope } from '../transport/bindings/header.ts'
import {
  essence,
  makeCall,
  openAnswer,
  ownCall,
  readBody,
  send,
  unsignedAnswer,
  withHint
} from '../transport/exchange.ts'
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
  /** Aborts when the enrolment is over early: another one took its place, or the client was closed. Close a dialogue then. */
  readonly signal: AbortSignal
}

/** Registers a key and resolves to the gateway's answer to the confirm request. It must not read the body. */
export type Register = (registration: Registration) => Promise<Response>

/** The id that the answer to the confirm request must carry, and the time of the proof on the monotonic clock. */
type SentProof = { requestId: string; sentMs: number }

/** The result of a registration. `sample` is the first sample of the server's clock (R84). */
export type EnrollmentResult = { sessionId: string; sample: RoundTrip }

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

const BODY_BYTES = 16 * 1024

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
  ending: AbortSignal
): Promise<EnrollmentResult> => {
  const { settings, core, clock } = context
  const { algorithm, publicKey } = key
  let proved: SentProof | undefined
  const prove = async (challengeId: string, email: string): Promise<Bytes> => {
    checkOngoing(ending)
    const input = core.enrollSigningInput({ label: settings.label, challengeId, algorithm, publicKey, email })
    // From here on the proof may leave, whatever becomes of this client.
    if (context.enrolling) context.enrolling.isProved = true
    const proof = await key.sign(input)
    proved = { requestId: encodeBase64Url(core.sha256(input)), sentMs: settings.monotonicNow() }
    return proof
  }
  const response = await register({
    publicKey: publicKey.slice(),
    algorithm,
    prove,
    post: (path, body, signal) => post(context, path, body, signal),
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

const checkOngoing = (signal: AbortSignal): void => {
  if (signal.aborted) throw signal.reason
}

/** Settles as `work` does, or rejects with the signal's reason as soon as the signal aborts. */
const unlessAborted = <T>(work: Promise<T>, signal: AbortSignal): Promise<T> =>
  new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason)
    signal.addEventListener('abort', abort)
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
    if (signal.aborted) abort()
  })

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
  if (host.deviceSession.state === 'ready') throw new CountersignError('ERR_ALREADY_ENROLLED')
  const controller = new AbortController()
  const end = (error: CountersignError): void => controller.abort(error)
  host.ends.add(end)
  const work = unlessAborted(enrollOnce(host, register, controller.signal), controller.signal)
  const leave = (): void => {
    host.ends.delete(end)
    host.enrolling = undefined
  }
  host.enrolling = { isProved: false, end, over: work.then(leave, leave) }
  return work
}

/** Makes or finds the key, registers it and stores the session (R82 to R86). */
const enrollOnce = async (host: EnrollHost, register: Register, ending: AbortSignal): Promise<void> => {
  const { deviceSession, clock, settings } = host
  const { vault } = deviceSession
  try {
    const key = await prepareKey(vault)
    checkOngoing(ending)
    const { sessionId, sample } = await enrollKey(host, key, register, ending)
    checkOngoing(ending)
    host.checkOpen()
    const session = { id: sessionId, key }
    clock.sample(sample)
    const notes = { ...clock.notes(), ...host.trust.notes() }
    await saveSession(vault, session, notes).catch((error) => withdraw(host, session, error))
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
  { requestId, sentMs }: SentProof,
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
  return { sessionId, sample: { sentMs, receivedMs, serverMs: timestampMs } }
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
async function enrollmentRefused(response: Response, signal: AbortSignal): Promise<CountersignError> {
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

/** The part of a client that emailEnrollment uses. */
export type Enrollable = { enroll(register: Register): Promise<void> }

/** The code that the user typed; null or undefined when the user gave up. */
export type Code = string | null | undefined

/** The options of `emailEnrollment`. */
export type EmailEnrollmentOptions = {
  /** The address, without what is blank around it. The proof signs it exactly as it is sent. */
  email: string
  /**
   * The code from the mail, or the function that asks the user for it once the mail is on its way. Its `signal` aborts
   * when nobody waits for the code any more: close the dialogue then. Blanks and dashes do not count, and the digits of
   * any script do.
   */
  code: string | ((challengeId: string, options: { signal: AbortSignal }) => Code | Promise<Code>)
  /** The challenge of an earlier attempt; the gateway sends no new mail then. Default: a new challenge. */
  challengeId?: string
  /** Ends the enrolment, also while it waits for the code. It then rejects with ERR_ABORTED. */
  signal?: AbortSignal
  /** The path that sends the code. Default: `/api/v1/public/auth/send-email-code`. */
  sendPath?: string
  /** The path that confirms the code. Default: `/api/v1/public/auth/confirm-email-code`. */
  confirmPath?: string
}

const AUTH = '/api/v1/public/auth'

const askForCode = async ({ post }: Registration, path: string, email: string, signal?: AbortSignal) => {
  const response = await post(path, { email }, signal)
  const within = signal ?? new AbortController().signal
  if (!response.ok) throw await enrollmentRefused(response, within)
  const body = await readBody(response, { cap: BODY_BYTES, tooLarge: 'ERR_ANSWER_TOO_LARGE', signal: within })
  const challengeId = memberOf(body, 'challenge_id')
  if (typeof challengeId !== 'string') throw unsignedAnswer(response)
  return textOf(challengeId, 'challenge_id')
}

// Calls `ask` and waits for the code until one of the signals aborts. Returns the code as it is sent.
const codeOf = async (
  ask: (challengeId: string, options: { signal: AbortSignal }) => unknown,
  challengeId: string,
  { caller, ending }: { caller: AbortSignal | undefined; ending: AbortSignal }
): Promise<string> => {
  const controller = new AbortController()
  const end = (error: unknown): void => controller.abort(error)
  const aborted = (): void => end(new CountersignError('ERR_ABORTED', { cause: caller?.reason }))
  const ended = (): void => end(ending.reason)
  caller?.addEventListener('abort', aborted)
  ending.addEventListener('abort', ended)
  if (caller?.aborted) aborted()
  try {
    checkOngoing(controller.signal)
    const asked = (async () => ask(challengeId, { signal: controller.signal }))()
    const given = await unlessAborted(asked, controller.signal)
    if (given === null || given === undefined)
      throw new CountersignError('ERR_ABORTED', { detail: 'code returned null' })
    const code = typeof given === 'string' ? foldCode(given) : ''
    if (code === '') throw badArgument('code must return a string')
    return code
  } finally {
    caller?.removeEventListener('abort', aborted)
    ending.removeEventListener('abort', ended)
  }
}

/** Enrols a client by a mailed code, as emailEnrollment describes. */
export async function enrollByEmail(client: Enrollable, options: EmailEnrollmentOptions): Promise<void> {
  const known = ['email', 'code', 'challengeId', 'signal', 'sendPath', 'confirmPath']
  const { email: given, code, challengeId } = optionsOf(options, 'options', known)
  const { sendPath = `${AUTH}/send-email-code`, confirmPath = `${AUTH}/confirm-email-code` } = options
  functionOf(optionsOf(client, 'client').enroll, 'client.enroll')
  const signal = signalOf(options.signal)
  // Blanks around an address come from a keyboard or a paste. No address has them.
  const email = textOf(typeof given === 'string' ? given.trim() : given, 'email')
  const ask = typeof code === 'string' ? () => code : functionOf(code, 'code')
  return client.enroll(async (registration) => {
    const { publicKey, algorithm, prove, post } = registration
    const challenge = challengeId === undefined ? await askForCode(registration, sendPath, email, signal) : challengeId
    const body = {
      challenge_id: challenge,
      code: await codeOf(ask, challenge, { caller: signal, ending: registration.signal }),
      client_public_key: encodeBase64(publicKey),
      algorithm,
      proof: encodeBase64(await prove(challenge, email)),
      time_zone: new Intl.DateTimeFormat().resolvedOptions().timeZone
    }
    const confirm = (): Promise<Response> => post(confirmPath, body, signal)
    // The identical confirm request gives the same session again (R85), so the client repeats it once after a lost
    // answer.
    return confirm().catch((error) => (error?.code === 'ERR_NETWORK' ? confirm() : Promise.reject(error)))
  })
}
