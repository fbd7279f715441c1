// SPDX-License-Identifier: MIT
// Signing inputs of all kinds. A page writes its requests without this file, and loads it with what needs another kind.

import { CountersignError } from '../common/errors.ts'
import type { Algorithm, Bytes, SigningFields } from '../common/types.ts'
import { badArgument, bytesOf, integerOf, labelOf, lengthOf, optionsOf, sizedBytesOf, timeOf } from './args.ts'
import type { Wasm } from './wasm.ts'

/** The kinds of signing inputs. */
export type SigningKind = SigningFields['kind']
/** The fields of a signing input, in the order of wasm/messages.hpp: numbers, the hash or key, texts. */
export type MessageLayout = {
  readonly texts: readonly string[]
  readonly bytes: 'payloadHash' | 'publicKey'
  readonly numbers: readonly ('timestampMs' | 'sequence' | 'algorithm')[]
}

/** The algorithms, in the order of the C++ enum. */
export const ALGORITHMS: readonly Algorithm[] = ['ed25519', 'es256']
const MAX_KEY = 128

/** The layouts of the signing inputs that a page writes beside its requests. */
export const MESSAGES = {
  response: {
    numbers: ['timestampMs'],
    texts: ['label', 'protocolVersion', 'requestId', 'resultCode'],
    bytes: 'payloadHash'
  },
  enroll: { numbers: ['algorithm'], texts: ['label', 'challengeId', 'email'], bytes: 'publicKey' },
  rotate: { numbers: ['algorithm'], texts: ['label', 'deviceSessionId', 'requestId'], bytes: 'publicKey' }
} as const satisfies { readonly [Kind in SigningKind]?: MessageLayout }

const numberOf = (name: MessageLayout['numbers'][number], value: unknown): number => {
  if (name === 'timestampMs') return timeOf(value, name)
  if (name === 'sequence') return integerOf(value, 0, Number.MAX_SAFE_INTEGER, name)
  const index = ALGORITHMS.indexOf(value as Algorithm)
  if (index < 0) throw badArgument("algorithm must be 'ed25519' or 'es256'")
  return index
}

const fieldBytesOf = (name: MessageLayout['bytes'], value: unknown): Uint8Array => {
  if (name === 'payloadHash') return sizedBytesOf(value, 32, name)
  const key = bytesOf(value, name)
  // The core checks the exact length, because it knows the size of each algorithm's keys.
  if (lengthOf(key) > MAX_KEY) throw new CountersignError('ERR_BAD_PUBLIC_KEY')
  return key
}

/**
 * Writes a signing input.
 * @throws the error of the first field that is wrong.
 */
export function writeMessage<Kind extends string = keyof typeof MESSAGES>(
  wasm: Wasm,
  kind: Kind,
  fields: object,
  layouts: { readonly [Name in Kind]: MessageLayout } = MESSAGES as never
): Bytes {
  const { numbers, texts, bytes } = layouts[kind]
  const given = optionsOf(fields, 'fields') as { [name: string]: unknown }
  // A getter may run a caller's code, and that may call the core. So all fields are read before the buffer is used.
  const values: unknown[] = []
  for (const name of texts) values.push(given[name])
  const args: number[] = []
  for (const name of numbers) args.push(numberOf(name, given[name]))
  const field = fieldBytesOf(bytes, given[bytes])
  labelOf(values[0])
  const size = wasm.begin().put(field)
  if (bytes === 'publicKey') args.push(size)
  for (let index = 0; index < texts.length; index++) {
    const name = texts[index] as string
    const value = values[index]
    args.push(wasm.text(value === undefined && name === 'protocolVersion' ? 'v1' : value, name))
  }
  return wasm.out(wasm.check(wasm.call[`write_${kind}` as 'write_request'](...args)))
}
