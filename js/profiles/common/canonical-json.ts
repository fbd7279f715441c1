// SPDX-License-Identifier: MIT
// JSON with one meaning. A caller's value becomes the result of JSON.parse(JSON.stringify(value)), read once. A value
// that JSON would change or drop is refused, with its path. Canonical JSON is RFC 8785.

import { isCountersignError } from '../../common/errors.ts'
import { badArgument } from '../../core/args.ts'

/** A JSON value. */
export type Json = null | boolean | number | string | Json[] | JsonObject
export type JsonObject = { [name: string]: Json }

/** The deepest nesting of arrays and objects in a signed value. The native part has the same limit. */
export const MAX_DEPTH = 64

const { isArray } = Array
function hasLoneSurrogate(text: string): boolean {
  return /\p{Cs}/u.test(text)
}

/** Returns whether a value is an object: neither an array nor null. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !isArray(value)
}

function stepOf(holder: unknown, key: string): string {
  if (isArray(holder)) return `[${key}]`
  return /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`
}

// JSON.rawJSON of newer engines writes text as it is: it would come back as another number.
function isRaw(value: object): boolean {
  const test: unknown = Reflect.get(JSON, 'isRawJSON')
  return typeof test === 'function' && test(value) === true
}

/** Returns why JSON would change an entry; undefined when it would not. */
function problemOf(entry: unknown): string | undefined {
  if (typeof entry === 'bigint') return 'is a BigInt; write it as a number or a text'
  if (typeof entry === 'number' && !Number.isFinite(entry)) return 'is NaN or infinite'
  if (typeof entry === 'string' && hasLoneSurrogate(entry)) return 'has a lone surrogate'
  return undefined
}

/**
 * Creates a replacer for JSON.stringify that visits each entry once, knows its path, and throws for a refused entry.
 */
function createReplacer(name: string) {
  const trail: { holder: unknown; path: string }[] = []
  return function watch(this: unknown, key: string, given: unknown): unknown {
    while (trail.length > 0 && trail.at(-1)?.holder !== this) trail.pop()
    const path = trail.length === 0 ? name : `${trail.at(-1)?.path}${stepOf(this, key)}`
    const entry = given instanceof Number || given instanceof String ? given.valueOf() : given
    if (key === '__proto__' && !isArray(this)) throw badArgument(`${path} is a reserved name`)
    const problem = hasLoneSurrogate(key) ? 'has a lone surrogate in its name' : problemOf(entry)
    if (problem) throw badArgument(`${path} ${problem}`)
    if (typeof entry !== 'object' || entry === null) return entry
    if (isRaw(entry)) throw badArgument(`${path} is raw JSON`)
    if (trail.some(({ holder }) => holder === entry)) throw badArgument(`${path} contains itself`)
    if (trail.length >= MAX_DEPTH) throw badArgument(`${path} is nested more than ${MAX_DEPTH} levels deep`)
    trail.push({ holder: entry, path })
    return entry
  }
}

/**
 * Returns the JSON text of a value.
 * @throws ERR_INVALID_ARGUMENT, with the path, for `__proto__`, BigInt, NaN, infinities, lone surrogates, cycles,
 * nesting deeper than 64 levels, and values that cannot be read.
 */
export function cleanText(value: unknown, name: string): string {
  let text: string | undefined
  try {
    text = JSON.stringify(value, createReplacer(name))
  } catch (cause) {
    throw isCountersignError(cause) ? cause : badArgument(`${name} cannot be read as JSON`)
  }
  if (text === undefined) throw badArgument(`${name} has no JSON form`)
  return text
}

/**
 * Returns a fresh copy of a value in its JSON form.
 * @throws ERR_INVALID_ARGUMENT, with the path, as cleanText does.
 */
export function cleanJson(value: unknown, name: string): Json {
  return JSON.parse(cleanText(value, name))
}

/**
 * Serialises a clean value by RFC 8785: names sorted by UTF-16 code unit, numbers and strings as ECMAScript writes
 * them.
 */
export function writeCanonical(value: Json): string {
  if (isArray(value)) return `[${value.map(writeCanonical).join(',')}]`
  if (!isJsonObject(value)) return JSON.stringify(value)
  const members = Object.keys(value)
    .sort()
    .map((name) => `${JSON.stringify(name)}:${writeCanonical(value[name] as Json)}`)
  return `{${members.join(',')}}`
}

/**
 * Serialises a value as canonical JSON (RFC 8785).
 * @throws ERR_INVALID_ARGUMENT, with the path, when JSON would change or drop a part of the value.
 *
 * @example
 * ```ts
 * canonicalJson({ b: 1e21, a: [] }) // '{"a":[],"b":1e+21}'
 * ```
 */
export function canonicalJson(value: unknown): string {
  return writeCanonical(cleanJson(value, 'value'))
}
