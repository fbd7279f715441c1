// SPDX-License-Identifier: MIT
// Finding the handler of a message, and running it so that nothing it does can hang or end the process.

import { CountersignError } from '../../common/errors.ts'
import type { Stage } from '../../common/types.ts'
import { DeadlineError, type Listen } from '../support/deadline.ts'
import { emptyBytes, isText } from '../support/encoding.ts'
import type { Handler, HandlerContext, HandlerResult, Inbound, Outbound } from '../types.ts'
import { hasNoBody, type RefusalCode } from './sign-answer.ts'

/** A handler, the name of its route (for rates), and what its `:names` stand for. */
export type Found = { handler: Handler; route: string; params: { readonly [name: string]: string } }

/** Routes finds handlers; undefined where there is none. */
export type Routes = {
  ofType(type: string): Found | undefined
  ofTarget(method: string, target: string): Found | undefined
}

type Pattern = { route: string; handler: Handler; method: string; segments: string[] }

const NO_PARAMS = Object.freeze(Object.create(null)) as { readonly [name: string]: string }

/** isReservedName tells whether a type or code is the protocol's own (R32). */
export function isReservedName(text: string): boolean {
  return text.startsWith('cs.') || text.startsWith('http.')
}

/** isHeaderType tells whether a message type belongs to the header binding (R31). */
export function isHeaderType(type: string): boolean {
  return type.includes(' ') || type.startsWith('sha256:')
}

function readParam(raw: string): string | undefined {
  try {
    return decodeURIComponent(raw)
  } catch {
    return undefined
  }
}

function match(pattern: Pattern, method: string, segments: string[]): Found | undefined {
  if (pattern.method !== method || pattern.segments.length !== segments.length) return undefined
  const params: { [name: string]: string } = Object.create(null)
  for (const [at, wanted] of pattern.segments.entries()) {
    const given = segments[at] as string
    if (wanted.startsWith(':')) {
      const value = given === '' ? undefined : readParam(given)
      if (value === undefined) return undefined
      params[wanted.slice(1)] = value
    } else if (wanted !== given) return undefined
  }
  return { handler: pattern.handler, route: pattern.route, params }
}

/**
 * createRoutes compiles routes; throws ERR_RESERVED_TYPE, ERR_INVALID_TEXT or ERR_INVALID_ARGUMENT for what no application
 * may register. `reserved`: these are the protocol's own.
 */
export function createRoutes(routes: { readonly [route: string]: Handler }, { reserved = false } = {}): Routes {
  const exact = new Map<string, Found>()
  const patterns: Pattern[] = []
  for (const [route, handler] of Object.entries(routes)) {
    if (typeof handler !== 'function')
      throw new CountersignError('ERR_INVALID_ARGUMENT', { detail: 'routes: each handler must be a function' })
    const line = /^([A-Z]+) (\/[\x21-\x7e]*)$/.exec(route)
    if (!line && !reserved && (isReservedName(route) || isHeaderType(route)))
      throw new CountersignError('ERR_RESERVED_TYPE', { detail: 'routes' })
    if (!line && !isText(route)) throw new CountersignError('ERR_INVALID_TEXT', { detail: 'routes' })
    const [, method = '', path = ''] = line ?? []
    const segments = path.split('/')
    if (segments.some((segment) => segment.startsWith(':'))) patterns.push({ route, handler, method, segments })
    else exact.set(route, { handler, route, params: NO_PARAMS })
  }
  const lookUp = (method: string, path: string): Found | undefined => {
    const found = exact.get(`${method} ${path}`)
    if (found || patterns.length === 0) return found
    const segments = path.split('/')
    for (const pattern of patterns) {
      const matched = match(pattern, method, segments)
      if (matched) return matched
    }
    return undefined
  }
  return {
    ofType: (type) => exact.get(type),
    ofTarget(method, target) {
      const query = target.indexOf('?')
      const path = query < 0 ? target : target.slice(0, query)
      return lookUp(method, path) ?? (method === 'HEAD' ? lookUp('GET', path) : undefined)
    }
  }
}

/** What a handler of this library refuses in the gateway's own name. */
export class HandlerRefusal extends Error {
  override name = 'HandlerRefusal'
  readonly code: RefusalCode
  readonly retryAfterMs: number | undefined
  readonly stage: Stage

