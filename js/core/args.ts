// SPDX-License-Identifier: MIT
// Checks the arguments of callers once, before a byte of them reaches WebAssembly, because Embind coerces silently. The
// checks use the getters of the language's own prototypes, which read internal slots. So they serve objects of every
// realm. A subclass, a proxy or an own property named `length` cannot deceive them.

import { CountersignError, type ErrorCode } from '../common/errors.ts'
import type { Bytes, BytesLike } from '../common/types.ts'

const { apply, getPrototypeOf } = Reflect
const { isView } = ArrayBuffer

type Getter = (value: unknown) => unknown

const getterOf = (prototype: object, name: PropertyKey): Getter | undefined => {
  const get = Object.getOwnPropertyDescriptor(prototype, name)?.get
  return get && ((value) => apply(get, value, []))
}

const typedArray = getPrototypeOf(Uint8Array.prototype) as object
const tagOf = getterOf(typedArray, Symbol.toStringTag) as (value: unknown) => string | undefined
const typedBuffer = getterOf(typedArray, 'buffer') as (value: unknown) => ArrayBufferLike
const typedOffset = getterOf(typedArray, 'byteOffset') as (value: unknown) => number
const typedLength = getterOf(typedArray, 'byteLength') as (value: unknown) => number
const viewBuffer = getterOf(DataView.prototype, 'buffer') as (value: unknown) => ArrayBufferLike
const viewOffset = getterOf(DataView.prototype, 'byteOffset') as (value: unknown) => number
const viewLength = getterOf(DataView.prototype, 'byteLength') as (value: unknown) => number
const bufferLength = getterOf(ArrayBuffer.prototype, 'byteLength') as (value: unknown) => number
const isResizable = getterOf(ArrayBuffer.prototype, 'resizable')

/** Returns ERR_INVALID_ARGUMENT, or the error of another code, with a hint that names the argument. */
export function badArgument(detail: string, code: ErrorCode = 'ERR_INVALID_ARGUMENT'): CountersignError {
  return new CountersignError(code, { detail })
}

const checkBuffer = (buffer: unknown, length: number, name: string): void => {
  try {
    bufferLength(buffer)
  } catch {
    throw badArgument(`${name} must be an ArrayBuffer or a view of one, not of shared memory`)
  }
  if (isResizable?.(buffer)) throw badArgument(`${name} lies in a resizable buffer; pass a copy`)
  if (length > 0) return
  try {
    new Uint8Array(buffer as ArrayBuffer)
  } catch {
    throw badArgument(`${name} has been detached (transferred elsewhere)`)
  }
}

/** Returns the length of bytes that bytesOf has returned, from their internal slot. */
export function lengthOf(bytes: Uint8Array): number {
  return typedLength(bytes)
}

/**
 * Returns a view of a caller's bytes, not a copy. Use it before any await, and measure it with lengthOf only.
 * @throws ERR_INVALID_ARGUMENT when the value is no ArrayBuffer or view of one, or lies in shared, resizable or
 * detached memory.
 */
export function bytesOf(value: unknown, name: string): Uint8Array {
  if (!isView(value)) {
    checkBuffer(value, 0, name)
    return new Uint8Array(value as ArrayBuffer)
  }
  const tag = tagOf(value)
  if (tag !== undefined) {
    const length = typedLength(value)
    const buffer = typedBuffer(value)
    checkBuffer(buffer, length, name)
    return tag === 'Uint8Array' ? (value as Uint8Array) : new Uint8Array(buffer, typedOffset(value), length)
  }
  const buffer = viewBuffer(value)
  checkBuffer(buffer, 0, name)
  return new Uint8Array(buffer, viewOffset(value), viewLength(value))
}

/** Returns a view of a part of the bytes that bytesOf has returned. */
export function partOf(bytes: Uint8Array, from: number, to: number): Uint8Array {
  return new Uint8Array(typedBuffer(bytes), typedOffset(bytes) + from, to - from)
}

/**
 * Returns a fresh copy of a caller's bytes.
 * @throws ERR_INVALID_ARGUMENT as bytesOf does.
 */
export function copyOf(value: BytesLike, name: string): Bytes {
  const bytes = bytesOf(value, name)
  const copy = new Uint8Array(lengthOf(bytes))
  copy.set(bytes)
  return copy
}

/**
 * Returns a fresh copy of a chunk that a stream has given: the stream may use its buffer again. Other chunks than bytes
 * have another length than their bytes, so they are refused, as fetch refuses them.
 * @throws ERR_INVALID_ARGUMENT when the chunk is no Uint8Array, of whatever realm, and as bytesOf does.
 */
export function chunkOf(value: unknown): Bytes {
  if (tagOf(value) !== 'Uint8Array') throw badArgument('each chunk of a stream must be a Uint8Array')
  return copyOf(value as Uint8Array, 'a chunk')
}

/**
 * Returns a view of a caller's bytes, as bytesOf does, for a field of exactly `size` bytes.
 * @throws ERR_INVALID_ARGUMENT when the length differs, and as bytesOf does.
 */
export function sizedBytesOf(value: unknown, size: number, name: string): Uint8Array {
  const bytes = bytesOf(value, name)
  if (lengthOf(bytes) !== size) throw badArgument(`${name} must be ${size} bytes`)
  return bytes
}

