// SPDX-License-Identifier: MIT
// The shapes that several rooms share. Types only: nothing here runs.

/** Bytes this package hands out: always a fresh copy over an ordinary ArrayBuffer. */
export type Bytes = Uint8Array<ArrayBuffer>

/** Bytes this package takes: copied once at entry (PROTOCOL.md, "Buffers"). */
export type BytesLike = ArrayBuffer | ArrayBufferView

/** Client key algorithms; the registered key decides, a message never names one. */
export type Algorithm = 'ed25519' | 'es256'

/** The checks of a message, in the one vocabulary of errors, logs, metrics, lights and tests. */
export type Stage =
  | 'parse'
  | 'version'
  | 'session'
  | 'signature'
  | 'freshness'
  | 'replay'
  | 'payload_hash'
  | 'rate'
  | 'handler'
  | 'request_id'
  | 'sequence'

export type RequestFields = {
  label: string
  /** Defaults to `v1`. */
  protocolVersion?: string
  deviceSessionId: string
  messageType: string
  timestampMs: number
  requestId: string
  payloadHash: BytesLike
}

export type ResponseFields = {
  label: string
  protocolVersion?: string
  requestId: string
  timestampMs: number
  resultCode: string
  payloadHash: BytesLike
}

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

export type EnrollFields = {
  label: string
  challengeId: string
  algorithm: Algorithm
  publicKey: BytesLike
  email: string
}

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

/** What `parseSigningInput` returns; `enroll` and `rotate` carry no protocol version. */
export type SigningFields =
  | Parsed<'request', RequestFields>
  | Parsed<'response', ResponseFields>
  | Parsed<'event', EventFields>
  | Omit<Parsed<'enroll', EnrollFields>, 'protocolVersion'>
  | Omit<Parsed<'rotate', RotateFields>, 'protocolVersion'>

export type FrameParts = {
  signingInput: Bytes
  /** Empty in requests. */
  keyId: string
  /** Exactly 64 bytes. */
  signature: Bytes
  payload: Bytes
}

/** A server key the application trusts; `notBefore` and `notAfter` are Unix milliseconds, inclusive. */
export type TrustedServerKey = {
  /** 0 to 128 bytes of text, unique for ever. */
  id: string
  /** 32 bytes, or their standard base64. */
  publicKey: BytesLike | string
  notBefore?: number
  notAfter?: number
}

export type OpenOptions = {
  label: string
  keys: readonly TrustedServerKey[]
  /** The id the answer has to carry. */
  requestId: string
  /** Judges freshness as a window when given. */
  nowMs?: number
  pastMs?: number
  futureMs?: number
  /** A key whose `notAfter` lies before this time verifies nothing (Unix milliseconds). */
  timeFloorMs?: number
  /** The JSON binding names no key: try every trusted one. */
  anyKey?: boolean
}

export type OpenedResponse = { resultCode: string; timestampMs: number; payload: Bytes }

/** What an event has to meet; everything but these is as for an answer. */
export type EventOptions = Omit<OpenOptions, 'requestId' | 'anyKey'> & {
  deviceSessionId: string
  /** The stream that the verified answer to the subscription named. */
  stream: string
  /** The number of the last event taken: a numbered event has to be the next, `cs.time`, `cs.gap` and `cs.revoked` repeat it. Not judged without. */
  lastSequence?: number
  /** With `lastSequence`: no `cs.time`, `cs.gap` or `cs.revoked` may be dated before this (Unix milliseconds). */
  sinceMs?: number
}

export type OpenedEvent = {
  eventType: string
  sequence: number
  timestampMs: number
  eventId: string
  payload: Bytes
}

/** A request as the gateway sees it after `parse`: nothing of it has been verified yet. */
export type ParsedRequest = {
  protocolVersion: string
  deviceSessionId: string
  messageType: string
  timestampMs: number
  requestId: string
  /** Signed inside the id; absent where the caller gave none. */
  idempotencyKey?: string
  payloadHash: Bytes
  signingInput: Bytes
  signature: Bytes
  /** Bytes of the envelope; what follows is the payload. */
  envelopeLength: number
}

export type ClockSource = 'none' | 'stored' | 'event' | 'round-trip'

/** Server time is `monotonic + offsetMs`, true within ± `errorMs`. */
export type ClockEstimate = { offsetMs: number; errorMs: number; ageMs: number; source: ClockSource }

export type RoundTrip = { sentMs: number; receivedMs: number; serverMs: number }

/** The tracker of the server's clock (PROTOCOL.md, "The server's clock"). All times in milliseconds. */
export interface CoreClock {
  /** Returns whether the sample was taken; over 5 s of round trip it is not. `replace` drops the old estimate first (cs.stale). */
  addRoundTrip(sample: RoundTrip & { replace?: boolean }): boolean
  addEvent(sample: { receivedMs: number; serverMs: number }): boolean
  /** Starts from a stored offset: source `stored` until a verified sample arrives. */
  addStored(sample: { monotonicMs: number; serverMs: number; errorMs: number }): void
  /** Returns whether a sleep or step of more than 250 ms was seen. */
  noteWall(sample: { monotonicMs: number; wallMs: number }): boolean
  estimate(monotonicMs: number): ClockEstimate
  /** The time to stamp on a message: never before the last one given, an integer. */
  stamp(monotonicMs: number): number
  reset(): void
  free(): void
}

