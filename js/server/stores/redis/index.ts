// SPDX-License-Identifier: MIT
// The stores over Redis (npm package `redis`, an optional peer): shared by every gateway process, on any number of machines.

import { integerOf, labelOf, optionsOf } from '../../../core/args.ts'
import { functionOf } from '../../support/checks.ts'
import type { AnswerStore, CodeStore, EventStore, ReplayStore, SessionStore } from '../../types.ts'
import { redisAnswers } from './answers.ts'
import { checkServer, type RedisClientLike } from './client.ts'
import { redisCodes } from './codes.ts'
import { createConnection } from './connection.ts'
import { dialOf, prefixOf } from './dial.ts'
import { redisEvents } from './events.ts'
import { redisReplay } from './replay.ts'
import { createRun } from './scripts.ts'
import { redisSessions } from './sessions.ts'
import { createWatches } from './watches.ts'

export type { RedisClientLike } from './client.ts'

const DEFAULT_CAPACITY = 2 ** 20
const DEFAULT_DEADLINE_MS = 250
const ANSWER_CAPACITY = 2 ** 17
const CODE_CAPACITY = 2 ** 17
const EVENTS_PER_SESSION = 256
const BYTES_PER_SESSION = 2 ** 20

/** What redisStores connects to, and how. */
export type RedisStoresOptions = {
  /** `redis://[[user]:password@]host[:port][/database]`, or `rediss://…` for TLS; or else `client`. */
  url?: string
  /** A client of npm `redis` that says how to connect: it is copied, and left alone. */
  client?: RedisClientLike
  /** The gateways' label: one label is one session registry and one replay store. */
  label: string
  /** What all keys begin with; `countersign` by default. */
  prefix?: string
  /** Bounds the live request ids, 2^20 by default. */
  capacity?: number
  /** Bounds the idempotent answers, 2^17 by default. */
  answerCapacity?: number
  /** How many events, and how many bytes of them, are kept for a session: 256 and 1 MiB by default. */
  eventsPerSession?: number
  bytesPerSession?: number
  /** How long a command may take, 250 ms by default; then it is refused, and the connection made anew. */
  deadlineMs?: number
  /** Told whenever the connection is lost, with the reason, and when it is back. */
  onState?: (state: { isUp: boolean; error?: unknown }) => void
}

/** What redisStores gives. */
export type RedisStores = {
  sessions: SessionStore
  replay: ReplayStore
  codes: CodeStore
  events: EventStore
  answers: AnswerStore
  /** Closes all of them, and both connections. */
  close(): Promise<void>
}

function readOptions(given: RedisStoresOptions) {
  const options = optionsOf(given, 'redisStores')
  const { url, client, prefix = 'countersign', onState } = options
  const { capacity = DEFAULT_CAPACITY, answerCapacity = ANSWER_CAPACITY } = options
  const { eventsPerSession = EVENTS_PER_SESSION, bytesPerSession = BYTES_PER_SESSION } = options
  const { deadlineMs = DEFAULT_DEADLINE_MS } = options
  const dial = dialOf({ url, client }, 'redisStores')
  functionOf(onState, 'redisStores: onState')
  return {
    ...dial,
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
 * redisStores connects to a Redis (7.0 or later, `maxmemory-policy noeviction`) and gives the stores of one label in it. It
 * rejects with ERR_INVALID_ARGUMENT or ERR_INVALID_LABEL for options that cannot work, and with ERR_STORAGE_FAILED, which
 * says what to do, where the server cannot be used. Later on a lost connection is made anew by itself; meanwhile every step
 * is refused at once, and gateways answer with a signed `cs.unavailable`.
 *
 * @example
 * ```ts
 * const stores = await redisStores({ url: 'redis://127.0.0.1', label: 'myapp' })
 * const gateway = createGateway({ ...stores, sessions: cachedSessions(stores.sessions), label: 'myapp', signer, routes })
 * ```
 */
export async function redisStores(options: RedisStoresOptions): Promise<RedisStores> {
  const { address, make, prefix, deadlineMs, onState, ...given } = readOptions(options)
  const tell = (isUp: boolean, error?: unknown): void => {
    try {
      onState?.(error === undefined ? { isUp } : { isUp, error })
    } catch {
      // Whoever listens is not part of the connection.
    }
  }
  let isOpen = false
  const channels = { sessions: `${prefix}changed-sessions`, events: `${prefix}appended-events` }
  const watches = createWatches(Object.values(channels), { address, deadlineMs, make })
  const connection = createConnection({
    address,
    deadlineMs,
    make,
    async greet(fresh) {
      await checkServer(fresh)
      await replay.look(createRun((words, choices) => fresh.sendCommand(words, choices)))
    },
    beat: (ask) => replay.look(createRun(ask)),
    onUp() {
      watches.renew('the server may be another one')
      if (isOpen) tell(true)
    },
    onDown: (error) => tell(false, error)
  })
  const run = createRun(connection.ask)
  const replay = redisReplay(run, { prefix, capacity: given.capacity, onLost: watches.announce })
  const sessions = redisSessions(run, prefix, channels.sessions, watches.watch(channels.sessions))
  const codes = redisCodes(run, prefix, CODE_CAPACITY)
  const events = redisEvents(run, {
    prefix,
    channel: channels.events,
    watch: watches.watch(channels.events),
    eventsPerSession: given.eventsPerSession,
    bytesPerSession: given.bytesPerSession
  })
  const answers = redisAnswers(run, prefix, given.answerCapacity)

  const close = async (): Promise<void> => {
    await Promise.all([replay.close(), codes.close(), events.close(), answers.close()])
    watches.close()
    connection.close()
  }
  try {
    await connection.open()
    await watches.open()
    isOpen = true
  } catch (error) {
    await close()
    throw error
  }
  return { sessions, replay, codes, events, answers, close }
}
