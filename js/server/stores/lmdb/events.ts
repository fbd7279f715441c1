// SPDX-License-Identifier: MIT
// Events in LMDB (PROTOCOL.md, section 10): number and event in one transaction, across all processes. Three tables beside the
// counters: streams by session, events by session and number, and events by age, so that the oldest of all make room.

import { createHash } from 'node:crypto'
import type { Database, RootDatabase } from 'lmdb'
import { CountersignError } from '../../../common/errors.ts'
import { randomId } from '../../support/encoding.ts'
import type { EventPage, EventStore, StoredEvent } from '../../types.ts'
import type { Changes } from './changes.ts'

/** Bounds: of one session, and bytes of all. */
export type EventBounds = { perSession: number; bytesPerSession: number; bytes: number }

type Table = Database<Buffer, Buffer>
/** Where a session's stream stands; `next - oldest` events of it are kept. */
type Stream = { stream: string; next: number; oldest: number; bytes: number }

const OWNER_SIZE = 32
const COUNTERS = Buffer.from('counters')
/** Which number of the counters is which. */
const AGE = 0
const HELD = 8
/** What an event costs beside its value, roughly. */
const EVENT_BYTES = 128

const openTable = (root: RootDatabase, name: string): Table =>
  root.openDB<Buffer, Buffer>({ name, encoding: 'binary', keyEncoding: 'binary' })

function numberBytes(...numbers: number[]): Buffer {
  const bytes = Buffer.alloc(8 * numbers.length)
  for (const [at, number] of numbers.entries()) bytes.writeBigUInt64BE(BigInt(number), 8 * at)
  return bytes
}
const numberOf = (bytes: Buffer, at: number): number => Number(bytes.readBigUInt64BE(at))

const ownerOf = (sessionId: string): Buffer => createHash('sha256').update(sessionId).digest()
const keyOf = (owner: Buffer, sequence: number): Buffer => Buffer.concat([owner, numberBytes(sequence)])

const keepStream = ({ stream, next, oldest, bytes }: Stream): Buffer =>
  Buffer.concat([numberBytes(next, oldest, bytes), Buffer.from(stream)])
const giveStream = (kept: Buffer): Stream => ({
  stream: kept.toString('latin1', 24),
  next: numberOf(kept, 0),
  oldest: numberOf(kept, 8),
  bytes: numberOf(kept, 16)
})

// The age of an event, its type behind its length, and its payload.
const keepEvent = (age: number, type: Buffer, payload: Uint8Array): Buffer =>
  Buffer.concat([numberBytes(age), Buffer.from([type.length]), type, payload])
function giveEvent(sequence: number, kept: Buffer): StoredEvent {
  const end = 9 + (kept[8] as number)
  return { sequence, type: kept.toString('utf8', 9, end), payload: new Uint8Array(kept.subarray(end)) }
}
const sizeOf = (kept: Buffer): number => kept.length + EVENT_BYTES