  constructor(code: RefusalCode, retryAfterMs: number | undefined, cause: unknown, stage: Stage = 'handler') {
    super(code, { cause })
    this.code = code
    this.retryAfterMs = retryAfterMs
    this.stage = stage
  }
}

/** isRefusal tells a HandlerRefusal from whatever else was thrown, a revoked proxy included. */
export function isRefusal(error: unknown): error is HandlerRefusal {
  try {
    return error instanceof HandlerRefusal
  } catch {
    return false
  }
}

/** What a handler of the gateway's own may say beside an answer, under a name that no application has. */
export const own = Symbol('own')
export type Own = {
  /** Makes of the signed answer what goes out, and on. */
  follow?: (inbound: Inbound, signed: Outbound) => Outbound
}

/** What a handler gave, checked: ready to be signed. */
export type Result = {
  resultCode: string
  status: number
  payload: Uint8Array
  contentType: string
  own?: Own | undefined
}

function payloadOf(value: HandlerResult['payload']): Uint8Array {
  if (value === undefined) return emptyBytes()
  if (typeof value === 'string') return Buffer.from(value)
  // A copy: what is signed is what is sent, whatever the handler does with its buffer afterwards.
  if (ArrayBuffer.isView(value)) return Buffer.from(new Uint8Array(value.buffer, value.byteOffset, value.byteLength))
  if (value instanceof ArrayBuffer) return new Uint8Array(value.slice(0))
  throw new TypeError('the payload of a handler must be bytes or a string')
}

/** checkResult turns what a handler gave into what is signed; throws for what cannot be. */
export function checkResult(
  given: (HandlerResult & { [own]?: Own }) | undefined,
  isHeader: boolean,
  method: string
): Result {
  const { resultCode = 'ok', payload, status = 200, contentType = 'application/octet-stream' } = given ?? {}
  if (!isHeader) {
    if (!isText(resultCode) || isReservedName(resultCode))
      throw new TypeError('resultCode must be text and not reserved')
    return { resultCode, status: 200, payload: payloadOf(payload), contentType, own: given?.[own] }
  }
  if (!Number.isInteger(status) || status < 200 || status > 599) throw new TypeError('status must be 200 to 599')
  if (typeof contentType !== 'string' || !/^[\x20-\x7e]{1,256}$/.test(contentType))
    throw new TypeError('contentType must be 1 to 256 printable ASCII characters')
  const bytes = hasNoBody(method, status) ? emptyBytes() : payloadOf(payload)
  return { resultCode: `http.${status}`, status, payload: bytes, contentType }
}

/** What ends a handler early, beside its deadline. */
type Ends = { client: Listen; gateway: Listen; timeoutMs: number }

// A signal costs more than most of what else a request does, and few handlers look at theirs: made when asked for.
function createLazySignal() {
  let controller: AbortController | undefined
  let reason: Error | undefined
  return {
    abort(error: Error) {
      reason ??= error
      controller?.abort(reason)
    },
    get signal(): AbortSignal {
      controller ??= new AbortController()
      if (reason) controller.abort(reason)
      return controller.signal
    }
  }
}

/**
 * runHandler gives what a handler gives, or rejects with what it throws; with a DeadlineError once its time is up, and
 * where the client or the gateway leaves first. Its signal is aborted in these cases, and a late rejection is dropped.
 */
export function runHandler(
  handler: Handler,
  context: Omit<HandlerContext, 'signal'>,
  { client, gateway, timeoutMs }: Ends
): Promise<HandlerResult | undefined> {
  return new Promise((resolve, reject) => {
    const lazy = createLazySignal()
    const stops: (() => void)[] = []
    const finish = () => {
      for (const stop of stops) stop()
    }
    const end = (error: Error) => {
      finish()
      lazy.abort(error)
      reject(error)
    }
    const timer = setTimeout(
      () => end(new DeadlineError(`the handler did not answer within ${timeoutMs} ms`)),
      timeoutMs
    )
    stops.push(() => clearTimeout(timer))
    stops.push(client(() => end(new CountersignError('ERR_ABORTED'))))
    stops.push(gateway(() => end(new CountersignError('ERR_CLOSED'))))
    const given = {
      ...context,
      get signal() {
        return lazy.signal
      }
    }
    // An async function turns a synchronous throw, a getter's included, into a rejection.
    const call = async () => (await handler(given)) ?? undefined
    call().then(
      (result) => {
        finish()
        resolve(result)
      },
      (error) => {
        finish()
        reject(error)
      }
    )
  })
}
