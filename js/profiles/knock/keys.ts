// SPDX-License-Identifier: MIT
// The keys of a knock: the user's HMAC key, and RSA keys as PEM.

import { decodeBase64 } from '../../common/base64.ts'
import { CountersignError } from '../../common/errors.ts'
import type { Bytes, BytesLike } from '../../common/types.ts'
import { badArgument, copyOf } from '../../core/args.ts'
import { decodeHex } from '../common/bytes.ts'
import { importMacKey, type MacKey } from '../common/hmac.ts'

const KEY_BYTES = 32
const MAX_FILE = 128

/** A user's key: an HMAC-SHA256 key that scripts cannot read. */
export class KnockKey {
  readonly #mac: MacKey

  /** @internal */
  constructor(mac: MacKey) {
    this.#mac = mac
  }

  /** @internal */
  tag(digest: Bytes): Promise<Bytes> {
    return this.#mac.tag(digest)
  }

  /** @internal */
  isTag(digest: Bytes, tag: Bytes): Promise<boolean> {
    return this.#mac.isTag(digest, tag)
  }
}

function badKey(detail: string): CountersignError {
  return new CountersignError('ERR_BAD_KNOCK_KEY', { detail })
}

function hexKey(file: Bytes): Bytes {
  if (file.length >= MAX_FILE) throw badKey(`the file has ${file.length} bytes`)
  const digits = String.fromCharCode(...file).replace(/[ \t\r\n\v\f]/g, '')
  const key = decodeHex(digits)
  if (key?.length !== KEY_BYTES) throw badKey('neither 32 bytes nor 64 hex digits')
  return key
}

/**
 * Imports a key file by the daemon's rules. A file of exactly 32 bytes is the key itself. Any other file holds 64
 * hexadecimal digits in under 128 bytes; white space is ignored.
 * Rejects with ERR_BAD_KNOCK_KEY for any other file, and for a key of zeros.
 *
 * @example
 * const key = await importKnockKey(await readFile('user.hmac'))
 */
export async function importKnockKey(fileBytes: BytesLike): Promise<KnockKey> {
  const file = copyOf(fileBytes, 'fileBytes')
  const raw = file.length === KEY_BYTES ? file : hexKey(file)
  if (raw.every((byte) => byte === 0)) throw badKey('the key is all zero')
  return new KnockKey(await importMacKey(raw))
}

/**
 * Checks that an argument is a key.
 * @throws ERR_INVALID_ARGUMENT when it is not.
 */
export function knockKeyOf(value: unknown): KnockKey {
  if (!(value instanceof KnockKey)) throw badArgument('key must be the result of importKnockKey')
  return value
}

/**
 * Parses one PEM block (RFC 7468) with this label.
 * @throws ERR_BAD_RSA_KEY for anything else.
 */
export function derOfPem(pem: unknown, label: 'PUBLIC KEY' | 'PRIVATE KEY'): Bytes {
  if (typeof pem !== 'string') throw badArgument(`the ${label.toLowerCase()} must be a PEM text`)
  const block = new RegExp(
    `^\\s*-----BEGIN ${label}-----\\r?\\n([A-Za-z0-9+/=\\r\\n]+)-----END ${label}-----\\s*$`
  ).exec(pem)
  const der = decodeBase64((block?.[1] ?? '').replace(/[\r\n]/g, ''))
  if (!der || der.length === 0)
    throw new CountersignError('ERR_BAD_RSA_KEY', { detail: `the text is not a PEM of a ${label}` })
  return der
}
