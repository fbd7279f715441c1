// SPDX-License-Identifier: MIT
// The shapes that several folders share. This file has types only.

import type { RequestJudge } from './judgement.ts'
import type { Algorithm, Bytes, BytesLike } from './primitives.ts'

export type * from './primitives.ts'
export type * from './stored.ts'

/** The fields of a request's signing input. */
export type RequestFields = {
  label: string
  /** Default: `v1`. */
  protocolVersion?: string
  deviceSessionId: string
  messageType: string
  timestampMs: number
  requestId: string
  payloadHash: BytesLike
}

/** The fields of an answer's signing input. */
export type ResponseFields = {
  label: string
  protocolVersion?: string
  requestId: string
  timestampMs: number
  resultCode: string
  payloadHash: BytesLike
}

/** The fields of an event's signing input. */
export type EventFields = {
  label: string
  protocolVersion?: string
  deviceSessionId: string
  eventType: string
  sequence: number
  timestampMs: number
  eventId: string
  payloadHash: BytesLike
}

/** The fields of the signing input that proves the possession of a key at enrolment. */
export type EnrollFields = {
  label: string
  challengeId: string
  algorithm: Algorithm
  publicKey: BytesLike
  email: string
}

/** The fields of the signing input that proves the possession of a session's next key. */
export type RotateFields = {
  label: string
  deviceSessionId: string
  requestId: string
  algorithm: Algorithm
  publicKey: BytesLike
}

type Parsed<Kind extends string, Fields> = { kind: Kind; protocolVersion: string } & {
  [Name in keyof Fields as Name extends 'protocolVersion' ? never : Name]-?: Fields[Name] extends BytesLike
    ? Bytes
    : Fields[Name]
}

/** The result of `parseSigningInput`. `enroll` and `rotate` carry no protocol version. */
export type SigningFields =
  | Parsed<'request', RequestFields>
  | Parsed<'response', ResponseFields>
  | Parsed<'event', EventFields>
  | Omit<Parsed<'enroll', EnrollFields>, 'protocolVersion'>
  | Omit<Parsed<'rotate', RotateFields>, 'protocolVersion'>

/** The parts of a frame. */
export type FrameParts = {
  signingInput: Bytes
  /** The id of the server's key; empty in requests. */
  keyId: string
  /** 64 bytes. */
  signature: Bytes
  payload: Bytes
}

/** A server key that the application trusts. */
export type TrustedServerKey = {
  /** The key's id: 0 to 128 bytes of text. An id names one key for ever. */
  id: string
  /** 32 bytes, or their standard base64. */
  publicKey: BytesLike | string
  /** The first time at which the key is valid, in Unix milliseconds, inclusive. Default: 0. */
  notBefore?: number
  /** The last time at which the key is valid, in Unix milliseconds, inclusive. Default: no end. */
  notAfter?: number
}

/** Server keys that the core keeps for many messages, until `free`. */
export interface KeyRing {
  free(): void
}

/** The rules by which an answer is checked. */
export type OpenOptions = {
  label: string
  /** The server keys that may have signed the message. A list is read anew for each message; a ring is kept. */
  keys: readonly TrustedServerKey[] | KeyRing
  /** The request id that the answer must carry. */
  requestId: string
  /** The present time, in Unix milliseconds. Without it the core does not check freshness. */
  nowMs?: number
  /** The maximum age of the message, in milliseconds. Default: 60000 ms. */
  pastMs?: number
  /** The maximum lead of the message over `nowMs`, in milliseconds. Default: 10000 ms. */
  futureMs?: number
  /** The time floor, in Unix milliseconds. A key whose `notAfter` lies before it verifies nothing. Default: 0. */
  timeFloorMs?: number
  /** Tries every trusted key, because the JSON binding names none. Default: false. */
  anyKey?: boolean
}

/** A verified answer. `timestampMs` is in Unix milliseconds. */
export type OpenedResponse = { resultCode: string; timestampMs: number; payload: Bytes }