export interface ReplayGuard {
  reserve(
    key32: BytesLike,
    timestampMs: number,
    expiresMs: number,
    nowMs: number,
    sessionKey?: BytesLike
  ): ReserveVerdict
  readonly size: number
  readonly floorMs: number
  free(): void
}

export type ReserveVerdict = 'reserved' | 'used' | 'too-old' | 'full'

export interface TrustedKey {
  verify(message: BytesLike, signature: BytesLike): boolean
  free(): void
}

export interface Sha256Stream {
  update(chunk: BytesLike): Sha256Stream
  digest(): Bytes
}

/** The C++ core by itself. Every method copies in, copies out and throws a CountersignError. */
export interface Core {
  readonly version: string
  sha256(bytes: BytesLike): Bytes
  createSha256(): Sha256Stream
  hmacSha256(key: BytesLike, message: BytesLike): Bytes
  /** Exactly 32 bytes of tag, compared in constant time. */
  verifyHmacSha256(key: BytesLike, message: BytesLike, tag: BytesLike): boolean
  requestSigningInput(fields: RequestFields): Bytes
  responseSigningInput(fields: ResponseFields): Bytes
  eventSigningInput(fields: EventFields): Bytes
  enrollSigningInput(fields: EnrollFields): Bytes
  rotateSigningInput(fields: RotateFields): Bytes
  /** `requestId` is the part before the dot; returns the whole id. */
  bindRequestId(fields: RequestFields): string
  /** The hot path of a request: binds the id and writes the signing input in one call. `requestId` as for bindRequestId. */
  beginRequest(fields: RequestFields): { requestId: string; signingInput: Bytes }
  parseSigningInput(bytes: BytesLike): SigningFields
  buildFrame(parts: { signingInput: BytesLike; keyId: string; signature: BytesLike; payload?: BytesLike }): Bytes
  parseFrame(bytes: BytesLike): FrameParts
  verifyEd25519(publicKey: BytesLike, message: BytesLike, signature: BytesLike): boolean
  /** Whether an Ed25519 key is canonical and not of small order (what registration asks). */
  isAcceptableEd25519Key(publicKey: BytesLike): boolean
  trustedKey(publicKey: BytesLike): TrustedKey
  openResponse(frame: BytesLike, options: OpenOptions): OpenedResponse
  /** openResponse for an envelope whose payload travels, and was hashed, apart (header binding, large payloads). */
  openEnvelope(
    envelope: BytesLike,
    payloadHash: BytesLike,
    options: OpenOptions
  ): { resultCode: string; timestampMs: number }
  /** The client's checks of an event: parse · signature · session · stream · payload hash · freshness · sequence. */
  openEvent(frame: BytesLike, options: EventOptions): OpenedEvent
  /** The id that binds an event to its place in a stream. */
  eventId(stream: string, sequence: number, eventType: string): string
  /** Gateway: parse and request id of an envelope, or of a frame's beginning (at most its first 1 KiB are read). */
  openRequest(envelope: BytesLike, options: { label: string; compatible?: boolean }): ParsedRequest
  /** SHA-256(field(label) · field(device_session_id) · field(request_id)). */
  replayKey(label: string, deviceSessionId: string, requestId: string): Bytes
  createClock(): CoreClock
  createReplayGuard(options: { capacity: number; sessionQuota?: number; floorMs?: number }): ReplayGuard
}

/** Signs without showing its key: for Node and native shells, where a CryptoKey cannot be written to disk. */
export interface Signer {
  sign(bytes: Bytes): Promise<Uint8Array>
}

/** A delivered set of server keys: the signed frame of an answer, and what of its request it is bound to. */
export type KeySet = { frame: Uint8Array; requestId: string; timestampMs: number }

/** What a key store keeps under one name. */
export type Stored = {
  key: CryptoKey | Signer
  publicKey: Uint8Array
  algorithm: Algorithm
  sessionId?: string
  /** The server has said, signed, that this session is over. */
  revoked?: boolean
  /** When the server was last asked for its keys, and what it had delivered (PROTOCOL.md, R126). */
  serverKeys?: { askedMs: number; set?: KeySet }
  /** Latest verified server time kept for this label (PROTOCOL.md, "time floor"). */
  timeFloorMs?: number
  /** Server time minus wall clock, as last verified. */
  clock?: { offsetMs: number; errorMs: number; wallMs: number }
  /** The public key's thumbprint (RFC 7638), kept beside the session that it is registered for. */
  thumbprint?: string
  /** The better rungs of the ladder that failed when this key was made, each with its error's code. */
  skipped?: { readonly [rung: string]: string }
  /** A key on its way to replace this one: the server has one of the two. */
  next?: Pick<Stored, 'key' | 'publicKey' | 'algorithm' | 'thumbprint' | 'skipped'> & {
    /** The server's time when it was first seen to have the old key still. */
    heldMs?: number
  }
}

/** Where a device key lives. Calls of one name are serialised by `lock`, across tabs where the platform can. */
export interface KeyStore {
  get(name: string): Promise<Stored | null>
  /** Resolves to false, and changes nothing, where the name is taken. */
  add(name: string, stored: Stored): Promise<boolean>
  put(name: string, stored: Stored): Promise<void>
  delete(name: string): Promise<void>
  lock<T>(name: string, work: () => Promise<T>): Promise<T>
  /** What tells records of one name apart: clients over stores of one scope tell each other of changes. Absent: the whole origin. */
  readonly scope?: string
}
