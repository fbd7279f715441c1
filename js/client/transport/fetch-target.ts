// SPDX-License-Identifier: MIT
// What a call of client.fetch means, read before anything else happens: what a caller changes later changes nothing (R92).

import { CountersignError, isCountersignError } from '../../common/errors.ts'
import { badArgument, optionsOf } from '../../core/args.ts'
import type { Progress } from '../call-options.ts'
import { resolveUrl } from '../options.ts'

/** What client.fetch takes beyond fetch's own options. */
export type SignedFetchInit = RequestInit & {
  /** The limit of the whole call, in milliseconds. */
  timeoutMs?: number | undefined
  /** Makes a lost answer safe to ask for again: 1 to 64 of `[A-Za-z0-9_-]`, handed to the application. */
  idempotencyKey?: string | undefined
  onProgress?: ((progress: Progress) => void) | undefined
}

/** The arguments of one client.fetch, each member read once, its body taken and not yet read. */
export type FetchTarget = {
  readonly method: string
  readonly href: string
  /** `METHOD SP target`, before it is shortened. */
  readonly line: string
  readonly headers: Headers
  readonly extra: RequestInit
  readonly signal: AbortSignal | null | undefined
  readonly limits: Pick<SignedFetchInit, 'timeoutMs' | 'idempotencyKey' | 'onProgress'>
  readonly body: Response | Request | undefined
}

const asUsage = <T>(make: () => T): T => {
  try {
    return make()
  } catch (cause) {
    throw isCountersignError(cause) ? cause : new CountersignError('ERR_INVALID_ARGUMENT', { cause })
  }
}

// Of whatever realm: a frame's URL is a URL too.
const isA = (name: string, value: unknown): boolean => Object.prototype.toString.call(value) === `[object ${name}]`

/** readTarget reads fetch's arguments as fetch itself does, on the client's origin; throws usage errors (R37). */
export function readTarget(origin: string, input: string | URL | Request, init: SignedFetchInit): FetchTarget {
  return asUsage(() => {
    const request = isA('Request', input) ? (input as Request) : undefined
    const options = optionsOf(init, 'init')
    const { method = request?.method ?? 'GET', headers = request?.headers, signal = request?.signal } = options
    const { body = null, keepalive, priority, timeoutMs, idempotencyKey, onProgress } = options
    const url = resolveUrl(isA('URL', input) ? (input as URL).href : (request?.url ?? input), origin)
    // Request refuses the methods that fetch refuses; it leaves `patch` as it is, which no server knows.
    const verb = new Request(origin, { method: String(method) }).method.toUpperCase()
    if (body === null && request?.bodyUsed) throw badArgument('the body of the Request was already read')
    // A Response takes every kind of body in every engine, a Request does not; bytes are copied here and now.
    const given = body === null ? request : new Response(body)
    const all = new Headers(headers)
    const type = body === null ? null : given?.headers.get('content-type')
    if (type && !all.has('content-type')) all.set('content-type', type)
    return {
      method: verb,
      href: url.href,
      line: `${verb} ${url.pathname}${url.search}`,
      headers: all,
      extra: { ...(keepalive === undefined ? {} : { keepalive }), ...(priority === undefined ? {} : { priority }) },
      signal,
      limits: { timeoutMs, idempotencyKey, onProgress },
      body: given?.body === null ? undefined : given
    }
  })
}
