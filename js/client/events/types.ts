// SPDX-License-Identifier: MIT
// What applications see of events, and what the rooms of js/events need of their client.

import type { CountersignError } from '../../common/errors.ts'
import type { StageEvent } from '../../common/stage-events.ts'
import type { Bytes } from '../../common/types.ts'
import type { Session } from '../keys/key-vault.ts'
import type { ClientSettings } from '../options.ts'
import type { Tabs } from '../tabs.ts'
import type { CallContext } from '../transport/types.ts'

/** A place in a session's stream of events: behind the event of that number. */
export type EventCursor = { readonly stream: string; readonly sequence: number }

/** A verified event. `cs.gap` is one too: events were lost before it, and what the application knows has to be read anew. */
export type ClientEvent = {
  readonly type: string
  readonly payload: Bytes
  readonly sequence: number
  readonly stream: string
  /** When the gateway signed it for this session, in Unix milliseconds of the server. */
  readonly timestampMs: number
  readonly eventId: string
  /** What to hand to `events({ after })` to go on behind this event. */
  readonly cursor: EventCursor
}

/** How events travel: server-sent events over fetch, a WebSocket, or one long request after the other. */
export type Carrier = 'sse' | 'websocket' | 'poll'

export type EventsOptions = {
  /** Goes on behind this event; only what is published from now on unless told. */
  after?: number | EventCursor | undefined
  /** The types wanted, and `cs.gap` in any case; all unless told. */
  types?: readonly string[] | undefined
  signal?: AbortSignal | null | undefined
  /**
   * `auto` tries `sse`, `websocket` and `poll` in this order and keeps to what works. The first listener's choice holds. One
   * that is named is tried again and again, even where the platform has none: `client.connection.reason` says so.
   */
  carrier?: 'auto' | Carrier | undefined
}

/**
 * - `idle`: nobody listens.
 * - `connecting`: on the way to the gateway, or waiting to try again.
 * - `live`: connected, and the gateway has been heard within 25 s.
 * - `stale`: connected, and not heard for 25 s; a new connection follows.
 * - `offline`: the device or the network says that there is no way to the gateway.
 * - `refused`: the gateway has refused the stream by its signed word, which is the `reason`.
 */
export type ConnectionState = 'idle' | 'connecting' | 'live' | 'stale' | 'offline' | 'refused'

/**
 * Who holds this session's stream: `leader`, this client for all tabs of the browser; `follower`, another tab; `alone`, this
 * client for itself, where tabs cannot agree; `none`, nobody here.
 */
export type StreamRole = 'leader' | 'follower' | 'alone' | 'none'

/** What is known of the stream of events. */
export type ConnectionView = {
  readonly state: ConnectionState
  readonly role: StreamRole
  readonly carrier: Carrier | undefined
  /** Why it is not live, where something has failed. */
  readonly reason: CountersignError | undefined
}

/** What the stream needs of its client. */
export type EventsHost = {
  readonly settings: ClientSettings
  readonly tabs: Tabs
  /** Told the reason when the client is closed. */
  readonly ends: Set<(error: CountersignError) => void>
  context(): Promise<CallContext>
  /** The gateway has said, signed, that this session is over. */
  revoked(session: Session): void
  tell(connection: ConnectionView): void
  /** Tells a check of an event; undefined where nobody listens. */
  readonly tellStage: ((event: StageEvent) => void) | undefined
  /** Calls back when the client can no longer send, and why; gives the function that ends it. */
  onUnready(listener: (error: unknown) => void): () => void
}
