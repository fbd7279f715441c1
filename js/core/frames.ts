// SPDX-License-Identifier: MIT
// Frames, and the checks of requests and answers. Only envelopes cross into the core; payloads stay here or are hashed.

import { decodeBase64 } from '../common/base64.ts'
import { CountersignError } from '../common/errors.ts'
import { MAX_ENVELOPE } from '../common/protocol.ts'
import type {
  Bytes,
  BytesLike,
  FrameParts,
  OpenedResponse,
  OpenOptions,
  ParsedRequest,
  TrustedServerKey
} from '../common/types.ts'
import {
  badArgument,
  bytesOf,
  copyOf,
  flagOf,
  labelOf,
  lengthOf,
  optionsOf,
  partOf,
  sizedBytesOf,
  textOf,
  timeOf
} from './args.ts'
import { hashOf } from './handles.ts'
import type { TrustedKeyBytes, Wasm } from './wasm.ts'

const MAX_KEYS = 64
const DEFAULT_PAST_MS = 60_000
const DEFAULT_FUTURE_MS = 10_000
const TRUNCATED = -200

export function parseHead(w: Wasm, frame: Uint8Array): number {
  return checkSize(w, w.begin().call.parse_frame(putHead(w, frame)), frame)
}

/** putHead adds what of a frame the core has to see: an envelope is at most this long. */
const putHead = (w: Wasm, frame: Uint8Array): number =>
  w.put(lengthOf(frame) > MAX_ENVELOPE ? partOf(frame, 0, MAX_ENVELOPE) : frame)

/** checkSize checks a call's outcome: what ends too early in the head of a longer frame is an envelope that is too large. */
const checkSize = (w: Wasm, size: number, frame: Uint8Array): number => {
  if (size === TRUNCATED && lengthOf(frame) > MAX_ENVELOPE) throw new CountersignError('ERR_ENVELOPE_TOO_LARGE')
  return w.check(size)
}

export function buildFrame(
  w: Wasm,
  parts: { signingInput: BytesLike; keyId: string; signature: BytesLike; payload?: BytesLike }
): Bytes {
  const { signingInput, keyId, signature, payload } = optionsOf(parts, 'parts')
  const input = bytesOf(signingInput, 'signingInput')
  const signed = sizedBytesOf(signature, 64, 'signature')
  const rest = payload === undefined ? undefined : bytesOf(payload, 'payload')
  if (lengthOf(input) > MAX_ENVELOPE) throw new CountersignError('ERR_ENVELOPE_TOO_LARGE')
  w.begin().put(signed)
  return w.out(w.check(w.call.write_envelope(w.put(input), w.text(keyId, 'keyId', 0))), rest)
}

export function parseFrame(w: Wasm, frame: Uint8Array): FrameParts {
  const size = parseHead(w, frame)
  return {
    signingInput: w.bytesAt(0),
    keyId: w.textAt(2),
    signature: w.bytesAt(4),
    payload: copyOf(partOf(frame, size, lengthOf(frame)), 'frame')
  }
}

export function openRequest(
  w: Wasm,
  envelope: Uint8Array,
  options: { label: string; compatible?: boolean }
): ParsedRequest {
  const { label, compatible = false } = optionsOf(options, 'options')
  labelOf(label)
  w.begin()
  const size = w.call.open_request(putHead(w, envelope), w.text(label, 'label'), flagOf(compatible, 'compatible'))
  const envelopeLength = checkSize(w, size, envelope)
  const idempotencyKey = w.textAt(15)
  return {
    protocolVersion: w.textAt(7),
    deviceSessionId: w.textAt(9),
    messageType: w.textAt(11),
    timestampMs: w.number(0),
    requestId: w.textAt(13),
    ...(idempotencyKey === '' ? {} : { idempotencyKey }),
    payloadHash: w.bytesAt(1),
    signingInput: w.bytesAt(3),
    signature: w.bytesAt(5),
    envelopeLength
  }
}

const readKey = (given: TrustedServerKey): TrustedKeyBytes => {
  const { id, publicKey, notBefore = 0, notAfter } = optionsOf(given, 'a key')
  const bytes = typeof publicKey === 'string' ? decodeBase64(publicKey) : publicKey
  return {
    id: textOf(id, 'the id of a key', 0),
    publicKey: sizedBytesOf(bytes, 32, 'the publicKey of a key'),
    notBefore: timeOf(notBefore, 'notBefore'),
    notAfter: notAfter === undefined ? undefined : timeOf(notAfter, 'notAfter')
  }
}

const readKeys = (keys: unknown): TrustedKeyBytes[] => {
  if (!Array.isArray(keys)) throw badArgument('keys must be an array')
  const { length } = keys
  if (length > MAX_KEYS) throw badArgument(`keys must have at most ${MAX_KEYS} entries`)
  const read = Array.from({ length }, (_, index) => readKey(keys[index]))
  // An id names one key for ever: a message that names it has to have one meaning.
  if (new Set(read.map(({ id }) => id)).size < length) throw badArgument('keys must have different ids')
  return read
}

/** What requests and events are judged by alike. */
export function readTrust(given: Omit<OpenOptions, 'requestId' | 'anyKey'>) {
  const { label, keys, nowMs, timeFloorMs = 0, pastMs = DEFAULT_PAST_MS, futureMs = DEFAULT_FUTURE_MS } = given
  const past = timeOf(pastMs, 'pastMs')
  const future = timeOf(futureMs, 'futureMs')
  return {
    label: labelOf(label),
    keys: readKeys(keys),
    timeFloorMs: timeOf(timeFloorMs, 'timeFloorMs'),
    window: nowMs === undefined ? undefined : ([timeOf(nowMs, 'nowMs'), past, future] as const)
  }
}

const readRules = (options: OpenOptions) => {
  const given = optionsOf(options, 'options')
  const { requestId, anyKey = false } = given
  const trust = readTrust(given)
  return { ...trust, requestId: textOf(requestId, 'requestId'), anyKey: flagOf(anyKey, 'anyKey') }
}

type Rules = ReturnType<typeof readRules>

const open = (w: Wasm, envelope: Uint8Array, hash: Uint8Array, rules: Rules): Omit<OpenedResponse, 'payload'> => {
  w.begin().put(hash)
  const size = putHead(w, envelope)
  const label = w.text(rules.label, 'label')
  const requestId = w.text(rules.requestId, 'requestId')
  w.trust(rules.keys)
  const { anyKey, timeFloorMs, window } = rules
  const times = window ? ([1, ...window] as const) : ([0, 0, 0, 0] as const)
  checkSize(w, w.call.open_envelope(size, label, requestId, anyKey, timeFloorMs, ...times), envelope)
  return { resultCode: w.textAt(1), timestampMs: w.number(0) }
}

export function openEnvelope(
  w: Wasm,
  envelope: Uint8Array,
  payloadHash: BytesLike,
  options: OpenOptions
): Omit<OpenedResponse, 'payload'> {
  const rules = readRules(options)
  return open(w, envelope, sizedBytesOf(payloadHash, 32, 'payloadHash'), rules)
}

export function openResponse(w: Wasm, frame: Uint8Array, options: OpenOptions): OpenedResponse {
  const rules = readRules(options)
  const size = parseHead(w, frame)
  const payload = copyOf(partOf(frame, size, lengthOf(frame)), 'frame')
  return { ...open(w, partOf(frame, 0, size), hashOf(w, payload), rules), payload }
}
