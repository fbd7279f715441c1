// SPDX-License-Identifier: MIT
// `cs.subscribe` and `cs.poll`. They are verified like any request. Their answer says where the stream stands, and
// the stream follows it.

import { FRAME_TYPE } from '../../common/protocol.ts'
import type { Core } from '../../common/types.ts'
import { type InternalFollowUp, internal } from '../exchange/routes.ts'
import type { AnswerSigner } from '../exchange/sign-answer.ts'
import type { EventPage, Handler, HandlerContext } from '../types.ts'
import { acceptsEventStream, carry, type StreamCarrier } from './carriers.ts'
import type { Feed } from './feed.ts'
import { writeField } from './sign-event.ts'
import type { StreamHub } from './stream-hub.ts'
import { parseSubscribePayload, type SubscribePayload, writePosition } from './subscribe-payload.ts'

type EventHandlerParts = {
  hub: StreamHub
  coreOf: () => Promise<Core>
  signAnswer: AnswerSigner
  charge: (sessionId: string, count: number) => void
}

const INVALID = { resultCode: 'invalid_payload' }
/** A poll's answer ends when it has so many events, or so many bytes of them. */
const POLL_EVENTS = 64
const POLL_BYTES = 512 * 1024
/** The bytes of events that cost as much as one event. So a poll costs 64 requests at most, and a little more. */
const CHARGED_BYTES = POLL_BYTES / POLL_EVENTS

/** Creates the handlers by message type. The name of a WebSocket subscription also names its carrier. */
export function createEventHandlers({ hub, coreOf, signAnswer, charge }: EventHandlerParts): {
  readonly [type: string]: Handler
} {
  const read = (context: HandlerContext, { after }: SubscribePayload): Promise<EventPage> =>
    hub.read(context.session.id, after ?? Number.MAX_SAFE_INTEGER, 1)

  const open = (
    context: HandlerContext,
    carrier: StreamCarrier,
    page: EventPage,
    subscription: SubscribePayload
  ): Feed => {
    const { session, signal } = context
    const feed = hub.open(session.id, carrier, page, subscription)
    // Leaves no stream behind a request that was given up meanwhile. Once it is answered, the carrier ends the stream.
    if (signal.aborted) feed.end('left')
    else signal.addEventListener('abort', () => feed.end('left'), { once: true })
    return feed
  }

  const subscribe =
    (carrier: 'sse' | 'websocket'): Handler =>
    async (context) => {
      const { payload, binding, unsigned } = context
      const subscription = parseSubscribePayload(payload, false)
      if (!subscription || binding !== 'frame') return INVALID
      if (carrier === 'sse' && !acceptsEventStream(unsigned.accept)) return INVALID
      const page = await read(context, subscription)
      const feed = open(context, carrier, page, subscription)
      const follow: InternalFollowUp = (inbound, signed) => {
        if (signed.headers['content-type'] === FRAME_TYPE) {
          inbound.onGone(() => feed.end('left'))
          return carry(carrier, signed, feed)
        }
        // The signer failed, and no stream may follow an unsigned answer.
        feed.end('left')
        return signed
      }
      return { payload: writePosition(page), [internal]: follow }
    }

  const collect = async (feed: Feed): Promise<Uint8Array[]> => {
    const fields: Uint8Array[] = []
    let size = 0
    for (let frame = await feed.next(); frame; frame = await feed.next()) {
      fields.push(writeField(frame))
      size += frame.length
      if (fields.length >= POLL_EVENTS || size >= POLL_BYTES) feed.end('done')
    }
    return fields
  }

  return {
    'cs.subscribe': subscribe('sse'),
    'cs.subscribe websocket': subscribe('websocket'),
    'cs.poll': async (context) => {
      const { payload, binding, requestId } = context
      const subscription = parseSubscribePayload(payload, true)
      if (!subscription || binding !== 'frame') return INVALID
      const page = await read(context, subscription)
      // Signed before the wait: no frame of a stream is dated before the answer that it begins with.
      const draft = { binding, requestId, resultCode: 'ok', status: 200, contentType: FRAME_TYPE }
      const first = await signAnswer(await coreOf(), { ...draft, payload: writePosition(page) })
      const events = await collect(open(context, 'poll', page, subscription))
      // Every event is read and signed anew for each poll, so it costs as much as a request (R146).
      const bytes = events.reduce((sum, { length }) => sum + length, 0)
      charge(context.session.id, Math.max(events.length, Math.ceil(bytes / CHARGED_BYTES)))
      return { payload: Buffer.concat([writeField(first.body), ...events]) }
    }
  }
}
