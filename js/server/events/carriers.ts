// SPDX-License-Identifier: MIT
// How a stream's frames travel (R109 to R111): as lines of server-sent events, or as a WebSocket message each.

import { EVENT_STREAM_TYPE } from '../../common/protocol.ts'
import { encodeBase64 } from '../support/encoding.ts'
import type { Outbound, OutboundStream } from '../types.ts'
import type { Feed } from './feed.ts'

/** How a stream reaches its client. A poll is a stream that ends with its answer. */
export type StreamCarrier = 'sse' | 'websocket' | 'poll'

/** A comment that fills the first buffer of proxies which wait for that. */
const PREAMBLE = `:${' '.repeat(2048)}\n\n`

const SSE_HEADERS = {
  'content-type': EVENT_STREAM_TYPE,
  'cache-control': 'no-store, no-transform',
  'x-accel-buffering': 'no'
}

const writeLine = (frame: Uint8Array): Buffer => Buffer.from(`data: ${encodeBase64(frame, 'base64url')}\n\n`)

const outboundStream = (feed: Feed, write: (frame: Uint8Array) => Uint8Array): OutboundStream => ({
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

/**
 * Returns whether an `accept` header asks for server-sent events. It is unsigned, and decides nothing but the
 * carrier.
 */
export function acceptsEventStream(accept: string): boolean {
  return accept
    .toLowerCase()
    .split(',')
    .some((range) => range.split(';', 1)[0]?.trim() === EVENT_STREAM_TYPE)
}

/** Makes the answer of a subscription: the signed answer first, then the frames of the feed, in the carrier's form. */
export function carry(carrier: StreamCarrier, signed: Outbound, feed: Feed): Outbound {
  if (carrier === 'websocket') return { ...signed, stream: outboundStream(feed, (frame) => frame) }
  const body = Buffer.concat([Buffer.from(PREAMBLE), writeLine(signed.body)])
  return { status: 200, headers: SSE_HEADERS, body, stream: outboundStream(feed, writeLine) }
}
