// SPDX-License-Identifier: MIT
// The tables of replay ids in LMDB: ids by key, ids by expiry, live ids by session, floors by session, and the
// counters. A session's floor (R142) is among the ids by expiry too, since it expires as they do. Every function that
// takes counters runs inside a transaction, which writes them at its end.

import type { RootDatabase } from 'lmdb'
import type { ReserveVerdict } from '../../../common/types.ts'
import type { ClockReturn } from '../../types.ts'
import { quotaOf } from '../common.ts'
import { isWithin } from '../shared-clock.ts'
import { encodeNumbers, openBinaryTable, readNumber, writeNumber } from './binary-table.ts'
import { encodeCount, openShares, readCount, type StoredShare } from './replay-shares.ts'

const TIME_SIZE = 8
/** Ids by expiry that are searched for the first one of a session. */
const SEARCHED_IDS = 1024
/** Offsets in the counters. */
const FLOOR = 0
const FENCE = 8
const SIZE = 16
const COUNTERS_SIZE = 24

const COUNTERS = Buffer.from('counters')

/** Encodes a time as a key that sorts by it. */
export function encodeTime(ms: number): Buffer {
  return encodeNumbers(Math.min(Math.max(0, Math.ceil(ms)), Number.MAX_SAFE_INTEGER))
}

const laterOf = (one: Buffer, other: Buffer): Buffer => (Buffer.compare(one, other) < 0 ? other : one)

/** A request id: its key, its session's hash, its time and its expiry as keys, and its shares. */
export type ReplayId = {
  key: Buffer
  owner: Buffer
  time: Buffer
  expiry: Buffer
  nowMs: number
  shares: readonly StoredShare[]
}

/** Returns the larger of the store's floor and its fence. */
export function floorOf(counters: Buffer): number {
  return Math.max(readNumber(counters, FLOOR), readNumber(counters, FENCE))
}
/** Returns the floor without the fence. */
export function forgottenFloorOf(counters: Buffer): number {
  return readNumber(counters, FLOOR)
}
/** Returns the number of live ids and session floors. */
export function sizeOf(counters: Buffer): number {
  return readNumber(counters, SIZE)
}
/** Raises the fence to a time. */
export function raiseFence(counters: Buffer, ms: number): void {
  writeNumber(counters, Math.max(readNumber(counters, FENCE), Math.ceil(ms)), FENCE)
}

const grow = (counters: Buffer, by: number): void => writeNumber(counters, Math.max(0, sizeOf(counters) + by), SIZE)

/** The tables of one store, and the steps on them. */
export type ReplayTables = {
  /** Returns the counters, or undefined in a folder that has never held ids. */
  find(): Buffer | undefined
  read(): Buffer
  write(counters: Buffer): void
  /** Forgets at most `most` expired ids and floors, and raises the floor to their times (R61). Returns whether it did. */
  sweep(counters: Buffer, nowMs: number, most: number): boolean
  check(counters: Buffer, id: ReplayId): ReserveVerdict
  add(counters: Buffer, id: ReplayId): void
  checkLimit(counters: Buffer, id: ReplayId, isReserved: boolean): 'limited' | 'used' | 'full'
  /** Forgets an id and raises the floor of its session. */
  limit(counters: Buffer, id: ReplayId): ReserveVerdict
  /** Takes the floor back to the fence, and forgets the ids and the sessions' floors that are dated in burnt spans. */
  takeBack(counters: Buffer, change: ClockReturn): void
}

function openTables(root: RootDatabase) {
  return {
    ids: openBinaryTable(root, 'replay-ids'),
    byExpiry: openBinaryTable(root, 'replay-by-expiry'),
    bySession: openBinaryTable(root, 'replay-by-session'),
    floors: openBinaryTable(root, 'replay-floors'),
    meta: openBinaryTable(root, 'replay-meta'),
    shares: openShares(root)
  }
}

type Tables = ReturnType<typeof openTables>

function release({ bySession, floors, shares }: Tables, owner: Buffer): void {
  const left = readCount(bySession.getBinary(owner)) - 1
  if (left > 0) bySession.put(owner, encodeCount(left))
  else bySession.remove(owner)
  shares.leave(owner, left <= 0 && floors.getBinary(owner) === undefined)
}

function forget(tables: Tables, counters: Buffer, entry: Buffer): void {
  const { ids, byExpiry } = tables
  const owner = Buffer.from(byExpiry.getBinary(entry) as Buffer).subarray(TIME_SIZE)
  byExpiry.remove(entry)
  ids.remove(entry.subarray(TIME_SIZE))
  release(tables, owner)
  grow(counters, -1)
}

/** An entry of the ids by expiry, copied: LMDB may write over what it has read. */
type Entry = { key: Buffer; value: Buffer }
const copyOf = ({ key, value }: Entry): Entry => ({ key: Buffer.from(key), value: Buffer.from(value) })

