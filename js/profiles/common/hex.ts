// SPDX-License-Identifier: MIT
// Lower-case hexadecimal, the one spelling the profiles write and accept.

import type { Bytes } from '../../common/types.ts'

/** Writes two lower-case digits a byte. */
export function encodeHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** Reads a tag of 32 bytes; undefined for anything but 64 lower-case digits. */
export function decodeTag(text: unknown): Bytes | undefined {
  return typeof text === 'string' && /^[0-9a-f]{64}$/.test(text)
    ? Uint8Array.from({ length: 32 }, (_, at) => Number.parseInt(text.slice(2 * at, 2 * at + 2), 16))
    : undefined
}
