// SPDX-License-Identifier: MIT
// What a client loads when somebody first listens.

import { CountersignError } from '../../common/errors.ts'
import { catchUp } from './catch-up.ts'
import { EventHub } from './event-hub.ts'
import { runFeed } from './leader.ts'
import { readEventsOptions } from './options.ts'
import type { Subscriber } from './subscriber.ts'
import type { EventsHost, EventsOptions } from './types.ts'

/** createHub makes the one hub of a client; `open` adds a listener to it and throws usage errors. */
export function createHub(host: EventsHost): { open(options: EventsOptions): Promise<Subscriber> } {
  const hub = new EventHub(host, { run: runFeed, catchUp })
  return {
    async open(options) {
      const { signal, ...wanted } = readEventsOptions(options)
      // What makes it impossible is told here, before anything is opened.
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
