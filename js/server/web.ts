// SPDX-License-Identifier: MIT
// Between web-standard Request and Response and the gateway's own Inbound and Outbound.

import { CountersignError } from '../errors.ts'
import { hasNoBody } from './answer.ts'
import type { From, Inbound, Outbound } from './types.ts'

const targetOf = (url: string): string => {
  const { pathname, search } = new URL(url)
  return pathname + search
}

/** inboundOf wraps a Request; its target is taken from the URL where the raw one is not given. */
export const inboundOf = (request: Request, { remoteAddress = '', rawTarget }: From): Inbound => {
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined
  return {
    method: request.method.toUpperCase(),
    target: rawTarget ?? targetOf(request.url),
    header: (name) => request.headers.get(name),
    async read() {
      if (request.bodyUsed && !reader) throw new CountersignError('ERR_BODY_CONSUMED')
      reader ??= request.body?.getReader()
      if (!reader) return null
      const { done, value } = await reader.read()
      return done ? null : value
    },
    onGone(listener) {
      const { signal } = request
      if (signal.aborted) listener()
      else signal.addEventListener('abort', listener, { once: true })
      return () => signal.removeEventListener('abort', listener)
    },
    remoteAddress
  }
}

/** responseOf makes the Response and lets go of what is left of the request's body. */
export const responseOf = (request: Request, { status, headers, body }: Outbound): Response => {
  // A reader that is still at it holds the lock: its stream ends with the connection.
  if (request.body && !request.body.locked) void request.body.cancel().catch(() => {})
  const isBare = hasNoBody(request.method, status) || body.length === 0
  return new Response(isBare ? null : (body as Uint8Array<ArrayBuffer>), { status, headers })
}
