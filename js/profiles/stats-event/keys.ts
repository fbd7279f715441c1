// SPDX-License-Identifier: MIT
// The device key. It is a text, and the HMAC key is that text's UTF-8, not what its digits stand for: 64 bytes for the keys
// StatsCode makes. The strict key is derived from the same bytes, so that neither signature helps to make the other.

import { CountersignError } from '../../common/errors.ts'
import { type FillRandom, fillRandom, hasRandom } from '../../common/platform.ts'
import type { Bytes, BytesLike } from '../../common/types.ts'
import { badArgument, bytesOf, optionsOf } from '../../core/args.ts'
import { encodeHex } from '../common/hex.ts'
import { deriveMacKey, importMacKey, type MacKey, macKeyOf } from '../common/hmac.ts'

const KEY_BYTES = 32
const encoder = new TextEncoder()

/** The label of the strict message and of the key that signs it. */
export const STRICT_LABEL = 'stats-event-v2'

/** Which of a device's two keys. */
type Purpose = 'compatible' | 'strict'

/** What a store keeps of a device key; `strict` is absent where the key is shorter than 32 bytes. */
export type StoredDeviceKey = { compatible: CryptoKey; strict?: CryptoKey }

/** A device key: WebCrypto keys that cannot be exported, and the public id they make. */
export class StatsDeviceKey {
  /** 16 lower-case hexadecimal digits. Public: it identifies, and proves nothing. */
  readonly deviceId: string
  readonly #keys: { readonly compatible: MacKey; readonly strict: MacKey | undefined }

  /** @internal */
  constructor(deviceId: string, compatible: MacKey, strict: MacKey | undefined) {
    this.deviceId = deviceId
    this.#keys = { compatible, strict }
  }

  /** Whether the key has the 32 bytes that the strict and the covered mode ask for. */
  get isStrong(): boolean {
    return this.#keys.strict !== undefined
  }

  /**
   * Gives what a store of structured clones (IndexedDB) keeps instead of the text: the platform's keys, which no script
   * can read. deviceKeyOfStored takes it back.
   */
  stored(): StoredDeviceKey {
    const { compatible, strict } = this.#keys
    return { compatible: compatible.cryptoKey(), ...(strict ? { strict: strict.cryptoKey() } : {}) }
  }

  /** @internal */
  async tag(purpose: Purpose, message: Bytes): Promise<Bytes> {
    const key = this.#keys[purpose]
    if (!key)
      throw badArgument(`the device key is shorter than ${KEY_BYTES} bytes and can sign only in compatible mode`)
    return key.tag(message)
  }

  /** @internal */
  async isTag(purpose: Purpose, message: Bytes, tag: Bytes): Promise<boolean> {
    return (await this.#keys[purpose]?.isTag(message, tag)) ?? false
  }
}

// A key file is read as Node reads one: what is not UTF-8 becomes U+FFFD, and a byte order mark is left to trim().
function textOf(given: unknown): string {
  return typeof given === 'string'
    ? given
    : new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytesOf(given, 'device key'))
}

async function keyOf(compatible: MacKey, strict: MacKey | undefined): Promise<StatsDeviceKey> {
  const deviceId = encodeHex(await compatible.tag(encoder.encode('device-id'))).slice(0, 16)
  return new StatsDeviceKey(deviceId, compatible, strict)
}

/**
 * Makes a key of the text of a key file, or of its bytes, trimmed as JavaScript trims. It rejects with
 * ERR_INVALID_ARGUMENT for a blank text: StatsCode takes that, and then every such device has the same key.
 *
 * @example
 * ```ts
 * const key = await importDeviceKey(await readFile('device.key', 'utf8'))
 * ```
 */
export async function importDeviceKey(text: string | BytesLike): Promise<StatsDeviceKey> {
  const trimmed = textOf(text).trim()
  if (trimmed === '') throw badArgument('the device key is blank; createDeviceKey makes one')
  if (/\p{Cs}/u.test(trimmed)) throw badArgument('the device key has a lone surrogate')
  const secret = encoder.encode(trimmed)
  const compatible = await importMacKey(secret)
  const strict = secret.length < KEY_BYTES ? undefined : await deriveMacKey(secret, encoder.encode(STRICT_LABEL))
  return keyOf(compatible, strict)
}

/**
 * Makes a key of what `stored` gave and a store has kept; rejects with ERR_INVALID_ARGUMENT for anything else,
 * keys that could be exported among it.
 *
 * @example
 * ```ts
 * const key = await deviceKeyOfStored(record) // after structuredClone, or from IndexedDB
 * ```
 */
export async function deviceKeyOfStored(stored: StoredDeviceKey): Promise<StatsDeviceKey> {
  const { compatible: one, strict: other } = optionsOf(stored, 'stored')
  const [compatible, strict] = [macKeyOf(one), other === undefined ? undefined : macKeyOf(other)]
  if (!compatible || (other !== undefined && !strict))
    throw badArgument('stored must be the result of DeviceKey.stored()')
  return keyOf(compatible, strict)
}

/** Makes lower-case hexadecimal of as many random bytes; throws ERR_NO_CRYPTO where there are none. */
export function randomHex(size: number, random: FillRandom = fillRandom): string {
  if (random === fillRandom && !hasRandom) throw new CountersignError('ERR_NO_CRYPTO', { detail: 'random' })
  return encodeHex(random(new Uint8Array(size)))
}

/**
 * Makes a new key: 32 random bytes as 64 lower-case digits. `text` is the secret itself, to be kept where
 * only this user can read it (`deviceKeyFile` of `countersign/stats-event/node` does); whoever deletes it starts a new device.
 *
 * @example
 * ```ts
 * const { key, text } = await createDeviceKey()
 * ```
 */
export async function createDeviceKey(
  options: { random?: FillRandom } = {}
): Promise<{ key: StatsDeviceKey; text: string }> {
  const text = randomHex(KEY_BYTES, options.random)
  return { key: await importDeviceKey(text), text }
}

/** Checks an argument that has to be a device key, or throws ERR_INVALID_ARGUMENT. */
export function deviceKeyOf(value: unknown): StatsDeviceKey {
  if (!(value instanceof StatsDeviceKey))
    throw badArgument('key must be the result of importDeviceKey or createDeviceKey')
  return value
}
