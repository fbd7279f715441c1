// SPDX-License-Identifier: MIT
// Parses the only shape of JSON that the gateway itself accepts: a flat object of strings and whole numbers. JSON.parse
// keeps the last of two equal names, while a front end or an application may keep the first. So one body could mean two
// things.

import { decodeText } from '../../common/text.ts'

/** Far more members than any of the bodies has. */
const MAX_MEMBERS = 32

const isSpace = (code: number): boolean => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09

const QUOTE = 0x22
const BACKSLASH = 0x5c

// The index after the closing quote, or -1. An escaped quote has an odd number of backslashes before it.
function endOfString(text: string, start: number): number {
  let offset = start
  for (;;) {
    offset = text.indexOf('"', offset + 1)
    if (offset < 0) return -1
    let slashes = 0
    while (text.charCodeAt(offset - 1 - slashes) === BACKSLASH && offset - 1 - slashes > start) slashes++
    if (slashes % 2 === 0) return offset + 1
  }
}

// Each number has one spelling: no sign, no leading zero, no fraction, no exponent.
const WHOLE = /(?:0|[1-9][0-9]{0,15})(?![0-9.eE])/y

function parseMembers(text: string): Map<string, string | number> | undefined {
  const members = new Map<string, string | number>()
  let offset = 0
  const skip = (): number => {
    while (isSpace(text.charCodeAt(offset))) offset++
    return text.charCodeAt(offset)
  }
  const expect = (sign: string): boolean => skip() === sign.charCodeAt(0) && ++offset > 0
  const readString = (): string | undefined => {
    if (skip() !== QUOTE) return undefined
    const end = endOfString(text, offset)
    if (end < 0) return undefined
    // JSON.parse checks escapes and control characters: the slice is exactly one string.
    const value: string = JSON.parse(text.slice(offset, end))
    offset = end
    return value
  }
  const readValue = (): string | number | undefined => {
    if (skip() === QUOTE) return readString()
    WHOLE.lastIndex = offset
    const [digits] = WHOLE.exec(text) ?? []
    const value = Number(digits)
    if (digits === undefined || !Number.isSafeInteger(value)) return undefined
    offset += digits.length
    return value
  }
  if (!expect('{')) return undefined
  if (skip() === 0x7d) offset++
  else {
    do {
      const name = readString()
      if (name === undefined || members.has(name) || members.size >= MAX_MEMBERS || !expect(':')) return undefined
      const value = readValue()
      if (value === undefined) return undefined
      members.set(name, value)
    } while (expect(','))
    if (!expect('}')) return undefined
  }
  skip()
  return offset === text.length ? members : undefined
}

function decodeMembers(body: Uint8Array): Map<string, string | number> | undefined {
  try {
    // decodeText keeps a byte order mark, which is refused like any other character.
    return parseMembers(decodeText(body))
  } catch {
    return undefined
  }
}

/**
 * Parses UTF-8 JSON (no byte order mark) that is one object of strings with all of `required` and any of `optional`.
 * Returns undefined for everything else, also for duplicate and unknown names. The result has no prototype.
 */
export function parseFlatObject<Required extends string, Optional extends string = never>(
  body: Uint8Array,
  required: readonly Required[],
  optional: readonly Optional[] = []
): ({ [Name in Required]: string } & { [Name in Optional]?: string }) | undefined {
  const members = decodeMembers(body)
  if (!members) return undefined
  const known: readonly string[] = [...required, ...optional]
  for (const name of required) if (!members.has(name)) return undefined
  for (const [name, value] of members) if (!known.includes(name) || typeof value !== 'string') return undefined
  return Object.assign(Object.create(null), Object.fromEntries(members))
}

/** Parses such an object whose members may all be absent, each a string or a whole number of the given kind. */
export function parseOptionalMembers<Kinds extends { readonly [name: string]: 'string' | 'number' }>(
  body: Uint8Array,
  kinds: Kinds
): { [Name in keyof Kinds]?: Kinds[Name] extends 'string' ? string : number } | undefined {
  const members = decodeMembers(body)
  if (!members) return undefined
  for (const [name, value] of members) if (!Object.hasOwn(kinds, name) || typeof value !== kinds[name]) return undefined
  return Object.assign(Object.create(null), Object.fromEntries(members))
}
