// SPDX-License-Identifier: MIT
// The client's side: the session's secret as a key that scripts cannot read, and the proofs made with it.

import type { FillRandom } from '../../common/platform.ts'
import { encodeText } from '../../common/text.ts'
import { badArgument, optionsOf } from '../../core/args.ts'
import { encodeHex, randomHex } from '../common/bytes.ts'
import { importMacKey, type MacKey } from '../common/hmac.ts'
import { OUTER, proofMessage, SIGNATURE } from './message.ts'
import type { ActionFields, ActionProof } from './types.ts'

const NONCE_BYTES = 16

/** A session's secret: an HMAC-SHA256 key that scripts cannot read. */
export class SecretKey {
  /** Names the secret while two secrets are valid. Absent when there is only one. */
  readonly id: string | undefined
  readonly #mac: MacKey

  /** @internal */
  constructor(mac: MacKey, id: string | undefined) {
    this.#mac = mac
    this.id = id
  }

  /** @internal */
  async sign(text: string): Promise<string> {
    return encodeHex(await this.#mac.tag(encodeText(text)))
  }

  /** @internal */
  isTag(message: Uint8Array<ArrayBuffer>, tag: Uint8Array<ArrayBuffer>): Promise<boolean> {
    return this.#mac.isTag(message, tag)
  }
}

/**
 * Checks that an argument is a secret.
 * @throws ERR_INVALID_ARGUMENT when it is not.
 */
export function secretKeyOf(value: unknown): SecretKey {
  if (!(value instanceof SecretKey)) throw badArgument('secret must be the result of importSecret')
  return value
}

/** Returns whether a value can name a secret. */
export function isKeyId(value: unknown): value is string {
  return typeof value === 'string' && /^[A-Za-z0-9_-]{1,64}$/.test(value)
}

/**
 * Imports a session's secret. The key is the UTF-8 of the text itself, not the bytes that its digits encode. `id`
 * names the secret when the server changes secrets.
 * Rejects with ERR_INVALID_ARGUMENT when the text is empty or has a lone surrogate.
 *
 * @example
 * const secret = await importSecret(await fetchActionSecret(client))
 */
export async function importSecret(text: string, options: { id?: string } = {}): Promise<SecretKey> {
  const { id } = optionsOf(options, 'options')
  if (typeof text !== 'string' || text === '') throw badArgument('the secret must be a non-empty string')
  if (/\p{Cs}/u.test(text)) throw badArgument('the secret has a lone surrogate')
  if (id !== undefined && !isKeyId(id)) throw badArgument('id must be 1 to 64 characters of [A-Za-z0-9_-]')
  return new SecretKey(await importMacKey(encodeText(text)), id)
}

/** Returns 128 random bits as hexadecimal digits. */
export function randomNonce(random?: FillRandom): string {
  return randomHex(NONCE_BYTES, random)
}

/** An action to sign. Default: a random nonce, and the time of the device. */
export type NewAction = Omit<ActionFields, 'timestamp' | 'nonce'> & Partial<Pick<ActionFields, 'timestamp' | 'nonce'>>

export type ProofOptions = {
  /**
   * Gives the server's time, such as `client.clock`. It is read when the proof is made, so make a proof just before
   * you send it.
   */
  clock?: { now(): number }
  random?: FillRandom
}

/** Returns the message of an action, with time and nonce filled in. */
export function messageOf(fields: NewAction, options: ProofOptions): string {
  const { clock, random } = optionsOf(options, 'options')
  const given = optionsOf(fields, 'fields')
  const { timestamp = Math.floor(clock ? clock.now() : Date.now()), nonce = randomNonce(random) } = given
  return proofMessage({ ...given, timestamp, nonce })
}

/** Returns the body to send: the message with its signature. */
export function bodyOf(message: string, signature: string): string {
  return `{"${OUTER}":${message.slice(0, -1)},"${SIGNATURE}":"${signature}"}}`
}

/**
 * Signs an action. Send `text` as it is: parsing and serialising it again changes its bytes. The server accepts a
 * proof for 30 s, so make it when you send it, not when you queue it.
 * Rejects with ERR_INVALID_ARGUMENT as proofMessage throws.
 *
 * @example
 * const action = { actionType: 'puzzle_complete', actionData, expectedPoints: 100 }
 * const { text } = await createProof(secret, action, { clock: client.clock })
 * await fetch('/api/score/update', { method: 'POST', headers: { 'content-type': 'application/json' }, body: text })
 */
export async function createProof(
  secret: SecretKey,
  fields: NewAction,
  options: ProofOptions = {}
): Promise<{ text: string; proof: ActionProof }> {
  const key = secretKeyOf(secret)
  const message = messageOf(fields, options)
  const text = bodyOf(message, await key.sign(message))
  return { text, proof: (JSON.parse(text) as { [OUTER]: ActionProof })[OUTER] }
}
