// SPDX-License-Identifier: MIT
// What a client loads when somebody first listens.

import { CountersignError } from '../../common/errors.ts'
import { catchUp } from './catch-up.ts'
import { Hub } from './event-hub.ts'
import { runFeed } from './leader.ts'
import { readEventsOptions } from './options.ts'
import type { Consumer } from './subscriber.ts'
import type { EventsOptions, Host } from './types.ts'

/** createHub makes the one hub of a client; `open` adds a listener to it and throws usage errors. */
export function createHub(host: Host): { open(options: EventsOptions): Promise<Consumer> } {
  const hub = new Hub(host, { run: runFeed, catchUp })
  return {
    async open(options) {
      const { signal, ...wanted } = readEventsOptions(options)
      // What makes it impossible is told here, before anything is opened.
      await host.line()
      const aborted = (): CountersignError => new CountersignError('ERR_ABORTED', { cause: signal?.reason })
      if (signal?.aborted) throw aborted()
      const abort = (): void => consumer.end(aborted())
      const consumer = hub.open(wanted, () => signal?.removeEventListener('abort', abort))
      signal?.addEventListener('abort', abort)
      return consumer
    }
  }
}
