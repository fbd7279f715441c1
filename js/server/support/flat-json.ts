// SPDX-License-Identifier: MIT
// A reader for the one shape of JSON the gateway itself takes: a flat object of strings and whole numbers. JSON.parse keeps
// the last of two equal names and replaces nothing it should refuse; where a front end or an application keeps the first, one
// body would mean two things.

/** Far over what any of the bodies has. */
const MAX_MEMBERS = 32

const isSpace = (code: number): boolean => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09

const QUOTE = 0x22
const BACKSLASH = 0x5c

// The index after the closing quote, or -1. An escaped quote has an odd number of backslashes before it.
function endOfString(text: string, start: number): number {
  let at = start
  for (;;) {
    at = text.indexOf('"', at + 1)
    if (at < 0) return -1
    let slashes = 0
    while (text.charCodeAt(at - 1 - slashes) === BACKSLASH && at - 1 - slashes > start) slashes++
    if (slashes % 2 === 0) return at + 1
  }
}

// One spelling a number: no sign, no leading zero, no fraction, no exponent.
const WHOLE = /(?:0|[1-9][0-9]{0,15})(?![0-9.eE])/y

function parseMembers(text: string): Map<string, string | number> | undefined {
  const members = new Map<string, string | number>()
  let at = 0
  const skip = (): number => {
    while (isSpace(text.charCodeAt(at))) at++
    return text.charCodeAt(at)
  }
  const expect = (sign: string): boolean => skip() === sign.charCodeAt(0) && ++at > 0
  const readString = (): string | undefined => {
    if (skip() !== QUOTE) return undefined
    const end = endOfString(text, at)
    if (end < 0) return undefined
    // Escapes and control characters are JSON.parse's to judge: it takes exactly one string here.
    const value: string = JSON.parse(text.slice(at, end))
    at = end
    return value
  }
  const readValue = (): string | number | undefined => {
    if (skip() === QUOTE) return readString()
    WHOLE.lastIndex = at
    const [digits] = WHOLE.exec(text) ?? []
    const value = Number(digits)
    if (digits === undefined || !Number.isSafeInteger(value)) return undefined
    at += digits.length
    return value
  }
  if (!expect('{')) return undefined
  if (skip() === 0x7d) at++
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
  return at === text.length ? members : undefined
}

function readMembers(body: Uint8Array): Map<string, string | number> | undefined {
  try {
    // ignoreBOM leaves a byte order mark in the text, where it is refused like any other character.
    return parseMembers(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body))
  } catch {
    return undefined
  }
}

/**
 * readFlatObject reads UTF-8 JSON (no byte order mark) that is one object of strings with all of `required` and any of
 * `optional`; undefined for everything else, duplicate and unknown names included. The result has no prototype.
 */
export function readFlatObject<Required extends string, Optional extends string = never>(
  body: Uint8Array,
  required: readonly Required[],
  optional: readonly Optional[] = []
): ({ [Name in Required]: string } & { [Name in Optional]?: string }) | undefined {
  const members = readMembers(body)
  if (!members) return undefined
  const known: readonly string[] = [...required, ...optional]
  for (const name of required) if (!members.has(name)) return undefined
  for (const [name, value] of members) if (!known.includes(name) || typeof value !== 'string') return undefined
  return Object.assign(Object.create(null), Object.fromEntries(members))
}

/** readOptionalMembers reads the same for members that may all be absent, each a string or a whole number. */
export function readOptionalMembers<Kinds extends { readonly [name: string]: 'string' | 'number' }>(
  body: Uint8Array,
  kinds: Kinds
): { [Name in keyof Kinds]?: Kinds[Name] extends 'string' ? string : number } | undefined {
  const members = readMembers(body)
  if (!members) return undefined
  for (const [name, value] of members) if (!Object.hasOwn(kinds, name) || typeof value !== kinds[name]) return undefined
  return Object.assign(Object.create(null), Object.fromEntries(members))
}
