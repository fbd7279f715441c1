// SPDX-License-Identifier: MIT
// The server's time on this device (R74 to R81). The core keeps the estimate. This file reads the two local clocks and
// keeps the notes of an earlier visit. It also holds the time floor, below which the client believes no time (R27).

import { DAY_MS } from '../common/protocol.ts'
import type { ClockSource, CoreClock, RoundTrip, Stored } from '../common/types.ts'
import type { ClientCore } from '../core/client-core.ts'
import type { ClientSettings } from './options.ts'

/** The earliest time that a server can have, in Unix milliseconds. Each release raises it. */
export const BUILD_TIME_MS = Date.UTC(2026, 0, 1)

const FLOOR_SLACK_MS = 5 * 60 * 1000
const FLOOR_AFTER_MS = 10 * 60 * 1000
const DRIFT = 200e-6

// Both sides count whole milliseconds. Within a round trip of 5 s the clocks drift apart by one more.
const RESOLUTION_MS = 3
// The core sees a step of this size as a sleep, and so it counts as a correction too.
const CORRECTION_MS = 250
// No request waits for this question, so the client asks it once a minute at most.
const RESYNC_EVERY_MS = 60_000

// A note is a write to the disk. So it is made rarely, and when the device's clock was set.
const NOTE_EVERY_MS = 10 * 60 * 1000
const NOTE_STEP_MS = 1000

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

const isTime = (value: unknown): value is number => Number.isFinite(value) && (value as number) >= 0

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
      return read().errorMs + RESOLUTION_MS
    },
    get ageMs() {
      return read().ageMs
    },
    now
  })

/** Tracks the server's time for one client. */
export class ServerClock {
  readonly #core: CoreClock
  readonly #now: () => number
  readonly #monotonicNow: () => number
  readonly #trustLocal: boolean
  readonly #onChange: () => void
  #floorMs = BUILD_TIME_MS
  #isSampled = false
  #claimMs = Number.NaN
  #askedMs = Number.NEGATIVE_INFINITY
  #movedMs = Number.NEGATIVE_INFINITY
  #lastCorrection: ClockCorrection | null = null
  #noted = { atMs: Number.NEGATIVE_INFINITY, offsetMs: 0 }
  #view: ClockView | undefined

  constructor(core: ClientCore, settings: ClientSettings, notes: ClockNotes, onChange: () => void) {
    this.#core = core.createClock()
    this.#now = settings.now
    this.#monotonicNow = settings.monotonicNow
    this.#trustLocal = settings.trustLocalClock
    this.#onChange = onChange
    const { timeFloorMs } = notes
    if (isTime(timeFloorMs) && this.#mayRaiseFloor(timeFloorMs)) this.#floorMs = timeFloorMs
    if (notes.clock) this.#recall(notes.clock)
  }

  // After a day, or when the wall clock was set back since, the note is worthless.
  #recall({ offsetMs, errorMs, wallMs }: NonNullable<Stored['clock']>): void {
    const now = this.#now()
    const ageMs = now - wallMs
    const serverMs = now + offsetMs
    const isWhole = Number.isFinite(offsetMs) && isTime(serverMs) && isTime(errorMs)
    if (!isWhole || !(ageMs >= 0 && ageMs <= DAY_MS)) return
    this.#core.addStored({ monotonicMs: this.#monotonicNow(), serverMs, errorMs: errorMs + DRIFT * ageMs })
  }

  /** The time floor, in Unix milliseconds. A trusted key that ended before it verifies nothing. */
  get floorMs(): number {
    return this.#floorMs
  }

  /** True while the client needs an answer of the server to know the time well enough for every request. */
  get lacksAnswer(): boolean {
    return !this.#isSampled || this.#isDoubted || !Number.isFinite(this.#estimate().errorMs)
  }

  get #isDoubted(): boolean {
    return !Number.isNaN(this.#claimMs)
  }

