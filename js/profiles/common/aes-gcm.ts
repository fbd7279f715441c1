// SPDX-License-Identifier: MIT
// AES-256-GCM for the profiles; each key encrypts one message. The WebCrypto functions are bound at load, so that
// later changes to `crypto.subtle` have no effect.

import { CountersignError } from '../../common/errors.ts'
import type { Bytes } from '../../common/types.ts'

const subtle = globalThis.crypto?.subtle
const importKey = subtle?.importKey.bind(subtle)
const encrypt = subtle?.encrypt.bind(subtle)
const decrypt = subtle?.decrypt.bind(subtle)

async function runAesGcm(use: 'encrypt' | 'decrypt', key: Bytes, nonce: Bytes, additionalData: Bytes, data: Bytes) {
  if (!subtle) throw new CountersignError('ERR_NO_CRYPTO')
  const imported = await importKey('raw', key, 'AES-GCM', false, [use])
  const algorithm = { name: 'AES-GCM', iv: nonce, additionalData, tagLength: 128 }
  return new Uint8Array(await (use === 'encrypt' ? encrypt : decrypt)(algorithm, imported, data))
}

/** Encrypts. Returns the ciphertext, followed by its 16-byte authentication tag. */
export function sealAesGcm(key: Bytes, nonce: Bytes, additionalData: Bytes, plain: Bytes): Promise<Bytes> {
  return runAesGcm('encrypt', key, nonce, additionalData, plain)
}

/** Decrypts. Returns undefined when the authentication tag is wrong. */
export function openAesGcm(key: Bytes, nonce: Bytes, additionalData: Bytes, sealed: Bytes): Promise<Bytes | undefined> {
  return runAesGcm('decrypt', key, nonce, additionalData, sealed).catch((error) => {
    if (error instanceof CountersignError) throw error
    return undefined
  })
}
