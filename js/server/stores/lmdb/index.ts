// SPDX-License-Identifier: MIT
// The stores over LMDB (npm package `lmdb`, an optional peer). Every process on the machine that opens the same
// folder shares them. They are durable: a promise resolves after its commit has reached the disk, so that no answer
// leaves before that.

import type { RootDatabase } from 'lmdb'
import { badArgument, integerOf } from '../../../core/args.ts'
import { gatewayOptionsOf } from '../../support/option-names.ts'
import type { AnswerStore, CodeStore, EventStore, ReplayStore, SessionStore } from '../../types.ts'
import { createAnswerStore } from '../answers.ts'
import { createCodeStore } from '../codes.ts'
import {
  ANSWER_CAPACITY,
  CODE_CAPACITY,
  EVENT_BYTES_PER_SESSION,
  EVENTS_PER_SESSION,
  REPLAY_CAPACITY
} from '../common.ts'
import type { RecordTable } from '../record-table.ts'
import { withClock } from '../shared-clock.ts'
import { openLmdbChanges } from './changes.ts'
import { createLmdbClock } from './clock.ts'
import { openEnvironment, openTables, transact } from './environment.ts'
import { createLmdbEvents } from './events.ts'
import { createLmdbReplay } from './replay.ts'
import { createLmdbSessions } from './sessions.ts'

/** The stores of one folder. */
export type LmdbStores = {
  sessions: SessionStore
  replay: ReplayStore
  codes: CodeStore
  answers: AnswerStore
  events: EventStore
  /** Closes all stores. Resolves when everything is on disk. */
  close(): Promise<void>
}

function openRecordTable(root: RootDatabase, name: string, capacity: number): RecordTable {
  const records = root.openDB<unknown, string>({ name, encoding: 'json' })
  const meta = root.openDB<number, string>({ name: `${name}-meta`, encoding: 'json' })
  let cursor: string | undefined
  return {
    capacity,
    transact: (work) => transact(root, work),
    get: (key) => records.get(key),
    latest(key) {
      root.resetReadTxn()
      return records.get(key)
    },
    put(key, value) {
      if (!records.doesExist(key)) meta.put('size', (meta.get('size') ?? 0) + 1)
      records.put(key, value)
    },
    remove(key) {
      if (!records.doesExist(key)) return
      meta.put('size', (meta.get('size') ?? 0) - 1)
      records.remove(key)
    },
    size: () => meta.get('size') ?? 0,
    nextKeys(count) {
      const range = cursor === undefined ? { limit: count } : { start: cursor, exclusiveStart: true, limit: count }
      const keys = [...records.getKeys(range)]
      cursor = keys.length < count ? undefined : keys.at(-1)
      return keys
    },
    keys: () => [...records.getKeys()],
    close: () => {}
  }
}

/**
 * Opens the stores of one label in a folder, and creates the folder when it is missing.
 *
 * @throws ERR_STORAGE_FAILED when the folder cannot be opened, or has no room for new tables.
 * @throws ERR_INVALID_ARGUMENT when an option is out of range.
 *
 * @example
 * ```ts
 * const { sessions, replay, codes, close } = lmdbStores({ path: 'data/myapp.lmdb' })
 * ```
 */
export function lmdbStores(options: {
  /** The folder. */
  path: string
  /** The most live request ids. Default: 2^20. */
  capacity?: number
  /** The most records of idempotent answers, two for a key. Default: 2^17. */
  answerCapacity?: number
  /** The most events that are kept for a session, beside a bound of 1 MiB. Default: 256. */
  eventsPerSession?: number
  /** The most bytes of events that are kept for all sessions. Default: 256 MiB. */
  eventBytes?: number
  /**
   * Whether the folder came back from a backup or a failed disk. Ids that were accepted later may then be missing, so
   * the gateway starts with a fence of `futureMs`. Default: `false`.
   */
  restored?: boolean
}): LmdbStores {
  const {
    path,
    capacity = REPLAY_CAPACITY,
    answerCapacity = ANSWER_CAPACITY,
    eventsPerSession: perSession = EVENTS_PER_SESSION,
    eventBytes: bytes = 256 * 2 ** 20,
    restored = false
  } = gatewayOptionsOf(options, 'lmdbStores')
  if (typeof path !== 'string' || path === '') throw badArgument('lmdbStores: path must be a non-empty string')
  integerOf(capacity, 1, 2 ** 32, 'lmdbStores: capacity')
  integerOf(answerCapacity, 2, 2 ** 32, 'lmdbStores: answerCapacity')
  integerOf(perSession, 1, 2 ** 20, 'lmdbStores: eventsPerSession')
  integerOf(bytes, 1, Number.MAX_SAFE_INTEGER, 'lmdbStores: eventBytes')
  const root = openEnvironment(path, { encoding: 'msgpack', maxDbs: 32 })
  const bounds = { perSession, bytesPerSession: EVENT_BYTES_PER_SESSION, bytes }
  const { changes, sessions, replay, codes, answers, events } = openTables(root, () => {
    const changes = openLmdbChanges(root)
    const ids = createLmdbReplay(root, { capacity, restored })
    return {
      changes,
      sessions: createLmdbSessions(root, changes),
      replay: withClock(ids, createLmdbClock(root, ids.takeBack)),
      codes: createCodeStore(openRecordTable(root, 'codes', CODE_CAPACITY)),
      answers: createAnswerStore(openRecordTable(root, 'answers', answerCapacity)),
      events: createLmdbEvents(root, { bounds, changes, restored })
    }
  })
  let closing: Promise<void> | undefined
  return {
    sessions,
    replay,
    codes,
    answers,
    events,
    close() {
      changes.close()
      closing ??= Promise.all([replay.close(), codes.close(), answers.close(), events.close()]).then(() => root.close())
      return closing
    }
  }
}
