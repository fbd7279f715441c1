// SPDX-License-Identifier: MIT
// The stores over Redis (npm package `redis`, an optional peer). Every gateway process shares them, on any number of
// machines.

import { integerOf, labelOf } from '../../../core/args.ts'
import { functionOf } from '../../support/checks.ts'
import { gatewayOptionsOf } from '../../support/option-names.ts'
import type { AnswerStore, CodeStore, EventStore, ReplayStore, SessionStore } from '../../types.ts'
import {
  ANSWER_CAPACITY,
  CODE_CAPACITY,
  EVENT_BYTES_PER_SESSION,
  EVENTS_PER_SESSION,
  REPLAY_CAPACITY
} from '../common.ts'
import { withClock } from '../shared-clock.ts'
import { createRedisAnswers } from './answers.ts'
import { createChannelWatchers } from './channel-watchers.ts'
import { checkServer, clientFactory, prefixOf, type RedisClientLike } from './client.ts'
import { createRedisClock } from './clock.ts'
import { createRedisCodes } from './codes.ts'
import { createConnection } from './connection.ts'
import { createRedisEvents } from './events.ts'
import { createRedisReplay } from './replay.ts'
import { createScriptRunner } from './scripts.ts'
import { createRedisSessions } from './sessions.ts'

export type { RedisClientLike } from './client.ts'

const DEFAULT_DEADLINE_MS = 250

/** The options of redisStores. */
export type RedisStoresOptions = {
  /** `redis://[[user]:password@]host[:port][/database]`, or `rediss://…` for TLS. Pass either `url` or `client`. */
  url?: string
  /** A client of npm `redis` that says how to connect. It is copied, and itself left alone. */
  client?: RedisClientLike
  /** The gateways' label. One label has one registry of sessions and one replay store. */
  label: string
  /** The text that all keys begin with. Default: `countersign`. */
  prefix?: string
  /** The most live request ids. Default: 2^20. */
  capacity?: number
  /** The most idempotent answers. Default: 2^17. */
  answerCapacity?: number
  /** The most events that are kept for a session. Default: 256. */
  eventsPerSession?: number
  /** The most bytes of events that are kept for a session. Default: 1 MiB. */
  bytesPerSession?: number
  /**
   * The longest that a command may take, in milliseconds. After that it alone is refused. A connection on which nothing
   * comes for a second is made anew. Default: 250 ms.
   */
  deadlineMs?: number
  /** Is called whenever the connection is lost, with the reason, and when it is back. */
  onState?: (state: { isUp: boolean; error?: unknown }) => void
}

/** The stores of one label. */
export type RedisStores = {
  sessions: SessionStore
  replay: ReplayStore
  codes: CodeStore
  events: EventStore
  answers: AnswerStore
  /** Closes all stores and both connections. */
  close(): Promise<void>
}

function readOptions(given: RedisStoresOptions) {
  const options = gatewayOptionsOf(given, 'redisStores')
  const { url, client, prefix = 'countersign', onState } = options
  const { capacity = REPLAY_CAPACITY, answerCapacity = ANSWER_CAPACITY } = options
  const { eventsPerSession = EVENTS_PER_SESSION, bytesPerSession = EVENT_BYTES_PER_SESSION } = options
  const { deadlineMs = DEFAULT_DEADLINE_MS } = options
  const factory = clientFactory({ url, client }, 'redisStores')
  functionOf(onState, 'redisStores: onState')
  return {
    ...factory,
    prefix: prefixOf(prefix, labelOf(options.label), 'redisStores'),
    capacity: integerOf(capacity, 1, 2 ** 32, 'redisStores: capacity'),
    answerCapacity: integerOf(answerCapacity, 1, 2 ** 32, 'redisStores: answerCapacity'),
    eventsPerSession: integerOf(eventsPerSession, 1, 2 ** 20, 'redisStores: eventsPerSession'),
    bytesPerSession: integerOf(bytesPerSession, 1, 2 ** 30, 'redisStores: bytesPerSession'),
    deadlineMs: integerOf(deadlineMs, 1, 1000, 'redisStores: deadlineMs'),
    onState
  }
}

/**
 * Connects to a Redis (7.0 or later, `maxmemory-policy noeviction`) and opens the stores of one label in it. A
 * connection that is lost later is made anew without a call. Until then every step is refused at once, and gateways
 * answer with a signed `cs.unavailable`.
 *
 * Rejects with ERR_INVALID_ARGUMENT or ERR_INVALID_LABEL when an option is wrong. Rejects with ERR_STORAGE_FAILED
 * when the server cannot be used; the error's detail names the remedy.
 *
 * @example
 * ```ts
 * const stores = await redisStores({ url: 'redis://127.0.0.1', label: 'myapp' })
 * const sessions = cachedSessions(stores.sessions)
 * const gateway = createGateway({ ...stores, sessions, label: 'myapp', signer, routes })
 * ```
 */
export async function redisStores(options: RedisStoresOptions): Promise<RedisStores> {
  const { address, make, prefix, deadlineMs, onState, ...given } = readOptions(options)
  const notifyState = (isUp: boolean, error?: unknown): void => {
    try {
      onState?.(error === undefined ? { isUp } : { isUp, error })
    } catch {
      // A fault of the application's listener must not reach the connection.
    }
  }
  let isOpen = false
  const channels = { sessions: `${prefix}changed-sessions`, events: `${prefix}appended-events` }
  const watchers = createChannelWatchers(Object.values(channels), { address, deadlineMs, make })
  const connection = createConnection({
    address,
    deadlineMs,
    make,
    async greet(fresh) {
      await checkServer(fresh)
      const runOver = createScriptRunner((words, choices) => fresh.sendCommand(words, choices))
      await ids.sync(runOver)
      await clock.sync(runOver)
    },
    beat: (send) => ids.sync(createScriptRunner(send)),
    onUp() {
      watchers.renew('the server may be another one')
      if (isOpen) notifyState(true)
    },
    onDown: (error) => notifyState(false, error)
  })
  const run = createScriptRunner(connection.send)
  const ids = createRedisReplay(run, { prefix, capacity: given.capacity, onLost: watchers.notifyAll })
  const clock = createRedisClock(run, prefix)
  const replay = withClock(ids, clock)
  const sessions = createRedisSessions(run, prefix, channels.sessions, watchers.watch(channels.sessions))
  const codes = createRedisCodes(run, prefix, CODE_CAPACITY)
  const events = createRedisEvents(run, {
    prefix,
    channel: channels.events,
    watch: watchers.watch(channels.events),
    eventsPerSession: given.eventsPerSession,
    bytesPerSession: given.bytesPerSession
  })
  const answers = createRedisAnswers(run, prefix, given.answerCapacity)

  const close = async (): Promise<void> => {
    await Promise.all([replay.close(), codes.close(), events.close(), answers.close()])
    watchers.close()
    connection.close()
  }
  try {
    await connection.open()
    await watchers.open()
    isOpen = true
  } catch (error) {
    await close()
    throw error
  }
  return { sessions, replay, codes, events, answers, close }
}
