// SPDX-License-Identifier: MIT
// The server's time on this device (R74 to R81). The core keeps the estimate; here are the two local clocks, what the store
// remembers from an earlier visit, and the time floor below which nothing is believed (R27).

import { DAY_MS } from '../common/protocol.ts'
import type { ClockSource, CoreClock, RoundTrip, Stored } from '../common/types.ts'
import type { ClientCore } from '../core/client-core.ts'
import type { ClientSettings } from './options.ts'

/** No server is older than this release; raised with every one. */
export const BUILD_TIME_MS = Date.UTC(2026, 0, 1)

const FLOOR_SLACK_MS = 5 * 60 * 1000
const FLOOR_AFTER_MS = 10 * 60 * 1000
const DRIFT = 200e-6

// Both sides count whole milliseconds, and within a round trip of 5 s the clocks part by one more.
const RESOLUTION_MS = 3
// What is seen as a sleep or a step is seen as a correction too.
const CORRECTION_MS = 250
// An answer may take long to come again: one question a minute at most that no request waits for.
const RESYNC_EVERY_MS = 60_000

// A note is a write to the disk: once in a while, and when the device's clock was set.
const NOTE_EVERY_MS = 10 * 60 * 1000
const NOTE_STEP_MS = 1000

/** What a store remembers of the clock. */
export type ClockNotes = Pick<Stored, 'clock' | 'timeFloorMs'>

/** A move of the estimate by more than 250 ms. */
export type ClockCorrection = {
  /** How far it was moved, in milliseconds; positive where the server was ahead of what was known. */
  readonly byMs: number
  /** The server's time then, in Unix milliseconds. */
  readonly atMs: number
  /** What moved it. */
  readonly source: ClockSource
}

/** The server's clock as a client knows it. */
export type ClockView = {
  /** Server time minus this device's wall clock, in milliseconds; 0 while the source is `none`. */
  readonly offsetMs: number
  /**
   * How far off the estimate may be, either way; Infinity while the source is `none`, and where events alone bound it. With
   * `stored` it holds as long as nobody has set the device's clock since.
   */
  readonly errorMs: number
  /** Since the last verified sample; Infinity while the source is `none`. */
  readonly ageMs: number
  readonly source: ClockSource
  /** The last time a verified message moved what was known; null where none has. */
  readonly lastCorrection: ClockCorrection | null
  /** The server's time now, in Unix milliseconds; the device's own while the source is `none`. */
  now(): number
}

