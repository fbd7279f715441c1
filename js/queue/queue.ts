// SPDX-License-Identifier: MIT
// The queue as the application sees it. Events report the end of each intent, also of one that another tab sent.

import { bytesOfPayload, checkType, idempotencyKeyOf, type Payload } from '../client/call-options.ts'
import { Listeners } from '../client/listeners.ts'
import { Randomness } from '../client/random.ts'
import { openTabs, type Tabs } from '../client/tabs.ts'
import { CountersignError } from '../common/errors.ts'
import { integerOf } from '../core/args.ts'
import { addOptionsOf, type QueueSettings } from './options.ts'
import { type IntentOutcome, messageOfOutcome, type OutcomeMessage, outcomeOfMessage } from './outcome.ts'
import { PendingIntents } from './pending-intents.ts'
import { IntentSender } from './sender.ts'
import type { AddOptions, Intent, QueueClient, Queued, QueueEvents, QueueState } from './types.ts'

const anyType = { allowTypes: () => true }

/** A queue of intents over one client. `intentQueue` creates it. */
export class IntentQueue {
  readonly #settings: QueueSettings
  readonly #client: QueueClient
  readonly #sender: IntentSender
  readonly #tabs: Tabs
  readonly #listeners: Listeners<QueueEvents>
  readonly #random: Randomness
  readonly #pending: PendingIntents
  readonly #stops: (() => void)[] = []
  #owner: string | null
  #isClosed = false
  /** Whether this tab has left the channel of the tabs. */
  #hasLeft = false

