// SPDX-License-Identifier: MIT
// AES-256-GCM for the profiles, one message a key. The functions are taken once, at load.

import { CountersignError } from '../../common/errors.ts'
import type { Bytes } from '../../common/types.ts'

const subtle = globalThis.crypto?.subtle
const importKey = subtle?.importKey.bind(subtle)
const encrypt = subtle?.encrypt.bind(subtle)
const decrypt = subtle?.decrypt.bind(subtle)

async function runAesGcm(use: 'encrypt' | 'decrypt', key: Bytes, nonce: Bytes, additionalData: Bytes, data: Bytes) {
  if (!subtle) throw new CountersignError('ERR_NO_CRYPTO')
  const imported = await importKey('raw', key, 'AES-GCM', false, [use])
  const how = { name: 'AES-GCM', iv: nonce, additionalData, tagLength: 128 }
  return new Uint8Array(await (use === 'encrypt' ? encrypt : decrypt)(how, imported, data))
}

/** Gives the ciphertext with its 16-byte seal behind it. */
export function sealAesGcm(key: Bytes, nonce: Bytes, additionalData: Bytes, plain: Bytes): Promise<Bytes> {
  return runAesGcm('encrypt', key, nonce, additionalData, plain)
}

/** Gives what was sealed; undefined where the seal does not fit. */
export function openAesGcm(key: Bytes, nonce: Bytes, additionalData: Bytes, sealed: Bytes): Promise<Bytes | undefined> {
  return runAesGcm('decrypt', key, nonce, additionalData, sealed).catch((error) => {
    if (error instanceof CountersignError) throw error
    return undefined
  })
}