// Removes an entry of the ids by expiry, and what it is about: an id, or a session's floor.
function drop(tables: Tables, counters: Buffer, { key, value }: Entry): void {
  tables.byExpiry.remove(key)
  const [name, owner] = [key.subarray(TIME_SIZE), value.subarray(TIME_SIZE)]
  if (owner.length === 0) {
    tables.floors.remove(name)
    tables.shares.leave(name, tables.bySession.getBinary(name) === undefined)
  } else {
    tables.ids.remove(name)
    release(tables, owner)
  }
  grow(counters, -1)
}

function raiseFloor(tables: Tables, counters: Buffer, { owner, time, expiry, shares }: ReplayId): void {
  const { byExpiry, floors } = tables
  const found = floors.getBinary(owner)
  const kept = Buffer.from(found ?? Buffer.concat([time, expiry]))
  const keptExpiry = kept.subarray(TIME_SIZE)
  if (found) byExpiry.remove(Buffer.concat([keptExpiry, owner]))
  else {
    grow(counters, 1)
    tables.shares.join(owner, shares)
  }
  const nextTime = laterOf(time, kept.subarray(0, TIME_SIZE))
  const nextExpiry = laterOf(expiry, keptExpiry)
  floors.put(owner, Buffer.concat([nextTime, nextExpiry]))
  byExpiry.put(Buffer.concat([nextExpiry, owner]), nextTime)
}

/** Opens the tables of a store that holds `capacity` ids. */
export function openReplayTables(root: RootDatabase, capacity: number): ReplayTables {
  const tables = openTables(root)
  const { ids, byExpiry, bySession, floors, meta } = tables
  const quota = quotaOf(capacity)
  const isQuotaFull = (owner: Buffer): boolean => readCount(bySession.getBinary(owner)) >= quota

  // A session that is limited may come again when its floor lies behind it and its first id has gone. Behind many ids of
  // others that first one is not looked for: the answer is then the time before which none goes.
  const limited = ({ owner, nowMs }: ReplayId): ReserveVerdict => {
    let freeMs = readNumber(floors.getBinary(owner) as Buffer) + 1
    if (isQuotaFull(owner)) {
      for (const { key, value } of byExpiry.getRange({ limit: SEARCHED_IDS })) {
        freeMs = Math.max(freeMs, readNumber(key) + 1)
        if (owner.equals(value.subarray(TIME_SIZE))) break
      }
    }
    return { verdict: 'limited', retryAfterMs: Math.max(0, freeMs - nowMs) }
  }

  return {
    find: () => meta.getBinary(COUNTERS),
    read: () => meta.getBinary(COUNTERS) ?? Buffer.alloc(COUNTERS_SIZE),
    write: (counters) => void meta.put(COUNTERS, counters),
    sweep(counters, nowMs, most) {
      const expired = [...byExpiry.getRange({ end: encodeTime(nowMs), limit: most })].map(copyOf)
      for (const entry of expired) {
        drop(tables, counters, entry)
        writeNumber(counters, Math.max(readNumber(counters, FLOOR), readNumber(entry.value)), FLOOR)
      }
      return expired.length > 0
    },
    check(counters, id) {
      const timestampMs = readNumber(id.time)
      if (ids.getBinary(id.key) !== undefined) return 'used'
      if (timestampMs <= floorOf(counters)) return 'too-old'
      const floor = floors.getBinary(id.owner)
      if (floor && timestampMs <= readNumber(floor)) return limited(id)
      if (sizeOf(counters) >= capacity || isQuotaFull(id.owner)) return 'full'
      return tables.shares.hasRoom(id.shares, 'ids') ? 'reserved' : 'full'
    },
    add(counters, { key, owner, time, expiry, shares }) {
      ids.put(key, expiry)
      byExpiry.put(Buffer.concat([expiry, key]), Buffer.concat([time, owner]))
      bySession.put(owner, encodeCount(readCount(bySession.getBinary(owner)) + 1))
      tables.shares.join(owner, shares)
      grow(counters, 1)
    },
    checkLimit(counters, { key, owner, shares }, isReserved) {
      const held = ids.getBinary(key)
      if (held) {
        const entry = byExpiry.getBinary(Buffer.concat([held, key]))
        return isReserved && entry?.subarray(TIME_SIZE).equals(owner) ? 'limited' : 'used'
      }
      const hasRoom = sizeOf(counters) < capacity && tables.shares.hasRoom(shares, 'most')
      return hasRoom || floors.getBinary(owner) !== undefined ? 'limited' : 'full'
    },
    limit(counters, id) {
      const held = ids.getBinary(id.key)
      if (held) forget(tables, counters, Buffer.concat([held, id.key]))
      raiseFloor(tables, counters, id)
      return limited(id)
    },
    takeBack(counters, { burnt, nowMs, fenceMs }) {
      const dead = [...byExpiry.getRange()].map(copyOf).filter(({ value }) => isWithin(burnt, readNumber(value)))
      for (const entry of dead) drop(tables, counters, entry)
      writeNumber(counters, Math.min(readNumber(counters, FLOOR), nowMs), FLOOR)
      writeNumber(counters, fenceMs, FENCE)
    }
  }
}