const isTime = (value: unknown): value is number => Number.isFinite(value) && (value as number) >= 0

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

  // A wall clock that was set back since, or a day gone by, makes the note worthless.
  #recall({ offsetMs, errorMs, wallMs }: NonNullable<Stored['clock']>): void {
    const now = this.#now()
    const ageMs = now - wallMs
    const serverMs = now + offsetMs
    const isWhole = Number.isFinite(offsetMs) && isTime(serverMs) && isTime(errorMs)
    if (!isWhole || !(ageMs >= 0 && ageMs <= DAY_MS)) return
    this.#core.addStored({ monotonicMs: this.#monotonicNow(), serverMs, errorMs: errorMs + DRIFT * ageMs })
  }

  /** A trusted key that ended before this time verifies nothing. */
  get floorMs(): number {
    return this.#floorMs
  }

  /** Whether an answer of the server is wanted before the time is known well enough for everything. */
  get lacksAnswer(): boolean {
    return !this.#isSampled || this.#isDoubted || !Number.isFinite(this.#estimate().errorMs)
  }

  get #isDoubted(): boolean {
    return !Number.isNaN(this.#claimMs)
  }

  #estimate() {
    return this.#core.estimate(this.#monotonicNow())
  }

  /** shouldAsk says, and says it once a minute at most, that events alone bound the time: a question in the background helps. */
  shouldAsk(): boolean {
    const atMs = this.#monotonicNow()
    if (!this.#isSampled || !this.lacksAnswer || atMs - this.#askedMs < RESYNC_EVERY_MS) return false
    this.#askedMs = atMs
    return true
  }

  // Wall and monotonic clock are compared at every look, so that sleep is noticed before the next stamp.
  #look(): number {
    const monotonicMs = this.#monotonicNow()
    if (this.#core.noteWall({ monotonicMs, wallMs: this.#now() })) this.#onChange()
    return monotonicMs
  }

  /**
   * stamp gives the time to sign, or undefined where the server has to be asked for it first (R77, R78): with no estimate,
   * and, for a type that may not be sent twice, with one from an earlier visit; while one answer claims a time a day ahead (R76).
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
   * probeStamp gives the time to sign on the `cs.time` request that asks for the server's time. A clock far ahead of all
   * that is known stamps the floor instead: the signed cs.stale that follows serves as well, while ids dated far ahead cost
   * the session (R63).
   */
  probeStamp(): number {
    const monotonicMs = this.#look()
    if (this.#core.estimate(monotonicMs).source !== 'none') return this.#core.stamp(monotonicMs)
    const now = Math.floor(this.#now())
    return now >= this.#floorMs && now <= this.#floorMs + DAY_MS ? now : Math.floor(this.#floorMs)
  }

  /** The monotonic clock, on which requests are timed. */
  monotonic(): number {
    return this.#monotonicNow()
  }

  /** sample takes the time of a verified answer to our own request and says whether it did; `replace` is for cs.stale. */
  sample(sample: RoundTrip & { replace?: boolean }): boolean {
    const { sentMs, receivedMs, serverMs, replace } = sample
    this.#look()
    if (this.#isTooOld(serverMs) || this.#isClaim(serverMs - (sentMs + receivedMs) / 2)) return false
    // The server has said that our time is wrong; where this sample is none either, it has to be asked.
    if (replace) this.#isSampled = false
    if (!this.#take(serverMs, 'round-trip', () => this.#core.addRoundTrip(sample))) return false
    this.#isSampled = true
    this.#onChange()
    return true
  }

  /** event takes the time of a verified event in its order, received at `receivedMs` of the monotonic clock; says whether it did. */
  event(receivedMs: number, serverMs: number): boolean {
    this.#look()
    if (this.#isTooOld(serverMs)) return false
    const offsetMs = serverMs - receivedMs
    const isFar = this.#isFar(offsetMs)
    // Only answers settle a claim: that of an event has them asked for.
    if (isFar) this.#claimMs = offsetMs
    const isTaken = !isFar && this.#take(serverMs, 'event', () => this.#core.addEvent({ receivedMs, serverMs }))
    if (isTaken || isFar) this.#onChange()
    return isTaken
  }

  #isTooOld(serverMs: number): boolean {
    return serverMs < this.#floorMs - FLOOR_SLACK_MS
  }

  // Stamped a day ahead, a request costs the session (R63): one gateway with a wrong clock must not bring that about.
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
    // A gateway with a wrong clock must not stay in the way of the others: a floor is what stood for a while, or since a visit before.
    const atMs = this.#monotonicNow()
    if (before.source === 'none' || Math.abs(byMs) > FLOOR_SLACK_MS) this.#movedMs = atMs
    if (atMs - this.#movedMs >= FLOOR_AFTER_MS && this.#mayRaiseFloor(serverMs)) this.#floorMs = serverMs
    return true
  }

  // A server, or a record, far ahead of everything else here must not end keys for ever.
  #mayRaiseFloor(ms: number): boolean {
    return ms > this.#floorMs && ms <= Math.max(this.#now(), BUILD_TIME_MS) + DAY_MS
  }

  /** What the next visit should know. */
  notes(): ClockNotes {
    const floor = this.#floorMs > BUILD_TIME_MS ? { timeFloorMs: this.#floorMs } : {}
    if (!this.#isSampled) return floor
    const { offsetMs, errorMs } = this.view()
    // Events alone give an estimate and no bound: nothing to remember.
    if (!Number.isFinite(errorMs)) return floor
    return { ...floor, clock: { offsetMs, errorMs, wallMs: this.#now() } }
  }

  /** notesIfDue gives the notes when the last ones have grown old, and takes them as written. */
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

  view(): ClockView {
    const monotonicMs = this.#look()
    const wallMs = this.#now()
    const { offsetMs, errorMs, ageMs, source } = this.#core.estimate(monotonicMs)
    const isKnown = source !== 'none'
    return Object.freeze({
      offsetMs: isKnown ? monotonicMs + offsetMs - wallMs : 0,
      errorMs: errorMs + RESOLUTION_MS,
      ageMs,
      source,
      lastCorrection: this.#lastCorrection,
      now: () => (isKnown ? Math.round(this.#monotonicNow() + offsetMs) : this.#now())
    })
  }

  close(): void {
    this.#core.free()
  }
}
