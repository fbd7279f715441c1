// SPDX-License-Identifier: MIT
// Why two messages that should be one are not: the first field and the first byte in which they differ, and the likely cause.
// For developers at their own desk; a server never tells an outsider as much.

import { isCountersignError } from '../common/errors.ts'
import type { Bytes, BytesLike, Core } from '../common/types.ts'
import { copyOf, optionsOf } from '../core/args.ts'
import { type Cause, type CauseName, causeOf, causes } from './causes.ts'

export { type Cause, type CauseName, causes } from './causes.ts'
export { explainKey, keyReadings } from './keys.ts'

/** One part of a message by its name. */
export type Part = { name: string; bytes: Bytes }

/** What a comparison found. */
export type Explanation = {
  isSame: boolean
  /** The first part that differs: a field, `payload`, or `bytes` for what has no fields. */
  part?: string
  /** The first byte that differs, counted from 0 within the part. */
  offset?: number
  /** The two parts, whole. */
  left?: Bytes
  right?: Bytes
  cause?: Cause
}

const encoder = new TextEncoder()

function partOf([name, value]: [string, unknown]): Part[] {
  if (value instanceof Uint8Array) return [{ name, bytes: new Uint8Array(value) }]
  if (typeof value === 'string' || typeof value === 'number') return [{ name, bytes: encoder.encode(String(value)) }]
  return []
}

type ExplainCore = Pick<Core, 'parseFrame' | 'parseSigningInput'>

function orUndefined<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (isCountersignError(error)) return undefined
    throw error
  }
}

/** Takes a frame or a signing input apart; anything else is one part, `bytes`. */
export function partsOf(core: ExplainCore, message: BytesLike): Part[] {
  const bytes = copyOf(message, 'message')
  const frame = orUndefined(() => core.parseFrame(bytes))
  const input = orUndefined(() => core.parseSigningInput(frame?.signingInput ?? bytes))
  if (!frame && !input) return [{ name: 'bytes', bytes }]
  const fields = input
    ? Object.entries(input).flatMap(partOf)
    : [{ name: 'signingInput', bytes: frame?.signingInput as Bytes }]
  if (!frame) return fields
  const { keyId, signature, payload } = frame
  // The payload before its hash: where both differ, the payload is the reason.
  const rest: Part[] = [
    { name: 'keyId', bytes: encoder.encode(keyId) },
    { name: 'payload', bytes: payload },
    { name: 'signature', bytes: signature }
  ]
  const isHash = ({ name }: Part): boolean => name === 'payloadHash'
  return [...fields.filter((part) => !isHash(part)), ...rest.slice(0, 2), ...fields.filter(isHash), ...rest.slice(2)]
}

function firstDifference(one: Uint8Array, other: Uint8Array): number {
  const length = Math.min(one.length, other.length)
  for (let at = 0; at < length; at++) if (one[at] !== other[at]) return at
  return length
}

const CAUSE_OF_FIELD: { readonly [part: string]: CauseName } = { label: 'wrong_label', kind: 'wrong_kind' }

/**
 * Compares two messages: frames, signing inputs, or any bytes. `left` is what was signed, `right` what arrived. It
 * throws ERR_INVALID_ARGUMENT for what are no bytes.
 *
 * @example
 * const core = await loadCore()
 * const { part, offset, cause } = explain(core, signedBody, receivedBody)
 */
export function explain(core: ExplainCore, left: BytesLike, right: BytesLike): Explanation {
  optionsOf(core, 'core')
  const [ones, others] = [partsOf(core, left), partsOf(core, right)]
  const shared = ones.map(({ name }) => name).join() === others.map(({ name }) => name).join()
  const pairs: [Part, Part][] = shared
    ? ones.map((part, at) => [part, others[at] as Part])
    : [
        [
          { name: 'bytes', bytes: copyOf(left, 'left') },
          { name: 'bytes', bytes: copyOf(right, 'right') }
        ]
      ]
  for (const [one, other] of pairs) {
    const offset = firstDifference(one.bytes, other.bytes)
    if (offset === one.bytes.length && offset === other.bytes.length) continue
    const name = CAUSE_OF_FIELD[one.name]
    const cause = name ? { name, text: causes[name] } : causeOf(one.bytes, other.bytes)
    return { isSame: false, part: one.name, offset, left: one.bytes, right: other.bytes, ...(cause ? { cause } : {}) }
  }
  return { isSame: true }
}
