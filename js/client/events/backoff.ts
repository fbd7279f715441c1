// SPDX-License-Identifier: MIT
// Says when to try again after a failure, and when not to.

import { type CountersignError, isCountersignError } from '../../common/errors.ts'
import type { ClientSettings } from '../options.ts'

const FIRST_BOUND_MS = 1000
const LAST_BOUND_MS = 30_000

/** The gateway's signed refusals that a later try may change. */
const TEMPORARY: ReadonlySet<unknown> = new Set(['cs.rate_limited', 'cs.unavailable', 'cs.stale', 'cs.replayed'])

/** Whether no later try can help: after most signed refusals (R113), and after a fault of this client itself. */
export function isFinal(error: unknown): boolean {
  if (!isCountersignError(error)) return true
  const { category, resultCode, code } = error
  if (resultCode !== undefined) return !TEMPORARY.has(resultCode)
  return category === 'usage' || category === 'key' || category === 'storage' || code === 'ERR_INTERNAL'
}

/** Returns whether the browser says that the device is offline. */
export function isOffline(): boolean {
  return (globalThis as { navigator?: { onLine?: boolean } }).navigator?.onLine === false
}

/** Waits with full jitter: a random time between 0 and a bound that doubles with every failure. */
export class Backoff {
  readonly #random: ClientSettings['random']
  #failures = 0

  constructor({ random }: Pick<ClientSettings, 'random'>) {
    this.#random = random
  }

  reset(): void {
    this.#failures = 0
  }

  /** Returns how many milliseconds to wait after a failure. Throws an error that is final. */
  after(error?: unknown): number {
    if (error !== undefined && isFinal(error)) throw error
    const bound = Math.min(LAST_BOUND_MS, FIRST_BOUND_MS * 2 ** this.#failures)
    this.#failures += 1
    return ((error as CountersignError | undefined)?.retryAfterMs ?? 0) + this.#random.fraction() * bound
  }
}
