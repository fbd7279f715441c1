// SPDX-License-Identifier: MIT
// The client's side: the session's secret as a key that cannot be read back, and proofs under it.

import { CountersignError } from '../../common/errors.ts'
import { type FillRandom, fillRandom, hasRandom } from '../../common/platform.ts'
import { badArgument, optionsOf } from '../../core/args.ts'
import { encodeHex } from '../common/hex.ts'
import { importMacKey, type MacKey } from '../common/hmac.ts'
import { OUTER, proofMessage, SIGNATURE } from './message.ts'
import type { ActionFields, ActionProof } from './types.ts'

const encoder = new TextEncoder()
const NONCE_BYTES = 16

/** A session's secret: an HMAC-SHA256 key that cannot be read back. */
export class SecretKey {
  /** Names the secret while two are good; absent where there is one. */
  readonly id: string | undefined
  readonly #mac: MacKey

  /** @internal */
  constructor(mac: MacKey, id: string | undefined) {
    this.#mac = mac
    this.id = id
  }

  /** @internal */
  async sign(text: string): Promise<string> {
    return encodeHex(await this.#mac.tag(encoder.encode(text)))
  }

  /** @internal */
  isTag(message: Uint8Array<ArrayBuffer>, tag: Uint8Array<ArrayBuffer>): Promise<boolean> {
    return this.#mac.isTag(message, tag)
  }
}

/** Checks an argument that has to be a secret, or throws ERR_INVALID_ARGUMENT. */
export function secretKeyOf(value: unknown): SecretKey {
  if (!(value instanceof SecretKey)) throw badArgument('secret must be the result of importSecret')
  return value
}

/** Tells whether a text may name a secret. */
export function isKeyId(value: unknown): value is string {
  return typeof value === 'string' && /^[A-Za-z0-9_-]{1,64}$/.test(value)
}

/**
 * Makes a key of a session's secret, the text itself as UTF-8 and not what its digits stand for. `id` names it
 * where the server changes secrets. It rejects with ERR_INVALID_ARGUMENT for an empty text.
 *
 * @example
 * const secret = await importSecret(await fetchActionSecret(client))
 */
export async function importSecret(text: string, options: { id?: string } = {}): Promise<SecretKey> {
  const { id } = optionsOf(options, 'options')
  if (typeof text !== 'string' || text === '') throw badArgument('the secret must be a non-empty string')
  if (/\p{Cs}/u.test(text)) throw badArgument('the secret has a lone surrogate')
  if (id !== undefined && !isKeyId(id)) throw badArgument('id must be 1 to 64 characters of [A-Za-z0-9_-]')
  return new SecretKey(await importMacKey(encoder.encode(text)), id)
}

/** Makes 128 random bits in hex. */
export function randomNonce(random: FillRandom = fillRandom): string {
  if (random === fillRandom && !hasRandom) throw new CountersignError('ERR_NO_CRYPTO', { detail: 'random' })
  return encodeHex(random(new Uint8Array(NONCE_BYTES)))
}

/** A proof to make: the nonce is random and the time the device's own unless told. */
export type NewAction = Omit<ActionFields, 'timestamp' | 'nonce'> & Partial<Pick<ActionFields, 'timestamp' | 'nonce'>>

export type ProofOptions = {
  /** Gives the server's time, such as `client.clock`; asked when the proof is made, so make it when you send it. */
  clock?: { now(): number }
  random?: FillRandom
}

/** Writes the message of an action, its time and nonce filled in. */
export function messageOf(fields: NewAction, options: ProofOptions): string {
  const { clock, random } = optionsOf(options, 'options')
  const given = optionsOf(fields, 'fields')
  const { timestamp = Math.floor(clock ? clock.now() : Date.now()), nonce = randomNonce(random) } = given
  return proofMessage({ ...given, timestamp, nonce })
}

/** Adds the signature to a message: the bytes to send. */
export function bodyOf(message: string, signature: string): string {
  return `{"${OUTER}":${message.slice(0, -1)},"${SIGNATURE}":"${signature}"}}`
}

/**
 * Signs an action. `text` is the body to send, as it is: whoever parses it and writes it again makes other bytes.
 * The time in it is checked within 30 s, so make a proof when it is sent and not when it is queued. It rejects as proofMessage
 * throws.
 *
 * @example
 * const { text } = await createProof(secret, { actionType: 'puzzle_complete', actionData, expectedPoints: 100 }, { clock: client.clock })
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
