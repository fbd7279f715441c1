// SPDX-License-Identifier: MIT
// The shapes of the queue of intents.

import type { Client, Reply } from '../client/client.ts'
import type { Schedule } from '../common/platform.ts'
import type { Bytes } from '../common/types.ts'

/** Something to be done, unsigned: each time it is sent it is signed anew, under its one idempotency key. */
export type Intent = {
  /** Ascending in the order in which intents were queued. */
  readonly id: number
  readonly type: string
  readonly payload: Bytes
  /** The idempotency key. */
  readonly key: string
  /** Whose it is: nobody else's session sends it. */
  readonly owner: string
  /** Times of the device, in Unix milliseconds. */
  readonly createdMs: number
  readonly expiresMs: number
  /** It has been sent at least once, and may have taken effect. */
  readonly isSent: boolean
}

/** Where intents are kept: unsigned, in order, until they are confirmed, cancelled or over. Calls reject with storage errors. */
export interface IntentStore {
  /** All intents under a name, in order. */
  list(name: string): Promise<Intent[]>
  /** Resolves, when it is kept, to its id: above every earlier one. */
  add(name: string, intent: Omit<Intent, 'id'>): Promise<number>
  put(name: string, intent: Intent): Promise<void>
  delete(name: string, id: number): Promise<void>
  /** Runs work while no other runs under this name, in any tab where the platform can; it waits as long as that takes. */
  lock<T>(name: string, work: () => Promise<T>): Promise<T>
}

/** How an intent ended: with the application's verified answer, or with the reason why it is not sent any more. */
export type Settled =
  | { readonly intent: Intent; readonly reply: Reply; readonly error?: undefined }
  | { readonly intent: Intent; readonly reply?: undefined; readonly error: unknown }

/** `idle`: nothing of this owner's is queued. `waiting`: for the network, the session or a pause; `failure` says why. */
export type QueueState = 'idle' | 'sending' | 'waiting'

/** What `queue.on` tells. */
export type QueueEvents = {
  /** An intent has ended, in whatever tab; after a crash it may be told twice. */
  settled: Settled
  change: { readonly state: QueueState; readonly size: number; readonly failure: unknown }
}

/** What a queue uses of a client. */
export type QueueClient = Pick<Client, 'request' | 'sessionId' | 'state' | 'on'>

/** What `queue.add` gives: the intent as it is kept, and its end. */
export type Queued = {
  readonly intent: Intent
  /** Resolves to the application's verified answer; rejects with the signed refusal, ERR_INTENT_EXPIRED or ERR_ABORTED. */
  readonly settled: Promise<Reply>
}

export type AddOptions = {
  /** How long it stays wanted, in milliseconds from now. */
  expiresMs?: number
  /** An idempotency key of the application's own; a fresh one unless told. */
  key?: string
}

export type IntentQueueOptions = {
  /** Where intents are kept; IndexedDB unless told, so in Node one has to be told: `memoryIntents()`, or your own. */
  store?: IntentStore
  /** Tells queues of one origin apart: 1 to 64 of `[A-Za-z0-9._-]`; `countersign` unless told. */
  name?: string
  /** Whose intents these are, such as the user's id: they outlive a session then. The session's id unless told. */
  owner?: string
  /** Intents at most, 1000 unless told. */
  capacity?: number
  /** Bytes of their payloads at most, 8 MiB unless told. */
  maxBytes?: number
  /** How long an intent stays wanted, 12 h unless told: less than the gateway keeps its answers. */
  expiresMs?: number
  /** The device's wall clock, in Unix milliseconds. */
  now?: () => number
  /** Timers, for tests with a clock of their own. */
  schedule?: Schedule
}
