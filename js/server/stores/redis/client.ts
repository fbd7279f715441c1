// SPDX-License-Identifier: MIT
// Clients of npm `redis`: the part of them that the stores use, how they are made, and the checks of a Redis before
// its use.

import { createClient } from 'redis'
import { CountersignError } from '../../../common/errors.ts'
import { badArgument } from '../../../core/args.ts'
import { partOf } from '../../support/checks.ts'

/** One word of a command. */
export type CommandWord = string | Buffer

/** The part of a client of npm `redis` that the stores use, from version 4.7 on. */
export interface RedisClientLike {
  readonly options?: { socket?: object } | undefined
  connect(): Promise<unknown>
  /** Since version 5. */
  destroy?(): void
  /** The same in version 4. */
  disconnect?(): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
  sendCommand(words: CommandWord[], options?: object): Promise<unknown>
  subscribe(channels: string[], listener: (message: string, channel: string) => void): Promise<void>
  duplicate(overrides?: object): RedisClientLike
}

const LEAST_VERSION = 7
const CONNECT_MS = 2000
const DEFAULT_PORT = 6379

/** Creates an ERR_STORAGE_FAILED with a line for operators. */
export function storageFailed(detail: string, cause?: unknown): CountersignError {
  return new CountersignError('ERR_STORAGE_FAILED', cause === undefined ? { detail } : { detail, cause })
}

/** Ends a client at once, whether or not it has ended already. */
export function destroy(client: RedisClientLike): void {
  try {
    if (client.destroy) client.destroy()
    else Promise.resolve(client.disconnect?.()).catch(() => {})
  } catch {
    // It has ended already.
  }
}

// The address of a server, without the user and the password of its URL.
function parseAddress(url: unknown): string {
  const parsed = typeof url === 'string' && URL.canParse(url) ? new URL(url) : undefined
  // The value may hold a password, so the error does not repeat it.
  if (!parsed?.hostname || !/^rediss?:$/.test(parsed.protocol))
    throw badArgument('redisStores: url must be redis://[[user]:password@]host[:port][/database] or rediss://…')
  return `${parsed.hostname}:${parsed.port || DEFAULT_PORT}`
}

/**
 * Checks the options that say how to connect. Returns the server's name, and a function that makes clients. Those
 * clients do not reconnect by themselves; the connections do that. @throws ERR_INVALID_ARGUMENT.
 */
export function clientFactory(
  { url, client }: { url?: string | undefined; client?: RedisClientLike | undefined },
  name: string
): { address: string; make(): RedisClientLike } {
  if ((url === undefined) === (client === undefined)) throw badArgument(`${name}: pass either url or client`)
  if (client !== undefined) partOf(client, ['duplicate'], `${name}: client must be a client of the npm package redis`)
  return {
    address: client ? 'the given client' : parseAddress(url),
    make() {
      // A client that reconnected by itself would send commands whose callers have given up.
      const socket = { ...client?.options?.socket, reconnectStrategy: false as const, connectTimeout: CONNECT_MS }
      const settings = { disableOfflineQueue: true, maintNotifications: 'disabled' as const, socket }
      if (client) return client.duplicate(settings)
      return createClient({ ...settings, url: url as string }) as unknown as RedisClientLike
    }
  }
}

/**
 * Returns the prefix of all keys of a label. It names one slot of a cluster, since scripts use several keys at once.
 */
export function prefixOf(prefix: unknown, label: string, name: string): string {
  if (typeof prefix !== 'string' || !/^[\w.:-]{1,64}$/.test(prefix))
    throw badArgument(`${name}: prefix must be 1 to 64 characters of [A-Za-z0-9_.:-]`)
  return `${prefix}:{${label}}:`
}

const fieldOf = (info: string, name: string): string | undefined =>
  new RegExp(`^${name}:([^\\r\\n]*)`, 'm').exec(info)?.[1]

/** Checks that Redis evicts no keys. @throws ERR_STORAGE_FAILED with the command that sets the policy. */
export function checkPolicy(policy: string | undefined): void {
  if (policy === 'noeviction') return
  throw storageFailed(
    `maxmemory-policy is ${policy ?? 'unknown'}, so Redis may evict ids that are still valid: ` +
      'run `redis-cli CONFIG SET maxmemory-policy noeviction`, and set it in redis.conf'
  )
}

/**
 * Checks a server by its `INFO`. Rejects with ERR_STORAGE_FAILED when it is too old, evicting, still loading or a
 * replica.
 */
export async function checkServer(client: RedisClientLike): Promise<void> {
  const info = String(await client.sendCommand(['INFO']))
  const version = fieldOf(info, 'redis_version') ?? ''
  if (!(Number.parseInt(version, 10) >= LEAST_VERSION))
    throw storageFailed(`this is Redis ${version || 'of unknown version'}; ${LEAST_VERSION}.0 or later is needed`)
  checkPolicy(fieldOf(info, 'maxmemory_policy'))
  if (fieldOf(info, 'loading') === '1') throw storageFailed('Redis is still loading its data')
  if (fieldOf(info, 'role') !== 'master') throw storageFailed('this is a replica; give the address of the primary')
}
