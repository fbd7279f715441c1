// SPDX-License-Identifier: MIT
// Events in LMDB (PROTOCOL.md, section 10). One transaction across all processes makes the number and the event. Three
// tables stand beside the counters: streams by session, events by session and number, and events by age, so that the
// oldest of all make room.

import type { RootDatabase } from 'lmdb'
import { CountersignError } from '../../../common/errors.ts'
import { randomId, sha256 } from '../../support/encoding.ts'
import type { EventPage, EventStore, StoredEvent } from '../../types.ts'
import { EVENT_OVERHEAD } from '../common.ts'
import { encodeNumbers, openBinaryTable, readNumber, writeNumber } from './binary-table.ts'
import type { LmdbChanges } from './changes.ts'
import { transact } from './environment.ts'

/** Bounds of the events that are kept: of one session, and of all together. */
type EventBounds = { perSession: number; bytesPerSession: number; bytes: number }

/** The state of a session's stream; `next - oldest` events of it are kept. */
type StreamEntry = { stream: string; next: number; oldest: number; bytes: number }

const OWNER_SIZE = 32
const COUNTERS = Buffer.from('counters')
/** Offsets in the counters. */
const AGE = 0
const HELD = 8

const ownerOf = (sessionId: string): Buffer => Buffer.from(sha256(sessionId))
const keyOf = (owner: Buffer, sequence: number): Buffer => Buffer.concat([owner, encodeNumbers(sequence)])

const encodeStream = ({ stream, next, oldest, bytes }: StreamEntry): Buffer =>
  Buffer.concat([encodeNumbers(next, oldest, bytes), Buffer.from(stream)])
const decodeStream = (kept: Buffer): StreamEntry => ({
  stream: kept.toString('latin1', 24),
  next: readNumber(kept, 0),
  oldest: readNumber(kept, 8),
  bytes: readNumber(kept, 16)
})

// An event is its age, the length of its type, its type and its payload.
const encodeEvent = (age: number, type: Buffer, payload: Uint8Array): Buffer =>
  Buffer.concat([encodeNumbers(age), Buffer.from([type.length]), type, payload])
function decodeEvent(sequence: number, kept: Buffer): StoredEvent {
  const end = 9 + (kept[8] as number)
  return { sequence, type: kept.toString('utf8', 9, end), payload: new Uint8Array(kept.subarray(end)) }
}

const isOver = ({ next, oldest, bytes }: StreamEntry, { perSession, bytesPerSession }: EventBounds): boolean =>
  next - oldest > 1 && (next - oldest > perSession || bytes > bytesPerSession)

const sizeOf = (kept: Buffer): number => kept.length + EVENT_OVERHEAD

/**
 * Creates an EventStore in an open environment. `restored` drops all streams, because later numbers of theirs are
 * lost.
 */
export function createLmdbEvents(
  root: RootDatabase,
  options: { bounds: EventBounds; changes: LmdbChanges; restored: boolean }
): EventStore {
  const { bounds, changes, restored } = options
  const streams = openBinaryTable(root, 'event-streams')
  const events = openBinaryTable(root, 'events')
  const byAge = openBinaryTable(root, 'events-by-age')
  const meta = openBinaryTable(root, 'events-meta')
  const readCounters = (): Buffer => Buffer.from(meta.getBinary(COUNTERS) ?? encodeNumbers(0, 0))
  let isClosed = false
  if (restored) for (const table of [streams, events, byAge, meta]) table.clearSync()

  const openStream = (owner: Buffer): StreamEntry => {
    const kept = streams.getBinary(owner)
    return kept ? decodeStream(kept) : { stream: randomId(), next: 1, oldest: 1, bytes: 0 }
  }

  // Removes the oldest event of a stream. The caller then writes the entry of the stream.
  const shift = (owner: Buffer, stream: StreamEntry, counters: Buffer): void => {
    const key = keyOf(owner, stream.oldest)
    const kept = events.getBinary(key)
    stream.oldest++
    if (!kept) return
    const size = sizeOf(kept)
    byAge.remove(encodeNumbers(readNumber(kept, 0)))
    events.remove(key)
    stream.bytes -= size
    writeNumber(counters, readNumber(counters, HELD) - size, HELD)
  }

  // The event that was just appended always stays.
  const makeRoom = (owner: Buffer, own: StreamEntry, counters: Buffer): void => {
    while (isOver(own, bounds)) shift(owner, own, counters)
    while (readNumber(counters, HELD) > bounds.bytes) {
      const [first] = byAge.getRange({ limit: 1 })
      const other = first && Buffer.from(first.value.subarray(0, OWNER_SIZE))
      if (!other) return
      if (other.equals(owner)) {
        if (own.next - own.oldest <= 1) return
        shift(owner, own, counters)
      } else {
        const stream = openStream(other)
        shift(other, stream, counters)
        streams.put(other, encodeStream(stream))
      }
    }
  }

  const change = async <T>(work: () => [T, notify?: () => void]): Promise<T> => {
    if (isClosed) throw new CountersignError('ERR_CLOSED')
    const [result, notify] = await transact(root, work)
    notify?.()
    return result
  }

  return {
    append(sessionId, { type, payload }) {
      const owner = ownerOf(sessionId)
      const name = Buffer.from(type)
      const bytes = payload.slice()
      return change(() => {
        const counters = readCounters()
        const stream = openStream(owner)
        const sequence = stream.next++
        const age = readNumber(counters, AGE) + 1
        const key = keyOf(owner, sequence)
        const kept = encodeEvent(age, name, bytes)
        events.put(key, kept)
        byAge.put(encodeNumbers(age), key)
        stream.bytes += sizeOf(kept)
        writeNumber(counters, age, AGE)
        writeNumber(counters, readNumber(counters, HELD) + sizeOf(kept), HELD)
        makeRoom(owner, stream, counters)
        streams.put(owner, encodeStream(stream))
        meta.put(COUNTERS, counters)
        return [{ stream: stream.stream, sequence }, changes.record('events', sessionId)]
      })
    },

    async read(sessionId, after, limit) {
      if (isClosed) throw new CountersignError('ERR_CLOSED')
      const owner = ownerOf(sessionId)
      // LMDB reads from one snapshot for a while, but a reader must see every event that watchers were notified of.
      root.resetReadTxn()
      if (!streams.doesExist(owner)) {
        await change(() => {
          if (!streams.doesExist(owner)) streams.put(owner, encodeStream(openStream(owner)))
          return [undefined]
        })
        root.resetReadTxn()
      }
      const { stream, next, oldest } = openStream(owner)
      const page: EventPage = { stream, next, oldest, events: [] }
      const from = Math.max(after + 1, oldest)
      for (let sequence = from; sequence < next && sequence < from + limit; sequence++) {
        const kept = events.getBinary(keyOf(owner, sequence))
        if (kept) page.events.push(decodeEvent(sequence, kept))
      }
      return page
    },

    drop(sessionId) {
      const owner = ownerOf(sessionId)
      return change(() => {
        const counters = readCounters()
        const stream = openStream(owner)
        while (stream.oldest < stream.next) shift(owner, stream, counters)
        streams.remove(owner)
        meta.put(COUNTERS, counters)
        return [undefined, changes.record('events', sessionId)]
      })
    },

    watch: (listener) => changes.watch('events', listener),
    close() {
      isClosed = true
    }
  }
}