/** The rules by which an event is checked: those of an answer and the place in the stream. */
export type EventOptions = Omit<OpenOptions, 'requestId' | 'anyKey'> & {
  deviceSessionId: string
  /** The id of the stream, from the verified answer to the subscription. */
  stream: string
  /**
   * The number of the last event that the client accepted; without it the core does not check the order. A numbered
   * event must be the next one; `cs.time`, `cs.gap` and `cs.revoked` must repeat the number.
   */
  lastSequence?: number
  /**
   * The earliest date of a `cs.time`, `cs.gap` or `cs.revoked`, in Unix milliseconds. It counts with `lastSequence`
   * only. Default: 0.
   */
  sinceMs?: number
}

/** A verified event. `timestampMs` is in Unix milliseconds. */
export type OpenedEvent = {
  eventType: string
  sequence: number
  timestampMs: number
  eventId: string
  payload: Bytes
}

/** A request as the gateway has it after the `parse` check. Nothing of it is verified yet. */
export type ParsedRequest = {
  protocolVersion: string
  /** Whether a gateway of this release speaks that version (stage `version`). */
  isSupportedVersion: boolean
  deviceSessionId: string
  messageType: string
  timestampMs: number
  requestId: string
  /** The idempotency key, which is signed as a part of the id; absent when the caller gave none. */
  idempotencyKey?: string
  payloadHash: Bytes
  signingInput: Bytes
  signature: Bytes
  /** The length of the envelope, in bytes. The payload follows it. */
  envelopeLength: number
}

/** The origin of the estimate of the server's time. */
export type ClockSource = 'none' | 'stored' | 'event' | 'round-trip'

/** An estimate of the server's time: `monotonic + offsetMs`, true within ± `errorMs`. */
export type ClockEstimate = { offsetMs: number; errorMs: number; ageMs: number; source: ClockSource }

/** One time sample. `sentMs` and `receivedMs` are of the monotonic clock, `serverMs` is in Unix milliseconds. */
export type RoundTrip = { sentMs: number; receivedMs: number; serverMs: number }

/** Tracks the server's clock (PROTOCOL.md, "The server's clock"). All times are in milliseconds. */
export interface CoreClock {
  /**
   * Adds the sample of an answer. Returns false when the round trip took more than 5000 ms. `replace` drops the old
   * estimate first, after a signed `cs.stale`.
   */
  addRoundTrip(sample: RoundTrip & { replace?: boolean }): boolean
  /** Adds the sample of an event. Returns whether the core used it. */
  addEvent(sample: { receivedMs: number; serverMs: number }): boolean
  /** Starts from a stored offset. The source is `stored` until a verified sample arrives. */
  addStored(sample: { monotonicMs: number; serverMs: number; errorMs: number }): void
  /** Compares the two local clocks. Returns whether the device slept or a clock stepped by more than 250 ms. */
  noteWall(sample: { monotonicMs: number; wallMs: number }): boolean
  /** Returns the estimate at a time of the monotonic clock. */
  estimate(monotonicMs: number): ClockEstimate
  /** Returns the time to stamp on a message: an integer, never before the last one that it returned. */
  stamp(monotonicMs: number): number
  /** Forgets all samples. */
  reset(): void
  free(): void
}

/** Remembers request ids in memory, so that the gateway accepts each of them once. */
export interface ReplayGuard {
  /** Reserves an id until `expiresMs`. All times are in Unix milliseconds. */
  reserve(
    key32: BytesLike,
    timestampMs: number,
    expiresMs: number,
    nowMs: number,
    sessionKey?: BytesLike
  ): ReserveVerdict
  /**
   * Refuses an id of a session for good without keeping it: the session's own floor rises to `timestampMs`, and is kept
   * until `expiresMs`. Forgets the id when `isReserved`, which says that the caller has reserved it. Returns `limited`,
   * `used` for an id that another caller has reserved, or `full` without room for a floor.
   */
  limit(
    key32: BytesLike,
    timestampMs: number,
    expiresMs: number,
    nowMs: number,
    sessionKey: BytesLike,
    isReserved: boolean
  ): ReserveVerdict
  /** The number of ids and session floors that the guard holds. */
  readonly size: number
  /** The time before which the guard refuses every message, in Unix milliseconds. */
  readonly floorMs: number
  free(): void
}

