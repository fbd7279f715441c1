// SPDX-License-Identifier: MIT
// The open streams of one gateway: their limits, and the changes that wake and end them.

import type { Schedule } from '../../common/platform.ts'
import type { Core } from '../../common/types.ts'
import { HandlerRefusal } from '../exchange/routes.ts'
import { within } from '../support/deadline.ts'
import type { GatewayClock } from '../support/gateway-clock.ts'
import type { Metrics } from '../support/metrics.ts'
import type { EventPage, EventStore, ServerSigner, SessionStore } from '../types.ts'
import type { StreamCarrier } from './carriers.ts'
import { createFeed, type EndReason, type Feed } from './feed.ts'
import { createSessionWatcher } from './session-watcher.ts'
import { createEventSigner } from './sign-event.ts'
import { type SubscribePayload, startOf } from './subscribe-payload.ts'

type StreamHubParts = {
  label: string
  signer: ServerSigner
  sessions: SessionStore
  events: EventStore
  clock: GatewayClock
  metrics: Metrics
  coreOf: () => Promise<Core>
  schedule: Schedule
  limits: {
    sessionStreams: number
    streams: number
    heartbeatMs: number
    streamMs: number
    stalledMs: number
    storeMs: number
  }
}

/** Opens streams. */
export type StreamHub = {
  /** Reads a session's stream. Rejects when the store does not answer in time. */
  read(sessionId: string, after: number, limit: number): Promise<EventPage>
  /**
   * Opens a stream that goes on where `page` and the subscription say. Throws a HandlerRefusal when there are too
   * many.
   */
  open(sessionId: string, carrier: StreamCarrier, page: EventPage, subscription: SubscribePayload): Feed
  /** Ends all streams, and opens no more. */
  close(): void
}

const RETRY_MS = 1000
/** The time after which a session at its limit may try again: its own streams must end first. */
const SESSION_RETRY_MS = 10_000

/** Creates the hub of one gateway. */
export function createStreamHub(parts: StreamHubParts): StreamHub {
  const { sessions, events, clock, metrics, coreOf, schedule, limits } = parts
  const { heartbeatMs, streamMs, stalledMs, storeMs } = limits
  const sign = createEventSigner({ ...parts, signMs: storeMs })
  const onFault = (reason: string) => metrics.count('countersign_fail_closed_total', { reason })
  const watcher = createSessionWatcher({ sessions, storeMs, schedule, now: () => clock.now(), onFault })
  const open: { [Name in StreamCarrier]: number } = { sse: 0, websocket: 0, poll: 0 }
  let unwatch: (() => void) | undefined
  let isClosed = false
  metrics.gauge('countersign_streams', 'Open streams by carrier; a poll is one while it waits.', () =>
    Object.fromEntries(Object.entries(open).map(([carrier, count]) => [`carrier="${carrier}"`, count]))
  )

  const wake = (sessionId: string | undefined): void => {
    for (const feed of sessionId === undefined ? watcher.feeds() : watcher.feedsOf(sessionId)) feed.wake()
  }

  const read = async (sessionId: string, after: number, limit: number): Promise<EventPage> => {
    try {
      return await within(storeMs, 'the event store', () => events.read(sessionId, after, limit))
    } catch (error) {
      onFault('events')
      throw error
    }
  }

  const checkLimits = (sessionId: string): void => {
    const isFull = open.sse + open.websocket + open.poll >= limits.streams
    if (isClosed) throw new HandlerRefusal('cs.unavailable', RETRY_MS, undefined)
    if (watcher.count(sessionId) >= limits.sessionStreams)
      throw new HandlerRefusal('cs.rate_limited', SESSION_RETRY_MS, undefined, 'rate')
    if (isFull) throw new HandlerRefusal('cs.unavailable', RETRY_MS, new Error('limits.streams is reached'))
  }

  return {
    read,
    open(sessionId, carrier, page, subscription) {
      checkLimits(sessionId)
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
        lifeMs: streamMs,
        stalledMs,
        onSent: (kind) => metrics.count('countersign_events_sent_total', { carrier, kind }),
        onEnd(reason: EndReason) {
          open[carrier] -= 1
          watcher.remove(sessionId, feed)
          metrics.count('countersign_streams_ended_total', { carrier, reason })
        }
      })
      open[carrier] += 1
      watcher.add(sessionId, feed)
      return feed
    },
    close() {
      isClosed = true
      for (const feed of watcher.feeds()) feed.end('closed')
      watcher.close()
      unwatch?.()
    }
  }
}
