// SPDX-License-Identifier: MIT
// The strict mode: the device session signs the action as a request of the exchange. The signature binds user, type,
// time and server. No secret is shared, so the server cannot have made the proof itself. This file also fetches the
// secret of the compatible mode, which the server issues in a signed answer.

import { CountersignError } from '../../common/errors.ts'
import { parseJson } from '../../common/text.ts'
import type { Bytes, BytesLike } from '../../common/types.ts'
import { badArgument, optionsOf } from '../../core/args.ts'
import { importSecret, isKeyId, messageOf, type NewAction, type SecretKey } from './create.ts'
import { OUTER } from './message.ts'

/** The message type of the strict mode. The server may use another. */
export const ACTION_TYPE = 'score.update'
/** The message type that asks for the session's secret of the compatible mode. */
export const SECRET_TYPE = 'cs.action_secret'

/** The part of a `Client` that this profile uses. */
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
 * Signs an action by the device session, without sending it. `frame` is a request of the exchange, `text` its
 * payload. The time is the server's, as the client estimates it.
 * Rejects as proofMessage throws, and as client.sign does.
 *
 * @example
 * const action = { actionType: 'puzzle_complete', actionData, expectedPoints: 100 }
 * const { frame, requestId } = await createActionProof(client, action)
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

/** The server's verified answer to an action. */
export type ActionAnswer = { status: string; points?: number; retryAfterMs?: number; [member: string]: unknown }

/** Parses the body of an answer. A body that is not an object counts as an object without members. */
export function readAnswer(resultCode: string, payload: Uint8Array): ActionAnswer {
  let body: unknown
  try {
    body = parseJson(payload)
  } catch {
    body = undefined
  }
  const members = typeof body === 'object' && body !== null && !Array.isArray(body) ? body : {}
  const { retry_after: seconds } = members as { retry_after?: unknown }
  const wait = typeof seconds === 'number' && seconds >= 0 ? { retryAfterMs: Math.ceil(seconds * 1000) } : {}
  return { ...members, ...wait, status: resultCode }
}

/**
 * Sends an action in the strict mode and resolves to the server's verified answer. `status` is `ok` with `points`, or
 * `malformed`, `stale`, `replayed`, `implausible`, or `rate_limited` with `retryAfterMs`.
 * Rejects as proofMessage throws, and as client.request does.
 *
 * @example
 * const action = { actionType: 'puzzle_complete', actionData, expectedPoints: 100 }
 * const { status, points } = await submitAction(client, action)
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
 * Asks the server for this session's secret of the compatible mode. Resolves to a key that scripts cannot read. Fetch
 * a new one once a day, and when the server refuses a proof for its signature.
 * Rejects with ERR_UNKNOWN_RESULT or ERR_BAD_JSON when the answer holds no secret, and as client.request does.
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
