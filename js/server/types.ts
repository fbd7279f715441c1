// SPDX-License-Identifier: MIT
// The shapes of the gateway library: what an application passes in, and the three stores it may replace.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Algorithm, BytesLike, Core, ReserveVerdict, Stage } from '../types.ts'

/** A registered device key (PROTOCOL.md, R88). Times are Unix milliseconds. */
export type Session = {
  /** 22 base64url characters; a compatible label takes any text. */
  id: string
  userId: string
  /** The registered key's algorithm: the only one its signatures are judged by. */
  algorithm: Algorithm
  /** 32 bytes of Ed25519, or the 65 of an uncompressed P-256 point. */
  publicKey: Uint8Array
  status: 'active' | 'revoked'
  createdMs: number
  lastSeenMs: number
  revokedMs?: number
  revokedReason?: string
}

/**
 * SessionStore keeps sessions. Every promise resolves only when its change would survive the death of the process, as far
 * as the store keeps anything at all; a rejected promise makes the gateway refuse with `cs.unavailable`.
 */
export interface SessionStore {
  /** Whether sessions live no longer than this process: none of them can have outlived a replay store then. */
  readonly volatile?: boolean
  get(id: string): Promise<Session | null>
  /** Resolves to false, and changes nothing, where the id is taken. */
  create(session: Session): Promise<boolean>
  /** Resolves to whether the session exists; the first reason and time are kept. */
  revoke(id: string, reason: string, atMs?: number): Promise<boolean>
  /** Every session of a user, revoked ones too. */
  listByUser(userId: string): Promise<Session[]>
  /** Compare-and-set of the key: resolves to false where `expectedKey` is not the present one. */
  replaceKey(
    id: string,
    expectedKey: Uint8Array,
    next: { algorithm: Algorithm; publicKey: Uint8Array }
  ): Promise<boolean>
  /** Notes when a session was last seen; never moves back. */
  touch(id: string, ms: number): Promise<void>
  /** Whether no session exists: a replay store that may have forgotten ids needs no fence then. Absent counts as false. */
  isEmpty?(): Promise<boolean>
}

/** ReplayStore reserves request ids (PROTOCOL.md, R58 to R64): bounded, never evicting a live id. */
export interface ReplayStore {
  /**
   * Takes the id `key32`, dated `timestampMs`, until `expiresMs` at least, in one atomic step. `session` names whose quota
   * it counts against; a rejected promise means it was perhaps taken and perhaps not.
   */
  reserve(
    key32: Uint8Array,
    timestampMs: number,
    expiresMs: number,
    nowMs: number,
    session?: string
  ): Promise<ReserveVerdict>
  /** The time at or under which nothing new is reserved (Unix milliseconds). */
  floorMs?(): number
  /** The part of the floor that outlived the last process; a gateway's clock starts there at least. Absent counts as 0. */
  storedFloorMs?(): number
  /** Whether ids accepted before this store was opened may be unknown to it: the gateway then asks for a fence. */
  readonly mayHaveForgotten?: boolean
  /** Raises the floor, for good, to `floorMs` and ends `mayHaveForgotten`. */
  fence?(floorMs: number): Promise<void>
  /** Live ids, for metrics. */
  size?(): number
  close(): Promise<void> | void
}

/** A challenge of the enrolment (PROTOCOL.md, R82 to R86). */
export type Challenge = {
  /** 22 base64url characters. */
  id: string
  /** The e-mail exactly as it was sent, or the user id of an application with its own login. */
  email: string
  /** Where the challenge was confirmed by a code; absent where the application vouches for the user. */
  codeHash?: Uint8Array
  createdMs: number
  expiresMs: number
}

/** A bound on events: at most `limit` within any `windowMs`. */
export type Allowance = { limit: number; windowMs: number; nowMs: number }

