// SPDX-License-Identifier: MIT
// Statistics in Redis (npm package `redis`, an optional peer): shared by gateways on any number of machines. Enrolled keys lie
// in it as they are: it is as secret as they.

import { CountersignError } from '../../../common/errors.ts'
import { integerOf, labelOf, optionsOf } from '../../../core/args.ts'
import { checkServer, type RedisClientLike } from '../../../server/stores/redis/client.ts'
import { createConnection } from '../../../server/stores/redis/connection.ts'
import { dialOf, prefixOf } from '../../../server/stores/redis/dial.ts'
import { createRun, script } from '../../../server/stores/redis/scripts.ts'
import type { DeviceRecord, StatsRecords, StatsStore, UserRecord } from './types.ts'

export type { RedisClientLike } from '../../../server/stores/redis/client.ts'

const DEFAULT_DEADLINE_MS = 250
/** Gateways that change one user at once take turns; so many tries are more than any of them needs. */
const TRIES = 100
const LONGEST_WAIT_MS = 50

/** What redisStatsStore connects to, and how. */
export type RedisStatsOptions = {
  /** `redis://[[user]:password@]host[:port][/database]`, or `rediss://…` for TLS; or else `client`. */
  url?: string
  /** A client of npm `redis` that says how to connect: it is copied, and left alone. */
  client?: RedisClientLike
  label: string
  /** What all keys begin with; `countersign` by default. */
  prefix?: string
  /** How long a command may take, 250 ms by default; then it is refused, and the connection made anew. */
  deadlineMs?: number
}

/**
 * KEYS user, device; ARGV their versions as they were read, then their new records, empty to leave one as it is. Changes both
 * or, where either has changed since, neither.
 */
const swapScript = script(`
for i = 1, 2 do
  if (redis.call('HGET', KEYS[i], 'version') or '0') ~= ARGV[i] then return 0 end
end
for i = 1, 2 do
  if ARGV[i + 2] ~= '' then
    redis.call('HSET', KEYS[i], 'record', ARGV[i + 2])
    redis.call('HINCRBY', KEYS[i], 'version', 1)
  end
end
return 1
`)

type StatsChange<Result> = (records: StatsRecords) => Partial<StatsRecords> & { result: Result }
type VersionedRecord<Kept> = { version: string; record: Kept | undefined }

/** Lets work for one name wait for the work before it: one process does not compete with itself. */
function createTurns() {
  const last = new Map<string, Promise<unknown>>()
  return <Result>(name: string, work: () => Promise<Result>): Promise<Result> => {
    const mine = (last.get(name) ?? Promise.resolve()).then(work, work)
    const leave = (): void => {
      if (last.get(name) === mine) last.delete(name)
    }
    last.set(name, mine)
    mine.then(leave, leave)
    return mine
  }
}

function written(record: object | undefined): string {
  return record ? JSON.stringify(record) : ''
}
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/**
 * Connects to a Redis (7.0 or later, `maxmemory-policy noeviction`). It throws ERR_INVALID_ARGUMENT or
 * ERR_INVALID_LABEL for options that cannot work, and rejects with ERR_STORAGE_FAILED where the server cannot be used. A change
 * is made again where another gateway was faster. What Redis keeps of it after a crash is what its persistence keeps.
 *
 * @example
 * ```ts
 * const store = await redisStatsStore({ url: 'redis://127.0.0.1', label: 'myapp' })
 * ```
 */
export async function redisStatsStore(options: RedisStatsOptions): Promise<StatsStore> {
  const { url, client, label, prefix: first = 'countersign', deadlineMs: given } = optionsOf(options, 'redisStatsStore')
  const { address, make } = dialOf({ url, client }, 'redisStatsStore')
  const prefix = prefixOf(first, labelOf(label), 'redisStatsStore')
  const deadlineMs = integerOf(given ?? DEFAULT_DEADLINE_MS, 1, 1000, 'redisStatsStore: deadlineMs')
  const connection = createConnection({
    address,
    deadlineMs,
    make,
    greet: checkServer,
    async beat(ask) {
      await ask(['PING'])
    }
  })
  const run = createRun(connection.ask)
  const userKey = (userId: string): string => `${prefix}stats-user:${userId}`
  const deviceKey = (deviceId: string): string => `${prefix}stats-device:${deviceId}`

  const read = async <Kept>(key: string): Promise<VersionedRecord<Kept>> => {
    const [version, record] = (await connection.ask(['HMGET', key, 'version', 'record'])) as (string | null)[]
    return { version: version ?? '0', record: record ? JSON.parse(record) : undefined }
  }

  const swap = async <Result>(keys: [string, string], change: StatsChange<Result>): Promise<Result> => {
    for (let tries = 0; tries < TRIES; tries++) {
      const [user, device] = await Promise.all([read<UserRecord>(keys[0]), read<DeviceRecord>(keys[1])])
      const next = change({ user: user.record, device: device.record })
      const values = [user.version, device.version, written(next.user), written(next.device)]
      // Where nothing is changed too: what was decided was decided on both as they stood at one moment.
      if ((await run(swapScript, keys, values)) === 1) return next.result
      await pause(Math.random() * Math.min(LONGEST_WAIT_MS, 2 * (tries + 1)))
    }
    throw new CountersignError('ERR_UNAVAILABLE')
  }

  const inTurn = createTurns()
  await connection.open()
  return {
    update: (userId, deviceId, change) => inTurn(userId, () => swap([userKey(userId), deviceKey(deviceId)], change)),
    user: async (userId) => (await read<UserRecord>(userKey(userId))).record,
    device: async (deviceId) => (await read<DeviceRecord>(deviceKey(deviceId))).record,
    close: () => connection.close()
  }
}
