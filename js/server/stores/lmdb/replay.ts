// SPDX-License-Identifier: MIT
// Replay ids in LMDB: each id is reserved once, and forgotten ids lie under a floor (R58 to R64). A reservation is
// one write transaction across all processes, so what it reads cannot change before it commits. There are four
// tables: ids by key, ids by expiry, live ids by session, and the counters.

import type { RootDatabase } from 'lmdb'
import { CountersignError } from '../../../common/errors.ts'
import type { ReserveVerdict } from '../../../common/types.ts'
import { sha256 } from '../../support/encoding.ts'
import type { ReplayStore } from '../../types.ts'
import { checkReplayKey, quotaOf } from '../common.ts'
import { encodeNumbers, openBinaryTable, readNumber, writeNumber } from './binary-table.ts'
import { transact } from './environment.ts'

const TIME_SIZE = 8
const SWEPT_IDS = 8
const SWEPT_WHEN_FULL = 1024
/** Offsets in the counters. */
const FLOOR = 0
const FENCE = 8
const SIZE = 16
const COUNTERS_SIZE = 24

const COUNTERS = Buffer.from('counters')

const encodeTime = (ms: number): Buffer => encodeNumbers(Math.min(Math.max(0, Math.ceil(ms)), Number.MAX_SAFE_INTEGER))

const readCount = (bytes: Buffer | undefined): number => bytes?.readUInt32BE(0) ?? 0
function encodeCount(count: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(count)
  return bytes
}

/** Creates a ReplayStore in an open environment. */
export function createLmdbReplay(root: RootDatabase, options: { capacity: number; restored: boolean }): ReplayStore {
  const { capacity, restored } = options
  const quota = quotaOf(capacity)
  const ids = openBinaryTable(root, 'replay-ids')
  const byExpiry = openBinaryTable(root, 'replay-by-expiry')
  const bySession = openBinaryTable(root, 'replay-by-session')
  const meta = openBinaryTable(root, 'replay-meta')
  const readCounters = (): Buffer => meta.getBinary(COUNTERS) ?? Buffer.alloc(COUNTERS_SIZE)
  // A folder that has never held ids cannot know which requests were accepted before.
  let mayHaveForgotten = restored || meta.getBinary(COUNTERS) === undefined
  let isClosed = false

  const release = (session: Buffer): void => {
    const left = readCount(bySession.getBinary(session)) - 1
    if (left > 0) bySession.put(session, encodeCount(left))
    else bySession.remove(session)
  }

  // Forgets expired ids, and raises the floor to their times in the same transaction (R61).
  const sweep = (counters: Buffer, nowMs: number, most: number): boolean => {
    const expired = [...byExpiry.getRange({ end: encodeTime(nowMs), limit: most })].map(({ key, value }) => ({
      key: Buffer.from(key),
      value: Buffer.from(value)
    }))
    for (const { key, value } of expired) {
      byExpiry.remove(key)
      ids.remove(key.subarray(TIME_SIZE))
      release(value.subarray(TIME_SIZE))
      writeNumber(counters, Math.max(readNumber(counters, FLOOR), readNumber(value)), FLOOR)
    }
    writeNumber(counters, Math.max(0, readNumber(counters, SIZE) - expired.length), SIZE)
    return expired.length > 0
  }

  const check = (counters: Buffer, key: Buffer, timestampMs: number, session: Buffer): ReserveVerdict => {
    if (ids.getBinary(key) !== undefined) return 'used'
    if (timestampMs <= Math.max(readNumber(counters, FLOOR), readNumber(counters, FENCE))) return 'too-old'
    const isFull = readNumber(counters, SIZE) >= capacity || readCount(bySession.getBinary(session)) >= quota
    return isFull ? 'full' : 'reserved'
  }

  return {
    async reserve(key32, timestampMs, expiresMs, nowMs, session = '') {
      if (isClosed) throw new CountersignError('ERR_CLOSED')
      checkReplayKey(key32)
      const key = Buffer.from(key32)
      const owner = Buffer.from(sha256(session))
      const expiry = Buffer.concat([encodeTime(Math.max(expiresMs, nowMs, timestampMs)), key])
      return transact(root, () => {
        const counters = readCounters()
        const hasSwept = sweep(counters, nowMs, readNumber(counters, SIZE) >= capacity ? SWEPT_WHEN_FULL : SWEPT_IDS)
        const verdict = check(counters, key, timestampMs, owner)
        if (verdict === 'reserved') {
          ids.put(key, expiry.subarray(0, TIME_SIZE))
          byExpiry.put(expiry, Buffer.concat([encodeTime(timestampMs), owner]))
          bySession.put(owner, encodeCount(readCount(bySession.getBinary(owner)) + 1))
          writeNumber(counters, readNumber(counters, SIZE) + 1, SIZE)
        }
        if (hasSwept || verdict === 'reserved') meta.put(COUNTERS, counters)
        return verdict
      })
    },
    floorMs() {
      const counters = readCounters()
      return Math.max(readNumber(counters, FLOOR), readNumber(counters, FENCE))
    },
    // Without the fence, which lies ahead of the clock: a clock that started there would gain with every restart.
    storedFloorMs: () => readNumber(readCounters(), FLOOR),
    get mayHaveForgotten() {
      return mayHaveForgotten
    },
    async fence(ms) {
      await transact(root, () => {
        const counters = readCounters()
        writeNumber(counters, Math.max(readNumber(counters, FENCE), Math.ceil(ms)), FENCE)
        meta.put(COUNTERS, counters)
      })
      mayHaveForgotten = false
    },
    size: () => readNumber(readCounters(), SIZE),
    close() {
      isClosed = true
    }
  }
}
