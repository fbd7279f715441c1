// SPDX-License-Identifier: MIT
// The types of the gateway library: the options of an application, and the objects that it gets.

import type { BytesLike, Core, Stage } from '../common/types.ts'
import type { Binding, Handler } from './handler.ts'
import type { Limits, Rates } from './limits.ts'
import type { RotatedEvent, StepUp } from './step-up.ts'
import type * as Stores from './stores/types.ts'
import type { AnswerHeadersInit } from './support/answer-headers.ts'
import type { GatewayLogger } from './support/fault-log.ts'
import type { CorsOptions } from './support/origins.ts'

export type * from './handler.ts'
export type * from './limits.ts'
export type * from './step-up.ts'
export type * from './stores/types.ts'
export type { AnswerHeadersInit, CorsOptions, GatewayLogger }

/** Signs answers with the server's key. `serverKeyFile` creates one. */
export interface ServerSigner {
  /** Names the key: 0 to 128 bytes of text that no other key ever has. */
  readonly keyId: string
  /** The Ed25519 public key, 32 bytes. */
  readonly publicKey: Uint8Array
  /** Returns the Ed25519 signature of `bytes`, 64 bytes. */
  sign(bytes: Uint8Array): Uint8Array | Promise<Uint8Array>
  /**
   * Derives a secret of 32 bytes from the private key, another one for each `purpose`, and the same wherever the key
   * is. Absent: parts that need a secret take it as an option.
   */
  deriveSecret?(purpose: string): Uint8Array
}

/**
 * How strict a gateway is while existing HTTP routes move behind signatures, from lenient to strict (PROTOCOL.md,
 * R140).
 */
export type MigrationPhase = 'observe' | 'warn' | 'require' | 'enforce'

/**
 * The gateway's verdict on a request that it passes on to the handler that was there before: the refusal of `enforce`.
 */
export type PassedOn = {
  readonly phase: MigrationPhase
  /** The stage that failed; absent where the request reached none. */
  readonly stage?: Stage
  /**
   * A `cs.` code, the ERR_ code of a plain refusal, or `unsigned`. `http.404` and `http.405` say that the request is verified
   * and has no signed route: its path has none, or only for other methods.
   */
  readonly code: string
  /** Only with `http.404` and `http.405`. Nothing of any other request is verified. */
  readonly sessionId?: string
  readonly userId?: string
}

/** One check of one request. Texts are escaped to printable ASCII (R9). */
export type GatewayStageEvent = {
  /** The id as it was read. It may not be verified yet. Absent where none could be read. */
  requestId?: string
  /** Numbers the requests of one gateway, so that two requests with one id can be told apart. */
  exchange: number
  stage: Stage
  verdict: 'pass' | 'fail'
  /** A `cs.` code, or the ERR_ code of a plain refusal. */
  code?: string
  /** The time since the check before, in milliseconds. */
  ms: number
  binding: Binding
}

/**
 * One refused request, for logs. It has no payload, signature or code of enrolment. Texts are escaped to ASCII (R9).
 */
export type RefusalEvent = {
  exchange: number
  /** Absent where the request reached no stage (rates of a source, sizes, content types, upgrades). */
  stage?: Stage
  code: string
  status: number
  signed: boolean
  /** True where the phase passed the request on to the handler that was there before. */
  passed?: boolean
  requestId?: string
  sessionId?: string
  source: string
  /** The exception of a handler, a store or the signer. It is for the operator; no client gets it. */
  error?: unknown
}

