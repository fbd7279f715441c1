// SPDX-License-Identifier: MIT
// Finds the change that turned one byte string into another on its way. It tries each known cause on the whole string
// and returns the first that fits.

import { encodeText, tryDecodeText } from '../common/text.ts'

/** A cause: its name, and advice. */
export type Cause = { name: CauseName; text: string }

export type CauseName =
  | 'bom'
  | 'crlf'
  | 'trailing_space'
  | 'white_space'
  | 'float_spelling'
  | 'escaped_unicode'
  | 'escaped_slash'
  | 'member_order'
  | 're_serialised'
  | 'base64_alphabet'
  | 'hex_case'
  | 'seconds'
  | 'unicode_form'
  | 'mojibake'
  | 'percent_encoding'
  | 'trailing_slash'
  | 'wrong_label'
  | 'wrong_kind'
  | 'cut_off'
  | 'longer'
  | 'key_text'

export const causes: { readonly [Name in CauseName]: string } = {
  bom: 'the text begins with a byte order mark: write the file without it',
  crlf: 'line ends were changed (CRLF and LF): send the body as binary',
  trailing_space: 'white space was added or cut at the end: do not trim, and do not end a body with a new line',
  white_space: 'the JSON was written again with other white space: send the text that was signed',
  float_spelling:
    'the JSON was written again and a number has another form (45.0 and 45): send the text that was signed',
  escaped_unicode: 'the JSON was written again with other escapes (\\u00e9 and é): send the text that was signed',
  escaped_slash: 'the JSON was written again with escaped slashes (\\/ and /): send the text that was signed',
  member_order: 'the JSON was written again with its members in another order: send the text that was signed',
  re_serialised: 'the JSON was parsed and written again: send the text that was signed',
  base64_alphabet:
    'the same bytes in the other base64 alphabet or padding: base64url without padding here, standard base64 there',
  hex_case: 'the same hexadecimal in the other case: use lower case',
  seconds: 'seconds in place of milliseconds: times are Unix milliseconds',
  unicode_form: 'the same text in another Unicode form (NFC and NFD): do not normalise',
  mojibake: 'UTF-8 was read as Latin-1 and written as UTF-8 again: name the charset',
  percent_encoding: 'the target was decoded or encoded again: sign and send the raw request target',
  trailing_slash: 'a slash at the end was added or cut: sign and send the raw request target',
  wrong_label: 'another label: client and server are configured for different applications',
  wrong_kind: 'another kind of message',
  cut_off: 'the end is missing',
  longer: 'extra bytes follow',
  key_text: 'the key was read in another way'
}

function parsed(text: string): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) }
  } catch {
    return undefined
  }
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1))
  return entries.map(([name, member]) => [name, sorted(member)])
}

function isSameValue(one: unknown, other: unknown): boolean {
  return JSON.stringify(sorted(one)) === JSON.stringify(sorted(other))
}

