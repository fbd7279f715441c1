// SPDX-License-Identifier: MIT
// The promises of the intents that this tab has added, and the search for intents whose end no tab has reported.

import type { Reply } from '../client/reply.ts'
import { CountersignError } from '../common/errors.ts'
import type { Schedule } from '../common/platform.ts'
import type { IntentOutcome } from './outcome.ts'
import type { Intent } from './types.ts'

/** How long another tab's report may take after its intent is gone, in milliseconds. */
const REPORT_WAIT_MS = 1000

type PendingIntent = { resolve(reply: Reply): void; reject(error: unknown): void }

/** The parts that pending intents work with. */
export type PendingIntentParts = {
  schedule: Schedule
  /** Reads this owner's intents. */
  list(): Promise<readonly Intent[]>
  /** Makes the sender read the store again. */
  wake(): void
}

export class PendingIntents {
  readonly #parts: PendingIntentParts
  readonly #pending = new Map<number, PendingIntent>()
  readonly #missing = new Set<number>()

  constructor(parts: PendingIntentParts) {
    this.#parts = parts
  }

  /** Returns the end of an intent as a promise. */
  add(id: number): Promise<Reply> {
    return new Promise((resolve, reject) => this.#pending.set(id, { resolve, reject }))
  }

  /** Settles the promise of an intent, if this tab has one. */
  settle(id: number, outcome: IntentOutcome): void {
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    if ('reply' in outcome) pending?.resolve(outcome.reply)
    else pending?.reject(outcome.error)
  }

  /** Rejects all promises with ERR_CLOSED. */
  close(): void {
    for (const { reject } of this.#pending.values()) reject(new CountersignError('ERR_CLOSED'))
    this.#pending.clear()
  }

  /** Looks for intents that are gone without a report: the tab that sent them has ended in between. */
  findMissing(intents: readonly Intent[]): void {
    const there = new Set(intents.map(({ id }) => id))
    for (const [id, pending] of this.#pending) {
      if (there.has(id) || this.#missing.has(id)) continue
      this.#missing.add(id)
      const expire = (): void => {
        this.#missing.delete(id)
        // When the store cannot answer, the sender asks again until it can. Then the intent is looked for once more.
        this.#rejectMissing(id, pending).catch(() => this.#parts.wake())
      }
      this.#parts.schedule(expire, REPORT_WAIT_MS)
    }
  }

  async #rejectMissing(id: number, pending: PendingIntent): Promise<void> {
    const intents = this.#pending.get(id) === pending ? await this.#parts.list() : undefined
    if (!intents || intents.some((intent) => intent.id === id) || !this.#pending.delete(id)) return
    pending.reject(new CountersignError('ERR_OUTCOME_UNKNOWN', { detail: 'another tab sent the intent' }))
  }
}
