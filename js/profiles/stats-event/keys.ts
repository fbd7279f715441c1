// SPDX-License-Identifier: MIT
// The device key is a text. The HMAC key is the UTF-8 of that text, not the bytes that its digits encode: 64 bytes
// for StatsCode's keys. The strict key is derived from the same bytes, so a signature of one kind does not help to
// forge the other.

import type { FillRandom } from '../../common/platform.ts'
import type { CryptoKey } from '../../common/platform-types.ts'
import { decodeLenientText, encodeText } from '../../common/text.ts'
import type { Bytes, BytesLike } from '../../common/types.ts'
import { badArgument, bytesOf, optionsOf } from '../../core/args.ts'
import { encodeHex, randomHex } from '../common/bytes.ts'
import { deriveMacKey, importMacKey, type MacKey, macKeyOf } from '../common/hmac.ts'

const KEY_BYTES = 32

/** The label of the strict message and of the key that signs it. */
export const STRICT_LABEL = 'stats-event-v2'

/** Selects one of a device's two keys. */
type Purpose = 'compatible' | 'strict'

/** The stored form of a device key. `strict` is absent when the key is shorter than 32 bytes. */
export type StoredDeviceKey = { compatible: CryptoKey; strict?: CryptoKey }

/** A device key: WebCrypto keys that cannot be exported, and their public id. */
export class StatsDeviceKey {
  /** 16 lower-case hexadecimal digits. The id is public: it proves nothing. */
  readonly deviceId: string
  readonly #keys: { readonly compatible: MacKey; readonly strict: MacKey | undefined }

  /** @internal */
  constructor(deviceId: string, compatible: MacKey, strict: MacKey | undefined) {
    this.deviceId = deviceId
    this.#keys = { compatible, strict }
  }

  /** Whether the key has the 32 bytes that the strict and the covered mode need. */
  get isStrong(): boolean {
    return this.#keys.strict !== undefined
  }

  /**
   * Returns the platform's keys, for a store of structured clones such as IndexedDB. Scripts cannot read them. Pass
   * them to deviceKeyOfStored later.
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

// Node reads a key file like this: malformed UTF-8 becomes U+FFFD, and trim() removes a byte order mark.
function textOf(given: unknown): string {
  return typeof given === 'string' ? given : decodeLenientText(bytesOf(given, 'device key'))
}

async function keyOf(compatible: MacKey, strict: MacKey | undefined): Promise<StatsDeviceKey> {
  const deviceId = encodeHex(await compatible.tag(encodeText('device-id'))).slice(0, 16)
  return new StatsDeviceKey(deviceId, compatible, strict)
}

/**
 * Imports the text or the bytes of a key file, trimmed as JavaScript trims.
 * Rejects with ERR_INVALID_ARGUMENT for a blank text. StatsCode accepts one, and then all such devices share one key.
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
  const secret = encodeText(trimmed)
  const compatible = await importMacKey(secret)
  const strict = secret.length < KEY_BYTES ? undefined : await deriveMacKey(secret, encodeText(STRICT_LABEL))
  return keyOf(compatible, strict)
}

/**
 * Imports the result of `stored` from a store.
 * Rejects with ERR_INVALID_ARGUMENT for anything else, such as an extractable key.
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

/**
 * Creates a key: 32 random bytes as 64 lower-case digits. `text` is the secret. Keep it where only this user can read
 * it, as `deviceKeyFile` of `countersign/stats-event/node` does. A user who deletes it starts a new device.
 * Rejects with ERR_NO_CRYPTO when the platform has no randomness or no WebCrypto.
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

/**
 * Checks that an argument is a device key.
 * @throws ERR_INVALID_ARGUMENT when it is not.
 */
export function deviceKeyOf(value: unknown): StatsDeviceKey {
  if (!(value instanceof StatsDeviceKey))
    throw badArgument('key must be the result of importDeviceKey or createDeviceKey')
  return value
}
