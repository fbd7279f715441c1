// SPDX-License-Identifier: MIT
// The types of the queue.

import type { Client } from '../client/client.ts'
import type { Reply } from '../client/reply.ts'
import type { Schedule } from '../common/platform.ts'
import type { Bytes } from '../common/types.ts'

/** An unsigned call to send later. Each try signs it again, under its one idempotency key. */
export type Intent = {
  /** Ascending in the order of queueing. */
  readonly id: number
  readonly type: string
  readonly payload: Bytes
  /** The idempotency key. */
  readonly key: string
  /** The owner. No session of another owner sends the intent. */
  readonly owner: string
  /** Times of the device's clock, in Unix milliseconds. */
  readonly createdMs: number
  readonly expiresMs: number
  /** Whether it was sent at least once. It may have taken effect then. */
  readonly isSent: boolean
}

/**
 * Keeps intents, unsigned and in order, until they are confirmed, cancelled or expired. Calls reject with storage
 * errors.
 */
export interface IntentStore {
  /** Returns all intents under a name, in order. */
  list(name: string): Promise<Intent[]>
  /** Stores an intent. Resolves to its id, which is above every earlier one. */
  add(name: string, intent: Omit<Intent, 'id'>): Promise<number>
  put(name: string, intent: Intent): Promise<void>
  delete(name: string, id: number): Promise<void>
  /**
   * Runs work while no other work runs under this name, in any tab where the platform allows that. It waits without a
   * limit.
   */
  lock<T>(name: string, work: () => Promise<T>): Promise<T>
}

/** The end of an intent: the application's verified answer, or the reason why the queue stopped sending it. */
export type Settled =
  | { readonly intent: Intent; readonly reply: Reply; readonly error?: undefined }
  | { readonly intent: Intent; readonly reply?: undefined; readonly error: unknown }

/**
 * `idle`: no intent of this owner is queued. `sending`: a try is under way. `waiting`: for the network, the session
 * or a pause; `failure` is the reason.
 */
export type QueueState = 'idle' | 'sending' | 'waiting'

/** The events of `queue.on`. */
export type QueueEvents = {
  /** An intent has ended, in any tab. After a crash this event may come twice. */
  settled: Settled
  change: { readonly state: QueueState; readonly size: number; readonly failure: unknown }
}

/** The part of a client that a queue uses. */
export type QueueClient = Pick<Client, 'request' | 'sessionId' | 'state' | 'on'>

/** The result of `queue.add`: the stored intent, and its end. */
export type Queued = {
  readonly intent: Intent
  /**
   * Resolves to the application's verified answer. Rejects with the signed refusal, ERR_INTENT_EXPIRED or
   * ERR_ABORTED.
   */
  readonly settled: Promise<Reply>
}

export type AddOptions = {
  /** Milliseconds until the intent expires. */
  expiresMs?: number
  /** The application's own idempotency key. Default: a fresh one. */
  key?: string
}

export type IntentQueueOptions = {
  /** The store of intents. Default: IndexedDB. In Node pass `memoryIntents()`, or your own. */
  store?: IntentStore
  /** Separates the queues of one origin: 1 to 64 characters of `[A-Za-z0-9._-]`. Default: `countersign`. */
  name?: string
  /**
   * The owner of the intents, such as the user's id. With an owner they outlive a session. Default: the session's id.
   */
  owner?: string
  /** The most intents. Default: 1000. */
  capacity?: number
  /** The most bytes of all payloads. Default: 8388608 (8 MiB). */
  maxBytes?: number
  /** Milliseconds until an intent expires: less than the gateway keeps its answers. Default: 43200000 ms (12 h). */
  expiresMs?: number
  /** Returns the device's wall clock, in Unix milliseconds. */
  now?: () => number
  /** Timers, for tests with a clock of their own. */
  schedule?: Schedule
}
