// SPDX-License-Identifier: MIT
// Bytes as hexadecimal digits, and random bytes. The profiles write lower case, and accept only lower case in a tag.

import { CountersignError } from '../../common/errors.ts'
import { type FillRandom, fillRandom, hasRandom } from '../../common/platform.ts'
import type { Bytes } from '../../common/types.ts'
import { sizedBytesOf } from '../../core/args.ts'

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

/** Parses a tag of 32 bytes. Returns undefined for anything but 64 lower-case digits. */
export function decodeTag(text: unknown): Bytes | undefined {
  return typeof text === 'string' && /^[0-9a-f]{64}$/.test(text) ? decodeHex(text) : undefined
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
