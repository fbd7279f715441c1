// SPDX-License-Identifier: MIT
// What other processes tell over pub/sub: by a connection of its own, which is looked after as closely as the other. Whoever
// listens is told "any may have changed" while there is none, and once it is back.

import { type Connection, type ConnectionOptions, createConnection } from './connection.ts'

const ANNOUNCE_MS = 1000

type Listener = (id: string | undefined) => void

/** Watches gives, for each channel, the way to listen to it. */
export type Watches = {
  open(): Promise<void>
  /** Listens anew: the server behind the address may be another one. */
  renew(why: string): void
  /** Tells all that any may have changed. */
  announce(): void
  watch(channel: string): (listener: Listener) => () => void
  close(): void
}

/** createWatches listens to channels over a connection of its own. */
export const createWatches = (
  channels: string[],
  options: Pick<ConnectionOptions, 'address' | 'deadlineMs' | 'make'>
): Watches => {
  const listeners = new Map<string, Set<Listener>>(channels.map((channel) => [channel, new Set()]))
  let announcing: NodeJS.Timeout | undefined
  const tell = (channel: string, id: string | undefined): void => {
    for (const listener of [...(listeners.get(channel) ?? [])]) {
      try {
        listener(id)
      } catch {
        // One listener's fault is not the others'.
      }
    }
  }
  const announce = (): void => {
    for (const channel of channels) tell(channel, undefined)
  }

  const connection: Connection = createConnection({
    ...options,
    greet: (client) => client.subscribe(channels, (message, channel) => tell(channel, message)),
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
    watch: (channel) => (listener) => {
      // A function of its own for each call: one listener may be given twice.
      const own: Listener = (id) => listener(id)
      listeners.get(channel)?.add(own)
      return () => void listeners.get(channel)?.delete(own)
    },
    close() {
      clearInterval(announcing)
      connection.close()
    }
  }
}
