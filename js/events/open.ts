// SPDX-License-Identifier: MIT
// What a client loads when somebody first listens.

import { catchUp } from './catch-up.ts'
import type { Consumer } from './consumer.ts'
import { Hub } from './hub.ts'
import { CountersignError, type Kit, unpack } from './kit.ts'
import { runFeed } from './lead.ts'
import { readEventsOptions } from './options.ts'
import type { EventsOptions, Host } from './types.ts'

/** createHub makes the one hub of a client; `open` adds a listener to it and throws usage errors. */
export const createHub = (host: Host, kit: Kit): { open(options: EventsOptions): Promise<Consumer> } => {
  unpack(kit)
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
