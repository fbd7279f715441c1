// SPDX-License-Identifier: MIT
// Events of one gateway: who may open a stream, which streams are open, and what wakes and ends them.

import type { Core } from '../../common/types.ts'
import { HandlerRefusal } from '../exchange/routes.ts'
import { within } from '../support/deadline.ts'
import type { GatewayClock } from '../support/gateway-clock.ts'
import type { Metrics } from '../support/metrics.ts'
import type { EventPage, EventStore, ServerSigner, SessionStore } from '../types.ts'
import type { Carrier } from './carriers.ts'
import { createFeed, type EndReason, type Feed, type Schedule } from './feed.ts'
import { createEventSigner } from './sign-event.ts'
import { type Subscription, startOf } from './subscription.ts'
import { watchSessions } from './watch-sessions.ts'

export type HubParts = {
  label: string
  signer: ServerSigner
  sessions: SessionStore
  events: EventStore
  clock: GatewayClock
  metrics: Metrics
  coreOf: () => Promise<Core>
  schedule: Schedule
  limits: { sessionStreams: number; streams: number; heartbeatMs: number; stalledMs: number; storeMs: number }
}

/** Hub opens streams. */
export type Hub = {
  /** Reads where a session's stream stands; rejects where the store does not answer in time. */
  read(sessionId: string, after: number, limit: number): Promise<EventPage>
  /** Opens a stream that goes on where `page` and the subscription say, throws a HandlerRefusal where there are too many. */
  open(sessionId: string, carrier: Carrier, page: EventPage, subscription: Subscription): Feed
  /** Ends every stream, and opens no more. */
  close(): void
}

const RETRY_MS = 1000
/** A session at its limit waits for its own streams to end. */
const CROWDED_MS = 10_000

/** createHub makes the hub of one gateway. */
export function createHub(parts: HubParts): Hub {
  const { sessions, events, clock, metrics, coreOf, schedule, limits } = parts
  const { heartbeatMs, stalledMs, storeMs } = limits
  const sign = createEventSigner({ ...parts, signMs: storeMs })
  const onFault = (reason: string) => metrics.count('countersign_fail_closed_total', { reason })
  const watching = watchSessions({ sessions, storeMs, schedule, now: () => clock.now(), onFault })
  const open: { [Name in Carrier]: number } = { sse: 0, websocket: 0, poll: 0 }
  let unwatch: (() => void) | undefined
  let isClosed = false
  metrics.gauge('countersign_streams', 'Open streams by carrier; a poll is one while it waits.', () =>
    Object.fromEntries(Object.entries(open).map(([carrier, count]) => [`carrier="${carrier}"`, count]))
  )

  const wake = (sessionId: string | undefined): void => {
    for (const feed of sessionId === undefined ? watching.feeds() : watching.feedsOf(sessionId)) feed.wake()
  }

  const read = async (sessionId: string, after: number, limit: number): Promise<EventPage> => {
    try {
      return await within(storeMs, 'the event store', () => events.read(sessionId, after, limit))
    } catch (error) {
      onFault('events')
      throw error
    }
  }

  const admit = (sessionId: string): void => {
    const isFull = open.sse + open.websocket + open.poll >= limits.streams
    if (isClosed) throw new HandlerRefusal('cs.unavailable', RETRY_MS, undefined)
    if (watching.count(sessionId) >= limits.sessionStreams)
      throw new HandlerRefusal('cs.rate_limited', CROWDED_MS, undefined, 'rate')
    if (isFull) throw new HandlerRefusal('cs.unavailable', RETRY_MS, new Error('limits.streams is reached'))
  }

  return {
    read,
    open(sessionId, carrier, page, subscription) {
      admit(sessionId)
      unwatch ??= events.watch(wake)
      const { stream } = page
      const isPoll = carrier === 'poll'
      const feed = createFeed({
        stream,
        ...startOf(page, subscription),
        read: (after, limit) => read(sessionId, after, limit),
        sign: async (event) => sign({ core: await coreOf(), sessionId, stream }, event),
        schedule,
        heartbeatMs: isPoll ? subscription.waitMs : heartbeatMs,
        isOnce: isPoll,
        stalledMs,
        onSent: (kind) => metrics.count('countersign_events_sent_total', { carrier, kind }),
        onEnd(reason: EndReason) {
          open[carrier] -= 1
          watching.remove(sessionId, feed)
          metrics.count('countersign_streams_ended_total', { carrier, reason })
        }
      })
      open[carrier] += 1
      watching.add(sessionId, feed)
      return feed
    },
    close() {
      isClosed = true
      for (const feed of watching.feeds()) feed.end('closed')
      watching.close()
      unwatch?.()
    }
  }
}
