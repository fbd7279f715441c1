// SPDX-License-Identifier: MIT
// The stores over LMDB (npm package `lmdb`, an optional peer): shared by every process on the machine that opens the
// same folder, and durable: a promise resolves after its commit has reached the disk, so an answer never leaves before.

import { open } from 'lmdb'
import { CountersignError } from '../../../common/errors.ts'
import { badArgument, integerOf, optionsOf } from '../../../core/args.ts'
import type { AnswerStore, CodeStore, EventStore, ReplayStore, SessionStore } from '../../types.ts'
import { createAnswerStore } from '../answers.ts'
import { createCodeStore } from '../codes.ts'
import type { Records } from '../record-table.ts'
import { lmdbChanges } from './changes.ts'
import { lmdbEvents } from './events.ts'
import { lmdbReplay } from './replay.ts'
import { lmdbSessions } from './sessions.ts'

const DEFAULT_CAPACITY = 2 ** 20
const CODE_CAPACITY = 2 ** 17
const ANSWER_CAPACITY = 2 ** 17
const MiB = 1024 * 1024

/** What lmdbStores opens. */
export type LmdbStores = {
  sessions: SessionStore
  replay: ReplayStore
  codes: CodeStore
  answers: AnswerStore
  events: EventStore
  /** Closes all of them; resolves when everything is on disk. */
  close(): Promise<void>
}

function openRoot(path: string) {
  try {
    // Without overlappingSync a commit is on disk before it is reported, and before another process sees it.
    return open({ path, encoding: 'msgpack', maxDbs: 32, overlappingSync: false })
  } catch (cause) {
    throw new CountersignError('ERR_STORAGE_FAILED', { cause })
  }
}

type Root = ReturnType<typeof openRoot>

function lmdbRecords(root: Root, name: string, capacity: number): Records {
  const records = root.openDB<unknown, string>({ name, encoding: 'json' })
  const meta = root.openDB<number, string>({ name: `${name}-meta`, encoding: 'json' })
  let cursor: string | undefined
  return {
    capacity,
    transact: (work) => root.transaction(work),
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
    next(count) {
      const range = cursor === undefined ? { limit: count } : { start: cursor, exclusiveStart: true, limit: count }
      const keys = [...records.getKeys(range)]
      cursor = keys.length < count ? undefined : keys.at(-1)
      return keys
    },
    close: () => {}
  }
}

/**
 * lmdbStores opens (and makes) a folder with sessions, replay ids, codes, idempotent answers and events of one label.
 * `capacity` bounds the ids, 2^20 by default, `answerCapacity` the answers, 2^17 by default. Of events the latest
 * `eventsPerSession` (256) and 1 MiB of each session are kept, `eventBytes` (256 MiB) of all. `restored` says that the folder was brought
 * back from a backup or a failed disk, so that ids accepted since may be missing: the gateway then fences itself off for
 * `futureMs`. It throws ERR_STORAGE_FAILED where the folder cannot be used.
 *
 * @example
 * ```ts
 * const { sessions, replay, codes, close } = lmdbStores({ path: 'data/myapp.lmdb' })
 * ```
 */
export function lmdbStores(options: {
  path: string
  capacity?: number
  answerCapacity?: number
  eventsPerSession?: number
  eventBytes?: number
  restored?: boolean
}): LmdbStores {
  const {
    path,
    capacity = DEFAULT_CAPACITY,
    answerCapacity = ANSWER_CAPACITY,
    eventsPerSession: perSession = 256,
    eventBytes: bytes = 256 * MiB,
    restored = false
  } = optionsOf(options, 'lmdbStores')
  if (typeof path !== 'string' || path === '') throw badArgument('lmdbStores: path must be a non-empty string')
  integerOf(capacity, 1, 2 ** 32, 'lmdbStores: capacity')
  integerOf(answerCapacity, 2, 2 ** 32, 'lmdbStores: answerCapacity')
  integerOf(perSession, 1, 2 ** 20, 'lmdbStores: eventsPerSession')
  integerOf(bytes, 1, Number.MAX_SAFE_INTEGER, 'lmdbStores: eventBytes')
  const root = openRoot(path)
  const changes = lmdbChanges(root)
  const sessions = lmdbSessions(root, changes)
  const replay = lmdbReplay(root, { capacity, restored })
  const codes = createCodeStore(lmdbRecords(root, 'codes', CODE_CAPACITY))
  const answers = createAnswerStore(lmdbRecords(root, 'answers', answerCapacity))
  const events = lmdbEvents(root, { bounds: { perSession, bytesPerSession: MiB, bytes }, changes, restored })
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
