// SPDX-License-Identifier: MIT
// The public types of events, and what js/client/events needs of its client.

import type { CountersignError } from '../../common/errors.ts'
import type { StageEvent } from '../../common/stage-events.ts'
import type { Bytes } from '../../common/types.ts'
import type { Session } from '../keys/key-vault.ts'
import type { ClientSettings } from '../options.ts'
import type { Tabs } from '../tabs.ts'
import type { CallContext } from '../transport/types.ts'
import type { ConnectionState } from './connection-state.ts'

/** A place in a session's stream of events: after the event with that number. */
export type EventCursor = { readonly stream: string; readonly sequence: number }

/**
 * A verified event. An event of type `cs.gap` says that events were lost before it: the application has to load its
 * data again. One of type `cs.key_replaced` says that another session of this user has a new key. Its payload is JSON
 * with `device_session_id` and `thumbprint`: show it to the user, who may know nothing of it.
 */
export type ClientEvent = {
  readonly type: string
  readonly payload: Bytes
  readonly sequence: number
  readonly stream: string
  /** When the gateway signed the event for this session, in Unix milliseconds of the server's clock. */
  readonly timestampMs: number
  readonly eventId: string
  /** The place after this event: pass it to `events({ after })` to go on there. */
  readonly cursor: EventCursor
}

/**
 * How events travel: server-sent events over fetch (`sse`), a WebSocket, or one long request after the other (`poll`).
 */
export type Carrier = 'sse' | 'websocket' | 'poll'

export type EventsOptions = {
  /** Starts after this event. Default: events that are published from now on. */
  after?: number | EventCursor | undefined
  /** The types of events to deliver; `cs.gap` comes in any case. Default: all types. */
  types?: readonly string[] | undefined
  /** Ends the listening with ERR_ABORTED when it aborts. */
  signal?: AbortSignal | null | undefined
  /**
   * `auto` tries `sse`, `websocket` and `poll` in this order and keeps the first one that works. A named carrier is
   * tried again and again, even where the platform lacks it; `client.connection.reason` then has the error. The choice
   * of the first listener counts for all. Default: `auto`.
   */
  carrier?: 'auto' | Carrier | undefined
}

/**
 * Which client holds this session's stream.
 * - `leader`: this client, for all tabs of the browser.
 * - `follower`: another tab. This client gets the events from it and verifies them.
 * - `alone`: this client, for itself, because the tabs cannot agree here.
 * - `none`: this client does not listen.
 */
export type StreamRole = 'leader' | 'follower' | 'alone' | 'none'

/** The state of the stream of events. */
export type ConnectionView = {
  readonly state: ConnectionState
  readonly role: StreamRole
  readonly carrier: Carrier | undefined
  /** The error because of which the stream is not live, if any. */
  readonly reason: CountersignError | undefined
}

/** What the stream needs of its client. */
export type EventsHost = {
  readonly settings: ClientSettings
  readonly tabs: Tabs
  /** Functions to call with the reason when the client is closed. */
  readonly ends: Set<(error: CountersignError) => void>
  context(): Promise<CallContext>
  /** Ends the session after the gateway's signed `cs.revoked`. */
  revoked(session: Session): void
  /** Publishes a new state of the stream. */
  connectionChanged(connection: ConnectionView): void
  /** Reports a check of an event; undefined where the application does not listen to checks. */
  readonly tellStage: ((event: StageEvent) => void) | undefined
  /** Calls back with the reason when the client can no longer send. Returns the function that removes the callback. */
  onUnready(listener: (error: unknown) => void): () => void
}
