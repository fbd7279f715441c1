// SPDX-License-Identifier: MIT
// Making clients of npm `redis` that do not reconnect by themselves: the connections do that.

import { createClient } from 'redis'
import { badArgument } from '../../../core/args.ts'
import { partOf } from '../../support/checks.ts'
import { addressOf, type RedisClientLike } from './client.ts'

const CONNECT_MS = 2000

/** dialOf checks what says how to connect, and gives the server's name and a maker of clients; throws ERR_INVALID_ARGUMENT. */
export function dialOf(
  { url, client }: { url?: string | undefined; client?: RedisClientLike | undefined },
  name: string
): { address: string; make(): RedisClientLike } {
  if ((url === undefined) === (client === undefined)) throw badArgument(`${name}: pass either url or client`)
  if (client !== undefined) partOf(client, ['duplicate'], `${name}: client must be a client of the npm package redis`)
  return {
    address: client ? 'the given client' : addressOf(url),
    make() {
      // A client that reconnected by itself would send what nobody waits for any more.
      const socket = { ...client?.options?.socket, reconnectStrategy: false as const, connectTimeout: CONNECT_MS }
      const settings = { disableOfflineQueue: true, maintNotifications: 'disabled' as const, socket }
      if (client) return client.duplicate(settings)
      return createClient({ ...settings, url: url as string }) as unknown as RedisClientLike
    }
  }
}

/** prefixOf gives what all keys of a label begin with: one slot of a cluster, since scripts use several at once. */
export function prefixOf(prefix: unknown, label: string, name: string): string {
  if (typeof prefix !== 'string' || !/^[\w.:-]{1,64}$/.test(prefix))
    throw badArgument(`${name}: prefix must be 1 to 64 characters of [A-Za-z0-9_.:-]`)
  return `${prefix}:{${label}}:`
}
