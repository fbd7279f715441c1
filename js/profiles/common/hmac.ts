// SPDX-License-Identifier: MIT
// HMAC-SHA256 for the profiles: the one file under js/profiles, beside aes-gcm.ts, that names crypto.subtle. Keys are
// not extractable. No public property gives the CryptoKey; `cryptoKey()` hands it out for storage only. The WebCrypto
// functions are bound at load.

import { CountersignError } from '../../common/errors.ts'
import type { CryptoKey } from '../../common/platform-types.ts'
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

/** An HMAC-SHA256 key that scripts cannot read. */
export class MacKey {
  readonly #key: CryptoKey

  constructor(key: CryptoKey) {
    this.#key = key
  }

  /** Returns the 32-byte tag of a message. */
  async tag(message: Bytes): Promise<Bytes> {
    return new Uint8Array(await subtleSign('HMAC', this.#key, message))
  }

  /** Returns the platform's key, for a store of structured clones. The key leaves this object nowhere else. */
  cryptoKey(): CryptoKey {
    return this.#key
  }

  /** Compares a tag, in the platform's constant time. A tag of another length than 32 bytes is wrong. */
  isTag(message: Bytes, tag: Bytes): Promise<boolean> {
    return subtleVerify('HMAC', this.#key, tag, message)
  }
}

/** Wraps a key from a store. Returns undefined for anything but a non-extractable HMAC-SHA256 key. */
export function macKeyOf(value: unknown): MacKey | undefined {
  if (Object.prototype.toString.call(value) !== '[object CryptoKey]') return undefined
  const key = value as CryptoKey
  const { name, hash } = key.algorithm as HmacKeyAlgorithm
  const isMacKey = key.type === 'secret' && name === 'HMAC' && hash.name === 'SHA-256'
  return isMacKey && !key.extractable && USES.every((use) => key.usages.includes(use)) ? new MacKey(key) : undefined
}

/**
 * Imports the bytes as a key.
 * Rejects with ERR_NO_CRYPTO when WebCrypto is missing.
 */
export async function importMacKey(bytes: Bytes): Promise<MacKey> {
  needCrypto()
  return new MacKey(await importKey('raw', bytes, HMAC, false, USES))
}

/**
 * Derives a 32-byte key by HKDF-SHA256 with an empty salt. Keys of different `info` reveal nothing about each other.
 * Rejects with ERR_NO_CRYPTO when WebCrypto is missing.
 */
export async function deriveMacKey(secret: Bytes, info: Bytes): Promise<MacKey> {
  needCrypto()
  const base = await importKey('raw', secret, 'HKDF', false, ['deriveKey'])
  const algorithm = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(0), info }
  return new MacKey(await deriveKey(algorithm, base, { ...HMAC, length: 256 }, false, USES))
}
