// SPDX-License-Identifier: MIT
// Enrols through the gateway's own endpoints: asks for a challenge, waits for the code that is mailed, and confirms.

import { encodeBase64 } from '../../common/base64.ts'
import { ENROLLMENT_PATH, foldCode } from '../../common/codes.ts'
import { CountersignError } from '../../common/errors.ts'
import { badArgument, functionOf, optionsOf, textOf } from '../../core/args.ts'
import { signalOf } from '../call-options.ts'
import { readBody, unsignedAnswer } from '../transport/exchange.ts'
import {
  BODY_BYTES,
  checkOngoing,
  enrollmentRefused,
  memberOf,
  type Register,
  type Registration,
  unlessAborted
} from './enroll.ts'

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
  /** Where the paths of the enrolment begin, as at the gateway. Default: `/api/v1/public/auth`. */
  enrollmentPath?: string
  /** The path that sends the code. Default: `send-email-code` below `enrollmentPath`. */
  sendPath?: string
  /** The path that confirms the code. Default: `confirm-email-code` below `enrollmentPath`. */
  confirmPath?: string
}

/**
 * Returns where the paths of the enrolment begin (R167).
 * @throws ERR_INVALID_ARGUMENT or ERR_INVALID_TEXT when `enrollmentPath` is no text.
 */
export function enrollmentPathOf({ enrollmentPath = ENROLLMENT_PATH }: { enrollmentPath?: string }): string {
  return textOf(enrollmentPath, 'enrollmentPath')
}

/** Asks for a challenge and returns its id. Rejects with ERR_ENROLLMENT_REFUSED when the gateway refuses. */
export async function askForChallenge(
  { post }: Registration,
  path: string,
  body: object,
  signal?: AbortSignal
): Promise<string> {
  const response = await post(path, body, signal)
  const within = signal ?? new AbortController().signal
  if (!response.ok) throw await enrollmentRefused(response, within)
  const answer = await readBody(response, { cap: BODY_BYTES, tooLarge: 'ERR_ANSWER_TOO_LARGE', signal: within })
  const challengeId = memberOf(answer, 'challenge_id')
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

/** The members of a confirmation that answers a challenge. */
export async function proofOf({ publicKey, algorithm, prove }: Registration, challenge: string, email: string) {
  return {
    challenge_id: challenge,
    client_public_key: encodeBase64(publicKey),
    algorithm,
    proof: encodeBase64(await prove(challenge, email)),
    time_zone: new Intl.DateTimeFormat().resolvedOptions().timeZone
  }
}

/**
 * Posts a confirmation. The identical one gives the same session again (R85), so it is repeated once after a lost answer.
 */
export function confirm({ post }: Registration, path: string, body: object, signal?: AbortSignal): Promise<Response> {
  const once = (): Promise<Response> => post(path, body, signal)
  return once().catch((error) => (error?.code === 'ERR_NETWORK' ? once() : Promise.reject(error)))
}

/** Enrols a client by a mailed code, as emailEnrollment describes. */
export async function enrollByEmail(client: Enrollable, options: EmailEnrollmentOptions): Promise<void> {
  const known = ['email', 'code', 'challengeId', 'signal', 'enrollmentPath', 'sendPath', 'confirmPath']
  const { email: given, code, challengeId } = optionsOf(options, 'options', known)
  const at = enrollmentPathOf(options)
  const { sendPath = `${at}/send-email-code`, confirmPath = `${at}/confirm-email-code` } = options
  functionOf(optionsOf(client, 'client').enroll, 'client.enroll')
  const signal = signalOf(options.signal)
  // Blanks around an address come from a keyboard or a paste. No address has them.
  const email = textOf(typeof given === 'string' ? given.trim() : given, 'email')
  const ask = typeof code === 'string' ? () => code : functionOf(code, 'code')
  return client.enroll(async (registration) => {
    const { guest } = registration
    const challenge = challengeId ?? (await askForChallenge(registration, sendPath, { email }, signal))
    const digits = await codeOf(ask, challenge, { caller: signal, ending: registration.signal })
    const body = { ...(await proofOf(registration, challenge, email)), code: digits }
    // The guest's key names the user whom it becomes, so nobody else can take the guest over (R164).
    const upgrade = guest && {
      guest_session_id: guest.sessionId,
      guest_proof: encodeBase64(await guest.prove(challenge, email))
    }
    return confirm(registration, confirmPath, { ...body, ...upgrade }, signal)
  })
}
