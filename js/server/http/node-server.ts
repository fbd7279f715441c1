// SPDX-License-Identifier: MIT
// A server of node:http whose own refusals look like the gateway's. Node answers some requests before any listener:
// what is no HTTP, comes too slowly, or is too long. A shared cache must not keep such an answer either.

import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { ServerOptions } from 'node:https'
import type { Socket } from 'node:net'
import { optionsOf } from '../../core/args.ts'
import { functionOf } from '../support/checks.ts'
import { endPlain, refusePlain } from './node-handler.ts'

/** The status of each fault of Node's parser and timers; 400 for all others. */
const STATUS_OF: { readonly [code: string]: number } = {
  ERR_HTTP_REQUEST_TIMEOUT: 408,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  HPE_HEADER_OVERFLOW: 431
}

/** Remembers the answers of each connection that have not ended. */
function createOpenAnswers() {
  const bySocket = new WeakMap<object, Set<ServerResponse>>()
  return {
    add({ socket }: IncomingMessage, response: ServerResponse): void {
      const answers = bySocket.get(socket) ?? new Set()
      bySocket.set(socket, answers.add(response))
      response.once('close', () => answers.delete(response))
    },
    hasBegun: (socket: object): boolean => [...(bySocket.get(socket) ?? [])].some(({ headersSent }) => headersSent)
  }
}

/**
 * Creates a server of node:http for a listener, such as that of `nodeHandler`. Node's own 400, 408, 413, 417 and 431
 * then carry the headers of the gateway's plain refusals. A client that waits for `100 Continue` sends its body only
 * after the gateway has accepted the envelope. `options` are those of `create`. Default: `createServer` of node:http.
 *
 * @throws ERR_INVALID_ARGUMENT when an argument is not valid.
 *
 * @example
 * ```ts
 * nodeServer(nodeHandler(gateway)).listen(8787)
 * nodeServer(nodeHandler(gateway), { key, cert }, https.createServer).listen(8443)
 * ```
 */
export function nodeServer(
  listener: RequestListener,
  options: ServerOptions = {},
  create: (options: ServerOptions, listener: RequestListener) => Server = createServer
): Server {
  functionOf(listener ?? null, 'nodeServer: listener')
  functionOf(create, 'nodeServer: create')
  const answers = createOpenAnswers()
  const serve: RequestListener = (request, response) => {
    answers.add(request, response)
    // Node would refuse this one by itself, without asking anybody.
    if (request.httpVersion === '1.1' && request.headers.host === undefined) refusePlain(request, response, 400)
    else listener(request, response)
  }
  const server = create({ ...optionsOf(options, 'nodeServer'), requireHostHeader: false }, serve)
  return server
    .on('checkContinue', serve)
    .on('checkExpectation', (request, response) => {
      answers.add(request, response)
      refusePlain(request, response, 417)
    })
    .on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
      // Behind the beginning of an answer, a second one would be read as a part of it.
      if (!socket.writable || error.code === 'ECONNRESET' || answers.hasBegun(socket)) socket.destroy()
      else endPlain(socket, STATUS_OF[error.code ?? ''] ?? 400)
    })
}
