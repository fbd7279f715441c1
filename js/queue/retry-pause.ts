// SPDX-License-Identifier: MIT
// The pause between two tries: longer after each failure, and at most 30 s until the sender looks again.

import type { CountersignError } from '../common/errors.ts'
import { monotonicNow, type Schedule } from '../common/platform.ts'

const FIRST_BOUND_MS = 1000
const LAST_BOUND_MS = 30_000

/** Returns the milliseconds to wait after so many failed tries, with full jitter. `fraction` is from 0 to 1. */
function pauseAfter(tries: number, error: unknown, fraction: number): number {
  const bound = Math.min(LAST_BOUND_MS, FIRST_BOUND_MS * 2 ** Math.min(tries - 1, 10))
  return ((error as CountersignError).retryAfterMs ?? 0) + fraction * bound
}

/** The pause of one sender. */
export class RetryPause {
  readonly #schedule: Schedule
  readonly #fraction: () => number
  #tries = 0
  #notBeforeMs = 0
  #end: (() => void) | undefined

  constructor(schedule: Schedule, fraction: () => number) {
    this.#schedule = schedule
    this.#fraction = fraction
  }

  /** Whether the pause after the last failure is over. */
  get isOver(): boolean {
    return monotonicNow() >= this.#notBeforeMs
  }

  /** Counts a failed try, and draws the pause after it. */
  fail(error: unknown): void {
    this.#tries += 1
    this.#notBeforeMs = monotonicNow() + pauseAfter(this.#tries, error, this.#fraction())
  }

  /** Forgets the failures, after a try that succeeded. */
  reset(): void {
    this.#tries = 0
  }

  /** Drops the rest of the pause after a failure. A wait under way goes on until `end`. */
  skip(): void {
    this.#notBeforeMs = 0
  }

  /** Ends a wait that is under way. */
  end(): void {
    this.#end?.()
  }

  /** Waits for `end`, the end of the pause or the first of `endsMs` (in milliseconds from now), and at most 30 s. */
  async wait(endsMs: readonly number[]): Promise<void> {
    const leftMs = this.#notBeforeMs - monotonicNow()
    const waitMs = Math.max(1, Math.min(leftMs > 0 ? leftMs : LAST_BOUND_MS, LAST_BOUND_MS, ...endsMs))
    await new Promise<void>((resolve) => {
      const cancel = this.#schedule(resolve, Math.ceil(waitMs))
      this.#end = () => {
        cancel()
        resolve()
      }
    })
    this.#end = undefined
  }
}
