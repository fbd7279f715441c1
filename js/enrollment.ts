// SPDX-License-Identifier: MIT
// From a key to a session (R82 to R86).

import { encodeBase64, encodeBase64Url } from './base64.ts'
import { badArgument, optionsOf, textOf } from './core-args.ts'
import { CountersignError, isCountersignError } from './errors.ts'
import type { DeviceKey } from './keys.ts'
import { functionOf, resolveUrl } from './options.ts'
import { isSessionId } from './session.ts'
import { type Line, openAnswer } from './transport/exchange.ts'
import { isHttpResult, readEnvelope } from './transport/header.ts'
import { essence, readBody, send, unsignedAnswer } from './transport/http.ts'
import { type Limits, withinLimits } from './transport/limits.ts'
import type { Algorithm, Bytes, RoundTrip } from './types.ts'

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

type EnrollLine = Omit<Line, 'session' | 'synchronise'> & { readonly ends: Limits['ends'] }

const BODY_BYTES = 16 * 1024

const limitsOf = ({ settings, ends }: EnrollLine, signal?: AbortSignal): Limits => {
  const { timeoutMs, schedule } = settings
  return { signal, timeoutMs, schedule, ends }
}

const post = (line: EnrollLine, path: string, body: unknown, signal?: AbortSignal): Promise<Response> => {
  const { settings } = line
  const url = resolveUrl(path, settings.origin).href
  const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
  return withinLimits(limitsOf(line, signal), (inner) => send(settings, url, init, inner))
}

/** enrollKey has a key registered and gives the session id from the verified answer alone. */
export const enrollKey = async (line: EnrollLine, key: DeviceKey, register: Register): Promise<Enrolled> => {
  const { settings, core, clock } = line
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
    post: (path, body, signal) => post(line, path, body, signal)
  })
  const receivedMs = clock.monotonic()
  if (!proved) throw badArgument('register has to call prove before it confirms')
  if (typeof response?.headers?.get !== 'function') throw badArgument('register resolves to the confirm Response')
  return withinLimits(limitsOf(line), (signal) =>
    readConfirmation(line, response, proved as Proved, receivedMs, signal)
  )
}

const readConfirmation = async (
  line: EnrollLine,
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
  const { resultCode, timestampMs } = await openAnswer(line, requestId, { envelope, payload }, isResult)
  const sessionId = memberOf(payload, 'device_session_id')
  if (!isHttpResult(resultCode, 200) || !isSessionId(sessionId, line.settings.compatible)) {
    throw new CountersignError('ERR_ENROLLMENT_REFUSED', { resultCode, cause: { status: response.status } })
  }
  return { sessionId, sample: { sentMs, receivedMs, serverMs: timestampMs } }
}

const memberOf = (body: Bytes, name: string): unknown => {
  try {
    return JSON.parse(new TextDecoder().decode(body))?.[name]
  } catch {
    return undefined
  }
}

/** The gateway's problem, or the plain fact that no gateway wrote this; either way a hint, for it is not signed. */
const enrollmentRefused = async (response: Response, signal: AbortSignal): Promise<CountersignError> => {
  const { status } = response
  if (essence(response) !== 'application/problem+json' || status < 400) return unsignedAnswer(response)
  let problem: unknown
  try {
    const body = await readBody(response, { cap: BODY_BYTES, tooLarge: 'ERR_ANSWER_TOO_LARGE', signal })
    problem = JSON.parse(new TextDecoder().decode(body))
  } catch (error) {
    if (isCountersignError(error)) throw error
  }
  return new CountersignError('ERR_ENROLLMENT_REFUSED', { cause: { status, problem }, detail: `HTTP status ${status}` })
}

/** What emailEnrollment needs of a client. */
export type Enrollable = { enroll(register: Register): Promise<void> }

/** What was typed in; null or undefined where the person gave up. */
export type Code = string | null | undefined

export type EmailEnrollmentOptions = {
  /** The address, signed into the proof exactly as it stands here. */
  email: string
  /** The code from the mail, or the function that asks for it once the mail is on its way. */
  code: string | ((challengeId: string) => Code | Promise<Code>)
  /** Of an earlier attempt: no new mail is sent. */
  challengeId?: string
  signal?: AbortSignal
  sendPath?: string
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

/**
 * emailEnrollment enrols a client through the gateway's own endpoints: it has a code mailed, asks for it and confirms. It
 * rejects with ERR_ENROLLMENT_REFUSED, the gateway's problem as its cause, and may then be called again; with ERR_ABORTED
 * where `code` gives null.
 *
 * @example
 * await emailEnrollment(client, { email: 'ada@example.com', code: () => prompt('The code from your mail') })
 */
export const emailEnrollment = async (client: Enrollable, options: EmailEnrollmentOptions): Promise<void> => {
  const { email, code, challengeId, signal } = optionsOf(options, 'options')
  const { sendPath = `${AUTH}/send-email-code`, confirmPath = `${AUTH}/confirm-email-code` } = options
  functionOf(optionsOf(client, 'client').enroll, 'client.enroll')
  textOf(email, 'email')
  const ask = typeof code === 'string' ? () => code : functionOf(code, 'code')
  return client.enroll(async (registration) => {
    const { publicKey, algorithm, prove, post } = registration
    const challenge = challengeId === undefined ? await askForCode(registration, sendPath, email, signal) : challengeId
    const given: unknown = await ask(challenge)
    if (given === null || given === undefined)
      throw new CountersignError('ERR_ABORTED', { detail: 'no code was given' })
    if (typeof given !== 'string' || given === '') throw badArgument('code has to be text')
    const body = {
      challenge_id: challenge,
      code: given,
      client_public_key: encodeBase64(publicKey),
      algorithm,
      proof: encodeBase64(await prove(challenge, email)),
      time_zone: new Intl.DateTimeFormat().resolvedOptions().timeZone
    }
    const confirm = (): Promise<Response> => post(confirmPath, body, signal)
    // The identical confirm gives the same session again (R85), so a lost answer may be asked for once more.
    return confirm().catch((error) => (error?.code === 'ERR_NETWORK' ? confirm() : Promise.reject(error)))
  })
}
