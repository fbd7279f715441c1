// SPDX-License-Identifier: MIT
// The five signing inputs, written and parsed by the core from one table of their fields.

import { CountersignError } from '../common/errors.ts'
import type { Algorithm, Bytes, RequestFields, SigningFields } from '../common/types.ts'
import { badArgument, bytesOf, integerOf, labelOf, lengthOf, optionsOf, sizedBytesOf, timeOf } from './args.ts'
import type { Wasm } from './wasm.ts'

type Kind = SigningFields['kind']
type MessageLayout = {
  readonly texts: readonly string[]
  readonly bytes: 'payloadHash' | 'publicKey'
  readonly numbers: readonly ('timestampMs' | 'sequence' | 'algorithm')[]
}

/** In the order of the C++ enum. */
const KINDS: readonly Kind[] = ['request', 'response', 'event', 'enroll', 'rotate']
const ALGORITHMS: readonly Algorithm[] = ['ed25519', 'es256']
const MAX_KEY = 128

// In the order of wasm/bindings.cpp: numbers, the hash or key, texts.
const MESSAGES: { readonly [K in Kind]: MessageLayout } = {
  request: {
    numbers: ['timestampMs'],
    texts: ['label', 'protocolVersion', 'deviceSessionId', 'messageType', 'requestId'],
    bytes: 'payloadHash'
  },
  response: {
    numbers: ['timestampMs'],
    texts: ['label', 'protocolVersion', 'requestId', 'resultCode'],
    bytes: 'payloadHash'
  },
  event: {
    numbers: ['timestampMs', 'sequence'],
    texts: ['label', 'protocolVersion', 'deviceSessionId', 'eventType', 'eventId'],
    bytes: 'payloadHash'
  },
  enroll: { numbers: ['algorithm'], texts: ['label', 'challengeId', 'email'], bytes: 'publicKey' },
  rotate: { numbers: ['algorithm'], texts: ['label', 'deviceSessionId', 'requestId'], bytes: 'publicKey' }
}

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
  // What fits is judged by the core, which knows the size that belongs to the algorithm.
  if (lengthOf(key) > MAX_KEY) throw new CountersignError('ERR_BAD_PUBLIC_KEY')
  return key
}

/**
 * beginRequest binds the id of a request and writes its signing input; throws as writeMessage does. Every request passes
 * here, so its fields are taken one by one.
 */
export function beginRequest(w: Wasm, fields: RequestFields): { requestId: string; signingInput: Bytes } {
  const given = optionsOf(fields, 'fields')
  const { label, protocolVersion = 'v1', deviceSessionId, messageType, requestId } = given
  const timestampMs = timeOf(given.timestampMs, 'timestampMs')
  const hash = sizedBytesOf(given.payloadHash, 32, 'payloadHash')
  labelOf(label)
  w.begin().put(hash)
  const size = w.call.begin_request(
    timestampMs,
    w.text(label, 'label'),
    w.text(protocolVersion, 'protocolVersion'),
    w.text(deviceSessionId, 'deviceSessionId'),
    w.text(messageType, 'messageType'),
    w.text(requestId, 'requestId')
  )
  return { signingInput: w.out(w.check(size)), requestId: w.outAscii(w.number(0), w.number(1)) }
}

/** writeMessage writes a signing input to the core's result and gives its size; throws what is wrong with the fields. */
export function writeMessage(w: Wasm, kind: Kind, fields: object): number {
  const { numbers, texts, bytes } = MESSAGES[kind]
  const given = optionsOf(fields, 'fields') as { [name: string]: unknown }
  // A getter may run code of the caller's, which may call the core: all are read before the buffer is used.
  const values: unknown[] = []
  for (const name of texts) values.push(given[name])
  const args: number[] = []
  for (const name of numbers) args.push(numberOf(name, given[name]))
  const field = fieldBytesOf(bytes, given[bytes])
  labelOf(values[0])
  const size = w.begin().put(field)
  if (bytes === 'publicKey') args.push(size)
  for (let index = 0; index < texts.length; index++) {
    const name = texts[index] as string
    const value = values[index]
    args.push(w.text(value === undefined && name === 'protocolVersion' ? 'v1' : value, name))
  }
  return w.check(w.call[`write_${kind}` as 'write_request'](...args))
}

const readMessage = (w: Wasm, kind: Kind): SigningFields => {
  const { numbers, texts, bytes } = MESSAGES[kind]
  const fields: { [name: string]: unknown } = { kind }
  let at = 0
  for (const name of numbers) {
    const value = w.number(at++)
    fields[name] = name === 'algorithm' ? ALGORITHMS[value] : value
  }
  fields[bytes] = w.bytesAt(at)
  for (const name of texts) {
    at += 2
    fields[name] = w.textAt(at)
  }
  return fields as SigningFields
}

/** parseMessage takes apart a signing input of any kind; throws what is malformed. */
export function parseMessage(w: Wasm, input: Uint8Array): SigningFields {
  return w.large(lengthOf(input), false, () =>
    readMessage(w, KINDS[w.check(w.call.parse_signing_input(w.put(input)))] as Kind)
  )
}
