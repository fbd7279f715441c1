// SPDX-License-Identifier: MIT
// Hexadecimal digits. The profiles write lower case, and accept only lower case in a tag.

import type { Bytes } from '../../common/types.ts'

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
