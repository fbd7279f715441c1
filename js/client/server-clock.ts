// SPDX-License-Identifier: MIT
// The server's time on this device. The core keeps all of it: the estimate, the claims, the time floor and the notes
// (R27, R74 to R81). This file reads the two local clocks, calls the core and tells of changes.

import type { ClockSource, RoundTrip, Stored } from '../common/types.ts'
import { ClientClock, type ClientCore, type ClockState } from '../core/client-core.ts'
import type { ClientSettings } from './options.ts'

/** The earliest time that a server can have, in Unix milliseconds. Each release raises it. */
export const BUILD_TIME_MS = Date.UTC(2026, 0, 1)

// The operations of the core's clock, in the order of the C++ enum.
const LOOK = 0
const ANSWER = 1
const STALE = 2
const EVENT = 3
const STAMP = 4
const PROBE = 5
const ASK = 6
const NOTE = 7
const RECALL = 8

// A view is the same while the estimate has moved by less than the resolution of both clocks.
const RESOLUTION_MS = 3

/** The notes about the clock that a store keeps. */
export type ClockNotes = Pick<Stored, 'clock' | 'timeFloorMs'>

/** A change of the estimate by more than 250 ms. */
export type ClockCorrection = {
  /** The size of the change, in milliseconds. It is positive when the server was ahead of the estimate. */
  readonly byMs: number
  /** The server's time at the change, in Unix milliseconds. */
  readonly atMs: number
  /** The origin of the sample. */
  readonly source: ClockSource
}

/** The server's time as a client knows it. */
export type ClockView = {
  /** Server time minus this device's wall clock, in milliseconds; 0 while the source is `none`. */
  readonly offsetMs: number
  /**
   * The largest error of the estimate, either way, in milliseconds. It is Infinity while the source is `none`, and
   * while only events bound the time. With `stored` it holds only if the device's clock was not set since.
   */
  readonly errorMs: number
  /** The time since the last verified sample, in milliseconds; Infinity while the source is `none`. */
  readonly ageMs: number
  /** The origin of the estimate. */
  readonly source: ClockSource
  /** The last change of the estimate by a verified message, or null when there was none. */
  readonly lastCorrection: ClockCorrection | null
  /** Returns the server's time now, in Unix milliseconds. While the source is `none` it is the device's own time. */
  now(): number
}

type ViewFacts = Pick<ClockView, 'offsetMs' | 'source' | 'lastCorrection'>

const isSameView = (view: ClockView | undefined, { offsetMs, source, lastCorrection }: ViewFacts): boolean =>
  view?.source === source &&
  view.lastCorrection === lastCorrection &&
  Math.abs(view.offsetMs - offsetMs) < RESOLUTION_MS

const createView = (
  facts: ViewFacts,
  now: () => number,
  read: () => { readonly errorMs: number; readonly ageMs: number }
): ClockView =>
  Object.freeze({
    ...facts,
    get errorMs() {
      return read().errorMs
    },
    get ageMs() {
      return read().ageMs
    },
    now
  })

// A store may hold anything, and the core makes numbers of it. It takes none that is NaN.
const numberOf = (value: unknown): number => (typeof value === 'number' ? value : Number.NaN)

/** Tracks the server's time for one client. */
export class ServerClock {
  readonly #core: ClientClock
  readonly #now: () => number
  readonly #monotonicNow: () => number
  readonly #onChange: () => void
  #state: ClockState
  /** Of 0 ms before the first one. */
  #correction: ClockCorrection = { byMs: 0, atMs: 0, source: 'none' }
  #view: ClockView | undefined

  constructor(core: ClientCore, settings: ClientSettings, notes: ClockNotes, onChange: () => void) {
    this.#core = new ClientClock(core, BUILD_TIME_MS, settings.trustLocalClock)
    this.#now = settings.now
    this.#monotonicNow = settings.monotonicNow
    this.#onChange = onChange
    const { timeFloorMs, clock } = notes
    const kept: unknown[] = [timeFloorMs, clock?.offsetMs, clock?.errorMs, clock?.wallMs]
    this.#state = this.#run(RECALL, ...kept.map(numberOf))
  }

  // The core compares the wall clock with the monotonic one at each look, so a sleep is noticed before the next stamp.
  #run(operation: number, ...more: number[]): ClockState {
    const state = this.#core.run(operation, this.#monotonicNow(), this.#now(), more)
    this.#state = state
    if (state.hasChanged) this.#onChange()
    return state
  }

  /** The time floor, in Unix milliseconds. A trusted key that ended before it verifies nothing. */
  get floorMs(): number {
    return this.#state.floorMs
  }

  /** True while the client needs an answer of the server to know the time well enough for every request. */
  get lacksAnswer(): boolean {
    return this.#state.lacksAnswer
  }

  /** Returns true, once a minute at most, while only events bound the time. The client then asks in the background. */
  shouldAsk(): boolean {
    return this.#run(ASK).isDone
  }

  /** Returns the time to sign, in Unix milliseconds, or undefined when the client must ask the server first (R77, R78). */
  stamp(isRetriable: boolean): number | undefined {
    const { isDone, stampMs } = this.#run(STAMP, Number(isRetriable))
    return isDone ? stampMs : undefined
  }

  /** Returns the time to sign on `cs.time`, in Unix milliseconds. */
  probeStamp(): number {
    return this.#run(PROBE).stampMs
  }

  /** The time of the monotonic clock, in milliseconds. Requests are timed on it. */
  monotonic(): number {
    return this.#monotonicNow()
  }

  /** Adds the time of a verified answer. Returns whether the clock used it. `replace` is for `cs.stale`. */
  sample({ sentMs, receivedMs, serverMs, replace }: RoundTrip & { replace?: boolean }): boolean {
    return this.#run(replace ? STALE : ANSWER, sentMs, receivedMs, serverMs).isDone
  }

  /** Adds the time of a verified event, received at `receivedMs` (monotonic). Returns whether it was used. */
  event(receivedMs: number, serverMs: number): boolean {
    return this.#run(EVENT, receivedMs, serverMs).isDone
  }

  /** Returns the notes for the next visit. */
  notes(): ClockNotes {
    const { floorMs, hasNote, offsetMs, errorMs, wallMs } = this.#run(LOOK)
    return {
      ...(floorMs > BUILD_TIME_MS && { timeFloorMs: floorMs }),
      ...(hasNote && { clock: { offsetMs, errorMs, wallMs } })
    }
  }

  /** Returns the notes when the last ones have grown old, and counts them as written. */
  notesIfDue(): ClockNotes | undefined {
    return this.#run(NOTE).isDone ? this.notes() : undefined
  }

  /** Returns the same object until the estimate changes. Its `errorMs` and `ageMs` are those of the moment they are read. */
  view(): ClockView {
    const { offsetMs, shiftMs, source, correction } = this.#run(LOOK)
    const { byMs, atMs } = this.#correction
    if (byMs !== correction.byMs || atMs !== correction.atMs) this.#correction = correction
    const facts = { offsetMs, source, lastCorrection: this.#correction.byMs === 0 ? null : this.#correction }
    if (!isSameView(this.#view, facts)) {
      const now = source === 'none' ? this.#now : () => Math.round(this.#monotonicNow() + shiftMs)
      this.#view = createView(facts, now, () => this.#run(LOOK))
    }
    return this.#view as ClockView
  }

  close(): void {
    this.#core.free()
  }
}