/**
 * Checks that an options argument is an object and returns it. The caller reads each member once, by destructuring.
 * `known` are the names that it may have; a name in another spelling would be dropped without a word.
 * @throws ERR_INVALID_ARGUMENT when the value is no object, or has a name that is not known.
 */
export function optionsOf<T>(value: T, name: string, known?: readonly string[]): T {
  if (typeof value !== 'object' || value === null) throw badArgument(`${name} must be an object`)
  const other = known && Object.keys(value).find((key) => !known.includes(key))
  if (other !== undefined) throw badArgument(`${name} has no member ${other}`)
  return value
}

/**
 * Checks that an argument is a function and returns it.
 * @throws ERR_INVALID_ARGUMENT when it is none.
 */
export function functionOf<T>(value: T, name: string): T {
  if (typeof value !== 'function') throw badArgument(`${name} must be a function`)
  return value
}

/**
 * Checks a time and returns it.
 * @throws ERR_INVALID_TIME when the value is no integer of milliseconds from 0 to 2^53-1.
 */
export function timeOf(value: unknown, name: string): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw badArgument(name, 'ERR_INVALID_TIME')
  return value as number
}

const MAX_TIMER_MS = 2 ** 31 - 1

/**
 * Checks a time limit in milliseconds and returns it.
 * @throws ERR_INVALID_ARGUMENT when the value is no integer from 1 to 2^31-1.
 */
export function timeoutOf(value: unknown): number {
  return integerOf(value, 1, MAX_TIMER_MS, 'timeoutMs')
}

/**
 * Checks an integer from `least` to `most` and returns it.
 * @throws ERR_INVALID_ARGUMENT when the value is no such integer.
 */
export function integerOf(value: unknown, least: number, most: number, name: string): number {
  if (!Number.isSafeInteger(value) || (value as number) < least || (value as number) > most) {
    throw badArgument(`${name} must be an integer from ${least} to ${most}`)
  }
  return value as number
}

/**
 * Checks a boolean and returns it in the core's form, 1 or 0.
 * @throws ERR_INVALID_ARGUMENT when the value is no boolean.
 */
export function flagOf(value: unknown, name: string): 0 | 1 {
  if (typeof value !== 'boolean') throw badArgument(`${name} must be true or false`)
  return value ? 1 : 0
}

/**
 * Checks a reading of a monotonic clock and returns it.
 * @throws ERR_INVALID_TIME when the value is no finite number.
 */
export function finiteOf(value: unknown, name: string): number {
  if (!Number.isFinite(value)) throw badArgument(`${name} must be a finite number`, 'ERR_INVALID_TIME')
  return value as number
}

/**
 * Checks an application's label and returns it.
 * @throws ERR_INVALID_LABEL when the text is no label, ERR_INVALID_ARGUMENT when the value is no text.
 */
export function labelOf(value: unknown): string {
  if (typeof value !== 'string') throw badArgument('label must be a string')
  if (!/^[a-z][a-z0-9.-]{0,31}$/.test(value)) throw badArgument('label', 'ERR_INVALID_LABEL')
  return value
}

const MAX_TEXT = 128
const encoder = new TextEncoder()

const isWellFormed = (text: string): boolean => {
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    if ((unit & 0xf800) !== 0xd800) continue
    const next = index + 1 < text.length ? text.charCodeAt(index + 1) : 0
    if (unit >= 0xdc00 || (next & 0xfc00) !== 0xdc00) return false
    index++
  }
  return true
}

// TextEncoder silently writes U+FFFD for a lone surrogate, so the text is checked first.
const writeWideText = (value: string, into: Uint8Array, offset: number, name: string): number => {
  if (!isWellFormed(value)) throw badArgument(`${name} has a lone surrogate`, 'ERR_INVALID_TEXT')
  const { written } = encoder.encodeInto(value, into.subarray(offset, offset + 3 * MAX_TEXT))
  if (written > MAX_TEXT) throw badArgument(name, 'ERR_INVALID_TEXT')
  for (let index = offset; index < offset + written; index++) {
    const byte = into[index] as number
    if (byte < 0x20 || byte === 0x7f) throw badArgument(name, 'ERR_INVALID_TEXT')
  }
  return written
}

/**
 * Writes a text field as UTF-8 at `offset` and returns its length, `least` to 128 bytes.
 * @throws ERR_INVALID_TEXT when the text has lone surrogates, control characters or another length.
 * @throws ERR_INVALID_ARGUMENT when the value is no text.
 */
export function writeText(value: unknown, into: Uint8Array, offset: number, name: string, least = 1): number {
  if (typeof value !== 'string') throw badArgument(`${name} must be a string`)
  const { length } = value
  if (length < least || length > MAX_TEXT) throw badArgument(name, 'ERR_INVALID_TEXT')
  for (let index = 0; index < length; index++) {
    const unit = value.charCodeAt(index)
    if (unit > 0x7f) return writeWideText(value, into, offset, name)
    if (unit < 0x20 || unit === 0x7f) throw badArgument(name, 'ERR_INVALID_TEXT')
    into[offset + index] = unit
  }
  return length
}

const scratch = new Uint8Array(3 * MAX_TEXT)

/**
 * Checks a text field and returns it.
 * @throws ERR_INVALID_TEXT and ERR_INVALID_ARGUMENT as writeText does.
 */
export function textOf(value: unknown, name: string, least = 1): string {
  writeText(value, scratch, 0, name, least)
  return value as string
}
