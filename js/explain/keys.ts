// SPDX-License-Identifier: MIT
// Explains a wrong MAC: finds whether another reading of the same key text gives it.

import { encodeText } from '../common/text.ts'
import type { Cause } from './causes.ts'
import { causes } from './causes.ts'

function hexBytes(text: string): Uint8Array | undefined {
  return /^(?:[0-9a-fA-F]{2})+$/.test(text)
    ? Uint8Array.from({ length: text.length / 2 }, (_, at) => Number.parseInt(text.slice(2 * at, 2 * at + 2), 16))
    : undefined
}

function base64Bytes(text: string): Uint8Array | undefined {
  try {
    const plain = atob(text.replaceAll('-', '+').replaceAll('_', '/'))
    return Uint8Array.from(plain, (char) => char.charCodeAt(0))
  } catch {
    return undefined
  }
}

/** Returns the possible readings of a key's text, each with its name. */
export function keyReadings(text: string): readonly (readonly [string, Uint8Array])[] {
  const trimmed = text.trim()
  const all: readonly (readonly [string, Uint8Array | undefined])[] = [
    ['the text itself', encodeText(text)],
    ['the text without white space around it', encodeText(trimmed)],
    ['the text with a new line after it', encodeText(`${trimmed}\n`)],
    ['the text in lower case', encodeText(trimmed.toLowerCase())],
    ['the text in upper case', encodeText(trimmed.toUpperCase())],
    ['the bytes that its hexadecimal encodes', hexBytes(trimmed)],
    ['the bytes that its base64 encodes', base64Bytes(trimmed)]
  ]
  return all.flatMap(([name, bytes]) => (bytes && bytes.length > 0 ? [[name, bytes] as const] : []))
}

/**
 * Finds the reading of a key's text under which `hmac` gives the tag. Resolves to undefined when no reading does, and
 * when the text itself does.
 */
export async function explainKey(
  text: string,
  tag: Uint8Array,
  hmac: (key: Uint8Array) => Uint8Array | Promise<Uint8Array>
): Promise<Cause | undefined> {
  for (const [name, key] of keyReadings(text)) {
    const made = await hmac(key)
    if (made.length !== tag.length || !made.every((byte, at) => byte === tag[at])) continue
    return name === 'the text itself'
      ? undefined
      : { name: 'key_text', text: `${causes.key_text}: the tag was made with ${name}` }
  }
  return undefined
}