/**
 * The outcome of `reserve`: only `reserved` lets the request through. An object says that the id lies at or under its
 * session's own floor: it is never reserved. A request that is dated `retryAfterMs` later may be.
 */
export type ReserveVerdict =
  | 'reserved'
  | 'used'
  | 'too-old'
  | 'full'
  | { readonly verdict: 'limited'; readonly retryAfterMs: number }

/** A public key that is ready to verify many messages. */
export interface TrustedKey {
  verify(message: BytesLike, signature: BytesLike): boolean
  free(): void
}

/** A SHA-256 in progress. `digest` ends it. */
export interface Sha256Stream {
  update(chunk: BytesLike): Sha256Stream
  digest(): Bytes
}

/** The C++ core. Every method copies its arguments and its result, and throws a CountersignError. */
export interface Core extends RequestJudge {
  readonly version: string
  sha256(bytes: BytesLike): Bytes
  createSha256(): Sha256Stream
  hmacSha256(key: BytesLike, message: BytesLike): Bytes
  /** Verifies a tag of exactly 32 bytes, in constant time. */
  verifyHmacSha256(key: BytesLike, message: BytesLike, tag: BytesLike): boolean
  requestSigningInput(fields: RequestFields): Bytes
  responseSigningInput(fields: ResponseFields): Bytes
  eventSigningInput(fields: EventFields): Bytes
  enrollSigningInput(fields: EnrollFields): Bytes
  rotateSigningInput(fields: RotateFields): Bytes
  /** Returns the whole request id. `fields.requestId` is the part before the dot. */
  bindRequestId(fields: RequestFields): string
  /** Binds the request id and writes the signing input in one call. `fields.requestId` is the part before the dot. */
  beginRequest(fields: RequestFields): { requestId: string; signingInput: Bytes }
  parseSigningInput(bytes: BytesLike): SigningFields
  buildFrame(parts: { signingInput: BytesLike; keyId: string; signature: BytesLike; payload?: BytesLike }): Bytes
  parseFrame(bytes: BytesLike): FrameParts
  verifyEd25519(publicKey: BytesLike, message: BytesLike, signature: BytesLike): boolean
  /** Returns whether an Ed25519 key is canonical and not of small order. Registration requires both. */
  isAcceptableEd25519Key(publicKey: BytesLike): boolean
  trustedKey(publicKey: BytesLike): TrustedKey
  /** Reads up to 64 server keys once, for the checks of many messages. */
  keyRing(keys: readonly TrustedServerKey[]): KeyRing
  openResponse(frame: BytesLike, options: OpenOptions): OpenedResponse
  /** Opens an answer whose payload travels apart from its envelope and is hashed already. */
  openEnvelope(
    envelope: BytesLike,
    payloadHash: BytesLike,
    options: OpenOptions
  ): { resultCode: string; timestampMs: number }
  /**
   * Opens an event. The checks in their order: parse, signature, session, stream, payload hash, freshness, sequence.
   */
  openEvent(frame: BytesLike, options: EventOptions): OpenedEvent
  /** Returns the id that binds an event to its place in a stream. */
  eventId(stream: string, sequence: number, eventType: string): string
  /**
   * Parses a request and checks its id, for the gateway. `envelope` may be a whole frame: the core reads its first 1
   * KiB only.
   */
  openRequest(envelope: BytesLike, options: { label: string; compatible?: boolean }): ParsedRequest
  /** Returns SHA-256(field(label) · field(device_session_id) · field(request_id)). */
  replayKey(label: string, deviceSessionId: string, requestId: string): Bytes
  createClock(): CoreClock
  createReplayGuard(options: { capacity: number; sessionQuota?: number; floorMs?: number }): ReplayGuard
}
