// SPDX-License-Identifier: MIT
// From a key to a session (R82 to R86).

import { encodeBase64Url } from '../../common/base64.ts'
import { CountersignError, isCountersignError } from '../../common/errors.ts'
import { parseJson } from '../../common/text.ts'
import type { Algorithm, Bytes, RoundTrip, Stored } from '../../common/types.ts'
import { badArgument } from '../../core/args.ts'
import { ownCall } from '../call-options.ts'
import { prepareKey, saveSession } from '../keys/create-key.ts'
import type { DeviceKey } from '../keys/device-key.ts'
import { isSessionId, type Session } from '../keys/key-record.ts'
import { persistStorage } from '../keys/storage-report.ts'
import { type CallLimits, withinLimits } from '../limits.ts'
import { resolveUrl } from '../options.ts'
import type { HttpBinding } from '../transport/bindings/binding.ts'
import { isHttpResult, readEnvelope } from '../transport/bindings/header.ts'
import { makeCall } from '../transport/call.ts'
import { type CallContext, openAnswer } from '../transport/exchange.ts'
import { essence, readBody, send, unsignedAnswer } from '../transport/http.ts'
import type { DeviceSession } from './device-session.ts'

/** What `client.enroll` hands to its caller, who takes it to the gateway's enrolment by whatever login there is. */
export type Registration = {
  readonly publicKey: Bytes
  readonly algorithm: Algorithm
  /** Signs the proof of possession for one challenge; `email` is the address exactly as sent, or the login's user id. */
  prove(challengeId: string, email: string): Promise<Bytes>
  /** Posts JSON to the gateway's origin under the client's own rules: no redirect, no credentials, no referrer. */
  post(path: string, body: unknown, signal?: AbortSignal): Promise<Response>
}

/** Registers a key and resolves to the gateway's answer to the confirm request, unread. */
export type Register = (registration: Registration) => Promise<Response>

type Proved = { requestId: string; sentMs: number }

/** What a registration came to; `sample` is the first of the server's clock (R84). */
export type Enrolled = { sessionId: string; sample: RoundTrip }

type EnrollContext = Omit<CallContext, 'session' | 'synchronise' | 'learn'>

/** What an enrolment needs of its client. */
export type EnrollHost = EnrollContext & {
  readonly trust: { notes(): Pick<Stored, 'serverKeys'> }
  readonly deviceSession: DeviceSession
  readonly binding: HttpBinding
  checkOpen(): void
  contextOf(session: Session): CallContext
}

export const BODY_BYTES = 16 * 1024

const limitsOf = ({ settings, ends }: EnrollContext, signal?: AbortSignal): CallLimits => {
  const { timeoutMs, schedule } = settings
  return { signal, timeoutMs, schedule, ends }
}

const post = (context: EnrollContext, path: string, body: unknown, signal?: AbortSignal): Promise<Response> => {
  const { settings } = context
  const url = resolveUrl(path, settings.origin).href
  const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
  return withinLimits(limitsOf(context, signal), (inner) => send(settings, url, init, inner))
}

/** enrollKey has a key registered and gives the session id from the verified answer alone. */
const enrollKey = async (context: EnrollContext, key: DeviceKey, register: Register): Promise<Enrolled> => {
  const { settings, core, clock } = context
  const { algorithm, publicKey } = key
  let proved: Proved | undefined
  const prove = async (challengeId: string, email: string): Promise<Bytes> => {
    const input = core.enrollSigningInput({ label: settings.label, challengeId, algorithm, publicKey, email })
    const proof = await key.sign(input)
    proved = { requestId: encodeBase64Url(core.sha256(input)), sentMs: clock.monotonic() }
    return proof
  }
  const response = await register({
    publicKey: publicKey.slice(),
    algorithm,
    prove,
    post: (path, body, signal) => post(context, path, body, signal)
  })
  const receivedMs = clock.monotonic()
  if (!proved) throw badArgument('register must call prove before it confirms')
  if (typeof response?.headers?.get !== 'function')
    throw badArgument('register must resolve to the Response of confirm')
  return withinLimits(limitsOf(context), (signal) =>
    readConfirmation(context, response, proved as Proved, receivedMs, signal)
  )
}

/** enroll makes or finds the key, has it registered and keeps the session (R82 to R86). */
export async function enroll(host: EnrollHost, register: Register): Promise<void> {
  const { deviceSession, clock, settings } = host
  const { vault } = deviceSession
  try {
    const key = await prepareKey(vault)
    const { sessionId, sample } = await enrollKey(host, key, register)
    host.checkOpen()
    const session = { id: sessionId, key }
    clock.sample(sample)
    const notes = { ...clock.notes(), ...host.trust.notes() }
    await saveSession(vault, session, notes).catch((error) => withdraw(host, session, error))
    deviceSession.begin(session)
    if (settings.persist && !settings.store) persistStorage()
  } catch (error) {
    // Another tab was faster: its session is this client's too, but perhaps not the account the caller means.
    if (isCountersignError(error) && error.code === 'ERR_ALREADY_ENROLLED') await deviceSession.reload()
    throw error
  }
}

// There is to be one session of this device, not two.
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
  { requestId, sentMs }: Proved,
  receivedMs: number,
  signal: AbortSignal
): Promise<Enrolled> => {
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

/** memberOf reads one member of a JSON body; undefined where there is none. */
export function memberOf(body: Bytes, name: string): unknown {
  try {
    return (parseJson(body) as { [name: string]: unknown } | null)?.[name]
  } catch {
    return undefined
  }
}

/** enrollmentRefused makes the gateway's problem, or the plain fact that no gateway wrote this; either way a hint, for it is not signed. */
export async function enrollmentRefused(response: Response, signal: AbortSignal): Promise<CountersignError> {
  const { status } = response
  if (essence(response) !== 'application/problem+json' || status < 400) return unsignedAnswer(response)
  let problem: unknown
  try {
    const body = await readBody(response, { cap: BODY_BYTES, tooLarge: 'ERR_ANSWER_TOO_LARGE', signal })
    problem = parseJson(body)
  } catch (error) {
    if (isCountersignError(error)) throw error
  }
  return new CountersignError('ERR_ENROLLMENT_REFUSED', { cause: { status, problem }, detail: `HTTP status ${status}` })
}
