// SPDX-License-Identifier: MIT
// A tokeniser that finds the position of each member in a JSON text, so that the signed part can be cut out of the
// bytes that arrived. It accepts strict RFC 8259 and refuses a text that two parsers may read differently: a name
// twice in one object, a lone surrogate, a number beyond a double, endless nesting. It does not recurse.

import { badJson } from '../../common/text.ts'
import { MAX_DEPTH } from './canonical-json.ts'

/** The position of a value in the text. Only values of the outermost levels have `members` or `items`. */
export type RawValue = { start: number; end: number; members?: Map<string, RawMember>; items?: RawValue[] }
export type RawMember = RawValue & {
  /** The position of the opening quote of the member's name. */
  nameStart: number
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const NUMBER = /-?(?:0|[1-9][0-9]{0,400})(?:\.[0-9]{1,400})?(?:[eE][+-]?[0-9]{1,4})?(?![0-9.eE+-])/y
const WORDS: readonly string[] = ['true', 'false', 'null']

/** An array or object that is not closed yet. `names` are the names of an object so far. */
type OpenContainer = { value: RawValue; names: Set<string> | undefined }

class Scanner {
  readonly #text: string
  #offset = 0

  constructor(text: string) {
    this.#text = text
  }

  get offset(): number {
    return this.#offset
  }

  get isDone(): boolean {
    return this.peek() === ''
  }

  /** Skips white space and returns the next character. */
  peek(): string {
    for (;;) {
      const char = this.#text.charAt(this.#offset)
      if (char !== ' ' && char !== '\n' && char !== '\r' && char !== '\t') return char
      this.#offset++
    }
  }

  take(char: string): boolean {
    if (this.peek() !== char) return false
    this.#offset++
    return true
  }

  /** Takes a string and returns its value. */
  string(): string {
    if (this.peek() !== '"') throw badJson('a string')
    const start = this.#offset++
    for (;;) {
      const code = this.#text.charCodeAt(this.#offset++)
      if (Number.isNaN(code) || code < 0x20) throw badJson('a string that does not end')
      if (code === BACKSLASH) this.#offset++
      else if (code === QUOTE) break
    }
    const value: string = parse(this.#text.slice(start, this.#offset))
    if (/\p{Cs}/u.test(value)) throw badJson('a lone surrogate')
    return value
  }

  /** Takes a string, a number or a word. */
  scalar(): void {
    if (this.peek() === '"') {
      this.string()
      return
    }
    NUMBER.lastIndex = this.#offset
    const [digits] = NUMBER.exec(this.#text) ?? []
    const word = digits ?? WORDS.find((name) => this.#text.startsWith(name, this.#offset))
    if (word === undefined) throw badJson('a value')
    if (digits !== undefined && !Number.isFinite(Number(digits))) throw badJson('a number that no double holds')
    this.#offset += word.length
  }
}

function parse(text: string): string {
  try {
    return JSON.parse(text)
  } catch {
    throw badJson('a string')
  }
}

/**
 * Finds the members and items of the outermost `levels` objects and arrays. The text must be exactly one JSON value.
 * @throws ERR_BAD_JSON when it is not.
 */
export function scanJson(text: string, levels: number): RawValue {
  const scanner = new Scanner(text)
  const open: OpenContainer[] = []
  let done: RawValue | undefined

  /** Begins a value. Returns it when it is already complete. */
  const begin = (value: RawValue): RawValue | undefined => {
    const isObject = scanner.take('{')
    if (!isObject && !scanner.take('[')) {
      scanner.scalar()
      value.end = scanner.offset
      return value
    }
    if (open.length >= MAX_DEPTH) throw badJson(`nested more than ${MAX_DEPTH} levels deep`)
    if (open.length < levels) {
      if (isObject) value.members = new Map()
      else value.items = []
    }
    open.push({ value, names: isObject ? new Set() : undefined })
    return scanner.take(isObject ? '}' : ']') ? close() : undefined
  }

  const close = (): RawValue => {
    const { value } = open.pop() as OpenContainer
    value.end = scanner.offset
    return value
  }

  /** Takes a member's name, or nothing in an array, and registers the value that follows. */
  const member = ({ value, names }: OpenContainer): RawValue => {
    scanner.peek()
    const nameStart = scanner.offset
    if (!names) {
      const item: RawValue = { start: nameStart, end: 0 }
      value.items?.push(item)
      return item
    }
    const name = scanner.string()
    if (names.has(name)) throw badJson('a name stands twice in one object')
    names.add(name)
    if (!scanner.take(':')) throw badJson('a colon')
    scanner.peek()
    const made: RawMember = { nameStart, start: scanner.offset, end: 0 }
    value.members?.set(name, made)
    return made
  }

  scanner.peek()
  done = begin({ start: scanner.offset, end: 0 })
  while (open.length > 0) {
    const top = open.at(-1) as OpenContainer
    if (done === undefined) done = begin(member(top))
    else if (scanner.take(',')) done = begin(member(top))
    else if (scanner.take(top.names ? '}' : ']')) done = close()
    else throw badJson('a comma or an end is missing')
  }
  if (!done || !scanner.isDone) throw badJson('something follows the value')
  return done
}
