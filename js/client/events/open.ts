// SPDX-License-Identifier: MIT
// The lazy door: a client loads this file when the application asks for its first event.

import { CountersignError } from '../../common/errors.ts'
import { catchUp } from './catch-up.ts'
import { EventHub } from './event-hub.ts'
import { runStream } from './leader.ts'
import { readEventsOptions } from './options.ts'
import type { Subscriber } from './subscriber.ts'
import type { EventsHost, EventsOptions } from './types.ts'

/** Makes the one hub of a client. Its `open` adds a listener and rejects with usage errors. */
export function createHub(host: EventsHost): { open(options: EventsOptions): Promise<Subscriber> } {
  const hub = new EventHub(host, { run: runStream, catchUp })
  return {
    async open(options) {
      const { signal, ...wanted } = readEventsOptions(options)
      // Rejects before anything is opened when the client cannot send.
      await host.context()
      const aborted = (): CountersignError => new CountersignError('ERR_ABORTED', { cause: signal?.reason })
      if (signal?.aborted) throw aborted()
      const abort = (): void => consumer.end(aborted())
      const consumer = hub.open(wanted, () => signal?.removeEventListener('abort', abort))
      signal?.addEventListener('abort', abort)
      return consumer
    }
  }
}
