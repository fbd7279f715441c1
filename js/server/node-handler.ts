// SPDX-License-Identifier: MIT
// The gateway behind node:http and what is built on it. The raw request target and the raw body are what was signed, so
// nothing may have touched them: no decoding, no body parser, no folded duplicates.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { optionsOf } from '../core-args.ts'
import { CountersignError } from '../errors.ts'
import { functionOf, partOf } from './checks.ts'
import { createBell } from './deadline.ts'
import { emptyBytes } from './encoding.ts'
import { pipeToNode } from './events/pipes.ts'
import type { Gateway, Inbound, NodeListener, Outbound } from './types.ts'

/** Headers that mean something here; given twice, one body could mean two things to two readers. */
const SINGLE = new Set([
  'countersign',
  'content-type',
  'content-encoding',
  'content-length',
  'transfer-encoding',
  'origin',
  'host'
])
/** What an answered sender may still send before its connection is closed. */
const DRAIN_BYTES = 16 * 1024 * 1024
const DRAIN_MS = 5000

type Incoming = IncomingMessage & { originalUrl?: string }

/** hasDuplicates tells whether a header that means something here came twice. */
export const hasDuplicates = ({ rawHeaders }: IncomingMessage): boolean => {
  const seen = new Set<string>()
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] as string).toLowerCase()
    if (!SINGLE.has(name)) continue
    if (seen.has(name)) return true
    seen.add(name)
  }
  return false
}

const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0

// Pulls one piece at a time, so that a sender is held back while the gateway thinks.
const createReader = (request: IncomingMessage, beforeFirst: () => void) => {
  let wake: (() => void) | undefined
  let isListening = false
  let error: unknown
  const onEvent = () => {
    wake?.()
    wake = undefined
  }
  const onError = (reason: unknown) => {
    error = reason
    onEvent()
  }
  const listen = () => {
    isListening = true
    beforeFirst()
    request.on('readable', onEvent).on('end', onEvent).on('close', onEvent).on('error', onError)
  }
  return {
    async read(): Promise<Uint8Array | null> {
      if (!hasBody(request)) return null
      if (!isListening) listen()
      for (;;) {
        const piece: Buffer | null = request.read()
        if (piece !== null) return piece
        if (request.readableEnded) return null
        if (error !== undefined || request.destroyed) throw error ?? new CountersignError('ERR_ABORTED')
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    },
    /** Lets what is left of the body flow again: a stream with a `readable` listener does not. */
    release() {
      request.off('readable', onEvent)
    }
  }
}

// Where the server leaves `expect: 100-continue` to its listeners, the body is asked for once the envelope was accepted.
const continueOf = (request: IncomingMessage, response: ServerResponse) => () => {
  const server = (request.socket as { server?: { listenerCount(event: string): number } }).server
  const isExpected = /^100-continue$/i.test(request.headers.expect ?? '')
  if (isExpected && (server?.listenerCount('checkContinue') ?? 0) > 0) response.writeContinue()
}

const inboundOf = (
  request: Incoming,
  response: ServerResponse,
  remoteAddress: string
): { inbound: Inbound; release: () => void } => {
  const { read, release } = createReader(request, continueOf(request, response))
  const gone = createBell()
  response.once('close', () => {
    if (!response.writableFinished) gone.ring()
  })
  const inbound: Inbound = {
    method: request.method ?? '',
    // Express and connect cut the mount path off `url`; the client signed the whole.
    target: request.originalUrl ?? request.url ?? '',
    header(name) {
      const value = request.headers[name]
      return value === undefined ? null : String(value)
    },
    read,
    onGone: gone.listen,
    remoteAddress,
    isAmbiguous: hasDuplicates(request)
  }
  return { inbound, release }
}

// An answer that outruns its request would be lost with the connection if the server closed it on unread bytes. So the
// answer goes out whole, what still comes is thrown away for a while, and only then the connection ends.
const drain = (request: IncomingMessage, finish: () => void): void => {
  let left = DRAIN_BYTES
  const timer = setTimeout(finish, DRAIN_MS)
  const end = () => {
    clearTimeout(timer)
    finish()
  }
  request.once('end', end).once('close', end).on('error', end)
  request.on('data', (piece: Buffer) => {
    left -= piece.length
    if (left < 0) end()
  })
  request.resume()
}

const send = (
  request: IncomingMessage,
  response: ServerResponse,
  { status, headers, body, stream }: Outbound
): void => {
  if (response.destroyed || response.headersSent) {
    stream?.leave()
    return
  }
  const isUnread = hasBody(request) && !request.complete
  const isBodiless = request.method === 'HEAD' || status === 204 || status === 304
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  if (stream) {
    response.writeHead(status)
    void pipeToNode(response, body, stream)
    return
  }
  if (status !== 204 && status !== 304) response.setHeader('content-length', body.length)
  if (isUnread) response.setHeader('connection', 'close')
  response.writeHead(status)
  if (!isUnread) {
    response.end(isBodiless ? undefined : body)
    request.resume()
    return
  }
  if (isBodiless || body.length === 0) response.flushHeaders()
  else response.write(body)
  drain(request, () => response.end())
}

const refusePlain = (request: IncomingMessage, response: ServerResponse, status: number): void =>
  send(request, response, {
    status,
    headers: { 'cache-control': 'no-store, no-transform', vary: 'origin' },
    body: emptyBytes()
  })

/**
 * nodeHandler makes a listener for node:http, express (`app.use('/exchange', nodeHandler(gateway))`) and, with
 * `reply.hijack()`, fastify (`nodeHandler(gateway)(request.raw, reply.raw)`). A body that a parser has read already is
 * ERR_BODY_CONSUMED: passed to `next` where there is one, answered by a plain 500 otherwise. Give it to the server's
 * `checkContinue` event too and a body that waits for `100 Continue` is only asked for once its envelope was accepted.
 *
 * @example
 * ```ts
 * const listener = nodeHandler(gateway, { remoteAddress: (request) => request.socket.remoteAddress ?? '' })
 * createServer(listener).on('checkContinue', listener).listen(8787)
 * ```
 */
export const nodeHandler = (
  gateway: Pick<Gateway, 'exchange'>,
  options: { remoteAddress?: (request: IncomingMessage) => string } = {}
): NodeListener => {
  partOf(gateway, ['exchange'], 'nodeHandler takes a gateway; createGateway makes one')
  functionOf(optionsOf(options, 'nodeHandler').remoteAddress, 'nodeHandler: remoteAddress')
  const addressOf = options.remoteAddress ?? ((request) => request.socket.remoteAddress ?? '')
  const serve = async (request: Incoming, response: ServerResponse): Promise<void> => {
    const { inbound, release } = inboundOf(request, response, addressOf(request))
    const out = await gateway.exchange(inbound)
    release()
    // Node tells of a body's end only after it has given its last piece: a turn later it is known whether more is coming.
    if (hasBody(request) && !request.complete) await new Promise(setImmediate)
    send(request, response, out)
  }
  return (request, response, next) => {
    const wasRead = (request.readableDidRead || request.readableEnded) && hasBody(request)
    const failed = (error: unknown): void => {
      if (typeof next === 'function') next(error)
      else refusePlain(request, response, 500)
    }
    if (wasRead) failed(new CountersignError('ERR_BODY_CONSUMED'))
    else serve(request, response).catch(failed)
  }
}
