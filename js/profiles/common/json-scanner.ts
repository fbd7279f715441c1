// SPDX-License-Identifier: MIT
// A tokeniser that says where in a JSON text each member lies, so that what was signed can be cut out of the very bytes that
// came. It takes one spelling of the grammar (RFC 8259) and refuses what two readers could read as two things: a name twice in
// one object, a lone surrogate, a number beyond a double, nesting without end. No recursion.

import { CountersignError } from '../../common/errors.ts'
import { MAX_DEPTH } from './canonical-json.ts'

/** Where a value lies in the text; `members` and `items` of the outermost objects and arrays only. */
export type RawValue = { start: number; end: number; members?: Map<string, RawMember>; items?: RawValue[] }
export type RawMember = RawValue & {
  /** Where the member's name begins, with its quote. */
  nameStart: number
}

function bad(detail: string): CountersignError {
  return new CountersignError('ERR_BAD_JSON', { detail })
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const NUMBER = /-?(?:0|[1-9][0-9]{0,400})(?:\.[0-9]{1,400})?(?:[eE][+-]?[0-9]{1,4})?(?![0-9.eE+-])/y
const WORDS: readonly string[] = ['true', 'false', 'null']

/** One open array or object; `names` are those of an object so far. */
type Open = { value: RawValue; names: Set<string> | undefined }

class Scanner {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  get at(): number {
    return this.#at
  }

  get isDone(): boolean {
    return this.peek() === ''
  }

  /** The next character that is no white space. */
  peek(): string {
    for (;;) {
      const char = this.#text.charAt(this.#at)
      if (char !== ' ' && char !== '\n' && char !== '\r' && char !== '\t') return char
      this.#at++
    }
  }

  take(char: string): boolean {
    if (this.peek() !== char) return false
    this.#at++
    return true
  }

  /** Takes a string and gives what it says. */
  string(): string {
    if (this.peek() !== '"') throw bad('a string')
    const start = this.#at++
    for (;;) {
      const code = this.#text.charCodeAt(this.#at++)
      if (Number.isNaN(code) || code < 0x20) throw bad('a string that does not end')
      if (code === BACKSLASH) this.#at++
      else if (code === QUOTE) break
    }
    const value: string = parse(this.#text.slice(start, this.#at))
    if (/\p{Cs}/u.test(value)) throw bad('a lone surrogate')
    return value
  }

  /** Takes anything but an array or an object. */
  scalar(): void {
    if (this.peek() === '"') {
      this.string()
      return
    }
    NUMBER.lastIndex = this.#at
    const [digits] = NUMBER.exec(this.#text) ?? []
    const word = digits ?? WORDS.find((name) => this.#text.startsWith(name, this.#at))
    if (word === undefined) throw bad('a value')
    if (digits !== undefined && !Number.isFinite(Number(digits))) throw bad('a number that no double holds')
    this.#at += word.length
  }
}

function parse(text: string): string {
  try {
    return JSON.parse(text)
  } catch {
    throw bad('a string')
  }
}

/**
 * Finds the members and items of the outermost `levels` objects and arrays of a text that is one JSON value and nothing else; throws
 * ERR_BAD_JSON.
 */
export function scanJson(text: string, levels: number): RawValue {
  const scanner = new Scanner(text)
  const open: Open[] = []
  let done: RawValue | undefined

  /** Begins a value; one that is whole at once is given back. */
  const begin = (value: RawValue): RawValue | undefined => {
    const isObject = scanner.take('{')
    if (!isObject && !scanner.take('[')) {
      scanner.scalar()
      value.end = scanner.at
      return value
    }
    if (open.length >= MAX_DEPTH) throw bad(`nested more than ${MAX_DEPTH} levels deep`)
    if (open.length < levels) {
      if (isObject) value.members = new Map()
      else value.items = []
    }
    open.push({ value, names: isObject ? new Set() : undefined })
    return scanner.take(isObject ? '}' : ']') ? close() : undefined
  }

  const close = (): RawValue => {
    const { value } = open.pop() as Open
    value.end = scanner.at
    return value
  }

  /** Takes a member's name and makes room for its value. */
  const member = ({ value, names }: Open): RawValue => {
    scanner.peek()
    const nameStart = scanner.at
    if (!names) {
      const item: RawValue = { start: nameStart, end: 0 }
      value.items?.push(item)
      return item
    }
    const name = scanner.string()
    if (names.has(name)) throw bad('a name stands twice in one object')
    names.add(name)
    if (!scanner.take(':')) throw bad('a colon')
    scanner.peek()
    const made: RawMember = { nameStart, start: scanner.at, end: 0 }
    value.members?.set(name, made)
    return made
  }

  scanner.peek()
  done = begin({ start: scanner.at, end: 0 })
  while (open.length > 0) {
    const top = open.at(-1) as Open
    if (done === undefined) done = begin(member(top))
    else if (scanner.take(',')) done = begin(member(top))
    else if (scanner.take(top.names ? '}' : ']')) done = close()
    else throw bad('a comma or an end is missing')
  }
  if (!done || !scanner.isDone) throw bad('something follows the value')
  return done
}