  /** @internal */
  constructor(client: QueueClient, settings: QueueSettings) {
    this.#client = client
    this.#settings = settings
    this.#owner = settings.owner ?? client.sessionId
    this.#random = new Randomness(settings.fill)
    this.#listeners = new Listeners<QueueEvents>(['settled', 'change'], undefined)
    this.#tabs = openTabs(`intents/${settings.name}`)
    const { store, name, now, schedule } = settings
    this.#sender = new IntentSender({
      ...{ client, store, name, now, schedule },
      owner: () => this.#owner,
      isOwners: () => settings.owner !== undefined || client.sessionId === this.#owner,
      fraction: () => this.#random.fraction(),
      settled: (intent, outcome) => this.#settled(intent, outcome),
      changed: () => this.#changed()
    })
    this.#pending = new PendingIntents({
      schedule,
      list: () => this.list(),
      wake: () => this.#sender.wake()
    })
    const wake = (): void => this.#sender.wake(true)
    this.#stops.push(
      client.on('state', () => this.#stateChanged()),
      this.#tabs.listen('intents', ({ intent, word }) =>
        this.#receive(intent as Intent | undefined, word as OutcomeMessage)
      )
    )
    globalThis.addEventListener?.('online', wake)
    this.#stops.push(() => globalThis.removeEventListener?.('online', wake))
    this.#sender.wake()
  }

  /** The state of the queue in this tab. Another tab may be sending while this one is `waiting` or `idle`. */
  get state(): QueueState {
    return this.#sender.state
  }

  /** The number of this owner's intents when they were last read. `list` reads them again. */
  get size(): number {
    return this.#sender.intents?.length ?? 0
  }

  /** The error of the failed try for which the queue waits. */
  get failure(): unknown {
    return this.#sender.failure
  }

  /** Registers a listener for `settled` or `change`. Returns the function that removes it. */
  on<Name extends keyof QueueEvents>(event: Name, listener: (event: QueueEvents[Name]) => void): () => void {
    return this.#listeners.add(event, listener)
  }

  /**
   * Stores an intent, and resolves when it is on disk. The intent is sent in its turn, now or when the network is
   * back.
   * Rejects with a usage error, ERR_QUEUE_FULL, ERR_NO_SESSION (without an owner and without a session), or a storage
   * error.
   *
   * @example
   * const { settled } = await queue.add('order.place', { json: order })
   * settled.then((reply) => show(reply.json()), (error) => explain(error.code))
   */
  async add(type: string, payload?: Payload, options: AddOptions = {}): Promise<Queued> {
    if (this.#isClosed) throw new CountersignError('ERR_CLOSED')
    checkType(anyType, type)
    const bytes = bytesOfPayload(payload)
    const { expiresMs = this.#settings.expiresMs, key = this.#random.id() } = addOptionsOf(options)
    const createdMs = this.#settings.now()
    const until = createdMs + integerOf(expiresMs, 1, Number.MAX_SAFE_INTEGER - createdMs, 'expiresMs')
    const owner = this.#owner
    if (owner === null) throw new CountersignError('ERR_NO_SESSION')
    const draft = {
      ...{ type, payload: bytes, key: idempotencyKeyOf(key) as string },
      ...{ owner, createdMs, expiresMs: until, isSent: false }
    }
    const id = await this.#keep(draft)
    // The queue was closed during the write. The next visit sends the intent; this one does not see its end.
    const settled = this.#hasLeft ? Promise.reject(new CountersignError('ERR_CLOSED')) : this.#pending.add(id)
    // An application that ignores `settled` gets the event alone.
    settled.catch(() => {})
    this.#post({})
    this.#sender.wake()
    return { intent: { ...draft, id }, settled }
  }

  /** Reads this owner's intents, in order. */
  async list(): Promise<readonly Intent[]> {
    const { store, name } = this.#settings
    return (await store.list(name)).filter(({ owner }) => owner === this.#owner)
  }

  /**
   * Removes an intent that was never sent; its `settled` rejects with ERR_ABORTED. Resolves to false when it is too
   * late: the intent may have taken effect.
   */
  async cancel(id: number): Promise<boolean> {
    const { store, name } = this.#settings
    const intent = await store.lock(name, async () => {
      const found = (await this.list()).find((one) => one.id === id)
      if (!found || found.isSent) return undefined
      await store.delete(name, id)
      return found
    })
    if (intent) this.#settled(intent, { error: new CountersignError('ERR_ABORTED') })
    this.#sender.wake()
    return intent !== undefined
  }

  /** Ends a pause after a failure, as the return of the network does. */
  retry(): void {
    this.#sender.wake(true)
  }

  /** Stops sending in this tab, and resolves when a try under way has ended. Intents stay for the next visit. */
  async close(): Promise<void> {
    this.#isClosed = true
    for (const stop of this.#stops) stop()
    await this.#sender.close()
    this.#hasLeft = true
    this.#tabs.close()
    this.#pending.close()
  }

  #keep(draft: Omit<Intent, 'id'>): Promise<number> {
    const { store, name, capacity, maxBytes } = this.#settings
    return store.lock(name, async () => {
      const all = await store.list(name)
      const bytes = all.reduce((sum, { payload }) => sum + payload.length, draft.payload.length)
      if (all.length >= capacity || bytes > maxBytes) throw new CountersignError('ERR_QUEUE_FULL')
      return store.add(name, draft)
    })
  }

  #post(message: { intent?: Intent; word?: OutcomeMessage }): void {
    if (!this.#hasLeft) this.#tabs.post({ about: 'intents', ...message })
  }

  #settled(intent: Intent, outcome: IntentOutcome): void {
    this.#post({ intent, word: messageOfOutcome(outcome) })
    this.#report(intent, outcome)
  }

  #report(intent: Intent, outcome: IntentOutcome): void {
    this.#pending.settle(intent.id, outcome)
    this.#listeners.emit('settled', { intent, ...outcome } as QueueEvents['settled'])
  }

  // Another tab has queued an intent, or reports the end of one.
  #receive(intent: Intent | undefined, message: OutcomeMessage): void {
    if (intent && intent.owner === this.#owner) this.#report(intent, outcomeOfMessage(message))
    this.#sender.wake()
  }

  #stateChanged(): void {
    this.#owner ??= this.#client.sessionId
    this.#sender.wake(true)
  }

  #changed(): void {
    const { state, failure } = this
    this.#listeners.emit('change', { state, size: this.size, failure })
    if (this.#sender.intents) this.#pending.findMissing(this.#sender.intents)
  }
}