  #estimate() {
    return this.#core.estimate(this.#monotonicNow())
  }

  /** Returns true, once a minute at most, while only events bound the time. The client then asks in the background. */
  shouldAsk(): boolean {
    const atMs = this.#monotonicNow()
    if (!this.#isSampled || !this.lacksAnswer || atMs - this.#askedMs < RESYNC_EVERY_MS) return false
    this.#askedMs = atMs
    return true
  }

  // Each look compares the wall clock with the monotonic one, so the client notices a sleep before the next stamp.
  #look(): number {
    const monotonicMs = this.#monotonicNow()
    if (this.#core.noteWall({ monotonicMs, wallMs: this.#now() })) this.#onChange()
    return monotonicMs
  }

  /**
   * Returns the time to sign, in Unix milliseconds, or undefined when the client must ask the server first (R77, R78).
   * It must ask without an estimate, and while an answer claims a time a day ahead (R76). With an estimate of an
   * earlier visit it must ask for a type that may not be sent twice.
   */
  stamp(isRetriable: boolean): number | undefined {
    const monotonicMs = this.#look()
    if (this.#isDoubted) return undefined
    if (!this.#isSampled) {
      const { source, ageMs } = this.#core.estimate(monotonicMs)
      const isUsable = source === 'stored' && isRetriable && ageMs <= DAY_MS
      if (!isUsable) return this.#trustLocal ? Math.max(0, Math.floor(this.#now())) : undefined
    }
    return this.#core.stamp(monotonicMs)
  }

  /**
   * Returns the time to sign on `cs.time`. A clock far ahead of all known times stamps the floor. The signed `cs.stale`
   * that follows brings the time too, while ids dated far ahead cost the session (R63).
   */
  probeStamp(): number {
    const monotonicMs = this.#look()
    if (this.#core.estimate(monotonicMs).source !== 'none') return this.#core.stamp(monotonicMs)
    const now = Math.floor(this.#now())
    return now >= this.#floorMs && now <= this.#floorMs + DAY_MS ? now : Math.floor(this.#floorMs)
  }

  /** The time of the monotonic clock, in milliseconds. Requests are timed on it. */
  monotonic(): number {
    return this.#monotonicNow()
  }

  /** Adds the time of a verified answer. Returns whether the clock used it. `replace` is for `cs.stale`. */
  sample(sample: RoundTrip & { replace?: boolean }): boolean {
    const { sentMs, receivedMs, serverMs, replace } = sample
    this.#look()
    if (this.#isTooOld(serverMs) || this.#isClaim(serverMs - (sentMs + receivedMs) / 2)) return false
    // The server has said that our time is wrong. When this sample is of no use either, the client has to ask.
    if (replace) this.#isSampled = false
    if (!this.#take(serverMs, 'round-trip', () => this.#core.addRoundTrip(sample))) return false
    this.#isSampled = true
    this.#onChange()
    return true
  }

  /** Adds the time of a verified event, received at `receivedMs` (monotonic). Returns whether it was used. */
  event(receivedMs: number, serverMs: number): boolean {
    this.#look()
    if (this.#isTooOld(serverMs)) return false
    const offsetMs = serverMs - receivedMs
    const isFar = this.#isFar(offsetMs)
    // Only an answer can confirm a claim. After the claim of an event the client asks for one.
    if (isFar) this.#claimMs = offsetMs
    const isTaken = !isFar && this.#take(serverMs, 'event', () => this.#core.addEvent({ receivedMs, serverMs }))
    if (isTaken || isFar) this.#onChange()
    return isTaken
  }

  #isTooOld(serverMs: number): boolean {
    return serverMs < this.#floorMs - FLOOR_SLACK_MS
  }

  // A request stamped a day ahead costs the session (R63). One gateway with a wrong clock must not cause that.
  #isFar(offsetMs: number): boolean {
    const { offsetMs: knownMs, errorMs } = this.#estimate()
    return this.#isSampled && offsetMs - knownMs - errorMs > DAY_MS
  }

  #isClaim(offsetMs: number): boolean {
    const isClaim = this.#isFar(offsetMs) && !(Math.abs(offsetMs - this.#claimMs) < FLOOR_SLACK_MS)
    this.#claimMs = isClaim ? offsetMs : Number.NaN
    return isClaim
  }

  #take(serverMs: number, source: ClockSource, add: () => boolean): boolean {
    const before = this.#estimate()
    if (!add()) return false
    const byMs = this.#estimate().offsetMs - before.offsetMs
    if (before.source !== 'none' && Math.abs(byMs) > CORRECTION_MS) {
      this.#lastCorrection = Object.freeze({ byMs, atMs: serverMs, source })
    }
    // Only a time that held for a while may raise the floor, so one gateway's wrong clock does not block the others.
    const atMs = this.#monotonicNow()
    if (before.source === 'none' || Math.abs(byMs) > FLOOR_SLACK_MS) this.#movedMs = atMs
    if (atMs - this.#movedMs >= FLOOR_AFTER_MS && this.#mayRaiseFloor(serverMs)) this.#floorMs = serverMs
    return true
  }

  // A server or a record far ahead of all other times must not end keys for ever.
  #mayRaiseFloor(ms: number): boolean {
    return ms > this.#floorMs && ms <= Math.max(this.#now(), BUILD_TIME_MS) + DAY_MS
  }

  /** Returns the notes for the next visit. */
  notes(): ClockNotes {
    const floor = this.#floorMs > BUILD_TIME_MS ? { timeFloorMs: this.#floorMs } : {}
    if (!this.#isSampled) return floor
    const { offsetMs, errorMs } = this.view()
    // Events alone give an estimate without a bound, so there is no offset to note.
    if (!Number.isFinite(errorMs)) return floor
    return { ...floor, clock: { offsetMs, errorMs, wallMs: this.#now() } }
  }

  /** Returns the notes when the last ones have grown old, and counts them as written. */
  notesIfDue(): ClockNotes | undefined {
    const notes = this.notes()
    if (!notes.clock) return undefined
    const { offsetMs } = notes.clock
    const atMs = this.#monotonicNow()
    const { atMs: lastMs, offsetMs: lastOffsetMs } = this.#noted
    if (atMs - lastMs < NOTE_EVERY_MS && Math.abs(offsetMs - lastOffsetMs) < NOTE_STEP_MS) return undefined
    this.#noted = { atMs, offsetMs }
    return notes
  }

  /** Returns the same object until the estimate changes. Its `errorMs` and `ageMs` are those of the moment they are read. */
  view(): ClockView {
    const monotonicMs = this.#look()
    const { offsetMs: shiftMs, source } = this.#core.estimate(monotonicMs)
    const offsetMs = source === 'none' ? 0 : monotonicMs + shiftMs - this.#now()
    const facts = { offsetMs, source, lastCorrection: this.#lastCorrection }
    if (!isSameView(this.#view, facts)) {
      const now = source === 'none' ? this.#now : () => Math.round(this.#monotonicNow() + shiftMs)
      this.#view = createView(facts, now, () => this.#core.estimate(this.#look()))
    }
    return this.#view as ClockView
  }

  close(): void {
    this.#core.free()
  }
}
