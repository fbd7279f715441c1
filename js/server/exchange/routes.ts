// SPDX-License-Identifier: MIT
// Stage 9, `handler` (PROTOCOL.md, section 6). Runs the handler of a message. No handler can hang the gateway or end the
// process.

import { CountersignError } from '../../common/errors.ts'
import type { Stage } from '../../common/types.ts'
import { copyOf } from '../../core/args.ts'
import { type AnswerHeaders, checkHeaders, usualHeaders } from '../support/answer-headers.ts'
import { DeadlineError, type Listen } from '../support/deadline.ts'
import { emptyBytes, isText } from '../support/encoding.ts'
import type { Handler, HandlerContext, HandlerResult, Inbound, Outbound } from '../types.ts'
import { hasNoBody, RETRY_AFTER_MS, type RefusalCode } from './sign-answer.ts'

/** A handler, the name of its route (for rates), and the values of the route's `:names`. */
export type RouteMatch = { handler: Handler; route: string; params: { readonly [name: string]: string } }

/** Tells whether a type or code is reserved for the protocol (R32). */
export function isReservedName(text: string): boolean {
  return text.startsWith('cs.') || text.startsWith('http.')
}

/** Tells whether a message type belongs to the header binding (R31). */
export function isHeaderType(type: string): boolean {
  return type.includes(' ') || type.startsWith('sha256:')
}

/** A refusal in the gateway's own name, thrown by a handler of this library. */
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

/** Tells a HandlerRefusal from any other exception. Returns false also for a revoked proxy. */
export function isHandlerRefusal(error: unknown): error is HandlerRefusal {
  try {
    return error instanceof HandlerRefusal
  } catch {
    return false
  }
}

/**
 * The member of a handler's result that only the gateway's own handlers can set: applications do not have this symbol.
 * It gets the signed answer and returns the answer to send, with a stream behind it for example.
 */
export const internal = Symbol('internal')

/** The type of the member `internal`. */
export type InternalFollowUp = (inbound: Inbound, signed: Outbound) => Outbound

/** A handler's result after its checks, ready to be signed. */
export type CheckedResult = {
  resultCode: string
  status: number
  payload: Uint8Array
  contentType: string
  headers: AnswerHeaders
  internal?: InternalFollowUp | undefined
}

/**
 * The member of a handler's context that only handlers of this library read: the names of the headers that answers of
 * this gateway may carry.
 */
export const answerNames = Symbol('answerNames')

/** A handler's context with that member. */
export type NamedContext = HandlerContext & { readonly [answerNames]?: ReadonlySet<string> }

const MEMBERS = ['resultCode', 'payload', 'json', 'status', 'contentType', 'headers'] as const

// What is in a result and reaches no client is a mistake of the handler, and not one to be found by its users.
function readResult(result: HandlerResult & { [internal]?: InternalFollowUp }) {
  const kind = Array.isArray(result) ? 'array' : typeof result
  if (kind !== 'object') throw new TypeError(`a handler must return an object with a payload, not a value of ${kind}`)
  const names = Object.keys(result)
  const other = names.find((name) => !MEMBERS.includes(name as 'payload'))
  if (other !== undefined)
    throw new TypeError(`a handler's result has no member ${other}; it may have ${MEMBERS.join(', ')}`)
  const prototype = Object.getPrototypeOf(result)
  const isPlain = prototype === null || Object.getPrototypeOf(prototype) === null
  if (names.length === 0 && !isPlain) throw new TypeError('a handler must return a plain object')
  return result
}

/**
 * Checks a handler's result and fills in defaults. Throws a TypeError when a part of it would reach no client, and
 * ERR_INVALID_ARGUMENT when its payload is neither text nor bytes.
 */
export function checkResult(
  result: (HandlerResult & { [internal]?: InternalFollowUp }) | undefined,
  isHeader: boolean,
  method: string,
  names = usualHeaders
): CheckedResult {
  const given = readResult(result ?? {})
  const { resultCode = 'ok', payload, status = 200 } = given
  // The content type stands apart: in the other bindings it is the binding's own.
  const { 'content-type': type, ...headers } = checkHeaders(given.headers, names, isHeader ? status : 200)
  const contentType = given.contentType ?? type ?? 'application/octet-stream'
  if (!isHeader) {
    if (!isText(resultCode) || isReservedName(resultCode))
      throw new TypeError('resultCode must be text and not reserved')
    if (status !== 200 && given.resultCode === undefined)
      throw new TypeError('status is for HTTP routes; the answer to a message type has a resultCode')
    const bytes = payloadBytes(payload)
    return { resultCode, status: 200, payload: bytes, contentType, headers, internal: given[internal] }
  }
  if (resultCode !== 'ok' && given.status === undefined)
    throw new TypeError('resultCode is for message types; the answer of an HTTP route has a status')
  // No client reads a redirect: fetch hides it, and a client follows none (R33). A 304 is none.
  if (!Number.isInteger(status) || !/^(?:[245]\d\d|304)$/.test(String(status)))
    throw new TypeError('status must be 200 to 299, 304 or 400 to 599')
  if (typeof contentType !== 'string' || !/^[\x20-\x7e]{1,256}$/.test(contentType))
    throw new TypeError('contentType must be 1 to 256 printable ASCII characters')
  const bytes = hasNoBody(method, status) ? emptyBytes() : payloadBytes(payload)
  return { resultCode: `http.${status}`, status, payload: bytes, contentType, headers }
}

function payloadBytes(value: HandlerResult['payload']): Uint8Array {
  if (value === undefined) return emptyBytes()
  if (typeof value === 'string') return Buffer.from(value)
  // A copy: the signed bytes are the sent bytes, also where the handler changes its buffer afterwards.
  return copyOf(value, 'the payload of a handler')
}

/** The events that end a handler before it answers. `timeoutMs` is its deadline in milliseconds. */
type HandlerLimits = { client: Listen; gateway: Listen; timeoutMs: number }

/**
 * Runs a handler and resolves to its result. Rejects with the handler's exception, and with a HandlerRefusal when its
 * time is up, the client leaves or the gateway closes first. In the last three cases the handler's signal is aborted,
 * and a later result is dropped.
 */
export function runHandler(
  handler: (context: NamedContext) => Promise<HandlerResult | undefined>,
  context: Omit<NamedContext, 'signal'>,
  { client, gateway, timeoutMs }: HandlerLimits
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
      reject(new HandlerRefusal('cs.unavailable', RETRY_AFTER_MS, error))
    }
    const timer = setTimeout(
      () => end(new DeadlineError(`the handler did not answer within ${timeoutMs} ms`)),
      timeoutMs
    )
    stops.push(() => clearTimeout(timer))
    stops.push(client(() => end(new CountersignError('ERR_ABORTED'))))
    stops.push(gateway(() => end(new CountersignError('ERR_CLOSED'))))
    const handlerContext = {
      ...context,
      get signal() {
        return lazy.signal
      }
    }
    // An async function turns a synchronous exception, also one of a getter, into a rejection.
    const call = async () => handler(handlerContext)
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

// A signal costs more than most other parts of a request, and few handlers read theirs. So it is made on first use.
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
