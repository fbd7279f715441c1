// SPDX-License-Identifier: MIT
// Sends the intents of one owner, the oldest first and one at a time. Only the tab that holds the owner's lock sends.

import { CountersignError } from '../common/errors.ts'
import { monotonicNow, type Schedule } from '../common/platform.ts'
import { type IntentOutcome, isFinal, pauseAfter } from './outcome.ts'
import type { Intent, IntentStore, QueueClient, QueueState } from './types.ts'

/** The parts that a sender works with. */
export type IntentSenderParts = {
  client: QueueClient
  store: IntentStore
  name: string
  owner(): string | null
  /** Returns whether the client's session may send for this owner. */
  isOwners(): boolean
  now(): number
  schedule: Schedule
  fraction(): number
  /** Reports the end of an intent, before the store removes it. */
  settled(intent: Intent, outcome: IntentOutcome): void
  /** Reports a new reading of the store, or a new state. */
  changed(): void
}

/** How long another tab's report may take after its intent is gone, in milliseconds. */
export const REPORT_WAIT_MS = 1000
const LATEST_MS = 30_000

function isOffline(): boolean {
  return (globalThis as { navigator?: { onLine?: boolean } }).navigator?.onLine === false
}

export class IntentSender {
  readonly #parts: IntentSenderParts
  readonly #stop = new AbortController()
  /**
   * Intents whose end is reported and that are still in the store. This tab removes them and never sends them again.
   */
  readonly #ended = new Set<number>()
  readonly #failures = new Map<number, unknown>()
  #running: Promise<void> | undefined
  #isWanted = false
  #endPause: (() => void) | undefined
  #tries = 0
  #notBeforeMs = 0
  state: QueueState = 'idle'
  failure: unknown
  /** This owner's intents as last read, in order. Undefined before the first reading. */
  intents: readonly Intent[] | undefined

  constructor(parts: IntentSenderParts) {
    this.#parts = parts
  }

  /** Reads the store and sends its intents. `isSoon` also ends a pause after a failure. */
  wake(isSoon = false): void {
    if (this.#isClosed) return
    if (isSoon) this.#notBeforeMs = 0
    this.#endPause?.()
    this.#isWanted = true
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
      // Another call may have come while this run ended.
      if (this.#isWanted) this.wake()
    })
  }

  /** Ends a try that is under way. Its intent stays. */
  async close(): Promise<void> {
    this.#isWanted = false
    this.#stop.abort(new CountersignError('ERR_CLOSED'))
    this.#endPause?.()
    // Another tab may hold the lock for long. This one has nothing left to do when it gets the lock.
    if (this.state === 'sending') await this.#running
  }

  async #run(): Promise<void> {
    const { store, name, owner } = this.#parts
    while (this.#isWanted && !this.#isClosed) {
      this.#isWanted = false
      try {
        // Each owner has a lock of its own: an owner whose session is gone must not block another.
        await store.lock(`${name}/${owner() ?? ''}`, () => this.#drain())
      } catch (error) {
        await this.#fail(error)
        this.#isWanted = true
      }
    }
  }

  get #isClosed(): boolean {
    return this.#stop.signal.aborted
  }

  async #drain(): Promise<void> {
    while (!this.#isClosed) {
      const [head] = await this.#read()
      if (!head) return this.#setState('idle')
      if (this.#maySend()) await this.#send(head)
      else await this.#pause()
    }
  }

  // Expired intents are reported and removed first, wherever they stand in the queue. So are reported ones that could
  // not be removed before.
  async #read(): Promise<readonly Intent[]> {
    const { store, name, owner, now } = this.#parts
    const [all, mine, nowMs] = [await store.list(name), owner(), now()]
    const gone = new Set<number>()
    for (const intent of all) {
      const isReported = this.#ended.has(intent.id)
      if (intent.expiresMs > nowMs && !isReported) continue
      if (!isReported && intent.owner === mine) this.#end(intent, { error: this.#expiry(intent) })
      await this.#remove(intent)
      gone.add(intent.id)
    }
    this.intents = all.filter(({ id, owner: whose }) => whose === mine && !gone.has(id))
    return this.intents
  }

  #expiry({ id, isSent }: Intent): CountersignError {
    const sent = isSent ? { cause: this.#failures.get(id) ?? new CountersignError('ERR_OUTCOME_UNKNOWN') } : {}
    return new CountersignError('ERR_INTENT_EXPIRED', sent)
  }

  #maySend(): boolean {
    const { client, isOwners } = this.#parts
    return client.state === 'ready' && isOwners() && !isOffline() && monotonicNow() >= this.#notBeforeMs
  }

  async #send(head: Intent): Promise<void> {
    const { client } = this.#parts
    if (!(await this.#mark(head))) return
    this.#setState('sending')
    let outcome: IntentOutcome
    try {
      const { type, payload, key } = head
      outcome = { reply: await client.request(type, payload, { idempotencyKey: key, signal: this.#stop.signal }) }
    } catch (error) {
      if (this.#isClosed) return
      if (!isFinal(error)) {
        this.#failures.set(head.id, error)
        return this.#fail(error)
      }
      outcome = { error }
    }
    this.#tries = 0
    this.failure = undefined
    this.#end({ ...head, isSent: true }, outcome)
    await this.#remove(head)
  }

  // From here on the intent may have taken effect. The lock excludes a cancellation at the same time.
  #mark(head: Intent): Promise<boolean> {
    const { store, name } = this.#parts
    return store.lock(name, async () => {
      const isThere = (await store.list(name)).some(({ id }) => id === head.id)
      if (isThere && !head.isSent) await store.put(name, { ...head, isSent: true })
      return isThere
    })
  }

  #end(intent: Intent, outcome: IntentOutcome): void {
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

  async #fail(error: unknown): Promise<void> {
    const { fraction } = this.#parts
    this.failure = error
    this.#tries += 1
    this.#notBeforeMs = monotonicNow() + pauseAfter(this.#tries, error, fraction())
    await this.#pause()
  }

  // Waits for a wake-up, the end of the pause or the expiry of an intent, and at most 30 s.
  async #pause(): Promise<void> {
    if (this.#isClosed) return
    const { schedule, now } = this.#parts
    this.#setState('waiting')
    const leftMs = this.#notBeforeMs - monotonicNow()
    const ends = (this.intents ?? []).map(({ expiresMs }) => expiresMs - now())
    const waitMs = Math.max(1, Math.min(leftMs > 0 ? leftMs : LATEST_MS, LATEST_MS, ...ends))
    await new Promise<void>((resolve) => {
      const cancel = schedule(resolve, Math.ceil(waitMs))
      this.#endPause = () => {
        cancel()
        resolve()
      }
    })
    this.#endPause = undefined
  }

  #setState(state: QueueState): void {
    this.state = state
    if (state === 'idle') this.failure = undefined
    this.#parts.changed()
  }
}