/** CodeStore keeps challenges and the counters that bound guessing and mail; every step is atomic. */
export interface CodeStore {
  /** Resolves to false where the store is full. */
  create(challenge: Challenge): Promise<boolean>
  /** Resolves to null for an unknown or expired challenge. */
  get(id: string, nowMs: number): Promise<Challenge | null>
  /** Takes one event of `key`: resolves to 0 where it was taken, to the milliseconds until one is free otherwise. */
  take(key: string, allowance: Allowance): Promise<number>
  /** Gives the latest event of `key` back. */
  giveBack(key: string): Promise<void>
  /**
   * Binds a challenge to one key. Resolves to the session id it is bound to: `sessionId` the first time, the earlier one
   * for the same `binding` again; null for another binding, or where the challenge is gone.
   */
  redeem(id: string, binding: string, sessionId: string, nowMs: number): Promise<string | null>
  close(): Promise<void> | void
}

/** Signs answers with the server's key; serverKeyFile makes one. */
export interface ServerSigner {
  /** 0 to 128 bytes of text, unique for ever. */
  readonly keyId: string
  /** 32 bytes of Ed25519. */
  readonly publicKey: Uint8Array
  sign(bytes: Uint8Array): Uint8Array | Promise<Uint8Array>
}

export type Binding = 'frame' | 'header' | 'json'

/** Requests a second, with bursts of as many; or both apart. */
export type Rate = number | { perSecond: number; burst: number }

export type Rates = {
  /** Before anything else, per source (`identify`); answered by a plain 429. */
  perSource?: Rate
  /** After the signature and the hash; answered by a signed `cs.rate_limited`. */
  perSession?: Rate
  perUser?: Rate
  /** Per user and message type (`demo.echo`) or route (`POST /api/echo`). */
  perType?: { readonly [route: string]: Rate }
}

/** What a handler gets: only what the session's key has signed, `unsigned` excepted. */
export type HandlerContext = {
  session: Session
  userId: string
  /** The message type; for the header binding `METHOD target` in full. */
  type: string
  /** Verified bytes, owned by the handler. */
  payload: Uint8Array
  /** The same over all tries of one intent (R18); absent where the client gave none. */
  idempotencyKey: string | undefined
  requestId: string
  timestampMs: number
  binding: Binding
  /** The signed request target of the header binding; empty otherwise. */
  target: string
  /** Values of the route's `:names`, percent-decoded; no prototype. */
  params: { readonly [name: string]: string }
  /** Aborted when the client is gone, the handler's time is up or the gateway closes. */
  signal: AbortSignal
  /** Nothing here is signed: hints at most, never a ground for a decision (R41). */
  unsigned: {
    readonly contentType: string
    readonly accept: string
    readonly acceptLanguage: string
    readonly userAgent: string
  }
}

/** What a handler gives back; nothing means `ok` (200) with an empty payload. */
export type HandlerResult = {
  /** `frame` and `json` routes; `ok` where absent. Not `cs.` or `http.`, which are reserved. */
  resultCode?: string
  payload?: BytesLike | string
  /** Header routes; 200 where absent. */
  status?: number
  /** Header routes; unsigned, `application/octet-stream` where absent. */
  contentType?: string
}

// biome-ignore lint/suspicious/noConfusingVoidType: a handler without a return statement answers `ok`
export type Handler = (context: HandlerContext) => HandlerResult | void | Promise<HandlerResult | void>

/** One check of one exchange. Texts are escaped to printable ASCII (R9). */
export type StageEvent = {
  /** As read, perhaps not yet verified; absent where nothing could be read. */
  requestId?: string
  /** Unique per exchange: tells two passes of one id apart. */
  exchange: number
  stage: Stage
  verdict: 'pass' | 'fail'
  /** A `cs.` code, or the ERR_ code of a plain refusal. */
  code?: string
  ms: number
  binding: Binding
}

/** One refused exchange, for logs: no payload, no signature, no code. Texts are escaped to printable ASCII (R9). */
export type RefusalEvent = {
  exchange: number
  /** Absent where no stage was reached (rates of a source, sizes, content types). */
  stage?: Stage
  code: string
  status: number
  signed: boolean
  requestId?: string
  sessionId?: string
  source: string
  /** What a handler threw, a store or a signer failed with: for the operator, never for the client. */
  error?: unknown
}

