// SPDX-License-Identifier: MIT
// What callers hand in is checked here, once, before a byte of it reaches WebAssembly: Embind itself coerces silently.
// The checks use the getters of the language's own prototypes, which look at internal slots: they serve objects of every
// realm and cannot be fooled by a subclass, a proxy or an own property named `length`.

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

/** badArgument makes ERR_INVALID_ARGUMENT (or the given code) with a hint that names the argument. */
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

/** lengthOf gives the length of what bytesOf returned, from its internal slot. */
export function lengthOf(bytes: Uint8Array): number {
  return typedLength(bytes)
}

/**
 * bytesOf gives a view of a caller's bytes, not a copy: use it before any await, and measure it with lengthOf only.
 * It throws ERR_INVALID_ARGUMENT for anything but an ArrayBuffer or a view of one, and for shared, resizable and
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

/** partOf gives a view of some of the bytes that bytesOf returned. */
export function partOf(bytes: Uint8Array, from: number, to: number): Uint8Array {
  return new Uint8Array(typedBuffer(bytes), typedOffset(bytes) + from, to - from)
}

/** copyOf gives a fresh copy of a caller's bytes; throws as bytesOf does. */
export function copyOf(value: BytesLike, name: string): Bytes {
  const bytes = bytesOf(value, name)
  const copy = new Uint8Array(lengthOf(bytes))
  copy.set(bytes)
  return copy
}

/** sizedBytesOf is bytesOf for a field of exactly `size` bytes. */
export function sizedBytesOf(value: unknown, size: number, name: string): Uint8Array {
  const bytes = bytesOf(value, name)
  if (lengthOf(bytes) !== size) throw badArgument(`${name} must be ${size} bytes`)
  return bytes
}

/** optionsOf checks that an options argument is an object; its members are then read once, by destructuring. */
export function optionsOf<T>(value: T, name: string): T {
  if (typeof value !== 'object' || value === null) throw badArgument(`${name} must be an object`)
  return value
}

/** functionOf checks that an argument is a function. */
export function functionOf<T>(value: T, name: string): T {
  if (typeof value !== 'function') throw badArgument(`${name} must be a function`)
  return value
}

/** timeOf checks a time: an integer of milliseconds from 0 to 2^53-1, or ERR_INVALID_TIME. */
export function timeOf(value: unknown, name: string): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw badArgument(name, 'ERR_INVALID_TIME')
  return value as number
}

const MAX_TIMER_MS = 2 ** 31 - 1

/** timeoutOf checks a time limit in milliseconds. */
export function timeoutOf(value: unknown): number {
  return integerOf(value, 1, MAX_TIMER_MS, 'timeoutMs')
}

/** integerOf checks an integer from `least` to `most`, or ERR_INVALID_ARGUMENT. */
export function integerOf(value: unknown, least: number, most: number, name: string): number {
  if (!Number.isSafeInteger(value) || (value as number) < least || (value as number) > most) {
    throw badArgument(`${name} must be an integer from ${least} to ${most}`)
  }
  return value as number
}

/** flagOf checks a boolean and gives it as the core takes it, 1 or 0; or ERR_INVALID_ARGUMENT. */
export function flagOf(value: unknown, name: string): 0 | 1 {
  if (typeof value !== 'boolean') throw badArgument(`${name} must be true or false`)
  return value ? 1 : 0
}

/** finiteOf checks a finite number (a reading of a monotonic clock), or ERR_INVALID_TIME. */
export function finiteOf(value: unknown, name: string): number {
  if (!Number.isFinite(value)) throw badArgument(`${name} must be a finite number`, 'ERR_INVALID_TIME')
  return value as number
}

/** labelOf checks an application's label, or ERR_INVALID_LABEL. */
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

// TextEncoder would silently write U+FFFD for a lone surrogate, so the string is looked at first.
const writeWideText = (value: string, into: Uint8Array, at: number, name: string): number => {
  if (!isWellFormed(value)) throw badArgument(`${name} has a lone surrogate`, 'ERR_INVALID_TEXT')
  const { written } = encoder.encodeInto(value, into.subarray(at, at + 3 * MAX_TEXT))
  if (written > MAX_TEXT) throw badArgument(name, 'ERR_INVALID_TEXT')
  for (let index = at; index < at + written; index++) {
    const byte = into[index] as number
    if (byte < 0x20 || byte === 0x7f) throw badArgument(name, 'ERR_INVALID_TEXT')
  }
  return written
}

/**
 * writeText writes a text field as UTF-8 at `at` and gives its length, `least` to 128 bytes. It throws ERR_INVALID_TEXT for
 * lone surrogates, control characters and other lengths, ERR_INVALID_ARGUMENT for what is no string.
 */
export function writeText(value: unknown, into: Uint8Array, at: number, name: string, least = 1): number {
  if (typeof value !== 'string') throw badArgument(`${name} must be a string`)
  const { length } = value
  if (length < least || length > MAX_TEXT) throw badArgument(name, 'ERR_INVALID_TEXT')
  for (let index = 0; index < length; index++) {
    const unit = value.charCodeAt(index)
    if (unit > 0x7f) return writeWideText(value, into, at, name)
    if (unit < 0x20 || unit === 0x7f) throw badArgument(name, 'ERR_INVALID_TEXT')
    into[at + index] = unit
  }
  return length
}

const scratch = new Uint8Array(3 * MAX_TEXT)

/** textOf checks a text field and gives it back; throws as writeText does. */
export function textOf(value: unknown, name: string, least = 1): string {
  writeText(value, scratch, 0, name, least)
  return value as string
}
