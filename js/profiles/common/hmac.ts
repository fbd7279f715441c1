// SPDX-License-Identifier: MIT
// HMAC-SHA256 for the profiles: the one file under js/profiles that names crypto.subtle. Keys are made with
// `extractable: false`; the CryptoKey is reachable from no public property, and is handed out only
// to be stored. The functions are taken once, at load.

import { CountersignError } from '../../common/errors.ts'
import type { Bytes } from '../../common/types.ts'

const subtle = globalThis.crypto?.subtle
const importKey = subtle?.importKey.bind(subtle)
const deriveKey = subtle?.deriveKey.bind(subtle)
const subtleSign = subtle?.sign.bind(subtle)
const subtleVerify = subtle?.verify.bind(subtle)

const HMAC = { name: 'HMAC', hash: 'SHA-256' }
const USES: KeyUsage[] = ['sign', 'verify']

function needCrypto(): void {
  if (!subtle) throw new CountersignError('ERR_NO_CRYPTO')
}

/** One HMAC-SHA256 key that cannot be read back. */
export class MacKey {
  readonly #key: CryptoKey

  constructor(key: CryptoKey) {
    this.#key = key
  }

  /** Makes the 32-byte tag of a message. */
  async tag(message: Bytes): Promise<Bytes> {
    return new Uint8Array(await subtleSign('HMAC', this.#key, message))
  }

  /** Gives the platform's key, for a store that keeps it as it is; the one place where it leaves this object. */
  cryptoKey(): CryptoKey {
    return this.#key
  }

  /** Compares in constant time, which is the platform's; a tag that is not exactly 32 bytes is none. */
  isTag(message: Bytes, tag: Bytes): Promise<boolean> {
    return subtleVerify('HMAC', this.#key, tag, message)
  }
}

/** Takes a key that a store gave back; undefined for anything but an HMAC-SHA256 key that cannot be exported. */
export function macKeyOf(value: unknown): MacKey | undefined {
  if (Object.prototype.toString.call(value) !== '[object CryptoKey]') return undefined
  const key = value as CryptoKey
  const { name, hash } = key.algorithm as HmacKeyAlgorithm
  const isMacKey = key.type === 'secret' && name === 'HMAC' && hash.name === 'SHA-256'
  return isMacKey && !key.extractable && USES.every((use) => key.usages.includes(use)) ? new MacKey(key) : undefined
}

/** Makes a key of the bytes as they are; rejects with ERR_NO_CRYPTO where there is no WebCrypto. */
export async function importMacKey(bytes: Bytes): Promise<MacKey> {
  needCrypto()
  return new MacKey(await importKey('raw', bytes, HMAC, false, USES))
}

/**
 * Derives a 32-byte key by HKDF-SHA256 with an empty salt, so that one secret serves several purposes that
 * say nothing about each other; rejects with ERR_NO_CRYPTO where there is no WebCrypto.
 */
export async function deriveMacKey(secret: Bytes, info: Bytes): Promise<MacKey> {
  needCrypto()
  const base = await importKey('raw', secret, 'HKDF', false, ['deriveKey'])
  const how = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(0), info }
  return new MacKey(await deriveKey(how, base, { ...HMAC, length: 256 }, false, USES))
}
