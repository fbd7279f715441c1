// SPDX-License-Identifier: MIT
// JSON that means one thing: what a caller hands in becomes what JSON.parse(JSON.stringify(value)) gives, read once, and
// what JSON would change or lose on the way is refused by the path where it stands. Canonical JSON is RFC 8785.

import { isCountersignError } from '../../common/errors.ts'
import { badArgument } from '../../core/args.ts'

/** What JSON can say. */
export type Json = null | boolean | number | string | Json[] | JsonObject
export type JsonObject = { [name: string]: Json }

/** Levels of arrays and objects in what is signed; the native part has the same limit. */
export const MAX_DEPTH = 64

const { isArray } = Array
function hasLoneSurrogate(text: string): boolean {
  return /\p{Cs}/u.test(text)
}

/** Tells objects from arrays and null. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !isArray(value)
}

function stepOf(holder: unknown, key: string): string {
  if (isArray(holder)) return `[${key}]`
  return /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`
}

// A raw JSON text (JSON.rawJSON, in newer engines) would come back as a number of another value.
function isRaw(value: object): boolean {
  const test: unknown = Reflect.get(JSON, 'isRawJSON')
  return typeof test === 'function' && test(value) === true
}

/** Why an entry is not JSON that comes back as it went; undefined where it is. */
function problemOf(entry: unknown): string | undefined {
  if (typeof entry === 'bigint') return 'is a BigInt; write it as a number or a text'
  if (typeof entry === 'number' && !Number.isFinite(entry)) return 'is NaN or infinite'
  if (typeof entry === 'string' && hasLoneSurrogate(entry)) return 'has a lone surrogate'
  return undefined
}

/** A replacer for JSON.stringify that sees each entry once, with the path to it, and throws at what is refused. */
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
 * Gives a fresh copy of a value as JSON has it; throws ERR_INVALID_ARGUMENT, naming the path, for `__proto__`,
 * BigInt, NaN, infinities, lone surrogates, cycles, nesting beyond 64 levels and what cannot be read.
 */
export function cleanJson(value: unknown, name: string): Json {
  let text: string | undefined
  try {
    text = JSON.stringify(value, createReplacer(name))
  } catch (cause) {
    throw isCountersignError(cause) ? cause : badArgument(`${name} cannot be read as JSON`)
  }
  if (text === undefined) throw badArgument(`${name} has no JSON form`)
  return JSON.parse(text)
}

/** Writes a clean value as RFC 8785 says: names sorted by UTF-16 unit, numbers and texts as ECMAScript has them. */
export function writeCanonical(value: Json): string {
  if (isArray(value)) return `[${value.map(writeCanonical).join(',')}]`
  if (!isJsonObject(value)) return JSON.stringify(value)
  const members = Object.keys(value)
    .sort()
    .map((name) => `${JSON.stringify(name)}:${writeCanonical(value[name] as Json)}`)
  return `{${members.join(',')}}`
}

/**
 * Writes a value as canonical JSON (RFC 8785); throws as it would for an event.
 *
 * @example
 * ```ts
 * canonicalJson({ b: 1e21, a: [] }) // '{"a":[],"b":1e+21}'
 * ```
 */
export function canonicalJson(value: unknown): string {
  return writeCanonical(cleanJson(value, 'value'))
}
