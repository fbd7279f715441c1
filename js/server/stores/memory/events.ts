// SPDX-License-Identifier: MIT
// Events in memory: the latest ones of each session, bounded for each and for all together.

import { CountersignError } from '../../../common/errors.ts'
import { integerOf, optionsOf } from '../../../core/args.ts'
import { randomId } from '../../support/encoding.ts'
import type { EventStore, StoredEvent } from '../../types.ts'
import { createTellers } from '../watchers.ts'

type Kept = { id: string; stream: string; next: number; oldest: number; bytes: number; events: StoredEvent[] }

const MiB = 1024 * 1024
/** What an event costs beside its payload, roughly. */
const EVENT_BYTES = 128

const sizeOf = ({ payload }: StoredEvent): number => payload.length + EVENT_BYTES

/**
 * memoryEventStore keeps events for the life of the process: the latest `eventsPerSession` (256) and `bytesPerSession`
 * (1 MiB) of each session, `bytes` (64 MiB) of all, for `sessions` (65,536) sessions at most. The sessions that had nothing
 * for longest make room.
 *
 * @example
 * ```ts
 * const events = memoryEventStore()
 * ```
 */
export function memoryEventStore(
  options: { eventsPerSession?: number; bytesPerSession?: number; bytes?: number; sessions?: number } = {}
): EventStore {
  const given = optionsOf(options, 'memoryEventStore')
  const { eventsPerSession = 256, bytesPerSession = MiB, bytes = 64 * MiB, sessions = 65_536 } = given
  for (const [name, value] of Object.entries({ eventsPerSession, bytesPerSession, bytes, sessions }))
    integerOf(value, 1, Number.MAX_SAFE_INTEGER, `memoryEventStore: ${name}`)
  // The order of the map is that of the latest append: the first is the one that had nothing for longest.
  const streams = new Map<string, Kept>()
  // In the same order, those that hold events.
  const holding = new Map<string, Kept>()
  const tellers = createTellers()
  let held = 0
  let isClosed = false

  const shift = (kept: Kept): void => {
    const size = sizeOf(kept.events.shift() as StoredEvent)
    kept.bytes -= size
    held -= size
    kept.oldest++
    if (kept.events.length === 0) holding.delete(kept.id)
  }

  const forget = (id: string): void => {
    held -= streams.get(id)?.bytes ?? 0
    streams.delete(id)
    holding.delete(id)
  }

  const openStream = (id: string): Kept => {
    if (isClosed) throw new CountersignError('ERR_CLOSED')
    const known = streams.get(id)
    if (known) return known
    if (streams.size >= sessions) forget(streams.keys().next().value as string)
    const made: Kept = { id, stream: randomId(), next: 1, oldest: 1, bytes: 0, events: [] }
    streams.set(id, made)
    return made
  }

  const touch = (kept: Kept): void => {
    for (const map of [streams, holding]) {
      map.delete(kept.id)
      map.set(kept.id, kept)
    }
  }

  // The event that was just appended stays in any case.
  const makeRoom = (own: Kept): void => {
    while (own.events.length > 1 && (own.events.length > eventsPerSession || own.bytes > bytesPerSession)) shift(own)
    while (held > bytes) {
      const [first] = holding.values()
      if (!first || (first === own && own.events.length === 1)) return
      shift(first)
    }
  }

  return {
    async append(sessionId, { type, payload }) {
      const kept = openStream(sessionId)
      const event = { sequence: kept.next, type, payload: payload.slice() }
      kept.next++
      kept.events.push(event)
      kept.bytes += sizeOf(event)
      held += sizeOf(event)
      touch(kept)
      makeRoom(kept)
      tellers.tell(sessionId)
      return { stream: kept.stream, sequence: event.sequence }
    },
    async read(sessionId, after, limit) {
      const { stream, next, oldest, events } = openStream(sessionId)
      const from = Math.max(0, after + 1 - oldest)
      return { stream, next, oldest, events: events.slice(from, from + limit) }
    },
    async drop(sessionId) {
      forget(sessionId)
      tellers.tell(sessionId)
    },
    watch: tellers.listen,
    close() {
      isClosed = true
      streams.clear()
      holding.clear()
    }
  }
}
