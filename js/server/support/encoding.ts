// SPDX-License-Identifier: MIT
// Bytes and text, as several parts of the gateway need them. Node's Buffer does the work: payloads of the json binding
// are large, and atob is slow on them.

import * as crypto from 'node:crypto'

/**
 * Decodes base64 (padded) or base64url (unpadded). Returns undefined for a spelling that encodeBase64 would not write
 * (R8).
 */
export function decodeBase64(text: string, alphabet: 'base64' | 'base64url'): Uint8Array | undefined {
  const bytes = Buffer.from(text, alphabet)
  return bytes.toString(alphabet) === text ? bytes : undefined
}

/** Encodes bytes as base64 (padded) or base64url (unpadded). */
export function encodeBase64(bytes: Uint8Array, alphabet: 'base64' | 'base64url'): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(alphabet)
}

// One call instead of three objects, in Node 20.12 and later.
const hashOnce = (crypto as { hash?: (algorithm: string, data: Uint8Array | string, encoding: 'buffer') => Buffer })
  .hash

const ID_BYTES = 16

/** Returns 128 random bits as 22 base64url characters (R68). */
export function randomId(): string {
  return crypto.randomBytes(ID_BYTES).toString('base64url')
}

/** Returns the SHA-256 of bytes or of a text in UTF-8. */
export function sha256(bytes: Uint8Array | string): Uint8Array {
  return hashOnce ? hashOnce('sha256', bytes, 'buffer') : crypto.createHash('sha256').update(bytes).digest()
}

/** Compares bytes; for a given length in constant time (R28). */
export function isSameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && crypto.timingSafeEqual(one, other)
}

/** Escapes a text for logs and screens: printable ASCII stays, the rest is escaped one to one (R9). */
export function escapeText(text: string): string {
  return /^[\x20-\x5b\x5d-\x7e]*$/.test(text)
    ? text
    : text.replace(/[^\x20-\x7e]|\\/g, (unit) =>
        unit === '\\' ? '\\\\' : `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
      )
}

/** Tells whether a value is protocol text: 1 to 128 bytes of UTF-8, no control characters, no lone surrogate (R6). */
export function isText(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value.length > 0 &&
    value.length <= 128 &&
    !/[\u0000-\u001f\u007f]/.test(value) &&
    !/\p{Cs}/u.test(value) &&
    Buffer.byteLength(value) <= 128
  )
}

const EMPTY = new Uint8Array(0)

/** Returns the shared empty payload. */
export function emptyBytes(): Uint8Array {
  return EMPTY
}

/** Returns the path of a target, as it was sent. */
export function pathOf(target: string): string {
  const query = target.indexOf('?')
  return query < 0 ? target : target.slice(0, query)
}
