// SPDX-License-Identifier: MIT
// Parses the only shape of JSON that the gateway itself accepts: flat objects (R176), of strings and whole numbers, and
// of objects like that where a caller allows one. JSON.parse keeps the last of two equal names, while a front end or an application
// may keep the first. So one body could mean two things.

import { decodeText } from '../../common/text.ts'

/** Far more members than any of the bodies has. */
const MAX_MEMBERS = 32

const isSpace = (code: number): boolean => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09

const QUOTE = 0x22
const BACKSLASH = 0x5c
const BEGIN = 0x7b
const END = 0x7d

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

type Value = string | number
type Members = Map<string, Value | Map<string, Value>>

function parseMembers(text: string): Members | undefined {
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
    // Only an escape can stand for a lone surrogate (R173): the text was UTF-8.
    if (/\p{Cs}/u.test(value)) return undefined
    offset = end
    return value
  }
  const readValue = (): Value | undefined => {
    if (skip() === QUOTE) return readString()
    WHOLE.lastIndex = offset
    const [digits] = WHOLE.exec(text) ?? []
    const value = Number(digits)
    if (digits === undefined || !Number.isSafeInteger(value)) return undefined
    offset += digits.length
    return value
  }
  const readObject = <Inner>(read: () => Inner | undefined): Map<string, Inner> | undefined => {
    const members = new Map<string, Inner>()
    if (!expect('{')) return undefined
    if (skip() === END) {
      offset++
      return members
    }
    do {
      const name = readString()
      if (name === undefined || members.has(name) || members.size >= MAX_MEMBERS || !expect(':')) return undefined
      const value = read()
      if (value === undefined) return undefined
      members.set(name, value)
    } while (expect(','))
    return expect('}') ? members : undefined
  }
  // An object within the object, and no deeper.
  const members = readObject<Value | Map<string, Value>>(() => (skip() === BEGIN ? readObject(readValue) : readValue()))
  skip()
  return offset === text.length ? members : undefined
}

function decodeMembers(body: Uint8Array): Members | undefined {
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
): Texts<Required, Optional> | undefined {
  return textsOf(decodeMembers(body), required, optional)
}

type Texts<Required extends string, Optional extends string = never> = { [Name in Required]: string } & {
  [Name in Optional]?: string
}

function textsOf<Required extends string, Optional extends string = never>(
  members: Members | undefined,
  required: readonly Required[],
  optional: readonly Optional[] = []
): Texts<Required, Optional> | undefined {
  if (!members) return undefined
  const known: readonly string[] = [...required, ...optional]
  for (const name of required) if (!members.has(name)) return undefined
  for (const [name, value] of members) if (!known.includes(name) || typeof value !== 'string') return undefined
  return Object.assign(Object.create(null), Object.fromEntries(members))
}

/**
 * Parses such an object of strings with all of `required`, and with at most one object in it: `part`, of strings with all
 * of `inner`. Returns undefined for everything else.
 */
export function parseObjectWithPart<Required extends string, Part extends string, Inner extends string>(
  body: Uint8Array,
  required: readonly Required[],
  part: Part,
  inner: readonly Inner[]
): (Texts<Required> & { [Name in Part]?: Texts<Inner> }) | undefined {
  const members = decodeMembers(body)
  const found = members?.get(part)
  if (found !== undefined && !(found instanceof Map)) return undefined
  members?.delete(part)
  const texts = textsOf(members, required)
  const partTexts = found && textsOf(found, inner)
  if (!texts || (found && !partTexts)) return undefined
  return Object.assign(texts, partTexts ? { [part]: partTexts } : {}) as Texts<Required> & {
    [Name in Part]?: Texts<Inner>
  }
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