export type Limits = {
  /** Bytes of a payload, 8 MiB by default. */
  payloadBytes?: number
  /** Bytes of a payload in the `json` binding, which is read before it is verified; 1 MiB by default, at most payloadBytes. */
  jsonPayloadBytes?: number
  /** Time for an envelope to arrive in a body, and for a whole `json` body; 10 s by default. */
  envelopeMs?: number
  /** Time for a whole body; 60 s by default. */
  bodyMs?: number
  /** Time between two pieces of a body; 10 s by default. */
  idleMs?: number
  /** Bytes of all bodies that are held at one time, 256 MiB by default; beyond it requests are refused for the moment. */
  bufferedBytes?: number
  /** Time for a store or the signer to answer; 1 s by default and at most, as a reservation is void after that. */
  storeMs?: number
}

export type GatewayOptions = {
  /** `[a-z][a-z0-9.-]{0,31}`: one label, one registry of sessions, one replay store. */
  label: string
  signer: ServerSigner
  sessions: SessionStore
  replay: ReplayStore
  /** Message types (`demo.echo`) and routes (`POST /api/items/:id`). HEAD falls back to GET. */
  routes: { readonly [route: string]: Handler }
  /** Names the source of a request for the per-source limits; its address by default, IPv6 by /64. */
  identify?: (request: { header(name: string): string | null; method: string; target: string }, from: From) => string
  limits?: Limits
  /** Defaults: 60 s and 10 s, inclusive. */
  window?: { pastMs?: number; futureMs?: number }
  /** Exact origins that may call from a browser; none by default. */
  origins?: readonly string[]
  /** Defaults: 2,000 a second per source and per session. */
  rates?: Rates
  /** Time for a handler; 10 s by default. */
  handlerTimeoutMs?: number
  /** Takes any text as request and session id, for an existing galaxy system (R19): answers are bound to nothing then. */
  compatible?: boolean
  /** Undoes the rewriting of a front end: gives the target the client signed from the one that arrived. */
  mapTarget?: (rawTarget: string) => string
  /** Mounts the enrolment endpoints. */
  enrollment?: Mounted
  onStage?: (event: StageEvent) => void
  onRefusal?: (event: RefusalEvent) => void
  /** Unix milliseconds; what it gives never takes the gateway's clock back. */
  now?: () => number
  /** loadCore() by default. */
  core?: Core | Promise<Core>
}

/** Where a request came from. */
export type From = {
  remoteAddress?: string | undefined
  /** The request target as it stood in the request line; taken from the URL where absent. */
  rawTarget?: string | undefined
}

/** A request without a framework: what adapters hand to `exchange`. */
export type Inbound = {
  method: string
  /** In origin form, neither decoded nor normalised. */
  target: string
  /** One value, or null; a repeated header's values joined by `, `. */
  header(name: string): string | null
  /** The next piece of the body, null at its end; rejects where the sender is gone. */
  read(): Promise<Uint8Array | null>
  /** Calls back once when the sender has left; gives the way to stop listening. */
  onGone(listener: () => void): () => void
  remoteAddress: string
}

/** An answer without a framework. The request's body may not have been read to its end. */
export type Outbound = { status: number; headers: Record<string, string>; body: Uint8Array }

/** Something that answers paths of its own within a gateway: enrollment() makes one. */
export interface Mounted {
  owns(target: string): boolean
  exchange(inbound: Inbound, source: string): Promise<Outbound>
}

export interface Gateway {
  /** Answers a web-standard request. Never rejects. */
  handle(request: Request, from?: From): Promise<Response>
  /** The same for adapters. Never rejects. */
  exchange(inbound: Inbound): Promise<Outbound>
  /** Resolves when the core is loaded and the stores are in step; rejects with the reason where they cannot be. */
  ready(): Promise<void>
  /** Prometheus text. */
  metrics(): string
  /** Refuses new requests, waits for those under way (`drainMs`, 10 s by default), then aborts them. Stores stay open. */
  close(options?: { drainMs?: number }): Promise<void>
}

/** A node:http listener; express and connect may pass `next`, which then gets what went wrong. */
export type NodeListener = (
  request: IncomingMessage & { originalUrl?: string },
  response: ServerResponse,
  next?: (error?: unknown) => void
) => void
