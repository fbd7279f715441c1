// SPDX-License-Identifier: MIT
// The shapes of the gateway library: what an application passes in, and what it gets.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { BytesLike, Core, Stage } from '../common/types.ts'
import type { EventStore, ReplayStore, SessionRecord, SessionStore } from './stores/types.ts'

export type * from './stores/types.ts'

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

/** How strict a gateway is with routes of the header binding that are being moved behind it (PROTOCOL.md, R140). */
export type Phase = 'observe' | 'warn' | 'require' | 'enforce'

/** What the handler that was there before is told of a request: what `enforce` would have answered, and why. */
export type PassedOn = {
  readonly phase: Phase
  /** Absent where no stage was reached. */
  readonly stage?: Stage
  /** A `cs.` code, the ERR_ code of a plain refusal, `unsigned`, or `http.404` for a verified request without a signed route. */
  readonly code: string
  /** Only with `http.404`, where everything is verified; nothing of any other request is. */
  readonly sessionId?: string
  readonly userId?: string
}

/** What a handler gets: only what the session's key has signed, `unsigned` excepted. */
export type HandlerContext = {
  session: SessionRecord
  userId: string
  /** The message type; for the header binding `METHOD target` in full. */
  type: string
  /** The route that was found, as it was registered. */
  route: string
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
export type GatewayStageEvent = {
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
  /** Not refused in this phase: passed on to the handler that was there before. */
  passed?: boolean
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
  /** Open streams of one session, 16 by default, and of all, 10,000 by default. */
  sessionStreams?: number
  streams?: number
  /** Silence after which a stream says `cs.time`; 10 s by default and at most. */
  heartbeatMs?: number
  /** How long a stream's reader may take nothing before it is cut off; 30 s by default. */
  stalledMs?: number
  /** Time for a store or the signer to answer; 1 s by default and at most, as a reservation is void after that. */
  storeMs?: number
}

export type GatewayOptions = {
  /** `[a-z][a-z0-9.-]{0,31}`: one label, one registry of sessions, one replay store. */
  label: string
  signer: ServerSigner
  sessions: SessionStore
  replay: ReplayStore
  /** Numbers and keeps events; with it there are `publish`, `cs.subscribe` and `cs.poll`. */
  events?: EventStore
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
  /** The one path that takes the frame and json bindings; any path does where it is absent (a mount of its own). */
  endpoint?: string
  /** Answers `cs.keys`: server keys to come. A client believes it only under a key of its own configuration. */
  serverKeys?: KeyManifest
  /** Answers `cs.action_secret`: secretHandler() of countersign/action-proof/server makes one. */
  actionSecret?: Handler
  /**
   * Signs what answers `cs.keys`, refusals too: the key that clients have in their configuration while `signer` is one that
   * they learn by it (PROTOCOL.md, R128). `signer` unless told; enrolment has a signer of its own.
   */
  keySigner?: ServerSigner
  /**
   * How strict the gateway is with what is not for `endpoint`, which has to be told then: in `observe` and `warn` what would
   * be refused is passed on to the handler that was there before, `next` of nodeHandler or `legacy`. `enforce` by default.
   */
  phase?: Phase
  /** The handler that was there before, for `handle`. It gets the request whole, and what is known of it. */
  legacy?: (request: Request, verdict: PassedOn) => Response | Promise<Response>
  /** Mounts the enrolment endpoints. */
  enrollment?: Mounted
  onStage?: (event: GatewayStageEvent) => void
  onRefusal?: (event: RefusalEvent) => void
  /** Unix milliseconds; what it gives never takes the gateway's clock back. */
  now?: () => number
  /** Runs something later, for streams and polls, and gives the way to cancel that; setTimeout by default. Tests drive it. */
  schedule?: (run: () => void, afterMs: number) => () => void
  /** loadCore() by default. */
  core?: Core | Promise<Core>
}

/** Server keys for clients to trust beside the configured ones; a higher serial replaces the whole set. Times are Unix milliseconds. */
export type KeyManifest = {
  serial: number
  keys: readonly { id: string; publicKey: Uint8Array; notBefore?: number; notAfter: number }[]
}

/** Where a request came from. */
export type From = {
  /** Requests without one count as one source. */
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
  /** There is somebody to pass it on to where the phase says so. */
  canPassOn?: boolean
  /** A header that means something here came twice: two readers could take the request for two. */
  isAmbiguous?: boolean
  /** A connection that carries frames both ways: it takes `cs.subscribe` and nothing else. */
  carrier?: 'websocket'
}

/** An answer without a framework. The request's body may not have been read to its end. */
export type Outbound = {
  status: number
  headers: Record<string, string>
  body: Uint8Array
  /** What goes out after the body, for as long as it lasts. */
  stream?: OutboundStream
  /** Instead of this answer, a refusal, the adapter passes the request on, whole, where it can. */
  passOn?: PassedOn
}

/** The rest of an answer that goes on: pulled by the adapter, so that a slow reader holds nothing back but itself. */
export type OutboundStream = {
  /** The next piece, null at the end; asked again once the last one is on its way. Never rejects. */
  next(): Promise<Uint8Array | null>
  /** The reader has gone. */
  leave(): void
  /** Why it has ended, once it has: `revoked`, `closed` (the gateway), or another word for a lost connection. */
  readonly reason: string | undefined
  /** Calls back once when the adapter has to cut the connection if it is still sending; gives the way to stop listening. */
  onOver(listener: () => void): () => void
}

/** Whose sessions an event is for. */
export type PublishTarget = string | { sessionId: string } | { userId: string }

/** Something that answers paths of its own within a gateway: enrollment() makes one. */
export interface Mounted {
  owns(target: string): boolean
  exchange(inbound: Inbound, source: string): Promise<Outbound>
}

export interface Gateway {
  readonly phase: Phase
  /** Answers a web-standard request. Rejects only with ERR_INVALID_ARGUMENT, for what is no Request. */
  handle(request: Request, from?: From): Promise<Response>
  /** The same for adapters. Never rejects. */
  exchange(inbound: Inbound): Promise<Outbound>
  /** Judges the headers of a WebSocket upgrade: 101 or the status of its refusal, and whose it is. For adapters. */
  upgrade(inbound: Inbound): { status: number; source: string }
  /** Resolves when the core is loaded and the stores are in step; rejects with the reason where they cannot be. */
  ready(): Promise<void>
  /**
   * Numbers an event for one session, or for all active ones of a user, and sends it on their streams; resolves to how many
   * sessions it was numbered for. Rejects with ERR_INVALID_ARGUMENT, ERR_INVALID_TEXT or ERR_RESERVED_TYPE for what is no
   * event, ERR_PAYLOAD_TOO_LARGE over 64 KiB, ERR_STORAGE_FAILED where a store did not take it, ERR_CLOSED after `close`.
   */
  publish(target: PublishTarget, type: string, payload?: BytesLike | string): Promise<number>
  /** Prometheus text. */
  metrics(): string
  /** Refuses new requests, ends streams, waits for requests under way (`drainMs`, 10 s by default), then aborts them. Stores stay open. */
  close(options?: { drainMs?: number }): Promise<void>
}

/** A node:http listener; express and connect may pass `next`, which then gets what went wrong. */
export type NodeListener = (
  request: IncomingMessage & { originalUrl?: string },
  response: ServerResponse,
  next?: (error?: unknown) => void
) => void
