// SPDX-License-Identifier: MIT
// Event streams over WebSocket (npm package `ws`, an optional peer; PROTOCOL.md, R110). The client's only message is
// the signed subscription. All other messages go to the client.

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import * as ws from 'ws'
import { FRAME_TYPE, MAX_ENVELOPE, STREAM_PROTOCOL } from '../../common/protocol.ts'
import { partOf } from '../support/checks.ts'
import { createBell } from '../support/deadline.ts'
import type { Gateway, Inbound, Outbound, OutboundStream } from '../types.ts'
import { listenerCountOf } from './node-body.ts'
import { endPlain, hasDuplicates, type MountOptions, ownerOf } from './node-handler.ts'

/** A listener for the `upgrade` event of a server of node:http. */
export type UpgradeListener = (request: IncomingMessage, socket: Duplex, head: Buffer) => void

type WebSocket = ws.WebSocket

const OPEN = 1
/** Version 7 has its server elsewhere. It answers pings by itself, and ends a peer for which pongs pile up. */
const IS_SEVEN = !('WebSocketServer' in ws)
const Server = IS_SEVEN ? ws.default.Server : ws.WebSocketServer
const FIRST_MESSAGE_MS = 5000
/** The payload of a subscription has a few short members. */
const MAX_MESSAGE = MAX_ENVELOPE + 1024
const PING_MS = 15_000
/** The time in which another listener may begin to answer an upgrade that is not the gateway's. */
const OTHERS_MS = 30_000
/** The time in which a refused client may read its refusal. */
const LINGER_MS = 1000
const CLOSE = { ended: 1000, goingAway: 1001, malformed: 4400, refused: 4401, tooSlow: 4408, unsigned: 4000 }

/** Headers of the message. Those of the upgrade say nothing of it. */
const MESSAGE_HEADERS: { readonly [name: string]: string | null } = {
  'content-type': FRAME_TYPE,
  'content-encoding': null,
  'content-length': null,
  'transfer-encoding': null,
  countersign: null
}

function headerOf(request: IncomingMessage, name: string): string | null {
  const value = request.headers[name]
  return value === undefined ? null : String(value)
}

/** Says whether the headers ask for a WebSocket. The package's own refusal would have a body, and a cache could keep it. */
function isHandshake({ method, headers }: IncomingMessage): boolean {
  return (
    method === 'GET' &&
    headers.upgrade?.toLowerCase() === 'websocket' &&
    /^[+/0-9A-Za-z]{22}==$/.test(headers['sec-websocket-key']?.trim() ?? '') &&
    /^(8|13)$/.test(headers['sec-websocket-version'] ?? '')
  )
}

function closeSoon(socket: WebSocket, code: number): void {
  socket.close(code)
  setTimeout(() => socket.terminate(), LINGER_MS).unref()
}

const send = (socket: WebSocket, frame: Uint8Array): Promise<boolean> =>
  new Promise((resolve) => {
    if (socket.readyState !== OPEN) resolve(false)
    else socket.send(frame, { binary: true }, (error) => resolve(!error))
  })

// A peer that is gone answers no ping. TCP alone would need about 15 minutes to notice.
function watchPeer(socket: WebSocket): void {
  let isThere = true
  const timer = setInterval(() => {
    if (!isThere) return socket.terminate()
    isThere = false
    socket.ping()
  }, PING_MS).unref()
  socket.on('pong', () => {
    isThere = true
  })
  socket.on('close', () => clearInterval(timer))
}

function codeOf({ reason }: OutboundStream): number {
  if (reason === 'revoked') return CLOSE.refused
  return reason === 'closed' ? CLOSE.goingAway : CLOSE.ended
}

async function sendAll(socket: WebSocket, first: Uint8Array, stream: OutboundStream): Promise<void> {
  stream.onOver(() => socket.terminate())
  let frame: Uint8Array | null = first
  while (frame && (await send(socket, frame))) frame = await stream.next()
  if (frame === null) socket.close(codeOf(stream))
  else stream.leave()
}

async function answer(socket: WebSocket, { status, body, stream }: Outbound): Promise<void> {
  if (stream) {
    watchPeer(socket)
    return sendAll(socket, body, stream)
  }
  const isSigned = body.length > 0
  if (isSigned) await send(socket, body)
  closeSoon(socket, isSigned ? CLOSE.refused : CLOSE.unsigned + status)
}

