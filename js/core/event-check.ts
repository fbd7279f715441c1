// SPDX-License-Identifier: MIT
// Checks an event, and moves a reader's place past it. This file checks no arguments and imports no code, so a page that
// listens downloads little.

import type { OpenedEvent } from '../common/types.ts'
import type { Keys } from './frames.ts'
import type { Wasm } from './wasm.ts'

/** The rules of one check. The caller has checked them. */
export type EventRules = {
  readonly label: string
  /** The id of the device session that the event must name. */
  readonly session: string
  readonly stream: string
  readonly ring: Keys
  readonly timeFloorMs: number
}

/**
 * The number of the last accepted event, the earliest date of an unnumbered one, the present time, the maximum age and the
 * maximum lead. A negative number or present time is none: the core does not check the order, or the age.
 */
export type ExpectedPlace = readonly [last: number, sinceMs: number, nowMs: number, pastMs: number, futureMs: number]

/** Stands for a time or a number that the caller did not give. */
export const NONE = -1

/**
 * Makes all checks of an event whose payload is hashed, and returns its fields.
 * @throws the error of the first check that refuses.
 */
export function checkEvent(
  wasm: Wasm,
  envelope: Uint8Array,
  payloadHash: Uint8Array,
  rules: EventRules,
  place: ExpectedPlace = [NONE, 0, NONE, 0, 0]
): Omit<OpenedEvent, 'payload'> {
  wasm.begin().put(payloadHash)
  const size = wasm.put(envelope)
  const label = wasm.text(rules.label, 'label')
  const session = wasm.text(rules.session, 'deviceSessionId')
  const stream = wasm.text(rules.stream, 'stream')
  rules.ring.trust()
  wasm.check(wasm.call.open_event(size, label, session, stream, rules.timeFloorMs, ...place))
  return { eventType: wasm.textAt(2), sequence: wasm.number(1), timestampMs: wasm.number(0), eventId: wasm.textAt(4) }
}

/** An event is the next one, a `cs.gap` that leads back, one that the reader has already, or one that lies further ahead. */
export type EventTurn = 'next' | 'back' | 'known' | 'ahead'

const TURNS: readonly EventTurn[] = ['next', 'back', 'known', 'ahead']

/** A position that a gateway names: the next number, the oldest one kept, and 1 where the reader knows its stream. */
export type PositionNumbers = readonly [next: number, oldest: number, isSameStream: number]

/** A reader's place on one connection (R103, R104, R107, R112). */
export class EventPlace {
  readonly #wasm: Wasm
  readonly #handle: number
  /** The number of the last event. */
  last = 0
  /** Whether nothing counts before a `cs.gap`. */
  isGapDue = false
  /** Whether there were events behind this place when the gateway answered. */
  hasMore = false

  /**
   * Begins behind `after`, or with the events from now on.
   * @throws ERR_BAD_JSON when the position is none.
   */
  constructor(wasm: Wasm, after: number | undefined, position: PositionNumbers, answeredMs: number) {
    const handle = wasm.check(wasm.call.place_begin(after ?? NONE, ...position, answeredMs))
    this.#wasm = wasm
    this.#handle = handle
    this.#read()
    // Places come and go with connections, so the garbage collector frees them.
    wasm.watch(this, () => wasm.call.place_free(handle))
  }

  #read(): void {
    const wasm = this.#wasm
    this.last = wasm.number(0)
    this.isGapDue = wasm.number(1) > 0
    this.hasMore = wasm.number(2) > 0
  }

  /**
   * Moves on past an event that is the next one, and returns where it lay. `gap` is the position that a `cs.gap` names.
   * @throws ERR_BAD_SEQUENCE when an event of this connection is not the next one.
   */
  take({ eventType, sequence, timestampMs }: OpenedEvent, isRelayed: boolean, gap?: PositionNumbers): EventTurn {
    const wasm = this.#wasm
    const size = wasm.begin().text(eventType, 'eventType')
    const said = gap ?? [0, 0, 0]
    const { call } = wasm
    const turn = wasm.check(call.place_take(this.#handle, size, isRelayed ? 1 : 0, sequence, timestampMs, ...said))
    this.#read()
    return TURNS[turn] as EventTurn
  }
}
