// SPDX-License-Identifier: MIT
// Encodes and decodes text and JSON.

import { CountersignError } from './errors.ts'
import type { Bytes } from './types.ts'

const encoder = new TextEncoder()
const lenient = new TextDecoder()
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Encodes text as UTF-8. A lone surrogate becomes U+FFFD. */
export function encodeText(text: string): Bytes {
  return encoder.encode(text)
}

/**
 * Decodes UTF-8 exactly; a byte order mark stays.
 * @throws TypeError when the bytes are malformed.
 */
export function decodeText(bytes: Uint8Array): string {
  return strict.decode(bytes)
}

/** Decodes UTF-8 exactly. Returns undefined when the bytes are malformed. */
export function tryDecodeText(bytes: Uint8Array): string | undefined {
  try {
    return decodeText(bytes)
  } catch {
    return undefined
  }
}

/** Decodes UTF-8 as `fs.readFile` does. Malformed bytes become U+FFFD, and a byte order mark stays. */
export function decodeLenientText(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
}

/** Encodes a value as JSON in UTF-8. */
export function encodeJson(value: unknown): Bytes {
  return encodeText(JSON.stringify(value))
}

/**
 * Parses JSON in UTF-8. Malformed bytes become U+FFFD.
 * @throws SyntaxError when the text is not JSON.
 */
export function parseJson(bytes: Uint8Array): unknown {
  return JSON.parse(lenient.decode(bytes))
}

/** Returns ERR_BAD_JSON with a detail. */
export function badJson(detail: string): CountersignError {
  return new CountersignError('ERR_BAD_JSON', { detail })
}