// Node sets no limits for a connection that it has handed out. One that nobody answers would stay for ever.
function leaveToOthers(request: IncomingMessage, socket: Duplex & { bytesWritten?: number }): void {
  const { bytesWritten } = socket
  const refuse = () => {
    if (!socket.destroyed && socket.bytesWritten === bytesWritten) endPlain(socket, 404)
  }
  if (listenerCountOf(request, 'upgrade') < 2) refuse()
  else setTimeout(refuse, OTHERS_MS).unref()
}

/**
 * Creates a listener for a server's `upgrade` event: event streams over WebSocket, at the gateway's endpoint. Pages of
 * the gateway's `origins`, and of its own host, may connect; pages without an origin never may. `gateway.close()` ends
 * these connections. Node sends every upgrade request to such a listener; it refuses those that are no WebSocket with
 * 400. With `fallthrough: true` it leaves those for paths that are not the gateway's to the server's other listeners. One
 * that none of them answers within 30000 ms gets 404. Default: false.
 *
 * @throws ERR_INVALID_ARGUMENT when the argument is no gateway, or when `fallthrough` stands with a phase or without
 * `endpoint`.
 *
 * @example
 * ```ts
 * const server = nodeServer(nodeHandler(gateway))
 * server.on('upgrade', webSocketHandler(gateway)).listen(8787)
 * ```
 */
export function webSocketHandler(
  gateway: Pick<Gateway, 'exchange' | 'upgrade'> & Partial<Pick<Gateway, 'owns' | 'phase'>>,
  options: MountOptions = {}
): UpgradeListener {
  partOf(gateway, ['exchange', 'upgrade'], 'webSocketHandler: pass a gateway; createGateway makes one')
  const isOwn = ownerOf(gateway, options, 'webSocketHandler')
  const addressOf = options.remoteAddress ?? ((request) => request.socket.remoteAddress ?? '')
  const server = new Server({
    noServer: true,
    clientTracking: false,
    // A frame is mostly hash and signature. Compression gains little, and costs memory for each connection.
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE,
    autoPong: false,
    handleProtocols: () => STREAM_PROTOCOL
  })
  // What is no handshake after all, where version 8 sees more of it than isHandshake.
  server.on('wsClientError', (_error, socket) => endPlain(socket, 400))

  const serve = (socket: WebSocket, base: Inbound, leave: () => void): void => {
    const gone = createBell()
    let hasAsked = false
    const late = setTimeout(() => closeSoon(socket, CLOSE.tooSlow), FIRST_MESSAGE_MS)
    const inboundOf = (message: Uint8Array): Inbound => {
      let left: Uint8Array | null = message
      return {
        ...base,
        method: 'POST',
        header: (name) => (name in MESSAGE_HEADERS ? (MESSAGE_HEADERS[name] ?? null) : base.header(name)),
        async read() {
          const piece = left
          left = null
          return piece
        },
        onGone: gone.listen,
        carrier: 'websocket'
      }
    }
    socket.on('message', async (data, isBinary = true) => {
      clearTimeout(late)
      leave()
      if (hasAsked || !isBinary || typeof data === 'string') return closeSoon(socket, CLOSE.malformed)
      hasAsked = true
      await answer(socket, await gateway.exchange(inboundOf(data)))
    })
    // Answered only while the peer reads, so that pongs do not pile up.
    socket.on('ping', (data) => {
      if (!IS_SEVEN && socket.readyState === OPEN && socket.bufferedAmount === 0) socket.pong(data)
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      clearTimeout(late)
      leave()
      gone.ring()
    })
  }

  const baseOf = (request: IncomingMessage): Inbound => ({
    method: request.method ?? '',
    target: request.url ?? '',
    header: (name) => headerOf(request, name),
    read: async () => null,
    onGone: () => () => {},
    remoteAddress: addressOf(request),
    isAmbiguous: hasDuplicates(request)
  })

  const upgrade: UpgradeListener = (request, socket, head) => {
    const base = baseOf(request)
    const { status, leave } = gateway.upgrade(base)
    if (status !== 101) return endPlain(socket, status)
    if (!isHandshake(request)) {
      leave()
      return endPlain(socket, 400)
    }
    socket.once('close', leave)
    server.handleUpgrade(request, socket, head, (upgraded) => serve(upgraded, base, leave))
  }

  return (request, socket, head) => {
    socket.on('error', () => socket.destroy())
    if (!isOwn(request.url ?? '')) return leaveToOthers(request, socket)
    try {
      upgrade(request, socket, head)
    } catch {
      // An exception of the application's `remoteAddress` must not end the process.
      endPlain(socket, 500)
    }
  }
}