/** lmdbEvents makes an EventStore in an open environment; `restored`: what was numbered since is lost, so all streams are. */
export function lmdbEvents(
  root: RootDatabase,
  options: { bounds: EventBounds; changes: Changes; restored: boolean }
): EventStore {
  const { bounds, changes, restored } = options
  const streams = openTable(root, 'event-streams')
  const events = openTable(root, 'events')
  const byAge = openTable(root, 'events-by-age')
  const meta = openTable(root, 'events-meta')
  const readCounters = (): Buffer => Buffer.from(meta.getBinary(COUNTERS) ?? numberBytes(0, 0))
  let isClosed = false
  if (restored) for (const table of [streams, events, byAge, meta]) table.clearSync()

  const openStream = (owner: Buffer): Stream => {
    const kept = streams.getBinary(owner)
    return kept ? giveStream(kept) : { stream: randomId(), next: 1, oldest: 1, bytes: 0 }
  }

  // Takes a stream's oldest event out; the stream's own record is the caller's to write.
  const shift = (owner: Buffer, stream: Stream, counters: Buffer): void => {
    const key = keyOf(owner, stream.oldest)
    const kept = events.getBinary(key)
    stream.oldest++
    if (!kept) return
    const size = sizeOf(kept)
    byAge.remove(numberBytes(numberOf(kept, 0)))
    events.remove(key)
    stream.bytes -= size
    counters.writeBigUInt64BE(BigInt(numberOf(counters, HELD) - size), HELD)
  }

  const isOver = ({ next, oldest, bytes }: Stream): boolean =>
    next - oldest > 1 && (next - oldest > bounds.perSession || bytes > bounds.bytesPerSession)

  // The event that was just appended stays in any case.
  const makeRoom = (owner: Buffer, own: Stream, counters: Buffer): void => {
    while (isOver(own)) shift(owner, own, counters)
    while (numberOf(counters, HELD) > bounds.bytes) {
      const [first] = byAge.getRange({ limit: 1 })
      const other = first && Buffer.from(first.value.subarray(0, OWNER_SIZE))
      if (!other) return
      if (other.equals(owner)) {
        if (own.next - own.oldest <= 1) return
        shift(owner, own, counters)
      } else {
        const stream = openStream(other)
        shift(other, stream, counters)
        streams.put(other, keepStream(stream))
      }
    }
  }

  const transact = async <T>(work: () => [T, told?: () => void]): Promise<T> => {
    if (isClosed) throw new CountersignError('ERR_CLOSED')
    const [result, told] = await root.transaction(work)
    told?.()
    return result
  }

  return {
    append(sessionId, { type, payload }) {
      const owner = ownerOf(sessionId)
      const name = Buffer.from(type)
      const bytes = payload.slice()
      return transact(() => {
        const counters = readCounters()
        const stream = openStream(owner)
        const sequence = stream.next++
        const age = numberOf(counters, AGE) + 1
        const key = keyOf(owner, sequence)
        const kept = keepEvent(age, name, bytes)
        events.put(key, kept)
        byAge.put(numberBytes(age), key)
        stream.bytes += sizeOf(kept)
        counters.writeBigUInt64BE(BigInt(age), AGE)
        counters.writeBigUInt64BE(BigInt(numberOf(counters, HELD) + sizeOf(kept)), HELD)
        makeRoom(owner, stream, counters)
        streams.put(owner, keepStream(stream))
        meta.put(COUNTERS, counters)
        return [{ stream: stream.stream, sequence }, changes.note('events', sessionId)]
      })
    },

    async read(sessionId, after, limit) {
      if (isClosed) throw new CountersignError('ERR_CLOSED')
      const owner = ownerOf(sessionId)
      // LMDB reads from one snapshot for a while, and what was told has to be seen; within one turn it is one snapshot.
      root.resetReadTxn()
      if (!streams.doesExist(owner)) {
        await transact(() => {
          if (!streams.doesExist(owner)) streams.put(owner, keepStream(openStream(owner)))
          return [undefined]
        })
        root.resetReadTxn()
      }
      const { stream, next, oldest } = openStream(owner)
      const page: EventPage = { stream, next, oldest, events: [] }
      const from = Math.max(after + 1, oldest)
      for (let sequence = from; sequence < next && sequence < from + limit; sequence++) {
        const kept = events.getBinary(keyOf(owner, sequence))
        if (kept) page.events.push(giveEvent(sequence, kept))
      }
      return page
    },

    drop(sessionId) {
      const owner = ownerOf(sessionId)
      return transact(() => {
        const counters = readCounters()
        const stream = openStream(owner)
        while (stream.oldest < stream.next) shift(owner, stream, counters)
        streams.remove(owner)
        meta.put(COUNTERS, counters)
        return [undefined, changes.note('events', sessionId)]
      })
    },

    watch: (listener) => changes.listen('events', listener),
    close() {
      isClosed = true
    }
  }
}
