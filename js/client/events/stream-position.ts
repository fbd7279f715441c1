// SPDX-License-Identifier: MIT
// The place of a reader in its stream: which events it asks for, takes next and refuses (R112).

import { CountersignError } from '../../common/errors.ts'
import { parseJson } from '../../common/text.ts'
import type { Bytes, OpenedEvent } from '../../common/types.ts'
import { checkEvent } from '../../core/event-check.ts'
import { splitFrame } from '../transport/bindings/frame.ts'
import type { CallContext } from '../transport/types.ts'
import type { ClientEvent, EventCursor } from './types.ts'

/** The gateway's position: its stream, the number of the next event, and that of the oldest one it has kept. */
type GatewayPosition = { stream: string; next: number; oldest: number }

const isNumber = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0

/** Parses the verified payload of an answer to a subscription, or of `cs.gap`. Throws ERR_BAD_JSON. */
const parsePosition = (payload: Bytes): GatewayPosition => {
  try {
    const { stream, next, oldest } = parseJson(payload) as GatewayPosition
    if (!/^[A-Za-z0-9_-]{22}$/.test(stream)) throw new TypeError('stream')
    if (!isNumber(next) || !isNumber(oldest) || oldest > next) throw new TypeError('next, oldest')
    return { stream, next, oldest }
  } catch (cause) {
    throw new CountersignError('ERR_BAD_JSON', { cause, detail: 'the position of a stream' })
  }
}

const badSequence = (detail: string): CountersignError => new CountersignError('ERR_BAD_SEQUENCE', { detail })

/** Whether an event is the next one, one that the reader has already, or one that lies further ahead. */
export type EventPlace = 'next' | 'known' | 'ahead'

/** The stream of one connection, or of one answer to `cs.poll`. */
type OpenStream = { readonly stream: string; readonly next: number; sinceMs: number; isGapDue: boolean }

export class StreamPosition {
  #stream: string | undefined
  #sequence: number | undefined
  #connection: OpenStream | undefined
  /** Whether the last event led back in its stream: the gateway has lost events that it had sent. */
  isBack = false

  constructor(after?: Partial<EventCursor>) {
    this.#stream = after?.stream
    this.#sequence = after?.sequence
  }

  /** The members of a subscription; none of them to get events from now on. */
  get asked(): { after?: number; stream?: string } {
    if (this.#sequence === undefined) return {}
    return this.#stream === undefined ? { after: this.#sequence } : { after: this.#sequence, stream: this.#stream }
  }

  /** Returns a reader at the same place that has no connection yet. */
  copy(): StreamPosition {
    const { after: sequence, stream } = this.asked
    return new StreamPosition({
      ...(sequence === undefined ? {} : { sequence }),
      ...(stream === undefined ? {} : { stream })
    })
  }

  /** The reader's place; undefined before the gateway has named it. */
  get cursor(): EventCursor | undefined {
    const [stream, sequence] = [this.#stream, this.#sequence]
    return stream === undefined || sequence === undefined ? undefined : { stream, sequence }
  }

  /** Whether there were events after this place when the gateway answered. */
  get hasMore(): boolean {
    return this.#connection !== undefined && this.#connection.next - 1 > (this.#sequence ?? 0)
  }

  /** Whether a reader at this place has taken every event that one at `other` has. */
  hasReached(other: EventCursor): boolean {
    return this.#stream === other.stream && (this.#sequence ?? -1) >= other.sequence
  }

  /** Moves a reader that is handed the events another one has taken. */
  moveTo({ stream, sequence }: EventCursor): void {
    this.#stream = stream
    this.#sequence = sequence
  }

  /**
   * Takes the verified answer to a subscription that asked for the events after this place. Where the gateway cannot
   * go on there, it sends a `cs.gap` next. The place stays as it is until then: a connection that ends earlier must
   * not hide the gap.
   */
  begin(payload: Bytes, timestampMs: number): void {
    const { stream, next, oldest } = parsePosition(payload)
    const sequence = this.#sequence ?? next - 1
    const isKept = sequence >= oldest - 1 && sequence < next && (this.#stream ?? stream) === stream
    this.#connection = { stream, next, sinceMs: timestampMs, isGapDue: !isKept }
    if (isKept) this.moveTo({ stream, sequence })
  }

  /** Opens an event. Its place in the sequence is checked only where `isOurs`, on a connection of this tab. */
  async open(
    { core, settings, clock, session, trust }: CallContext,
    frame: Bytes,
    isOurs: boolean
  ): Promise<OpenedEvent> {
    const connection = this.#connection
    if (!connection) throw badSequence('an event before the answer to the subscription')
    const { stream, sinceMs } = connection
    const { envelope, payload } = splitFrame(frame)
    const { label } = settings
    const rules = { label, session: session.id, stream, timeFloorMs: clock.floorMs, sinceMs }
    const last = isOurs ? (this.#sequence ?? 0) : undefined
    const hash = await core.digest(payload)
    const opened = await trust.check((ring) => checkEvent(core.wasm, envelope, hash, { ...rules, ring, last }), false)
    return { ...opened, payload }
  }

  /** Locates an event that the gateway sent to another tab. */
  locate({ eventType, sequence }: OpenedEvent): EventPlace {
    const last = this.#sequence ?? 0
    if (eventType === 'cs.revoked') return 'next'
    // Events that are lost for that tab need not be lost for this one. Ask the gateway.
    if (eventType === 'cs.gap') return 'ahead'
    const next = eventType === 'cs.time' ? last : last + 1
    if (sequence === next) return 'next'
    return sequence < next ? 'known' : 'ahead'
  }

  /** Moves on past an opened event that is the next one. Returns the event for the application, if there is one. */
  take(opened: OpenedEvent): ClientEvent | undefined {
    const { eventType: type, sequence, timestampMs, eventId, payload } = opened
    const connection = this.#connection as OpenStream
    const { stream } = connection
    this.isBack = false
    if (type === 'cs.revoked') return undefined
    if (type === 'cs.gap') this.#takeGap(payload, connection)
    else if (connection.isGapDue) throw badSequence('events are missing without a cs.gap')
    // Two `cs.time` of one connection lie seconds apart. The same one again would hide that nothing else comes.
    else if (type === 'cs.time') connection.sinceMs = timestampMs + 1
    else this.moveTo({ stream, sequence })
    if (type === 'cs.time') return undefined
    const cursor = Object.freeze(this.cursor as EventCursor)
    return Object.freeze({ type, payload, sequence, stream, timestampMs, eventId, cursor })
  }

  #takeGap(payload: Bytes, connection: OpenStream): void {
    const { stream, oldest } = parsePosition(payload)
    if (stream !== connection.stream) throw badSequence('a cs.gap of another stream')
    // In the middle of a connection the gateway may leave out events, but never go back.
    if (!connection.isGapDue && oldest - 1 < (this.#sequence ?? 0)) throw badSequence('a cs.gap that goes back')
    connection.isGapDue = false
    this.isBack = this.hasReached({ stream, sequence: oldest - 1 })
    this.moveTo({ stream, sequence: oldest - 1 })
  }
}