/** The options of `createGateway`. */
export type GatewayOptions = CorsOptions & {
  /** The name of this system: `[a-z][a-z0-9.-]{0,31}`. Each label has one session store and one replay store. */
  label: string
  signer: ServerSigner
  sessions: Stores.SessionStore
  replay: Stores.ReplayStore
  /** Numbers and keeps events. `publish`, `cs.subscribe` and `cs.poll` need it. Default: none. */
  events?: Stores.EventStore
  /**
   * The handlers by message type (`demo.echo`) or HTTP route (`POST /api/items/:id`, `GET /files/*`). A `*` stands for one
   * or more segments at the end of a path. `/files/*` without a method serves every method. HEAD falls back to GET. Of
   * several routes the narrower path serves a request. A path whose method no route serves is answered 405.
   */
  routes: { readonly [route: string]: Handler }
  /** Returns the source of a request for the rates per source. Default: its address, IPv6 by its /64. */
  identify?: (request: { header(name: string): string | null; method: string; target: string }, from: From) => string
  limits?: Limits
  /**
   * The window around the gateway's time in which a request is fresh, ends included. Default: 60000 ms and 10000 ms.
   */
  window?: { pastMs?: number; futureMs?: number }
  /** Rates count in each process for itself. Default: 2000 requests per second for each source and each session. */
  rates?: Rates
  /**
   * How long sessions live, in milliseconds. `idleMs`: a session that was not seen for so long is revoked; one hour at
   * least. `guestIdleMs`: the same for guests, where the enrolment takes them. `revokedMs`: a revoked session's record is
   * removed so long after; a day at least. From then on its client gets `cs.unauthenticated`. The gateway looks at some
   * sessions once a minute. Default: no session of a user is idle, 2592000000 ms (30 days) for guests, and 7776000000 ms
   * (90 days) for `revokedMs`.
   */
  sessionLife?: { idleMs?: number; guestIdleMs?: number; revokedMs?: number }
  /** The time for a handler to answer. Default: 10000 ms. */
  handlerTimeoutMs?: number
  /**
   * Accepts any text as request and session id, for an existing galaxy system (R19). Then no answer is bound to its
   * request. Default: false.
   */
  compatible?: boolean
  /**
   * Further headers that handlers may set (`headers` of their result) and pages of `origins` may read, at most 32 names.
   * These are always allowed: allow, content-disposition, content-language, content-type, etag, last-modified, link, location
   * (not with a 3xx status), retry-after, x-request-id. Headers that act on cookies, caches, CORS, the page or the
   * connection never are. Default: none.
   */
  answerHeaders?: readonly string[]
  /** Undoes the rewriting of a front end: returns the target that the client signed for the one that arrived. */
  mapTarget?: (rawTarget: string) => string
  /**
   * The only path that takes the frame and json bindings. Default: every path, for a gateway with a mount of its own.
   */
  endpoint?: string
  /** Answers `cs.keys` with server keys. A client accepts them only under a key of its own configuration. */
  serverKeys?: KeyManifest
  /** Answers `cs.action_secret`. `secretHandler()` of countersign/action-proof/server creates one. */
  actionSecret?: Handler
  /**
   * Signs the answers to `cs.keys`, refusals too. Clients have this key in their configuration, and learn the key of
   * `signer` by it (PROTOCOL.md, R128). Enrolment has its own signer. Default: `signer`.
   */
  keySigner?: ServerSigner
  /**
   * How strict the gateway is with requests for other paths than `endpoint`, which is required then. In `observe` and
   * `warn` it passes the requests that it would refuse on to the handler that was there before: `next` of nodeHandler,
   * or `legacy`. Default: `enforce`.
   */
  phase?: MigrationPhase
  /** The handler that was there before, for `handle`. It gets the whole request, and the gateway's verdict. */
  legacy?: (request: Request, verdict: PassedOn) => Response | Promise<Response>
  /** The enrolment endpoints; `enrollment()` creates them. */
  enrollment?: Mounted
  /** Whether a user confirms each new key, or a signature is enough: SECURITY.md states the price. Default: `confirm`. */
  rotation?: 'confirm' | 'trusted'
  /** Decides about a new key in place of the code that `enrollment` mails. With neither, no key is replaced. */
  stepUp?: StepUp
  /** Called for each key that was replaced. */
  onRotated?: (event: RotatedEvent) => void
  /** Called for each check of each request. */
  onStage?: (event: GatewayStageEvent) => void
  /** Called for each refused request. */
  onRefusal?: (event: RefusalEvent) => void
  /**
   * Receives each exception of a handler, of `stepUp` and of the other functions of the application. An exception may
   * quote bytes of a request. Default: `console.error` prints it with its stack, escaped.
   */
  logger?: GatewayLogger
  /** Called at the start and once a minute while something is to be mended. Default: `process.emitWarning` (stderr). */
  onWarning?: (warning: Stores.GatewayWarning) => void
  /** Returns the time in Unix milliseconds. The gateway's clock never goes back. Default: the system's clock. */
  now?: () => number
  /**
   * Runs a function after `afterMs` milliseconds, for streams and polls. Returns the function that cancels it. Tests
   * replace it. Default: setTimeout.
   */
  schedule?: (run: () => void, afterMs: number) => () => void
  /** Default: `loadCore()`. */
  core?: Core | Promise<Core>
}

/**
 * Server keys that clients trust beside the configured ones. A higher serial replaces the set. Times are Unix
 * milliseconds.
 */
export type KeyManifest = {
  serial: number
  keys: readonly { id: string; publicKey: Uint8Array; notBefore?: number; notAfter: number }[]
}

/** The origin of a request on the network. */
export type From = {
  /** The address of the sender. All requests without one count as one source. */
  remoteAddress?: string | undefined
  /** The request target as it stood in the request line. Default: the one of the URL. */
  rawTarget?: string | undefined
}

/** A request without a framework. Adapters pass it to `exchange`. */
export type Inbound = {
  method: string
  /** The request target in origin form, neither decoded nor normalised. */
  target: string
  /** Returns the value of a header, or null. The values of a repeated header are joined by `, `. */
  header(name: string): string | null
  /** Resolves to the next piece of the body, or to null at its end. Rejects where the sender is gone. */
  read(): Promise<Uint8Array | null>
  /** Calls `listener` once when the sender has left. Returns the function that stops listening. */
  onGone(listener: () => void): () => void
  remoteAddress: string
  /** True where there is a handler to pass the request on to. Default: false. */
  canPassOn?: boolean
  /** True where a header that the gateway reads came twice: two readers could understand the request differently. */
  isAmbiguous?: boolean
  /** Set for a connection that carries frames both ways. It accepts only `cs.subscribe`. */
  carrier?: 'websocket'
}

