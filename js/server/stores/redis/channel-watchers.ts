// SPDX-License-Identifier: MIT
// The changes that other processes publish, over a connection of its own. While that connection is down, and once it
// is back, every watcher hears that anything may have changed (R139).

import { createWatchers, type Watchers } from '../watchers.ts'
import { createConnection, type RedisConnectionOptions } from './connection.ts'

const NOTIFY_ALL_MS = 1000

/** The watchers of several channels. */
type ChannelWatchers = {
  open(): Promise<void>
  /** Subscribes anew, because the server behind the address may be another one. */
  renew(reason: string): void
  /** Tells every watcher that anything may have changed. */
  notifyAll(): void
  /** Returns the function that adds a listener to a channel. */
  watch(channel: string): Watchers['watch']
  close(): void
}

/** Creates watchers of channels, with a connection that is not open yet. */
export function createChannelWatchers(
  channels: string[],
  options: Pick<RedisConnectionOptions, 'address' | 'deadlineMs' | 'make'>
): ChannelWatchers {
  const watchers = new Map<string, Watchers>(channels.map((channel) => [channel, createWatchers()]))
  let timer: NodeJS.Timeout | undefined
  const notifyAll = (): void => {
    for (const { notify } of watchers.values()) notify(undefined)
  }

  const connection = createConnection({
    ...options,
    greet: (client) => client.subscribe(channels, (message, channel) => watchers.get(channel)?.notify(message)),
    async beat(send) {
      await send(['PING'])
    },
    onUp() {
      clearInterval(timer)
      notifyAll()
    },
    onDown() {
      clearInterval(timer)
      timer = setInterval(notifyAll, NOTIFY_ALL_MS)
      notifyAll()
    }
  })

  return {
    open: connection.open,
    renew: connection.renew,
    notifyAll,
    watch: (channel) => (watchers.get(channel) ?? createWatchers()).watch,
    close() {
      clearInterval(timer)
      connection.close()
    }
  }
}
