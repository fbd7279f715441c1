// SPDX-License-Identifier: MIT
// Time that only a test moves. One course of time drives several clocks, each with its own errors.

import { setTimeout as realWait, setImmediate as turn } from 'node:timers/promises'
import { CountersignError } from '../common/errors.ts'
import { badArgument, finiteOf, optionsOf } from '../core/args.ts'
import { TestClock, type TestClockOptions } from './clock.ts'

type TestTimer = {
  readonly run: () => void
  dueMs: number
  readonly order: number
  readonly owner: TestClock | undefined
  /** `own`: counted by the device's monotonic clock. `arrival`: a message from outside. */
  readonly kind: 'own' | 'arrival'
}

export type TestTimeOptions = {
  /** The time at the start, in Unix milliseconds. Default: 2026-06-01. */
  startMs?: number
  /**
   * How long to wait for handlers that work in real time, such as files and databases, in real milliseconds. Default:
   * 0 ms.
   */
  patienceMs?: number
}

const START_MS = Date.UTC(2026, 5, 1)
// All work here goes on by promises. Some of the platform's streams take a turn of the event loop in between.
const TURNS = 3
// Loading the core or creating a platform key can take longer than a few turns, in real milliseconds.
const STUCK_MS = 3000

function stuck(): CountersignError {
  return new CountersignError('ERR_TIMEOUT', { detail: 'the test still waits, but no timer or message is left' })
}

/** Returns the timer that is due first; of two at one time the older one. */
function firstDue(timers: readonly TestTimer[]): TestTimer | undefined {
  let first: TestTimer | undefined
  for (const timer of timers) {
    if (!first || timer.dueMs < first.dueMs || (timer.dueMs === first.dueMs && timer.order < first.order)) first = timer
  }
  return first
}

/**
 * The course of time in a test. It stands still until `advance` or `run` moves it, and fires due timers in order.
 * Promises settle in between, so the same test always runs the same way.
 */
export class TestTime {
  readonly startMs: number
  readonly #patienceMs: number
  readonly #timers: TestTimer[] = []
  readonly #busy = new Set<Promise<unknown>>()
  #nowMs: number
  #order = 0
  #isMoving = false

  /** @internal */
  constructor(options: TestTimeOptions = {}) {
    const { startMs = START_MS, patienceMs = 0 } = optionsOf(options, 'options')
    this.startMs = finiteOf(startMs, 'startMs')
    this.#patienceMs = finiteOf(patienceMs, 'patienceMs')
    this.#nowMs = this.startMs
  }

  /** The true time, in Unix milliseconds, with fractions. */
  get nowMs(): number {
    return this.#nowMs
  }

  /** The number of waiting timers. */
  get pending(): number {
    return this.#timers.length
  }

  /**
   * Creates a clock of this time. Default: a correct one.
   * @throws ERR_INVALID_ARGUMENT or ERR_INVALID_TIME for invalid options.
   */
  createClock(options: TestClockOptions = {}): TestClock {
    return new TestClock(this, options)
  }

  /** Runs `run` once, after `afterMs` of true time. Returns the function that cancels it. */
  schedule = (run: () => void, afterMs: number): (() => void) => this.add(run, afterMs, undefined, 'arrival')

  /** @internal */
  add(run: () => void, afterMs: number, owner: TestClock | undefined, kind: TestTimer['kind']): () => void {
    if (typeof run !== 'function') throw badArgument('run must be a function')
    const dueMs = this.#nowMs + Math.max(0, finiteOf(afterMs, 'afterMs'))
    const timer = { run, dueMs: Math.max(dueMs, owner?.wakesMs ?? dueMs), order: this.#order++, owner, kind }
    this.#timers.push(timer)
    return () => this.#remove(timer)
  }

  /**
   * @internal Delays a sleeping device's timers: those of a clock that stands still by the whole sleep, the others
   * until it wakes.
   */
  postpone(owner: TestClock, ms: number, standsStill: boolean): void {
    const wakesMs = this.#nowMs + ms
    for (const timer of this.#timers) {
      if (timer.owner !== owner) continue
      timer.dueMs = timer.kind === 'own' && standsStill ? timer.dueMs + ms : Math.max(timer.dueMs, wakesMs)
    }
  }

  /** @internal Makes settle() wait for real work, for at most `patienceMs`. */
  watch<T>(work: Promise<T>): Promise<T> {
    const forget = (): void => void this.#busy.delete(done)
    const done: Promise<void> = work.then(forget, forget)
    this.#busy.add(done)
    return work
  }

  /** Lets all work finish that needs no time to pass. */
  async settle(): Promise<void> {
    for (let turns = 0; turns < TURNS; turns++) await turn()
    if (this.#patienceMs === 0 || this.#busy.size === 0) return
    await Promise.race([Promise.all([...this.#busy]), realWait(this.#patienceMs, undefined, { ref: false })])
    for (let turns = 0; turns < TURNS; turns++) await turn()
  }

  /**
   * Moves time on by `ms`, and fires due timers in order.
   * Rejects with ERR_INVALID_ARGUMENT when time is already moving, with ERR_INVALID_TIME for a negative `ms`, and
   * with the error that a timer throws.
   */
  async advance(ms: number): Promise<void> {
    if (finiteOf(ms, 'ms') < 0) throw badArgument('time cannot go back', 'ERR_INVALID_TIME')
    await this.#move(async () => {
      const endMs = this.#nowMs + ms
      await this.settle()
      while (await this.#fireNext(endMs));
      this.#nowMs = endMs
      await this.settle()
    })
  }

  /**
   * Moves time on until the promise settles, and settles as it does.
   * Rejects with ERR_TIMEOUT when the promise is still pending and nothing is left to happen.
   */
  async run<T>(promise: Promise<T>): Promise<T> {
    let isDone = false
    const end = (): void => {
      isDone = true
    }
    promise.then(end, end)
    await this.#move(async () => {
      let idleMs = 0
      for (;;) {
        await this.settle()
        if (isDone) return
        if (await this.#fireNext(Number.POSITIVE_INFINITY)) {
          idleMs = 0
          continue
        }
        if (idleMs >= STUCK_MS) throw stuck()
        idleMs += 5
        await realWait(5)
      }
    })
    return promise
  }

  async #fireNext(untilMs: number): Promise<boolean> {
    const next = firstDue(this.#timers)
    if (!next || next.dueMs > untilMs) return false
    this.#nowMs = Math.max(this.#nowMs, next.dueMs)
    this.#remove(next)
    next.run()
    await this.settle()
    return true
  }

  async #move(work: () => Promise<void>): Promise<void> {
    if (this.#isMoving) throw badArgument('time is already moving; await the earlier advance, run or sleep')
    this.#isMoving = true
    try {
      await work()
    } finally {
      this.#isMoving = false
    }
  }

  #remove(timer: TestTimer): void {
    const at = this.#timers.indexOf(timer)
    if (at >= 0) this.#timers.splice(at, 1)
  }
}

/**
 * Creates a course of time. createTestWorld does so for a whole world.
 * @throws ERR_INVALID_ARGUMENT or ERR_INVALID_TIME for invalid options.
 *
 * @example
 * ```ts
 * const time = createTestTime()
 * const { now, monotonicNow, schedule } = time.createClock({ skewMs: -7 * 3600_000 })
 * const client = await connect({ ...options, now, monotonicNow, schedule })
 * ```
 */
export function createTestTime(options: TestTimeOptions = {}): TestTime {
  return new TestTime(options)
}
