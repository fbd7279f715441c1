// SPDX-License-Identifier: MIT
// The clocks of one device, which run by the time of the test and may be wrong.

import { badArgument, finiteOf, optionsOf } from '../core/args.ts'

/** The course of time behind a clock. */
export type TestCourse = {
  readonly nowMs: number
  /** @internal */
  add(run: () => void, afterMs: number, owner: TestClock | undefined, kind: 'own' | 'arrival'): () => void
  /** @internal */
  postpone(owner: TestClock, ms: number, standsStill: boolean): void
  advance(ms: number): Promise<void>
}

export type TestClockOptions = {
  /** How far the wall clock is ahead of the true time at the start. Default: 0 ms. */
  skewMs?: number
  /** How much faster than true time both clocks run, in parts per million. Default: 0. */
  driftPpm?: number
}

const MAX_DRIFT_PPM = 1e6

/**
 * The wall clock and the monotonic clock of one device. Pass `now`, `monotonicNow` and `schedule` to connect, or
 * `now` alone to a gateway. A test sets the wall clock, makes both clocks drift, and sends the device to sleep.
 */
export class TestClock {
  readonly #time: TestCourse
  #rate = 1
  #atMs: number
  #wallMs: number
  #monotonicMs = 1000
  #asleep: { fromMs: number; untilMs: number; standsStill: boolean } | undefined

  /** @internal */
  constructor(time: TestCourse, options: TestClockOptions) {
    const { skewMs = 0, driftPpm = 0 } = optionsOf(options, 'options')
    this.#time = time
    this.#atMs = time.nowMs
    this.#wallMs = time.nowMs + finiteOf(skewMs, 'skewMs')
    this.driftPpm = driftPpm
  }

  /** Returns the wall clock's time, in whole Unix milliseconds. */
  now = (): number => {
    this.#catchUp()
    return Math.floor(this.#wallMs)
  }

  /** Returns the monotonic clock's time, in milliseconds from an origin of its own. It never steps. */
  monotonicNow = (): number => {
    this.#catchUp()
    return this.#monotonicMs
  }

  /** Runs `run` once, after `afterMs` of this monotonic clock. Returns the function that cancels it. */
  schedule = (run: () => void, afterMs: number): (() => void) =>
    this.#time.add(run, finiteOf(afterMs, 'afterMs') / this.#rate, this, 'own')

  /** How much faster than true time both clocks run, in parts per million. */
  get driftPpm(): number {
    return (this.#rate - 1) * 1e6
  }

  set driftPpm(ppm: number) {
    if (!(Math.abs(ppm) < MAX_DRIFT_PPM)) throw badArgument('driftPpm must lie between -1,000,000 and 1,000,000')
    this.#catchUp()
    this.#rate = 1 + ppm * 1e-6
  }

  /** @internal The time at which a sleeping device wakes, in Unix milliseconds. Undefined while it is awake. */
  get wakesMs(): number | undefined {
    const { untilMs = Number.NEGATIVE_INFINITY } = this.#asleep ?? {}
    return untilMs > this.#time.nowMs ? untilMs : undefined
  }

  /** Sets the wall clock to a time in Unix milliseconds. The monotonic clock does not change. */
  setWall(ms: number): void {
    this.#catchUp()
    this.#wallMs = finiteOf(ms, 'ms')
  }

  /** Moves the wall clock by `byMs`, forwards or backwards. The monotonic clock does not change. */
  step(byMs: number): void {
    this.#catchUp()
    this.#wallMs += finiteOf(byMs, 'byMs')
  }

  /**
   * Lets `ms` of true time pass while the device sleeps. Its timers, and all that is sent to it, wait until it wakes.
   * The wall clock runs on. The monotonic clock stands still, as on most systems, unless `monotonic` is `runs`.
   * Rejects with ERR_INVALID_ARGUMENT when the device already sleeps, and as advance does.
   */
  async sleep(ms: number, options: { monotonic?: 'stands' | 'runs' } = {}): Promise<void> {
    const { monotonic = 'stands' } = optionsOf(options, 'options')
    if (monotonic !== 'stands' && monotonic !== 'runs') throw badArgument('monotonic must be stands or runs')
    if (!(finiteOf(ms, 'ms') >= 0)) throw badArgument('ms must not be negative', 'ERR_INVALID_TIME')
    if (this.wakesMs !== undefined) throw badArgument('the clock is already asleep')
    this.#catchUp()
    const standsStill = monotonic === 'stands'
    const fromMs = this.#time.nowMs
    this.#asleep = { fromMs, untilMs: fromMs + ms, standsStill }
    this.#time.postpone(this, ms, standsStill)
    await this.#time.advance(ms)
  }

  #catchUp(): void {
    const nowMs = this.#time.nowMs
    const elapsedMs = nowMs - this.#atMs
    const { fromMs = 0, untilMs = 0, standsStill = false } = this.#asleep ?? {}
    const sleptMs = Math.max(0, Math.min(nowMs, untilMs) - Math.max(this.#atMs, fromMs))
    this.#wallMs += elapsedMs * this.#rate
    this.#monotonicMs += (elapsedMs - (standsStill ? sleptMs : 0)) * this.#rate
    this.#atMs = nowMs
  }
}
