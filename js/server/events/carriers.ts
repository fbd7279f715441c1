// SPDX-License-Identifier: MIT
// How a stream's frames travel (PROTOCOL.md, R109 to R111): as lines of server-sent events, or a WebSocket message each.

import { encodeText } from '../support/encoding.ts'
import type { Outbound, OutboundStream } from '../types.ts'
import type { Feed } from './feed.ts'

/** How a stream reaches its client; a poll is a stream that ends with its answer. */
export type Carrier = 'sse' | 'websocket' | 'poll'

export const SSE_TYPE = 'text/event-stream'

/** Proxies that wait for a first buffer to fill have it at once. */
const PREAMBLE = `:${' '.repeat(2048)}\n\n`

const SSE_HEADERS = { 'content-type': SSE_TYPE, 'cache-control': 'no-store, no-transform', 'x-accel-buffering': 'no' }

const lineOf = (frame: Uint8Array): Buffer => Buffer.from(`data: ${encodeText(frame, 'base64url')}\n\n`)

const streamOf = (feed: Feed, write: (frame: Uint8Array) => Uint8Array): OutboundStream => ({
  async next() {
    const frame = await feed.next()
    return frame && write(frame)
  },
  leave: () => feed.end('left'),
  get reason() {
    return feed.reason
  },
  onOver: feed.onOver
})

/** takesStream tells whether a request asks for server-sent events. Unsigned, but it decides nothing except the shape. */
export function takesStream(accept: string): boolean {
  return accept
    .toLowerCase()
    .split(',')
    .some((range) => range.split(';', 1)[0]?.trim() === SSE_TYPE)
}

/** carry makes the answer of a subscription: the signed one first, then what the feed gives, as the carrier has it. */
export function carry(carrier: Carrier, signed: Outbound, feed: Feed): Outbound {
  if (carrier === 'websocket') return { ...signed, stream: streamOf(feed, (frame) => frame) }
  const body = Buffer.concat([Buffer.from(PREAMBLE), lineOf(signed.body)])
  return { status: 200, headers: SSE_HEADERS, body, stream: streamOf(feed, lineOf) }
}
