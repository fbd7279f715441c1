// SPDX-License-Identifier: MIT
// Base64 with exactly one accepted spelling (PROTOCOL.md, "Encoding"): no white space, no other alphabet, no missing or
// extra padding, zero tail bits. atob alone is laxer than that, so what it gives is encoded again and compared.

import type { Bytes } from './types.ts'

/** encodeBase64 writes bytes as standard base64 with padding. */
export function encodeBase64(bytes: Uint8Array): string {
  let binary = ''
  // A call takes a bounded number of arguments, so the bytes go in pieces.
  for (let from = 0; from < bytes.length; from += 8192) {
    binary += String.fromCharCode(...bytes.subarray(from, from + 8192))
  }
  return btoa(binary)
}

/** encodeBase64Url writes bytes as base64url without padding. */
export function encodeBase64Url(bytes: Uint8Array): string {
  return encodeBase64(bytes).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')
}

/** decodeBase64 reads standard base64 with padding; gives undefined for every spelling that encodeBase64 would not write. */
export function decodeBase64(text: string): Bytes | undefined {
  let binary: string
  try {
    binary = atob(text)
  } catch {
    return undefined
  }
  if (btoa(binary) !== text) return undefined
  const bytes = new Uint8Array(binary.length)
  for (let index = 0; index < binary.length; index++) bytes[index] = binary.charCodeAt(index)
  return bytes
}

/** decodeBase64Url reads base64url without padding; gives undefined for every spelling that encodeBase64Url would not write. */
export function decodeBase64Url(text: string): Bytes | undefined {
  return /^[A-Za-z0-9_-]*$/.test(text)
    ? decodeBase64(text.replaceAll('-', '+').replaceAll('_', '/') + '='.repeat((4 - (text.length % 4)) % 4))
    : undefined
}
