// SPDX-License-Identifier: MIT
// Replay ids in LMDB (PROTOCOL.md, R58 to R64). One write transaction a reservation, across all processes: what it reads
// cannot change before it commits. Four tables: ids by key, ids by expiry, live ids by session, and the counters.

import type { Database, RootDatabase } from 'lmdb'
import { CountersignError } from '../../../common/errors.ts'
import type { ReserveVerdict } from '../../../common/types.ts'
import { sha256 } from '../../support/encoding.ts'
import type { ReplayStore } from '../../types.ts'

type Table = Database<Buffer, Buffer>

const TIME_SIZE = 8
const KEY_SIZE = 32
const SWEPT_EACH_TIME = 8
const SWEPT_WHEN_FULL = 1024
/** Which number of the counters is which. */
const FLOOR = 0
const FENCE = 8
const SIZE = 16
const COUNTERS_SIZE = 24

const COUNTERS = Buffer.from('counters')

const openTable = (root: RootDatabase, name: string): Table =>
  root.openDB<Buffer, Buffer>({ name, encoding: 'binary', keyEncoding: 'binary' })

// Big-endian, so that keys sort by time.
function timeBytes(ms: number): Buffer {
  const bytes = Buffer.alloc(TIME_SIZE)
  bytes.writeBigUInt64BE(BigInt(Math.min(Math.max(0, Math.ceil(ms)), Number.MAX_SAFE_INTEGER)))
  return bytes
}
const timeOf = (bytes: Buffer, at = 0): number => Number(bytes.readBigUInt64BE(at))

const countOf = (bytes: Buffer | undefined): number => bytes?.readUInt32BE(0) ?? 0
function countBytes(count: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(count)
  return bytes
}

/** lmdbReplay makes a ReplayStore in an open environment. */
export function lmdbReplay(root: RootDatabase, options: { capacity: number; restored: boolean }): ReplayStore {
  const { capacity, restored } = options
  const quota = Math.max(1, Math.floor(capacity / 64))
  const ids = openTable(root, 'replay-ids')
  const byExpiry = openTable(root, 'replay-by-expiry')
  const bySession = openTable(root, 'replay-by-session')
  const meta = openTable(root, 'replay-meta')
  const readCounters = (): Buffer => meta.getBinary(COUNTERS) ?? Buffer.alloc(COUNTERS_SIZE)
  // A folder that has never held ids knows nothing of what was accepted before.
  let mayHaveForgotten = restored || meta.getBinary(COUNTERS) === undefined
  let isClosed = false

  const release = (session: Buffer): void => {
    const left = countOf(bySession.getBinary(session)) - 1
    if (left > 0) bySession.put(session, countBytes(left))
    else bySession.remove(session)
  }

  // Forgets what has expired, and raises the floor to it in the same transaction (R61).
  const sweep = (counters: Buffer, nowMs: number, most: number): boolean => {
    const expired = [...byExpiry.getRange({ end: timeBytes(nowMs), limit: most })].map(({ key, value }) => ({
      key: Buffer.from(key),
      value: Buffer.from(value)
    }))
    for (const { key, value } of expired) {
      byExpiry.remove(key)
      ids.remove(key.subarray(TIME_SIZE))
      release(value.subarray(TIME_SIZE))
      counters.writeBigUInt64BE(BigInt(Math.max(timeOf(counters, FLOOR), timeOf(value))), FLOOR)
    }
    counters.writeBigUInt64BE(BigInt(Math.max(0, timeOf(counters, SIZE) - expired.length)), SIZE)
    return expired.length > 0
  }

  const judge = (counters: Buffer, key: Buffer, timestampMs: number, session: Buffer): ReserveVerdict => {
    if (ids.getBinary(key) !== undefined) return 'used'
    if (timestampMs <= Math.max(timeOf(counters, FLOOR), timeOf(counters, FENCE))) return 'too-old'
    const isFull = timeOf(counters, SIZE) >= capacity || countOf(bySession.getBinary(session)) >= quota
    return isFull ? 'full' : 'reserved'
  }

  return {
    async reserve(key32, timestampMs, expiresMs, nowMs, session = '') {
      if (isClosed) throw new CountersignError('ERR_CLOSED')
      if (key32.length !== KEY_SIZE)
        throw new CountersignError('ERR_INVALID_ARGUMENT', { detail: 'reserve: key32 must be 32 bytes' })
      const key = Buffer.from(key32)
      const owner = Buffer.from(sha256(session))
      const expiry = Buffer.concat([timeBytes(Math.max(expiresMs, nowMs, timestampMs)), key])
      return root.transaction(() => {
        const counters = readCounters()
        const hasSwept = sweep(counters, nowMs, timeOf(counters, SIZE) >= capacity ? SWEPT_WHEN_FULL : SWEPT_EACH_TIME)
        const verdict = judge(counters, key, timestampMs, owner)
        if (verdict === 'reserved') {
          ids.put(key, expiry.subarray(0, TIME_SIZE))
          byExpiry.put(expiry, Buffer.concat([timeBytes(timestampMs), owner]))
          bySession.put(owner, countBytes(countOf(bySession.getBinary(owner)) + 1))
          counters.writeBigUInt64BE(BigInt(timeOf(counters, SIZE) + 1), SIZE)
        }
        if (hasSwept || verdict === 'reserved') meta.put(COUNTERS, counters)
        return verdict
      })
    },
    floorMs() {
      const counters = readCounters()
      return Math.max(timeOf(counters, FLOOR), timeOf(counters, FENCE))
    },
    // A fence is ahead of the clock: a clock that started at it would move on with every restart.
    storedFloorMs: () => timeOf(readCounters(), FLOOR),
    get mayHaveForgotten() {
      return mayHaveForgotten
    },
    async fence(ms) {
      await root.transaction(() => {
        const counters = readCounters()
        counters.writeBigUInt64BE(BigInt(Math.max(timeOf(counters, FENCE), Math.ceil(ms))), FENCE)
        meta.put(COUNTERS, counters)
      })
      mayHaveForgotten = false
    },
    size: () => timeOf(readCounters(), SIZE),
    close() {
      isClosed = true
    }
  }
}
