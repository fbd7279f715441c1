// SPDX-License-Identifier: MIT
// Statistics in Redis (npm package `redis`, an optional peer), shared by gateways on any number of machines. The
// store holds enrolled keys in plain text, so keep it as secret as they are.

import { CountersignError } from '../../../common/errors.ts'
import { integerOf, labelOf, optionsOf } from '../../../core/args.ts'
import { checkServer, clientFactory, prefixOf, type RedisClientLike } from '../../../server/stores/redis/client.ts'
import { createConnection } from '../../../server/stores/redis/connection.ts'
import { createScriptRunner, script } from '../../../server/stores/redis/scripts.ts'
import type { DeviceRecord, StatsRecords, StatsStore, UserRecord } from './types.ts'

export type { RedisClientLike } from '../../../server/stores/redis/client.ts'

const DEFAULT_DEADLINE_MS = 250
/** More tries than gateways that change one user concurrently ever need. */
const TRIES = 100
const LONGEST_WAIT_MS = 50

/** The connection of redisStatsStore. */
export type RedisStatsOptions = {
  /** `redis://[[user]:password@]host[:port][/database]`, or `rediss://…` for TLS. Pass either this or `client`. */
  url?: string
  /** A client of npm `redis` whose connection settings are copied. The client itself is not used. */
  client?: RedisClientLike
  label: string
  /** The prefix of all keys. Default: `countersign`. */
  prefix?: string
  /** How long a command may take. A slower one is refused, and the connection made anew. Default: 250 ms. */
  deadlineMs?: number
}

/**
 * KEYS: user, device. ARGV: their versions as read, then their new records; an empty text leaves a record as it is.
 * The script changes both records, or neither when one of them has changed since.
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

/** Runs the work for one name in turn, so that one process does not compete with itself. */
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
 * Connects to a Redis (7.0 or later, `maxmemory-policy noeviction`). When another gateway changes a record first, the
 * change is made again. After a crash, Redis has what its persistence kept.
 * @throws ERR_INVALID_ARGUMENT or ERR_INVALID_LABEL for invalid options.
 * Rejects with ERR_STORAGE_FAILED when the server cannot be used.
 *
 * @example
 * ```ts
 * const store = await redisStatsStore({ url: 'redis://127.0.0.1', label: 'myapp' })
 * ```
 */
export async function redisStatsStore(options: RedisStatsOptions): Promise<StatsStore> {
  const { url, client, label, prefix: first = 'countersign', deadlineMs: given } = optionsOf(options, 'redisStatsStore')
  const { address, make } = clientFactory({ url, client }, 'redisStatsStore')
  const prefix = prefixOf(first, labelOf(label), 'redisStatsStore')
  const deadlineMs = integerOf(given ?? DEFAULT_DEADLINE_MS, 1, 1000, 'redisStatsStore: deadlineMs')
  const connection = createConnection({
    address,
    deadlineMs,
    make,
    greet: checkServer,
    async beat(send) {
      await send(['PING'])
    }
  })
  const run = createScriptRunner(connection.send)
  const userKey = (userId: string): string => `${prefix}stats-user:${userId}`
  const deviceKey = (deviceId: string): string => `${prefix}stats-device:${deviceId}`

  const read = async <Kept>(key: string): Promise<VersionedRecord<Kept>> => {
    const [version, record] = (await connection.send(['HMGET', key, 'version', 'record'])) as (string | null)[]
    return { version: version ?? '0', record: record ? JSON.parse(record) : undefined }
  }

  const swap = async <Result>(keys: [string, string], change: StatsChange<Result>): Promise<Result> => {
    for (let tries = 0; tries < TRIES; tries++) {
      const [user, device] = await Promise.all([read<UserRecord>(keys[0]), read<DeviceRecord>(keys[1])])
      const next = change({ user: user.record, device: device.record })
      const values = [user.version, device.version, written(next.user), written(next.device)]
      // The versions are compared even without a change: the decision must fit both records at one moment.
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
