// SPDX-License-Identifier: MIT
// Base64 with exactly one accepted spelling (PROTOCOL.md, "Encoding"). White space, another alphabet, wrong padding and
// non-zero tail bits are refused. `atob` accepts more than that, so the decoder encodes the result again and compares
// it.

import type { Bytes } from './types.ts'

/** Encodes bytes as standard base64 with padding. */
export function encodeBase64(bytes: Uint8Array): string {
  let binary = ''
  // An engine limits the number of arguments of a call, so the bytes go in pieces.
  for (let from = 0; from < bytes.length; from += 8192) {
    binary += String.fromCharCode(...bytes.subarray(from, from + 8192))
  }
  return btoa(binary)
}

/** Encodes bytes as base64url without padding. */
export function encodeBase64Url(bytes: Uint8Array): string {
  return encodeBase64(bytes).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')
}

/** Decodes standard base64 with padding. Returns undefined for every spelling that encodeBase64 does not write. */
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

/** Decodes base64url without padding. Returns undefined for every spelling that encodeBase64Url does not write. */
export function decodeBase64Url(text: string): Bytes | undefined {
  return /^[A-Za-z0-9_-]*$/.test(text)
    ? decodeBase64(text.replaceAll('-', '+').replaceAll('_', '/') + '='.repeat((4 - (text.length % 4)) % 4))
    : undefined
}
