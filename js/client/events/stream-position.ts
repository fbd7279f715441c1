// SPDX-License-Identifier: MIT
// The place of a reader in its stream (R112). The core decides which events are next, missing or known. This file has the
// names of streams, and reads the positions that a gateway writes as JSON.

import { CountersignError } from '../../common/errors.ts'
import { parseJson } from '../../common/text.ts'
import type { Bytes, OpenedEvent } from '../../common/types.ts'
import type { ClientCore } from '../../core/client-core.ts'
import { checkEvent, EventPlace, type EventTurn } from '../../core/event-check.ts'
import { splitFrame } from '../transport/bindings/frame.ts'
import type { CallContext } from '../transport/types.ts'
import type { ClientEvent, EventCursor } from './types.ts'

/** Parses the verified payload of an answer to a subscription, or of `cs.gap`. Throws ERR_BAD_JSON. */
const parsePosition = (payload: Bytes) => {
  try {
    const { stream, next, oldest } = parseJson(payload) as { stream: string; next: number; oldest: number }
    if (!/^[A-Za-z0-9_-]{22}$/.test(stream)) throw new TypeError('stream')
    if (!Number.isSafeInteger(next) || !Number.isSafeInteger(oldest)) throw new TypeError('next, oldest')
    return { stream, next, oldest }
  } catch (cause) {
    throw new CountersignError('ERR_BAD_JSON', { cause, detail: 'the position of a stream' })
  }
}

/** The stream of one connection, or of one answer to `cs.poll`, and the place in it. */
type OpenStream = { readonly stream: string; readonly place: EventPlace }

export class StreamPosition {
  #stream: string | undefined
  #sequence: number | undefined
  #connection: OpenStream | undefined

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
    const copy = new StreamPosition()
    copy.#stream = this.#stream
    copy.#sequence = this.#sequence
    return copy
  }

  /** The reader's place; undefined before the gateway has named it. */
  get cursor(): EventCursor | undefined {
    const [stream, sequence] = [this.#stream, this.#sequence]
    return stream === undefined || sequence === undefined ? undefined : { stream, sequence }
  }

  /** Whether there were events after this place when the gateway answered. */
  get hasMore(): boolean {
    return this.#connection?.place.hasMore === true
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

  // Until a cs.gap that is due, the place stays as it is: a connection that ends earlier must not hide the gap.
  #moved({ stream, place: { isGapDue, last } }: OpenStream): void {
    if (!isGapDue) this.moveTo({ stream, sequence: last })
  }

  /** Takes the verified answer to a subscription that asked for the events after this place. Throws ERR_BAD_JSON. */
  begin({ wasm }: ClientCore, payload: Bytes, timestampMs: number): void {
    const { stream, next, oldest } = parsePosition(payload)
    const isSameStream = Number((this.#stream ?? stream) === stream)
    const place = new EventPlace(wasm, this.#sequence, [next, oldest, isSameStream], timestampMs)
    this.#connection = { stream, place }
    this.#moved(this.#connection)
  }

  #openStream(): OpenStream {
    if (this.#connection) return this.#connection
    throw new CountersignError('ERR_BAD_SEQUENCE', { detail: 'an event before the answer to the subscription' })
  }

  /** Opens an event. Its place in the sequence is checked when it is taken. */
  async open({ core, settings, clock, session, trust }: CallContext, frame: Bytes): Promise<OpenedEvent> {
    const { stream } = this.#openStream()
    const { envelope, payload } = splitFrame(frame)
    const rules = { label: settings.label, session: session.id, stream, timeFloorMs: clock.floorMs }
    const hash = await core.digest(payload)
    const opened = await trust.check((ring) => checkEvent(core.wasm, envelope, hash, { ...rules, ring }), false)
    return { ...opened, payload }
  }

  /**
   * Moves on past an opened event that is the next one. Returns where it lay, and the event for the application, if there
   * is one. An event that the gateway sent to another tab (`isRelayed`) may lie elsewhere; throws ERR_BAD_SEQUENCE where
   * another one does.
   */
  take(opened: OpenedEvent, isRelayed: boolean): { turn: EventTurn; event?: ClientEvent } {
    const connection = this.#openStream()
    const { stream, place } = connection
    const { eventType: type, timestampMs, eventId, payload } = opened
    const said = type === 'cs.gap' && !isRelayed ? parsePosition(payload) : undefined
    const gap = said && ([said.next, said.oldest, Number(said.stream === stream)] as const)
    const turn = place.take(opened, isRelayed, gap)
    this.#moved(connection)
    if (turn === 'known' || turn === 'ahead' || type === 'cs.time' || type === 'cs.revoked') return { turn }
    const cursor = Object.freeze(this.cursor as EventCursor)
    const event = { type, payload, sequence: opened.sequence, stream, timestampMs, eventId, cursor }
    return { turn, event: Object.freeze(event) }
  }
}
