// SPDX-License-Identifier: MIT
// Frames, and the checks of requests and answers. Only envelopes enter the core. Payloads stay in JavaScript, or only
// their hash enters.

import { CountersignError } from '../common/errors.ts'
import { MAX_ENVELOPE } from '../common/protocol.ts'
import type { BytesLike, FrameParts, OpenedResponse, OpenOptions, ParsedRequest } from '../common/types.ts'
import { copyOf, flagOf, labelOf, lengthOf, optionsOf, partOf, sizedBytesOf, textOf, timeOf } from './args.ts'
import type { Wasm } from './wasm.ts'

/** Keys that the core holds. */
export type Keys = {
  /** Makes them those of the next check. */
  trust(): void
}

const DEFAULT_PAST_MS = 60_000
const DEFAULT_FUTURE_MS = 10_000
const TRUNCATED = -200

/**
 * Parses the envelope of a frame and returns its length.
 * @throws ERR_ENVELOPE_TOO_LARGE or a malformed error.
 */
export function parseHead(wasm: Wasm, frame: Uint8Array): number {
  return checkSize(wasm, wasm.begin().call.parse_frame(putHead(wasm, frame)), frame)
}

/** Adds the beginning of a frame to the arguments: as many bytes as an envelope may have. */
const putHead = (wasm: Wasm, frame: Uint8Array): number =>
  wasm.put(lengthOf(frame) > MAX_ENVELOPE ? partOf(frame, 0, MAX_ENVELOPE) : frame)

/** Checks the outcome of a call. When the core saw only the head of a frame, "truncated" means "too large". */
const checkSize = (wasm: Wasm, size: number, frame: Uint8Array): number => {
  if (size === TRUNCATED && lengthOf(frame) > MAX_ENVELOPE) throw new CountersignError('ERR_ENVELOPE_TOO_LARGE')
  return wasm.check(size)
}

/**
 * Parses a frame and returns copies of its parts.
 * @throws a malformed error when the bytes are no frame.
 */
export function parseFrame(wasm: Wasm, frame: Uint8Array): FrameParts {
  const size = parseHead(wasm, frame)
  return {
    signingInput: wasm.bytesAt(0),
    keyId: wasm.textAt(2),
    signature: wasm.bytesAt(4),
    payload: copyOf(partOf(frame, size, lengthOf(frame)), 'frame')
  }
}

/**
 * Parses a request and checks that its id is bound to it.
 * @throws a malformed or rejected error.
 */
export function openRequest(
  wasm: Wasm,
  envelope: Uint8Array,
  options: { label: string; compatible?: boolean }
): ParsedRequest {
  const { label, compatible = false } = optionsOf(options, 'options')
  labelOf(label)
  wasm.begin()
  const size = wasm.call.open_request(
    putHead(wasm, envelope),
    wasm.text(label, 'label'),
    flagOf(compatible, 'compatible')
  )
  const envelopeLength = checkSize(wasm, size, envelope)
  const idempotencyKey = wasm.textAt(15)
  return {
    protocolVersion: wasm.textAt(7),
    isSupportedVersion: wasm.number(17) === 1,
    deviceSessionId: wasm.textAt(9),
    messageType: wasm.textAt(11),
    timestampMs: wasm.number(0),
    requestId: wasm.textAt(13),
    ...(idempotencyKey === '' ? {} : { idempotencyKey }),
    payloadHash: wasm.bytesAt(1),
    signingInput: wasm.bytesAt(3),
    signature: wasm.bytesAt(5),
    envelopeLength
  }
}

/** Checks the rules that answers and events share, and returns them for the core. */
export function readTrust(ring: Keys, given: Omit<OpenOptions, 'requestId' | 'anyKey'>) {
  const { label, nowMs, timeFloorMs = 0, pastMs = DEFAULT_PAST_MS, futureMs = DEFAULT_FUTURE_MS } = given
  const past = timeOf(pastMs, 'pastMs')
  const future = timeOf(futureMs, 'futureMs')
  return {
    label: labelOf(label),
    ring,
    timeFloorMs: timeOf(timeFloorMs, 'timeFloorMs'),
    window: nowMs === undefined ? undefined : ([timeOf(nowMs, 'nowMs'), past, future] as const)
  }
}

/**
 * Checks the rules of an answer and returns them for the core.
 * @throws usage errors.
 */
export function readRules(ring: Keys, options: OpenOptions) {
  const given = optionsOf(options, 'options')
  const { requestId, anyKey = false } = given
  const trust = readTrust(ring, given)
  return { ...trust, requestId: textOf(requestId, 'requestId'), anyKey: flagOf(anyKey, 'anyKey') }
}

type AnswerRules = ReturnType<typeof readRules>

/**
 * Makes all checks of an answer whose rules were read.
 * @throws the error of the first check that refuses.
 */
export function openRead(
  wasm: Wasm,
  envelope: Uint8Array,
  hash: Uint8Array,
  rules: AnswerRules
): Omit<OpenedResponse, 'payload'> {
  wasm.begin().put(hash)
  const size = putHead(wasm, envelope)
  const label = wasm.text(rules.label, 'label')
  const requestId = wasm.text(rules.requestId, 'requestId')
  rules.ring.trust()
  const { anyKey, timeFloorMs, window } = rules
  const times = window ? ([1, ...window] as const) : ([0, 0, 0, 0] as const)
  checkSize(wasm, wasm.call.open_envelope(size, label, requestId, anyKey, timeFloorMs, ...times), envelope)
  return { resultCode: wasm.textAt(1), timestampMs: wasm.number(0) }
}

/**
 * Opens an answer whose payload is hashed already.
 * @throws the error of the first check that refuses, and usage errors.
 */
export function openEnvelope(
  wasm: Wasm,
  envelope: Uint8Array,
  payloadHash: BytesLike,
  options: OpenOptions,
  ring: Keys
): Omit<OpenedResponse, 'payload'> {
  const rules = readRules(ring, options)
  return openRead(wasm, envelope, sizedBytesOf(payloadHash, 32, 'payloadHash'), rules)
}
