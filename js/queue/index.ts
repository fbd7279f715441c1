// SPDX-License-Identifier: MIT
// countersign/queue keeps an intent that cannot be sent now, unsigned, and signs it when it is sent (R133, R134).

import { badArgument, optionsOf } from '../core/args.ts'
import { readQueueOptions } from './options.ts'
import { IntentQueue } from './queue.ts'
import type { IntentQueueOptions, QueueClient } from './types.ts'

export type { IndexedDbStoreOptions } from '../client/keys/key-store.ts'
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
 * Creates the queue of a client's intents, and begins to send the intents of an earlier visit. An intent is stored
 * unsigned, in order, and signed each time it is sent. The queue removes it after a verified answer, after a signed
 * refusal, or when it expires. The gateway must wrap its handlers with `idempotent`: then a copy that is sent after a
 * crash changes nothing.
 * @throws a usage error, such as ERR_INVALID_ARGUMENT, for invalid arguments.
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
