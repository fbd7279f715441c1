// SPDX-License-Identifier: MIT
// Explains why two messages differ: the first field and the first byte that differ, and the likely cause. It is for
// developers at their own machine. A server must not send this to clients.

import { isCountersignError } from '../common/errors.ts'
import { encodeText } from '../common/text.ts'
import type { Bytes, BytesLike, Core } from '../common/types.ts'
import { copyOf, optionsOf } from '../core/args.ts'
import { type Cause, type CauseName, causeOf, causes } from './causes.ts'

export { type Cause, type CauseName, causes } from './causes.ts'
export { explainKey, keyReadings } from './keys.ts'

/** A named part of a message. */
export type Part = { name: string; bytes: Bytes }

/** The result of a comparison. */
export type Explanation = {
  isSame: boolean
  /** The first part that differs: a field, `payload`, or `bytes` for a message without fields. */
  part?: string
  /** The first byte that differs, counted from 0 within the part. */
  offset?: number
  /** Both parts as a whole. */
  left?: Bytes
  right?: Bytes
  cause?: Cause
}

function partOf([name, value]: [string, unknown]): Part[] {
  if (value instanceof Uint8Array) return [{ name, bytes: new Uint8Array(value) }]
  if (typeof value === 'string' || typeof value === 'number') return [{ name, bytes: encodeText(String(value)) }]
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

/**
 * Splits a frame or a signing input into parts. Anything else is one part, `bytes`.
 * @throws ERR_INVALID_ARGUMENT when the message is not bytes.
 */
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
  // The payload comes before its hash: when both differ, the payload is the reason.
  const rest: Part[] = [
    { name: 'keyId', bytes: encodeText(keyId) },
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
 * Compares two messages: frames, signing inputs, or any bytes. `left` is the message that was signed, `right` the one
 * that arrived.
 * @throws ERR_INVALID_ARGUMENT when an argument is not bytes.
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
