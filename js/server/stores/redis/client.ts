// SPDX-License-Identifier: MIT
// The part of npm `redis` that the stores use, and what a Redis must be like before it is used.

import { CountersignError } from '../../../common/errors.ts'
import { badArgument } from '../../../core/args.ts'

/** A word of a command. */
export type Word = string | Buffer

/** What is used of a client of npm `redis`. */
export interface RedisClientLike {
  readonly options?: { socket?: object } | undefined
  connect(): Promise<unknown>
  destroy(): void
  on(event: 'error', listener: (error: Error) => void): unknown
  sendCommand(words: Word[], options?: object): Promise<unknown>
  subscribe(channels: string[], listener: (message: string, channel: string) => void): Promise<void>
  duplicate(overrides?: object): RedisClientLike
}

const LEAST_VERSION = 7

/** storageFailed makes ERR_STORAGE_FAILED with a line for operators. */
export function storageFailed(detail: string, cause?: unknown): CountersignError {
  return new CountersignError('ERR_STORAGE_FAILED', cause === undefined ? { detail } : { detail, cause })
}

/** addressOf names a server without the user and the password of its URL; it throws ERR_INVALID_ARGUMENT for no such URL. */
export function addressOf(url: unknown): string {
  const parsed = typeof url === 'string' && URL.canParse(url) ? new URL(url) : undefined
  // The value may hold a password: it is never repeated.
  if (!parsed?.hostname || !/^rediss?:$/.test(parsed.protocol))
    throw badArgument('redisStores: url must be redis://[[user]:password@]host[:port][/database] or rediss://…')
  return `${parsed.hostname}:${parsed.port || 6379}`
}

const fieldOf = (info: string, name: string): string | undefined =>
  new RegExp(`^${name}:([^\\r\\n]*)`, 'm').exec(info)?.[1]

/** checkPolicy rejects a Redis that would evict ids, with the command that ends it. */
export function checkPolicy(policy: string | undefined): void {
  if (policy === 'noeviction') return
  throw storageFailed(
    `maxmemory-policy is ${policy ?? 'unknown'}, so Redis may evict ids that are still valid: ` +
      'run `redis-cli CONFIG SET maxmemory-policy noeviction`, and set it in redis.conf'
  )
}

/** checkServer rejects what `INFO` says is too old, evicting, still loading or a replica; it resolves to nothing otherwise. */
export async function checkServer(client: RedisClientLike): Promise<void> {
  const info = String(await client.sendCommand(['INFO']))
  const version = fieldOf(info, 'redis_version') ?? ''
  if (!(Number.parseInt(version, 10) >= LEAST_VERSION))
    throw storageFailed(`this is Redis ${version || 'of unknown version'}; ${LEAST_VERSION}.0 or later is needed`)
  checkPolicy(fieldOf(info, 'maxmemory_policy'))
  if (fieldOf(info, 'loading') === '1') throw storageFailed('Redis is still loading its data')
  if (fieldOf(info, 'role') !== 'master') throw storageFailed('this is a replica; give the address of the primary')
}
