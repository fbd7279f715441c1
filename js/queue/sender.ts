// SPDX-License-Identifier: MIT
// Sends the intents of one owner, the oldest first and one at a time. Only the tab that holds the owner's lock sends.

import { isOffline } from '../client/events/backoff.ts'
import { CountersignError } from '../common/errors.ts'
import type { Schedule } from '../common/platform.ts'
import { copyOf } from '../core/args.ts'
import { IntentList, type IntentListParts } from './intent-list.ts'
import { type IntentOutcome, isFinal } from './outcome.ts'
import { RetryPause } from './retry-pause.ts'
import type { Intent, QueueClient, QueueState } from './types.ts'

/** The parts that a sender works with. */
export type IntentSenderParts = IntentListParts & {
  client: QueueClient
  /** Returns whether the client's session may send for this owner. */
  isOwners(): boolean
  schedule: Schedule
  fraction(): number
}

export class IntentSender {
  readonly #parts: IntentSenderParts
  readonly #list: IntentList
  readonly #pause: RetryPause
  readonly #stop = new AbortController()
  #running: Promise<void> | undefined
  #isWanted = false
  state: QueueState = 'idle'
  failure: unknown

  constructor(parts: IntentSenderParts) {
    this.#parts = parts
    this.#list = new IntentList(parts)
    this.#pause = new RetryPause(parts.schedule, parts.fraction)
  }

  /** This owner's intents as last read, in order. Undefined before the first reading. */
  get intents(): readonly Intent[] | undefined {
    return this.#list.intents
  }

  /** Reads the store and sends its intents. `isSoon` also ends a pause after a failure. */
  wake(isSoon = false): void {
    if (this.#isClosed) return
    if (isSoon) this.#pause.skip()
    this.#pause.end()
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
    this.#pause.end()
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
      const [head] = await this.#list.read()
      if (!head) return this.#setState('idle')
      if (this.#maySend()) await this.#send(head)
      else await this.#wait()
    }
  }

  #maySend(): boolean {
    const { client, isOwners } = this.#parts
    return client.state === 'ready' && isOwners() && !isOffline() && this.#pause.isOver
  }

  async #send(head: Intent): Promise<void> {
    const { client } = this.#parts
    if (!(await this.#list.markSent(head))) return
    this.#setState('sending')
    let outcome: IntentOutcome
    try {
      const { type, payload, key } = head
      outcome = {
        reply: await client.request(type, copyOf(payload, 'payload'), {
          idempotencyKey: key,
          signal: this.#stop.signal
        })
      }
    } catch (error) {
      if (this.#isClosed) return
      if (!isFinal(error)) {
        this.#list.fail(head, error)
        return this.#fail(error)
      }
      outcome = { error }
    }
    this.#pause.reset()
    this.failure = undefined
    await this.#list.end(head, outcome)
  }

  async #fail(error: unknown): Promise<void> {
    this.failure = error
    this.#pause.fail(error)
    await this.#wait()
  }

  async #wait(): Promise<void> {
    if (this.#isClosed) return
    this.#setState('waiting')
    const { now } = this.#parts
    await this.#pause.wait((this.intents ?? []).map(({ expiresMs }) => expiresMs - now()))
  }

  #setState(state: QueueState): void {
    this.state = state
    if (state === 'idle') this.failure = undefined
    this.#parts.changed()
  }
}
