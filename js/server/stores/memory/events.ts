// SPDX-License-Identifier: MIT
// Events in memory: the latest ones of each session, bounded for each and for all together.

import { CountersignError } from '../../../common/errors.ts'
import { integerOf } from '../../../core/args.ts'
import { randomId } from '../../support/encoding.ts'
import { gatewayOptionsOf } from '../../support/option-names.ts'
import type { EventStore, StoredEvent } from '../../types.ts'
import { EVENT_BYTES_PER_SESSION, EVENT_OVERHEAD, EVENTS_PER_SESSION } from '../common.ts'
import { createWatchers } from '../watchers.ts'

type MemoryStream = { id: string; stream: string; next: number; oldest: number; bytes: number; events: StoredEvent[] }

const sizeOf = ({ payload }: StoredEvent): number => payload.length + EVENT_OVERHEAD

/**
 * Creates an EventStore that lasts as long as the process. It keeps the latest events. Sessions without an event for
 * the longest time make room first.
 *
 * @throws ERR_INVALID_ARGUMENT when an option is out of range.
 *
 * @example
 * ```ts
 * const events = memoryEventStore()
 * ```
 */
export function memoryEventStore(
  options: {
    /** The most events that are kept for a session. Default: 256. */
    eventsPerSession?: number
    /** The most bytes of events that are kept for a session. Default: 1 MiB. */
    bytesPerSession?: number
    /** The most bytes of events that are kept for all sessions. Default: 64 MiB. */
    bytes?: number
    /** The most sessions that have a stream. Default: 65536. */
    sessions?: number
  } = {}
): EventStore {
  const given = gatewayOptionsOf(options, 'memoryEventStore')
  const { eventsPerSession = EVENTS_PER_SESSION, bytesPerSession = EVENT_BYTES_PER_SESSION } = given
  const { bytes = 64 * 2 ** 20, sessions = 65_536 } = given
  for (const [name, value] of Object.entries({ eventsPerSession, bytesPerSession, bytes, sessions }))
    integerOf(value, 1, Number.MAX_SAFE_INTEGER, `memoryEventStore: ${name}`)
  // In the order of their latest append, so that the first one makes room.
  const streams = new Map<string, MemoryStream>()
  // In the same order, the streams that hold events.
  const holding = new Map<string, MemoryStream>()
  const watchers = createWatchers()
  let held = 0
  let isClosed = false

  const shift = (stream: MemoryStream): void => {
    const size = sizeOf(stream.events.shift() as StoredEvent)
    stream.bytes -= size
    held -= size
    stream.oldest++
    if (stream.events.length === 0) holding.delete(stream.id)
  }

  const forget = (id: string): void => {
    held -= streams.get(id)?.bytes ?? 0
    streams.delete(id)
    holding.delete(id)
  }

  const openStream = (id: string): MemoryStream => {
    if (isClosed) throw new CountersignError('ERR_CLOSED')
    const known = streams.get(id)
    if (known) return known
    if (streams.size >= sessions) forget(streams.keys().next().value as string)
    const made: MemoryStream = { id, stream: randomId(), next: 1, oldest: 1, bytes: 0, events: [] }
    streams.set(id, made)
    return made
  }

  const moveToEnd = (stream: MemoryStream): void => {
    for (const map of [streams, holding]) {
      map.delete(stream.id)
      map.set(stream.id, stream)
    }
  }

  // The event that was just appended always stays.
  const makeRoom = (own: MemoryStream): void => {
    while (own.events.length > 1 && (own.events.length > eventsPerSession || own.bytes > bytesPerSession)) shift(own)
    while (held > bytes) {
      const [first] = holding.values()
      if (!first || (first === own && own.events.length === 1)) return
      shift(first)
    }
  }

  return {
    async append(sessionId, { type, payload }) {
      const stream = openStream(sessionId)
      const event = { sequence: stream.next, type, payload: payload.slice() }
      stream.next++
      stream.events.push(event)
      stream.bytes += sizeOf(event)
      held += sizeOf(event)
      moveToEnd(stream)
      makeRoom(stream)
      watchers.notify(sessionId)
      return { stream: stream.stream, sequence: event.sequence }
    },
    async read(sessionId, after, limit) {
      const { stream, next, oldest, events } = openStream(sessionId)
      const from = Math.max(0, after + 1 - oldest)
      return { stream, next, oldest, events: events.slice(from, from + limit) }
    },
    async drop(sessionId) {
      forget(sessionId)
      watchers.notify(sessionId)
    },
    watch: watchers.watch,
    close() {
      isClosed = true
      streams.clear()
      holding.clear()
    }
  }
}
