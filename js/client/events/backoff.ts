// SPDX-License-Identifier: MIT
// When to try again, and when not to.

import { type CountersignError, isCountersignError } from '../../common/errors.ts'
import type { ClientSettings } from '../options.ts'

const FIRST_BOUND_MS = 1000
const LAST_BOUND_MS = 30_000

/** The gateway's signed words that a later try may change. */
const PASSING: ReadonlySet<unknown> = new Set(['cs.rate_limited', 'cs.unavailable', 'cs.stale', 'cs.replayed'])

/** isFinal tells what trying again cannot help: the gateway's signed refusal, and what is wrong with this client itself. */
export function isFinal(error: unknown): boolean {
  if (!isCountersignError(error)) return true
  const { category, resultCode, code } = error
  if (resultCode !== undefined) return !PASSING.has(resultCode)
  return category === 'usage' || category === 'key' || category === 'storage' || code === 'ERR_INTERNAL'
}

/** Returns whether the browser says that the device is offline. */
export function isOffline(): boolean {
  return (globalThis as { navigator?: { onLine?: boolean } }).navigator?.onLine === false
}

/** Full jitter: a time between nothing and a bound that doubles with every failure. */
export class Backoff {
  readonly #random: ClientSettings['random']
  #failures = 0

  constructor({ random }: Pick<ClientSettings, 'random'>) {
    this.#random = random
  }

  reset(): void {
    this.#failures = 0
  }

  /** after gives how long to wait after a failure; throws one that is final. */
  after(error?: unknown): number {
    if (error !== undefined && isFinal(error)) throw error
    const bound = Math.min(LAST_BOUND_MS, FIRST_BOUND_MS * 2 ** this.#failures)
    this.#failures += 1
    return ((error as CountersignError | undefined)?.retryAfterMs ?? 0) + this.#random.fraction() * bound
  }
}
