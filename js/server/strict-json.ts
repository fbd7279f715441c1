// SPDX-License-Identifier: MIT
// A reader for the one shape of JSON the gateway itself takes: a flat object of strings. JSON.parse keeps the last of two
// equal names, replaces nothing it should refuse, and knows numbers; where a front end or an application keeps the first,
// one body would mean two things.

/** Far over what any of the bodies has. */
const MAX_MEMBERS = 32

const isSpace = (code: number): boolean => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09

const QUOTE = 0x22
const BACKSLASH = 0x5c

// The index after the closing quote, or -1. An escaped quote has an odd number of backslashes before it.
const endOfString = (text: string, start: number): number => {
  let at = start
  for (;;) {
    at = text.indexOf('"', at + 1)
    if (at < 0) return -1
    let slashes = 0
    while (text.charCodeAt(at - 1 - slashes) === BACKSLASH && at - 1 - slashes > start) slashes++
    if (slashes % 2 === 0) return at + 1
  }
}

const parseMembers = (text: string): Map<string, string> | undefined => {
  const members = new Map<string, string>()
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
  if (!expect('{')) return undefined
  if (skip() === 0x7d) at++
  else {
    do {
      const name = readString()
      if (name === undefined || members.has(name) || members.size >= MAX_MEMBERS || !expect(':')) return undefined
      const value = readString()
      if (value === undefined) return undefined
      members.set(name, value)
    } while (expect(','))
    if (!expect('}')) return undefined
  }
  skip()
  return at === text.length ? members : undefined
}

/**
 * readFlatObject reads UTF-8 JSON (no byte order mark) that is one object of strings with all of `required` and any of
 * `optional`; undefined for everything else, duplicate and unknown names included. The result has no prototype.
 */
export const readFlatObject = <Required extends string, Optional extends string = never>(
  body: Uint8Array,
  required: readonly Required[],
  optional: readonly Optional[] = []
): ({ [Name in Required]: string } & { [Name in Optional]?: string }) | undefined => {
  let members: Map<string, string> | undefined
  try {
    // ignoreBOM leaves a byte order mark in the text, where it is refused like any other character.
    members = parseMembers(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body))
  } catch {
    return undefined
  }
  if (!members) return undefined
  const known: readonly string[] = [...required, ...optional]
  for (const name of required) if (!members.has(name)) return undefined
  for (const name of members.keys()) if (!known.includes(name)) return undefined
  return Object.assign(Object.create(null), Object.fromEntries(members))
}