/** An answer without a framework. The gateway may not have read the request's body to its end. */
export type Outbound = {
  status: number
  headers: Record<string, string>
  body: Uint8Array
  /** The frames that follow the body, until the stream ends. */
  stream?: OutboundStream
  /** The adapter passes the whole request on instead of sending this answer, where it can. */
  passOn?: PassedOn
}

/** The rest of an answer that is a stream. The adapter pulls it, so a slow reader holds back only itself. */
export type OutboundStream = {
  /** Resolves to the next piece, or to null at the end. Call it again once the last piece is sent. Never rejects. */
  next(): Promise<Uint8Array | null>
  /** Ends the stream, because the reader has gone. */
  leave(): void
  /**
   * The reason of the end, once there is one: `revoked`, `closed` (the gateway), or another word for a lost connection.
   */
  readonly reason: string | undefined
  /**
   * Calls `listener` once when the adapter has to cut a connection that is still sending. Returns the function that
   * stops listening.
   */
  onOver(listener: () => void): () => void
}

/**
 * The receiver of an event: one session (by its id) or all active sessions of a user. `email` is the user of that address,
 * as the mounted enrolment names it. A string is a session's id.
 */
export type PublishTarget = string | { sessionId: string } | { userId: string } | { email: string }

/** Answers its own paths within a gateway. `enrollment()` creates one. */
export interface Mounted {
  owns(target: string): boolean
  exchange(inbound: Inbound, source: string): Promise<Outbound>
  /** Returns how many mails there were since the start, by result, for metrics. */
  mails?(): { readonly [result: string]: number }
  /** Whether users whose id begins with `guest:` are guests, whom nobody has identified. Default: false. */
  readonly takesGuests?: boolean
  /** Returns the user of an address, for `publish({ email })`. */
  userIdOf?(email: string): string
  /** Moves a clock of its own forward to `ms`, the gateway's time in Unix milliseconds. From there it runs on. */
  follow?(ms: number): void
  /** Decides whether a session gets a new key, where the gateway has no `stepUp` of its own. */
  readonly stepUp?: StepUp
}

/** A gateway, made by `createGateway`. */
export interface Gateway {
  readonly phase: MigrationPhase
  /**
   * Answers a web-standard request.
   * @throws ERR_INVALID_ARGUMENT when the argument is no Request.
   * @throws ERR_BODY_CONSUMED when other code has read the body of the Request.
   */
  handle(request: Request, from?: From): Promise<Response>
  /** Answers a request of an adapter. Never rejects. */
  exchange(inbound: Inbound): Promise<Outbound>
  /**
   * Tells whether a path is the gateway's: `endpoint`, a path of the enrolment, or the path of a route, with any method.
   * `target` is the raw request target. A mount beside other routes passes on what is not the gateway's.
   * @throws ERR_INVALID_ARGUMENT when the gateway has no `endpoint`: any path may have a message then.
   */
  owns(target: string): boolean
  /**
   * Checks the headers of a WebSocket upgrade, for adapters. Returns 101 or the status of the refusal. With 101 the
   * connection holds a place among the requests of its source. The adapter calls `leave` before it passes the first
   * message on, and when the connection ends.
   */
  upgrade(inbound: Inbound): { status: number; leave(): void }
  /** Resolves when the core is loaded and the stores are ready. Rejects with the reason where that is not possible. */
  ready(): Promise<void>
  /**
   * Numbers an event for one session, or for all active sessions of a user, and sends it on their streams. Resolves to
   * the number of sessions.
   *
   * @throws ERR_INVALID_ARGUMENT when the target or the payload is not valid.
   * @throws ERR_INVALID_TEXT or ERR_RESERVED_TYPE when the type is not valid.
   * @throws ERR_PAYLOAD_TOO_LARGE when the payload is larger than 65536 bytes (64 KiB).
   * @throws ERR_STORAGE_FAILED when a store did not take the event.
   * @throws ERR_CLOSED after `close`.
   */
  publish(target: PublishTarget, type: string, payload?: BytesLike | string): Promise<number>
  /**
   * Removes what the stores have of a user: sessions, their events, and with `answers` the kept answers of that store.
   * Open streams end. Resolves to the number of sessions. After a rejection, call it again. Ids of requests go by
   * themselves within two minutes, challenges within ten. Counters of the enrolment are keyed hashes, and go within two
   * days.
   *
   * @throws ERR_INVALID_ARGUMENT when a store cannot forget a user.
   * @throws ERR_STORAGE_FAILED when a store fails.
   */
  forgetUser(userId: string, options?: { answers?: Stores.AnswerStore }): Promise<number>
  /** Returns the metrics in the text format of Prometheus. */
  metrics(): string
  /**
   * Refuses new requests, ends streams, and waits for the requests under way for `drainMs` milliseconds. Then it aborts
   * them. Stores stay open. Default: 10000 ms.
   */
  close(options?: { drainMs?: number }): Promise<void>
}
