// SPDX-License-Identifier: MIT
// countersign/queue: what cannot be sent now is kept as an intent, unsigned, and signed when it is sent (R133, R134).

import { badArgument, optionsOf } from '../core/args.ts'
import { readQueueOptions } from './options.ts'
import { IntentQueue } from './queue.ts'
import type { IntentQueueOptions, QueueClient } from './types.ts'

export type { IndexedDbStoreOptions } from '../client/keys/indexed-db.ts'
export type { IntentQueue } from './queue.ts'
export { indexedDbIntents, memoryIntents } from './stores.ts'
export type {
  AddOptions,
  Intent,
  IntentQueueOptions,
  IntentStore,
  QueueClient,
  Queued,
  QueueEvents,
  QueueState,
  Settled
} from './types.ts'

/**
 * Makes the queue of a client's intents and begins to send what an earlier visit has left. An intent is kept
 * unsigned, in order, and signed each time it is sent; it is removed after a verified answer, a signed refusal, or when its
 * time is over. The gateway has to wrap its handlers with `idempotent`: a copy that is sent after a crash then changes
 * nothing. It throws usage errors.
 *
 * @example
 * const queue = intentQueue(client, { owner: userId })
 * queue.on('settled', ({ intent, reply, error }) => show(intent, reply ?? error))
 * await queue.add('order.place', JSON.stringify(order))
 */
export function intentQueue(client: QueueClient, options: IntentQueueOptions = {}): IntentQueue {
  const { request, on } = optionsOf(client, 'client')
  if (typeof request !== 'function' || typeof on !== 'function')
    throw badArgument('client must be a Client; connect makes one')
  return new IntentQueue(client, readQueueOptions(options))
}
