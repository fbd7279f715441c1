// SPDX-License-Identifier: MIT
// What other processes tell over pub/sub: by a connection of its own, which is looked after as closely as the other. Whoever
// listens is told "any may have changed" while there is none, and once it is back.

import { createTellers, type Tellers } from '../watchers.ts'
import { type Connection, type ConnectionOptions, createConnection } from './connection.ts'

const ANNOUNCE_MS = 1000

/** Watches gives, for each channel, the way to listen to it. */
export type Watches = {
  open(): Promise<void>
  /** Listens anew: the server behind the address may be another one. */
  renew(why: string): void
  /** Tells all that any may have changed. */
  announce(): void
  watch(channel: string): Tellers['listen']
  close(): void
}

/** createWatches listens to channels over a connection of its own. */
export function createWatches(
  channels: string[],
  options: Pick<ConnectionOptions, 'address' | 'deadlineMs' | 'make'>
): Watches {
  const tellers = new Map<string, Tellers>(channels.map((channel) => [channel, createTellers()]))
  let announcing: NodeJS.Timeout | undefined
  const announce = (): void => {
    for (const { tell } of tellers.values()) tell(undefined)
  }

  const connection: Connection = createConnection({
    ...options,
    greet: (client) => client.subscribe(channels, (message, channel) => tellers.get(channel)?.tell(message)),
    async beat(ask) {
      await ask(['PING'])
    },
    onUp() {
      clearInterval(announcing)
      announce()
    },
    onDown() {
      clearInterval(announcing)
      announcing = setInterval(announce, ANNOUNCE_MS)
      announce()
    }
  })

  return {
    open: connection.open,
    renew: connection.renew,
    announce,
    watch: (channel) => (tellers.get(channel) ?? createTellers()).listen,
    close() {
      clearInterval(announcing)
      connection.close()
    }
  }
}
