// SPDX-License-Identifier: MIT
// The strict mode: the device session signs the action as an exchange request. User, type, time and server are bound, no secret
// is shared, and the server cannot have made it itself. And the secret of the compatible mode, issued in a signed answer.

import { CountersignError } from '../../common/errors.ts'
import type { Bytes, BytesLike } from '../../common/types.ts'
import { badArgument, optionsOf } from '../../core/args.ts'
import { importSecret, isKeyId, messageOf, type NewAction, type SecretKey } from './create.ts'
import { OUTER } from './message.ts'

/** The message type of the strict mode, unless the server names another. */
export const ACTION_TYPE = 'score.update'
/** Asks for the session's secret of the compatible mode. */
export const SECRET_TYPE = 'cs.action_secret'

/** What this profile needs of a client of the exchange. */
export type ActionClient = {
  readonly clock: { now(): number }
  request(
    type: string,
    payload?: BytesLike | string,
    options?: { idempotencyKey?: string; signal?: AbortSignal }
  ): Promise<{ resultCode: string; payload: Uint8Array }>
  sign(type: string, payload?: BytesLike | string): Promise<{ frame: Bytes; requestId: string }>
}

function clientOf(client: ActionClient): ActionClient {
  if (typeof client?.request !== 'function' || typeof client.sign !== 'function')
    throw badArgument('client must be a Client')
  return client
}

function strictText(client: ActionClient, fields: NewAction): string {
  return `{"${OUTER}":${messageOf(fields, { clock: client.clock })}}`
}

/**
 * Signs an action by the device session and does not send it: `frame` is a request of the exchange, `text`
 * its payload. Its time is the server's, as the client knows it. It rejects as proofMessage throws and as client.sign does.
 *
 * @example
 * const { frame, requestId } = await createActionProof(client, { actionType: 'puzzle_complete', actionData, expectedPoints: 100 })
 * const answer = await client.open(await carry(frame), { requestId })
 */
export async function createActionProof(
  client: ActionClient,
  fields: NewAction,
  options: { type?: string } = {}
): Promise<{ text: string; frame: Bytes; requestId: string }> {
  const { type = ACTION_TYPE } = optionsOf(options, 'options')
  const text = strictText(clientOf(client), fields)
  return { text, ...(await client.sign(type, text)) }
}

/** What became of an action that was sent. */
export type ActionAnswer = { status: string; points?: number; retryAfterMs?: number; [member: string]: unknown }

/** Reads the body of an answer; a body that is no object is one without members. */
export function readAnswer(resultCode: string, payload: Uint8Array): ActionAnswer {
  let body: unknown
  try {
    body = JSON.parse(new TextDecoder().decode(payload))
  } catch {
    body = undefined
  }
  const members = typeof body === 'object' && body !== null && !Array.isArray(body) ? body : {}
  const { retry_after: seconds } = members as { retry_after?: unknown }
  const wait = typeof seconds === 'number' && seconds >= 0 ? { retryAfterMs: Math.ceil(seconds * 1000) } : {}
  return { ...members, ...wait, status: resultCode }
}

/**
 * Sends an action in the strict mode and gives the server's verified answer: `status` is `ok` with `points`, or
 * `malformed`, `stale`, `replayed`, `implausible`, `rate_limited` with `retryAfterMs`. It rejects as client.request does.
 *
 * @example
 * const { status, points } = await submitAction(client, { actionType: 'puzzle_complete', actionData, expectedPoints: 100 })
 */
export async function submitAction(
  client: ActionClient,
  fields: NewAction,
  options: { type?: string; idempotencyKey?: string; signal?: AbortSignal } = {}
): Promise<ActionAnswer> {
  const { type = ACTION_TYPE, ...rest } = optionsOf(options, 'options')
  const { resultCode, payload } = await clientOf(client).request(type, strictText(client, fields), rest)
  return readAnswer(resultCode, payload)
}

/**
 * fetchSecret has the server issue this session's secret for the compatible mode. It resolves to a key that cannot be read
 * back; fetch a new one every day, or when a proof is refused for its signature. It rejects as client.request does.
 *
 * @example
 * const secret = await fetchSecret(client)
 */
export async function fetchSecret(client: ActionClient): Promise<SecretKey> {
  const { resultCode, payload } = await clientOf(client).request(SECRET_TYPE)
  if (resultCode !== 'ok') throw new CountersignError('ERR_UNKNOWN_RESULT', { resultCode })
  const { secret, key_id: id } = readAnswer(resultCode, payload)
  if (typeof secret !== 'string' || !isKeyId(id)) throw new CountersignError('ERR_BAD_JSON', { detail: SECRET_TYPE })
  return importSecret(secret, { id })
}
