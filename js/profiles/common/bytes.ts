// SPDX-License-Identifier: MIT
// Bytes as hexadecimal digits, of bodies, and random ones. The profiles write lower case.

import { CountersignError } from '../../common/errors.ts'
import { type FillRandom, fillRandom, hasRandom } from '../../common/platform.ts'
import { encodeText } from '../../common/text.ts'
import type { Bytes, BytesLike } from '../../common/types.ts'
import { copyOf, sizedBytesOf } from '../../core/args.ts'

/** Writes bytes as lower-case digits, two for each byte. */
export function encodeHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** Parses digits of either case. Returns undefined for an odd number of digits and for other characters. */
export function decodeHex(digits: string): Bytes | undefined {
  if (!/^(?:[0-9a-fA-F]{2})+$/.test(digits)) return undefined
  return Uint8Array.from({ length: digits.length / 2 }, (_, at) =>
    Number.parseInt(digits.slice(2 * at, 2 * at + 2), 16)
  )
}

/**
 * Returns a text's UTF-8, or a copy of bytes. Returns undefined for a lone surrogate, which has none.
 * @throws ERR_INVALID_ARGUMENT when the body is neither.
 */
export function bytesOfBody(body: BytesLike | string, name: string): Bytes | undefined {
  if (typeof body !== 'string') return copyOf(body, name)
  return /\p{Cs}/u.test(body) ? undefined : encodeText(body)
}

/**
 * Returns random bytes. `random` replaces the platform's randomness, in tests.
 * @throws ERR_NO_CRYPTO when the platform has no randomness, ERR_INVALID_ARGUMENT when `random` returned other bytes.
 */
export function randomBytes(size: number, random: FillRandom = fillRandom): Uint8Array {
  if (random === fillRandom && !hasRandom) throw new CountersignError('ERR_NO_CRYPTO', { detail: 'random' })
  return sizedBytesOf(random(new Uint8Array(size)), size, 'random')
}

/**
 * Returns random bytes as lower-case hexadecimal digits.
 * @throws ERR_NO_CRYPTO and ERR_INVALID_ARGUMENT as randomBytes does.
 */
export function randomHex(size: number, random?: FillRandom): string {
  return encodeHex(randomBytes(size, random))
}
