// SPDX-License-Identifier: MIT
// The header binding: any HTTP request with its envelope in one header, for existing REST APIs (R36 to R42).

import { decodeBase64Url, encodeBase64Url } from '../base64.ts'
import { badArgument, optionsOf } from '../core-args.ts'
import type { ClientCore } from '../core-client.ts'
import { CountersignError, isCountersignError } from '../errors.ts'
import { resolveUrl, type Settings } from '../options.ts'
import type { Bytes } from '../types.ts'
import type { Binding } from './binding.ts'
import { discard, type Progress, readBody, unsignedAnswer } from './http.ts'

const HEADER = 'countersign'
const MAX_HEADER = 1366
const MAX_TYPE = 128
const BODILESS: ReadonlySet<number> = new Set([101, 103, 204, 205, 304])

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
export const readTarget = (origin: string, input: string | URL | Request, init: SignedFetchInit): FetchTarget =>
  asUsage(() => {
    const request = isA('Request', input) ? (input as Request) : undefined
    const options = optionsOf(init, 'init')
    const { method = request?.method ?? 'GET', headers = request?.headers, signal = request?.signal } = options
    const { body = null, keepalive, priority, timeoutMs, idempotencyKey, onProgress } = options
    const url = resolveUrl(isA('URL', input) ? (input as URL).href : (request?.url ?? input), origin)
    // Request refuses the methods that fetch refuses; it leaves `patch` as it is, which no server knows.
    const verb = new Request(origin, { method: String(method) }).method.toUpperCase()
    if (body === null && request?.bodyUsed) throw badArgument('the body of this Request has been used')
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

/** readRequestBody reads what is to be sent, a stream too, up to the payload limit; rejects with ERR_PAYLOAD_TOO_LARGE. */
export const readRequestBody = async (
  { method, body }: FetchTarget,
  cap: number,
  signal: AbortSignal
): Promise<Bytes> => {
  if (!body) return new Uint8Array(0)
  try {
    // Firefox gives a Request no `body`.
    const source = body.body === undefined ? new Response(await body.blob()) : body
    const bytes = await readBody(source, { cap, tooLarge: 'ERR_PAYLOAD_TOO_LARGE', signal })
    if (bytes.length > 0 && (method === 'GET' || method === 'HEAD')) throw badArgument(`${method} has no body`)
    return bytes
  } catch (error) {
    if (!isCountersignError(error) || error.code !== 'ERR_NETWORK') throw error
    throw new CountersignError('ERR_INVALID_ARGUMENT', { cause: error.cause, detail: 'the body could not be read' })
  }
}

/** headerType gives the message type of a request line: the line, or its hash where it is over 128 bytes (R36). */
export const headerType = (core: ClientCore, line: string): string =>
  line.length <= MAX_TYPE ? line : `sha256:${encodeBase64Url(core.sha256(new TextEncoder().encode(line)))}`

/** readEnvelope takes the envelope from an answer's header; throws ERR_UNSIGNED_ANSWER or ERR_BAD_BASE64. */
export const readEnvelope = (response: Response): Bytes => {
  const text = response.headers.get(HEADER)
  if (text === null) throw unsignedAnswer(response)
  const envelope = text.length <= MAX_HEADER ? decodeBase64Url(text) : undefined
  if (envelope) return envelope
  discard(response)
  throw new CountersignError(text.length <= MAX_HEADER ? 'ERR_BAD_BASE64' : 'ERR_ENVELOPE_TOO_LARGE')
}

/** isHttpResult tells whether a signed result code is the status that came (R40). */
export const isHttpResult = (resultCode: string, status: number): boolean => resultCode === `http.${status}`

/** hasBody tells whether an answer to this method with this status has one (R39). */
export const hasBody = (method: string, status: number): boolean => method !== 'HEAD' && !BODILESS.has(status)

export const headerBinding = ({ maxPayload }: Settings, { method, href, headers, extra }: FetchTarget): Binding => ({
  write(core, { signingInput, signature, payload }) {
    const signed = new Headers(headers)
    signed.set(HEADER, encodeBase64Url(core.buildFrame({ signingInput, keyId: '', signature })))
    const body = payload.length > 0 ? { body: payload } : {}
    return { url: href, init: { ...extra, ...body, method, headers: signed } }
  },
  async read(_core, response, receive) {
    const envelope = readEnvelope(response)
    if (hasBody(method, response.status)) return { envelope, payload: await receive(maxPayload) }
    discard(response)
    return { envelope, payload: new Uint8Array(0) }
  },
  isResult: isHttpResult
})

/** responseOf makes the Response a caller gets, its body the verified bytes. */
export const responseOf = ({ method, href }: FetchTarget, answer: Response, payload: Bytes): Response => {
  const { status, statusText, headers } = answer
  const response = new Response(hasBody(method, status) ? payload : null, { status, statusText, headers })
  return Object.defineProperty(response, 'url', { value: href, enumerable: true, configurable: true })
}
