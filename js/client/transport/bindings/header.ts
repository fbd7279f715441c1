// SPDX-License-Identifier: MIT
// The header binding: any HTTP request with its envelope in one header, for existing REST APIs (R36 to R42).

import { decodeBase64Url, encodeBase64Url } from '../../../common/base64.ts'
import { CountersignError, isCountersignError } from '../../../common/errors.ts'
import { encodeText } from '../../../common/text.ts'
import type { Bytes } from '../../../common/types.ts'
import { badArgument } from '../../../core/args.ts'
import type { ClientCore } from '../../../core/client-core.ts'
import type { ClientSettings } from '../../options.ts'
import { discard, readBody, unsignedAnswer } from '../exchange.ts'
import type { FetchTarget } from '../fetch-target.ts'
import type { HttpBinding } from './binding.ts'

const HEADER = 'countersign'
const MAX_HEADER = 1366
const MAX_TYPE = 128
const BODILESS: ReadonlySet<number> = new Set([101, 103, 204, 205, 304])

const streamOf = (source: AsyncIterable<unknown>): ReadableStream => {
  const chunks = source[Symbol.asyncIterator]()
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await chunks.next()
      if (done) controller.close()
      else controller.enqueue(value)
    },
    async cancel() {
      await chunks.return?.()
    }
  })
}

const sourceOf = async (body: NonNullable<FetchTarget['body']>): Promise<Response | Request> => {
  if (!('headers' in body)) return new Response(streamOf(body))
  // A Request has no `body` member in Firefox.
  return body.body === undefined ? new Response(await body.blob()) : body
}

/**
 * Reads the request's body, which may be a stream, up to the payload limit. Rejects with ERR_PAYLOAD_TOO_LARGE when it
 * is longer, and with ERR_INVALID_ARGUMENT when it cannot be read or a chunk of it is no Uint8Array.
 */
export async function readRequestBody({ method, body }: FetchTarget, cap: number, signal: AbortSignal): Promise<Bytes> {
  if (!body) return new Uint8Array(0)
  try {
    const source = await sourceOf(body)
    const bytes = await readBody(source, { cap, tooLarge: 'ERR_PAYLOAD_TOO_LARGE', signal })
    if (bytes.length > 0 && (method === 'GET' || method === 'HEAD')) throw badArgument(`${method} must not have a body`)
    return bytes
  } catch (error) {
    if (!isCountersignError(error) || error.code !== 'ERR_NETWORK') throw error
    const { cause } = error
    if (isCountersignError(cause)) throw cause
    throw new CountersignError('ERR_INVALID_ARGUMENT', { cause, detail: 'the body could not be read' })
  }
}

/** Returns the message type of a request line: the line, or its hash when it is over 128 bytes (R36). */
export function headerType(core: ClientCore, line: string): string {
  return line.length <= MAX_TYPE ? line : `sha256:${encodeBase64Url(core.sha256(encodeText(line)))}`
}

/**
 * Decodes the envelope of an answer's header.
 * @throws ERR_UNSIGNED_ANSWER, ERR_BAD_BASE64 or ERR_ENVELOPE_TOO_LARGE.
 */
export function readEnvelope(response: Response): Bytes {
  const text = response.headers.get(HEADER)
  if (text === null) throw unsignedAnswer(response)
  const envelope = text.length <= MAX_HEADER ? decodeBase64Url(text) : undefined
  if (envelope) return envelope
  discard(response)
  throw new CountersignError(text.length <= MAX_HEADER ? 'ERR_BAD_BASE64' : 'ERR_ENVELOPE_TOO_LARGE')
}

/** Returns whether a signed result code is the HTTP status of the answer (R40). */
export function isHttpResult(resultCode: string, status: number): boolean {
  return resultCode === `http.${status}`
}

/** Returns whether an answer to this method with this status has a body (R39). */
export function hasBody(method: string, status: number): boolean {
  return method !== 'HEAD' && !BODILESS.has(status)
}

// To leave these out silently would cost a check, a proxy, a limit, or an intent that runs once.
const REFUSED = /^(?:integrity|dispatcher|agent|timeout.*|idempotency.*|on.?progress)$/i

/**
 * Returns the header binding for one request.
 * @throws ERR_INVALID_ARGUMENT when a member of the options has no effect here and its loss would matter.
 */
export function headerBinding(
  { maxPayload }: ClientSettings,
  { method, href, headers, extra, others }: FetchTarget
): HttpBinding {
  const refused = Object.entries(others).find(([name, value]) => value && REFUSED.test(name))
  if (refused) throw badArgument(`init.${refused[0]} has no meaning here`)
  return {
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
  }
}

// A clone is a new object, so it needs its own.
const withUrl = (response: Response, url: string): Response =>
  Object.defineProperties(response, {
    url: { value: url, enumerable: true, configurable: true },
    clone: { value: () => withUrl(Response.prototype.clone.call(response), url), configurable: true }
  })

/** Returns the Response for the caller, whose body is the verified bytes. */
export function responseOf({ method, href }: FetchTarget, answer: Response, payload: Bytes): Response {
  const { status, statusText, headers } = answer
  const response = new Response(hasBody(method, status) ? payload : null, { status, statusText, headers })
  return withUrl(response, href)
}
