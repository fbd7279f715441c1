// SPDX-License-Identifier: MIT
// The types of a handler: what it gets, and what it may return.

import type { BytesLike } from '../common/types.ts'
import type { SessionRecord } from './stores/types.ts'
import type { AnswerHeadersInit } from './support/answer-headers.ts'

/** The form of a message: a binary frame, an HTTP header with the payload as the body, or JSON. */
export type Binding = 'frame' | 'header' | 'json'

/** The argument of a handler. The session's key has signed all of it, except `source` and `unsigned`. */
export type HandlerContext = {
  session: SessionRecord
  userId: string
  /** The message type; in the header binding the whole `METHOD target`. */
  type: string
  /** The route that matched, as it was registered. */
  route: string
  /** The verified bytes. The handler owns them and may change them. */
  payload: Uint8Array
  /**
   * Returns the payload as a JSON value; undefined for an empty payload. Where it is no JSON, it throws, and the caller
   * gets a signed `cs.bad_request`. Call it before the handler has any effect.
   */
  json<Value = unknown>(): Value
  /** The same for all tries of one intent (R18). Undefined where the client gave none. */
  idempotencyKey: string | undefined
  requestId: string
  /** The time that the client stamped, in Unix milliseconds. */
  timestampMs: number
  /** The gateway's time when the request had passed its checks, in Unix milliseconds. */
  acceptedMs: number
  binding: Binding
  /** The signed request target of the header binding: path and query, as they were sent. Empty otherwise. */
  target: string
  /** The signed method of the header binding; empty otherwise. */
  method: string
  /** The path of `target`. It is not decoded. */
  path: string
  /** The query of `target`, decoded. A name may come several times: `query.getAll(name)`. */
  query: URLSearchParams
  /** The source of the request, by which its rate is counted (see `identify`). It is not signed. */
  source: string
  /** The values of the route's `:names`, percent-decoded. The object has no prototype. */
  params: { readonly [name: string]: string }
  /** Aborts when the client is gone, the handler's time is up, or the gateway closes. */
  signal: AbortSignal
  /** Unsigned headers. Use them as hints, never as the ground for a decision (R41). */
  unsigned: {
    readonly contentType: string
    readonly accept: string
    readonly acceptLanguage: string
    readonly userAgent: string
  }
}

/**
 * The result of a handler. Without one the answer is `ok` (200) with an empty payload. A result with another member, or
 * of another type, is a TypeError: its caller gets `cs.internal`, and `logger` the reason.
 */
export type HandlerResult = {
  /** For message types. `cs.` and `http.` are reserved. Default: `ok`. */
  resultCode?: string
  /** A string is encoded as UTF-8. Default: empty. */
  payload?: BytesLike | string
  /** A value that becomes JSON, in place of `payload`. `contentType` is then `application/json` by default. */
  json?: unknown
  /** For HTTP routes: 200 to 299, 304 or 400 to 599, since no client reads a redirect. Default: 200. */
  status?: number
  /** For HTTP routes. It is not signed. Default: `application/octet-stream`. */
  contentType?: string
  /**
   * Further headers of the HTTP answer, in every binding. Nobody signs them. The names are those that `answerHeaders`
   * of `createGateway` names; values are printable ASCII; together 2048 bytes at most. Default: none.
   */
  headers?: AnswerHeadersInit
}

/**
 * Answers a verified request. A valid signature says which session sent which bytes, and when. It does not say that they
 * are true (R99): the handler still checks ownership, permissions and plausibility. An exception becomes a signed
 * `cs.internal`, which says nothing of it; `logger` and `onRefusal` get the reason.
 */
export type Handler = (context: HandlerContext) => HandlerOutput | Promise<HandlerOutput>

/**
 * What a handler returns. Bytes are the payload. A Response gives its body, and to an HTTP route its status and content
 * type too; for a message type its status must be 200 to 299.
 */
// biome-ignore lint/suspicious/noConfusingVoidType: a handler without a return statement answers `ok`
export type HandlerOutput = HandlerResult | BytesLike | Response | void
