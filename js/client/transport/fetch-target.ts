// SPDX-License-Identifier: MIT
// Reads the arguments of client.fetch before anything else happens. A later change by the caller has no effect (R92).

import { CountersignError, isCountersignError } from '../../common/errors.ts'
import { badArgument, copyOf, optionsOf } from '../../core/args.ts'
import type { Progress } from '../call-options.ts'
import { resolveUrl } from '../options.ts'

/**
 * The options of `client.fetch`: those of `fetch`, and these. `method`, `headers`, `body`, `signal`, `keepalive` and
 * `priority` mean what they mean to `fetch`. A signed request sends no credentials and no referrer, follows no redirect
 * and uses no cache. So `credentials`, `mode`, `cache`, `redirect`, `referrer`, `referrerPolicy`, `window` and `duplex`
 * have no effect. `integrity`, `dispatcher`, `agent` and misspelt names of the options below are refused.
 */
export type SignedFetchInit = RequestInit & {
  /** The limit of the whole call with its retries, in milliseconds. Default: `timeoutMs` of `connect` (15000 ms). */
  timeoutMs?: number | undefined
  /**
   * Makes the call safe to repeat after a lost answer: 1 to 64 of `[A-Za-z0-9_-]`. The gateway passes it to the
   * application. Default: none.
   */
  idempotencyKey?: string | undefined
  /** Receives the progress while the answer's body arrives. */
  onProgress?: ((progress: Progress) => void) | undefined
}

/** The arguments of one client.fetch. Each member was read once; the body is taken over and not read yet. */
export type FetchTarget = {
  readonly method: string
  readonly href: string
  /** The request line, `METHOD SP target`, before it is shortened. */
  readonly line: string
  readonly headers: Headers
  readonly extra: RequestInit
  /** The members of the options that countersign does not use. */
  readonly others: object
  readonly signal: AbortSignal | null | undefined
  readonly limits: Pick<SignedFetchInit, 'timeoutMs' | 'idempotencyKey' | 'onProgress'>
  readonly body: Response | Request | AsyncIterable<unknown> | undefined
}

const asUsage = <T>(make: () => T): T => {
  try {
    return make()
  } catch (cause) {
    throw isCountersignError(cause) ? cause : new CountersignError('ERR_INVALID_ARGUMENT', { cause })
  }
}

// The tag works across realms: a URL of a frame is a URL too.
const isA = (name: string, value: unknown): boolean => Object.prototype.toString.call(value) === `[object ${name}]`

const isBuffer = (value: unknown): value is BufferSource =>
  ArrayBuffer.isView(value) || isA('ArrayBuffer', value) || isA('SharedArrayBuffer', value)

const isIterable = (value: unknown): value is AsyncIterable<unknown> =>
  !(value instanceof ReadableStream) && typeof Object(value)[Symbol.asyncIterator] === 'function'

/**
 * Takes a body over. In every engine a Response takes every kind of body, while a Request does not. What a Response
 * would quietly turn into other bytes is not left to it: detached buffers, views among the chunks of an iterable, and
 * objects, of which it sends the text.
 */
const takeBody = (body: BodyInit): Response | AsyncIterable<unknown> => {
  if (isBuffer(body)) return new Response(copyOf(body, 'body'))
  if (isIterable(body)) return body
  const taken = new Response(body)
  const isText = taken.headers.get('content-type') === 'text/plain;charset=UTF-8'
  if (isText && Object(body) === body) throw badArgument('body must be text, bytes or another body of fetch')
  return taken
}

/**
 * Reads the arguments as fetch itself does, on the client's origin (R37).
 * @throws ERR_FOREIGN_ORIGIN when the URL has another origin, and usage errors.
 */
export function readTarget(origin: string, input: string | URL | Request, init: SignedFetchInit | null): FetchTarget {
  return asUsage(() => {
    const request = isA('Request', input) ? (input as Request) : undefined
    const options = optionsOf(init ?? {}, 'init')
    const { method = request?.method ?? 'GET', headers = request?.headers, signal = request?.signal, ...rest } = options
    const { body = null, keepalive, priority, timeoutMs, idempotencyKey, onProgress, ...others } = rest
    const url = resolveUrl(isA('URL', input) ? (input as URL).href : (request?.url ?? input), origin)
    // Request refuses the methods that fetch refuses. It keeps `patch` in lower case, which servers do not know.
    const verb = new Request(origin, { method: String(method) }).method.toUpperCase()
    if (body === null && request?.bodyUsed) throw badArgument('the body of the Request was already read')
    const taken = body === null ? undefined : takeBody(body)
    const given = taken ?? request
    const all = new Headers(headers)
    const type = taken instanceof Response && taken.headers.get('content-type')
    if (type && !all.has('content-type')) all.set('content-type', type)
    return {
      method: verb,
      href: url.href,
      line: `${verb} ${url.pathname}${url.search}`,
      headers: all,
      extra: { ...(keepalive === undefined ? {} : { keepalive }), ...(priority === undefined ? {} : { priority }) },
      others,
      signal,
      limits: { timeoutMs, idempotencyKey, onProgress },
      body: (given as Response | undefined)?.body === null ? undefined : given
    }
  })
}
