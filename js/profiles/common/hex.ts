// SPDX-License-Identifier: MIT
// Lower-case hexadecimal, the one spelling the profiles write and accept.

import type { Bytes } from '../../common/types.ts'

/** encodeHex writes two lower-case digits a byte. */
export const encodeHex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')

/** decodeTag reads a tag of 32 bytes; undefined for anything but 64 lower-case digits. */
export const decodeTag = (text: unknown): Bytes | undefined =>
  typeof text === 'string' && /^[0-9a-f]{64}$/.test(text)
    ? Uint8Array.from({ length: 32 }, (_, at) => Number.parseInt(text.slice(2 * at, 2 * at + 2), 16))
    : undefined
