// SPDX-License-Identifier: MIT
// `cs.subscribe` and `cs.poll`: verified like any request, then answered with where the stream stands, and followed by it.

import { FRAME_TYPE } from '../../common/protocol.ts'
import type { Core } from '../../common/types.ts'
import { type Own, own } from '../exchange/routes.ts'
import type { Sealer } from '../exchange/sign-answer.ts'
import type { EventPage, Handler, HandlerContext } from '../types.ts'
import { type Carrier, carry, takesStream } from './carriers.ts'
import type { Feed } from './feed.ts'
import { fieldOf } from './sign-event.ts'
import type { Hub } from './stream-hub.ts'
import { readSubscription, type Subscription, writePosition } from './subscription.ts'

export type HandlerParts = { hub: Hub; coreOf: () => Promise<Core>; seal: Sealer }

const INVALID = { resultCode: 'invalid_payload' }
/** A poll's answer ends where it has this much. */
const POLL_EVENTS = 64
const POLL_BYTES = 512 * 1024

/** createEventHandlers makes the handlers; the carrier of a subscription is part of the name it is found by. */
export function createEventHandlers({ hub, coreOf, seal }: HandlerParts): { readonly [type: string]: Handler } {
  const read = (context: HandlerContext, { after }: Subscription): Promise<EventPage> =>
    hub.read(context.session.id, after ?? Number.MAX_SAFE_INTEGER, 1)

  const open = (context: HandlerContext, carrier: Carrier, page: EventPage, subscription: Subscription): Feed => {
    const { session, signal } = context
    const feed = hub.open(session.id, carrier, page, subscription)
    // A request that was given up meanwhile leaves no stream behind; one that is answered is the carrier's to end.
    if (signal.aborted) feed.end('left')
    else signal.addEventListener('abort', () => feed.end('left'), { once: true })
    return feed
  }

  const subscribe =
    (carrier: 'sse' | 'websocket'): Handler =>
    async (context) => {
      const { payload, binding, unsigned } = context
      const subscription = readSubscription(payload, false)
      if (!subscription || binding !== 'frame') return INVALID
      if (carrier === 'sse' && !takesStream(unsigned.accept)) return INVALID
      const page = await read(context, subscription)
      const feed = open(context, carrier, page, subscription)
      const follow: Own['follow'] = (inbound, signed) => {
        if (signed.headers['content-type'] === FRAME_TYPE) {
          inbound.onGone(() => feed.end('left'))
          return carry(carrier, signed, feed)
        }
        // The signer failed: nothing may follow what nobody vouches for.
        feed.end('left')
        return signed
      }
      return { payload: writePosition(page), [own]: { follow } }
    }

  const collect = async (feed: Feed): Promise<Uint8Array[]> => {
    const fields: Uint8Array[] = []
    let size = 0
    for (let frame = await feed.next(); frame; frame = await feed.next()) {
      fields.push(fieldOf(frame))
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
      const subscription = readSubscription(payload, true)
      if (!subscription || binding !== 'frame') return INVALID
      const page = await read(context, subscription)
      // Before the wait: nothing on a stream is dated before the answer that it begins with.
      const draft = { binding, requestId, resultCode: 'ok', status: 200, contentType: FRAME_TYPE }
      const first = await seal(await coreOf(), { ...draft, payload: writePosition(page) })
      const events = await collect(open(context, 'poll', page, subscription))
      return { payload: Buffer.concat([fieldOf(first.body), ...events]) }
    }
  }
}
