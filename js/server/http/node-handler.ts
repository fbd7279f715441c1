// SPDX-License-Identifier: MIT
// The gateway behind node:http and the frameworks on it. The client signed the raw request target and the raw body. So
// nothing may change them before: no decoding, no body parser, no folded duplicates.

import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import type { Duplex } from 'node:stream'
import { CountersignError } from '../../common/errors.ts'
import { badArgument, optionsOf } from '../../core/args.ts'
import { warningOf } from '../migration-phase.ts'
import { functionOf, partOf } from '../support/checks.ts'
import { createBell } from '../support/deadline.ts'
import { emptyBytes } from '../support/encoding.ts'
import type { Gateway, Inbound, Outbound } from '../types.ts'
import { PLAIN_HEADERS } from './cors.ts'
import { continueOf, createNodeBody, hasBody, type NodeBody } from './node-body.ts'
import { isGone, pipeToNode } from './pipes.ts'

/** A listener of node:http and node:http2. Express and connect pass `next`, which then gets errors. */
export type NodeListener = (
  request: (IncomingMessage | Http2ServerRequest) & { originalUrl?: string },
  response: ServerResponse | Http2ServerResponse,
  next?: (error?: unknown) => void
) => void

/**
 * Headers that the gateway reads. With one of them given twice, two readers could understand one request differently.
 */
const SINGLE = new Set([
  'countersign',
  'content-type',
  'content-encoding',
  'content-length',
  'transfer-encoding',
  'origin',
  'host'
])
/** The most bytes that a sender may still send after its answer, before its connection is closed. */
const DRAIN_BYTES = 16 * 1024 * 1024
const DRAIN_MS = 5000

type Incoming = IncomingMessage & { originalUrl?: string }

/** Options of a mount. */
export type MountOptions = {
  /** Returns the address of a request. Default: the address of its socket. */
  remoteAddress?: (request: IncomingMessage) => string
  /** Leaves requests for paths that are not the gateway's to others. Default: false. */
  fallthrough?: boolean
}

/** Checks the options of a mount. Returns the function that tells whether a target is the gateway's to answer (R172). */
export function ownerOf(
  gateway: Partial<Pick<Gateway, 'owns' | 'phase'>>,
  options: MountOptions,
  name: string
): (target: string) => boolean {
  const { remoteAddress, fallthrough = false } = optionsOf(options, name, ['remoteAddress', 'fallthrough'])
  functionOf(remoteAddress, `${name}: remoteAddress`)
  if (fallthrough === false) return () => true
  if (fallthrough !== true) throw badArgument(`${name}: fallthrough must be true or false`)
  partOf(gateway, ['owns'], `${name}: fallthrough needs a gateway that owns paths`)
  // The phases pass on by their own rule, and `require` would not hold beside this one.
  if ((gateway.phase ?? 'enforce') !== 'enforce')
    throw badArgument(`${name}: fallthrough stands with the phase enforce alone`)
  const owns = (gateway as Pick<Gateway, 'owns'>).owns.bind(gateway)
  // A gateway without `endpoint` says so now.
  owns('/')
  return owns
}

// Express and connect cut the mount path off `url`; the client signed the whole target.
const targetOf = ({ originalUrl, url }: Incoming): string => originalUrl ?? url ?? ''

/** Tells whether a header that the gateway reads came twice. */
export function hasDuplicates({ rawHeaders }: IncomingMessage): boolean {
  const seen = new Set<string>()
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] as string).toLowerCase()
    if (!SINGLE.has(name)) continue
    if (seen.has(name)) return true
    seen.add(name)
  }
  return false
}

function inboundOf(
  request: Incoming,
  response: ServerResponse,
  remoteAddress: string,
  canPassOn: boolean
): { inbound: Inbound; body: NodeBody } {
  const body = createNodeBody(request, continueOf(request, response), canPassOn)
  const gone = createBell()
  response.once('close', () => {
    if (!response.writableFinished) gone.ring()
  })
  const inbound: Inbound = {
    method: request.method ?? '',
    target: targetOf(request),
    header(name) {
      const value = request.headers[name]
      return value === undefined ? null : String(value)
    },
    read: body.read,
    onGone: gone.listen,
    remoteAddress,
    isAmbiguous: hasDuplicates(request),
    canPassOn
  }
  return { inbound, body }
}

