// SPDX-License-Identifier: MIT
// A listener that is behind the stream asks the gateway for the events it has missed, until it has reached the others.

import { pause } from '../call-options.ts'
import { Backoff } from './backoff.ts'
import { poll } from './carriers/poll.ts'
import type { EventHub } from './event-hub.ts'
import type { StreamPosition } from './stream-position.ts'
import type { Subscriber } from './subscriber.ts'

// The wait before the next question when the stream itself has not got as far yet.
const AGAIN_MS = 1000

/** Asks once for the events after a place and takes them. Rejects as a request does. */
export async function pollInto(
  hub: EventHub,
  place: StreamPosition,
  signal: AbortSignal,
  to?: Subscriber
): Promise<void> {
  for (const item of await poll({ host: hub.host, signal, asked: () => place.asked }, 0)) {
    signal.throwIfAborted()
    if (item.requestId === undefined) await hub.take(item, place, to)
    else await hub.begin(item, place)
  }
}

/** Brings a listener to the hub's place and joins it there. Rejects with the error that ends its listening. */
export async function catchUp(hub: EventHub, consumer: Subscriber, signal: AbortSignal): Promise<void> {
  const { schedule } = hub.host.settings
  const backoff = new Backoff(hub.host.settings)
  const place = consumer.place.copy()
  for (;;) {
    while (consumer.isFull) await hub.changed(signal)
    if (consumer.isEnded || signal.aborted) return
    const { cursor } = hub.place
    if (cursor && place.hasReached(cursor)) {
      consumer.place.moveTo(place.cursor ?? cursor)
      consumer.isJoined = true
      return
    }
    try {
      await pollInto(hub, place, signal, consumer)
      backoff.reset()
      const { cursor: now } = hub.place
      if (!place.hasMore && !(now && place.hasReached(now))) await pause(schedule, AGAIN_MS, signal)
    } catch (error) {
      await pause(schedule, backoff.after(error), signal)
    }
  }
}
