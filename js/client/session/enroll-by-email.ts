// SPDX-License-Identifier: MIT
// A code by mail, and the confirmation that enrols a key with it (R82, R83).

import { encodeBase64 } from '../../common/base64.ts'
import { CountersignError } from '../../common/errors.ts'
import { badArgument, optionsOf, textOf } from '../../core/args.ts'
import { functionOf } from '../options.ts'
import { readBody, unsignedAnswer } from '../transport/http.ts'
import { BODY_BYTES, enrollmentRefused, memberOf, type Register, type Registration } from './enroll.ts'

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

/** enrollByEmail is what emailEnrollment does. */
export async function enrollByEmail(client: Enrollable, options: EmailEnrollmentOptions): Promise<void> {
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
      throw new CountersignError('ERR_ABORTED', { detail: 'code returned null' })
    if (typeof given !== 'string' || given === '') throw badArgument('code must return a string')
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