// Where the answer is sent before the request has arrived, the client would lose it if the server closed the connection
// on unread bytes. So the answer goes out whole, further bytes are dropped for a while, and only then the connection
// ends.
function drain(request: IncomingMessage, finish: () => void): void {
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

function send(request: IncomingMessage, response: ServerResponse, { status, headers, body, stream }: Outbound): void {
  if (isGone(response) || response.headersSent) {
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

/** Answers a request with a plain refusal, and drops its body. */
export function refusePlain(request: IncomingMessage, response: ServerResponse, status: number): void {
  send(request, response, { status, headers: PLAIN_HEADERS, body: emptyBytes() })
}

/** Writes a plain refusal to a connection that has no answer yet, and ends it. */
export function endPlain(socket: Duplex, status: number): void {
  const headers = { connection: 'close', 'content-length': '0', ...PLAIN_HEADERS }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n`, () => socket.destroy())
}

/**
 * Creates a listener for node:http and node:http2, for express (`app.use('/exchange', nodeHandler(gateway))`) and, with
 * `reply.hijack()`, for fastify (`nodeHandler(gateway)(request.raw, reply.raw)`). `remoteAddress` returns the address
 * of a request. Default: the address of its socket.
 *
 * No body parser may read the body before. Otherwise `next` gets ERR_BODY_CONSUMED, or the answer is a plain 500 where
 * there is no `next`. `nodeServer` makes a server for it. With a server of your own, add the listener to its
 * `checkContinue` event too. Then a client that waits for `100 Continue` sends its body only after the gateway has
 * accepted the envelope.
 *
 * With `fallthrough: true`, requests for paths that are not the gateway's go to `next` untouched, whatever their method
 * and headers. The gateway needs `endpoint` for it. Default: false, so that the gateway answers every request.
 *
 * In the phases before `enforce`, `next` is the handler that was there before. It gets each request that the gateway
 * passes on, with its whole body. `request.countersign` is the gateway's verdict on it.
 *
 * @throws ERR_INVALID_ARGUMENT when an argument is not valid, or when `fallthrough` stands with a phase or without
 * `endpoint`.
 *
 * @example
 * ```ts
 * const listener = nodeHandler(gateway, { remoteAddress: (request) => request.socket.remoteAddress ?? '' })
 * createServer(listener).on('checkContinue', listener).listen(8787)
 * ```
 */
export function nodeHandler(
  gateway: Pick<Gateway, 'exchange'> & Partial<Pick<Gateway, 'owns' | 'phase'>>,
  options: MountOptions = {}
): NodeListener {
  partOf(gateway, ['exchange'], 'nodeHandler: pass a gateway; createGateway makes one')
  const isOwn = ownerOf(gateway, options, 'nodeHandler')
  const addressOf = options.remoteAddress ?? ((request) => request.socket.remoteAddress ?? '')
  const mayPassOn = (gateway.phase ?? 'enforce') !== 'enforce'
  const serve = async (request: Incoming, response: ServerResponse, next?: () => void): Promise<void> => {
    const { inbound, body } = inboundOf(request, response, addressOf(request), mayPassOn && next !== undefined)
    const out = await gateway.exchange(inbound)
    if (out.passOn && next && (await body.putBack())) {
      if (out.passOn.phase === 'warn') response.setHeader('countersign-warning', warningOf(out.passOn))
      Object.defineProperty(request, 'countersign', { value: out.passOn, configurable: true })
      return next()
    }
    body.release()
    // Node reports the end of a body after its last piece. One turn later it is known whether more bytes will come.
    if (hasBody(request) && !request.complete) await new Promise(setImmediate)
    send(request, response, out)
  }
  return (given, answer, next) => {
    // Those of node:http2 have what is used of those of node:http.
    const [request, response] = [given as Incoming, answer as ServerResponse]
    if (typeof next === 'function' && !isOwn(targetOf(request))) return next()
    // With an encoding the stream gives text, and text is not the signed bytes.
    const isText = typeof request.readableEncoding === 'string'
    const wasRead = (isText || request.readableDidRead || request.readableEnded) && hasBody(request)
    const failed = (error: unknown): void => {
      if (typeof next === 'function') next(error)
      else refusePlain(request, response, 500)
    }
    if (wasRead) failed(new CountersignError('ERR_BODY_CONSUMED'))
    else serve(request, response, typeof next === 'function' ? () => next() : undefined).catch(failed)
  }
}
