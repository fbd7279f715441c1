// SPDX-License-Identifier: MIT
// One owner's intents in the store: reading them, ending them, removing them.

import { CountersignError } from '../common/errors.ts'
import type { IntentOutcome } from './outcome.ts'
import type { Intent, IntentStore } from './types.ts'

/** The parts that a list works with. */
export type IntentListParts = {
  store: IntentStore
  name: string
  owner(): string | null
  now(): number
  /** Reports the end of an intent, before the store removes it. */
  settled(intent: Intent, outcome: IntentOutcome): void
  /** Reports a new reading of the store, or a new state. */
  changed(): void
}

export class IntentList {
  readonly #parts: IntentListParts
  /** Ended intents that are still in the store. This tab removes them and never sends them again. */
  readonly #ended = new Set<number>()
  readonly #failures = new Map<number, unknown>()
  /** This owner's intents as last read, in order. Undefined before the first reading. */
  intents: readonly Intent[] | undefined

  constructor(parts: IntentListParts) {
    this.#parts = parts
  }

  /**
   * Reads the store. It ends and removes expired intents first, wherever they stand in the queue, and removes ended ones
   * that could not be removed before.
   */
  async read(): Promise<readonly Intent[]> {
    const { store, name, owner, now } = this.#parts
    const [all, mine, nowMs] = [await store.list(name), owner(), now()]
    const gone = new Set<number>()
    for (const intent of all) {
      const isEnded = this.#ended.has(intent.id)
      if (intent.expiresMs > nowMs && !isEnded) continue
      if (!isEnded && intent.owner === mine) this.#report(intent, { error: this.#expiry(intent) })
      await this.#remove(intent)
      gone.add(intent.id)
    }
    this.intents = all.filter(({ id, owner: whose }) => whose === mine && !gone.has(id))
    return this.intents
  }

  /** Marks an intent as sent: from here on it may have taken effect. Returns false when another tab has removed it. */
  markSent(intent: Intent): Promise<boolean> {
    const { store, name } = this.#parts
    // The lock excludes a cancellation at the same time.
    return store.lock(name, async () => {
      const isThere = (await store.list(name)).some(({ id }) => id === intent.id)
      if (isThere && !intent.isSent) await store.put(name, { ...intent, isSent: true })
      return isThere
    })
  }

  /** Keeps the error of a failed try, as the cause of a later expiry. */
  fail({ id }: Intent, error: unknown): void {
    this.#failures.set(id, error)
  }

  /** Reports the end of an intent that was sent, and removes it. */
  async end(intent: Intent, outcome: IntentOutcome): Promise<void> {
    this.#report({ ...intent, isSent: true }, outcome)
    await this.#remove(intent)
  }

  #expiry({ id, isSent }: Intent): CountersignError {
    const sent = isSent ? { cause: this.#failures.get(id) ?? new CountersignError('ERR_OUTCOME_UNKNOWN') } : {}
    return new CountersignError('ERR_INTENT_EXPIRED', sent)
  }

  #report(intent: Intent, outcome: IntentOutcome): void {
    this.#ended.add(intent.id)
    this.#failures.delete(intent.id)
    this.#parts.settled(intent, outcome)
  }

  async #remove({ id }: Intent): Promise<void> {
    const { store, name } = this.#parts
    await store.delete(name, id)
    this.#ended.delete(id)
    this.intents = this.intents?.filter((intent) => intent.id !== id)
    this.#parts.changed()
  }
}