const STRING = /"[^"\\]*(?:\\.[^"\\]*)*"/g
const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g

/** Applies a change outside of strings. */
function outside(text: string, change: (part: string) => string): string {
  let at = 0
  let result = ''
  for (const match of text.matchAll(STRING)) {
    result += change(text.slice(at, match.index)) + match[0]
    at = match.index + match[0].length
  }
  return result + change(text.slice(at))
}

function inStrings(text: string, change: (part: string) => string): string {
  return text.replace(STRING, change)
}

function noSpace(text: string): string {
  return outside(text, (part) => part.replace(/\s+/g, ''))
}
function plainNumbers(text: string): string {
  return outside(text, (part) => part.replace(NUMBER, (digits) => String(Number(digits))))
}
function unescaped(text: string): string {
  return inStrings(text, (part) =>
    part.replace(/\\u([0-9a-fA-F]{4})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  )
}
function noEscapedSlash(text: string): string {
  return inStrings(text, (part) => part.replaceAll('\\/', '/'))
}

/** Differences between two JSON texts of one value, the smallest first. */
const JSON_CAUSES: readonly (readonly [CauseName, (text: string) => string])[] = [
  ['white_space', noSpace],
  ['float_spelling', plainNumbers],
  ['escaped_unicode', unescaped],
  ['escaped_slash', noEscapedSlash]
]

/** A deeper JSON text is compared as bytes, because its values are walked by recursion. */
const MAX_DEPTH = 1000

function isDeep(text: string): boolean {
  let depth = 0
  for (const [bracket] of text.replace(STRING, '').matchAll(/[[\]{}]/g)) {
    depth += bracket === '[' || bracket === '{' ? 1 : -1
    if (depth > MAX_DEPTH) return true
  }
  return false
}

function jsonCause(one: string, other: string): CauseName | undefined {
  if (isDeep(one) || isDeep(other)) return undefined
  const [left, right] = [parsed(one), parsed(other)]
  if (!left || !right || !isSameValue(left.value, right.value)) return undefined
  for (const [name, plain] of JSON_CAUSES) if (plain(one) === plain(other)) return name
  if (JSON.stringify(left.value) !== JSON.stringify(right.value)) return 'member_order'
  return 're_serialised'
}

function base64Bytes(text: string): string {
  return text.replaceAll('-', '+').replaceAll('_', '/').replace(/=+$/, '')
}
function isBase64(text: string): boolean {
  return /^[A-Za-z0-9+/_-]{4,}={0,2}$/.test(text)
}
function isHex(text: string): boolean {
  return /^[0-9a-fA-F]{8,}$/.test(text)
}

function decodedTarget(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', '%20'))
  } catch {
    return undefined
  }
}

function latin1Twice(text: string): string {
  return Array.from(encodeText(text), (byte) => String.fromCharCode(byte)).join('')
}

function isSeconds(one: string, other: string): boolean {
  const digits = /^\d{9,16}$/
  if (!digits.test(one) || !digits.test(other)) return false
  const [small, large] = [Number(one), Number(other)].sort((a, b) => a - b) as [number, number]
  return small < 1e11 && Math.floor(large / 1000) === small
}

/** Tests of two texts, in order. Each is symmetric. */
const TEXT_CAUSES: readonly (readonly [CauseName, (one: string, other: string) => boolean])[] = [
  ['bom', (one, other) => one.replace(/^\ufeff/, '') === other.replace(/^\ufeff/, '')],
  ['crlf', (one, other) => one.replaceAll('\r\n', '\n') === other.replaceAll('\r\n', '\n')],
  ['trailing_space', (one, other) => one.trimEnd() === other.trimEnd()],
  ['seconds', isSeconds],
  ['hex_case', (one, other) => isHex(one) && one.toLowerCase() === other.toLowerCase()],
  ['unicode_form', (one, other) => one.normalize('NFC') === other.normalize('NFC')],
  ['mojibake', (one, other) => latin1Twice(one) === other || latin1Twice(other) === one],
  ['base64_alphabet', (one, other) => isBase64(one) && isBase64(other) && base64Bytes(one) === base64Bytes(other)],
  ['trailing_slash', (one, other) => one.replace(/\/$/, '') === other.replace(/\/$/, '')],
  [
    'percent_encoding',
    (one, other) =>
      /[%+]/.test(one + other) && decodedTarget(one) !== undefined && decodedTarget(one) === decodedTarget(other)
  ]
]

function startsWith(bytes: Uint8Array, front: Uint8Array): boolean {
  return front.length < bytes.length && front.every((byte, at) => bytes[at] === byte)
}

/** Finds the cause that turned `one` into `other`. Returns undefined when no known cause fits. */
export function causeOf(one: Uint8Array, other: Uint8Array): Cause | undefined {
  const [left, right] = [tryDecodeText(one), tryDecodeText(other)]
  const named = (name: CauseName): Cause => ({ name, text: causes[name] })
  if (left !== undefined && right !== undefined) {
    for (const [name, isCause] of TEXT_CAUSES) if (isCause(left, right)) return named(name)
    const name = jsonCause(left, right)
    if (name) return named(name)
  }
  if (startsWith(one, other)) return named('cut_off')
  if (startsWith(other, one)) return named('longer')
  return undefined
}
