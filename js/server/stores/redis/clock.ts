// SPDX-License-Identifier: MIT
// The shared time of the gateways over one Redis (R147, R148): one record, changed by compare-and-set. The store's own
// clock is Redis's: so a gateway that starts with a wrong clock cannot push the others further.

import type { SharedTime } from '../../types.ts'
import type { ClockRecord, ClosableClock } from '../shared-clock.ts'
import { isWithin, noteAheadOf, noteReading, parseClock, returnClock, timeOf } from '../shared-clock.ts'
import { storageFailed } from './client.ts'
import { closableRun, LUA_CLOCK, type RunScript, script } from './scripts.ts'

const MOST_TRIES = 16
const SCAN_COUNT = '512'

/** Reads the record and Redis's clock. KEYS record. */
const readScript = script(`${LUA_CLOCK}
return { redis.call('GET', KEYS[1]) or '', whole(clock()) }
`)

/** Replaces the record where it is the expected one. KEYS record; ARGV expected, next. */
const swapScript = script(`
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
`)

/**
 * The same, and takes the floor of the ids back. Groups of ids of the time ahead must not raise it again when they
 * expire. KEYS record, state, due, groups; ARGV expected, next, now, fence, where the burnt time begins.
 */
const returnScript = script(`${LUA_CLOCK}
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
local now, burnt = tonumber(ARGV[3]), tonumber(ARGV[5])
for _, group in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
  local newest = tonumber(redis.call('HGET', KEYS[4], group .. 't') or 0)
  if newest >= burnt then redis.call('HSET', KEYS[4], group .. 't', whole(now)) end
end
local floor = tonumber(redis.call('HGET', KEYS[2], 'floor') or 0)
redis.call('HSET', KEYS[2], 'floor', whole(math.min(floor, now)), 'fence', ARGV[4])
redis.call('SET', KEYS[1], ARGV[2])
return 1
`)

/** Takes the times of a session back where they lie ahead. KEYS session; ARGV now. */
const clampScript = script(`
local now = tonumber(ARGV[1])
for _, name in ipairs({ 'createdMs', 'lastSeenMs', 'revokedMs' }) do
  local ms = redis.call('HGET', KEYS[1], name)
  if ms and tonumber(ms) > now then redis.call('HSET', KEYS[1], name, ARGV[1]) end
end
local replaced = redis.call('HGET', KEYS[1], 'replacedMs')
if replaced and tonumber(replaced) > now then
  redis.call('HDEL', KEYS[1], 'previousAlgorithm', 'previousKey', 'replacedMs')
end
return 1
`)

const deleteScript = script(`return redis.call('DEL', KEYS[1])`)
const scanScript = script(`return redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])`)

/** A shared clock in Redis that learns the burnt spans over a connection that may be new. */
type RedisClock = ClosableClock & { sync(run: RunScript): Promise<void> }

/** Creates the shared clock of the stores whose keys begin with `prefix`. */
export function createRedisClock(runScript: RunScript, prefix: string): RedisClock {
  const { run, close } = closableRun(runScript)
  const key = `${prefix}clock`
  const idKeys = ['state', 'due', 'groups'].map((name) => `${prefix}replay:${name}`)
  let burnt: ClockRecord['burnt'] = []

  const load = async (runOver: RunScript) => {
    const [text = '', clockMs] = ((await runOver(readScript, [key], [])) as unknown[]).map(String)
    const record = parseClock(text)
    burnt = record.burnt
    return { text, record, clockMs: Number(clockMs) }
  }

  // Of many gateways that change the record at once one wins each round.
  const change = async (work: (record: ClockRecord, clockMs: number) => ClockRecord | undefined) => {
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const { text, record, clockMs } = await load(run)
      const next = work(record, clockMs)
      if (!next) return undefined
      if (next === record || (await run(swapScript, [key], [text, JSON.stringify(next)])) === 1) {
        burnt = next.burnt
        return timeOf(next, clockMs)
      }
    }
    throw storageFailed('the shared clock in Redis is being changed by too many gateways')
  }

  const forEachKey = async (pattern: string, work: (name: string) => Promise<unknown>): Promise<void> => {
    let cursor = '0'
    do {
      const reply = (await run(scanScript, [key], [cursor, `${prefix}${pattern}`, SCAN_COUNT])) as [unknown, unknown[]]
      cursor = String(reply[0])
      for (const name of reply[1]) await work(String(name))
    } while (cursor !== '0')
  }

  return {
    async read() {
      const { record, clockMs } = await load(run)
      return timeOf(record, clockMs)
    },
    async note(reading) {
      return (await change((record, clockMs) => noteReading(record, reading, clockMs))) as SharedTime
    },
    async noteAhead(sessionId, timestampMs) {
      return (await change((record) => noteAheadOf(record, sessionId, timestampMs))) !== undefined
    },
    isBurnt: (ms) => isWithin(burnt, ms),
    async bringBack(given) {
      const { text, record, clockMs } = await load(run)
      const next = returnClock(record, given, clockMs)
      if (!next) return false
      // These come before the clock: a process that dies in between leaves it ahead, and the step is taken again.
      await forEachKey('session:*', (name) => run(clampScript, [name], [given.nowMs]))
      // A session's floor that lies ahead would refuse its requests for as long as it lives.
      for (const pattern of ['challenge:*', 'count:*', 'replay:floor-of:*'])
        await forEachKey(pattern, (name) => run(deleteScript, [name], []))
      await run(deleteScript, [`${prefix}codes`], [])
      const from = given.burnt[0]?.fromMs ?? Number.MAX_SAFE_INTEGER
      const values = [text, JSON.stringify(next), given.nowMs, given.fenceMs, from]
      if ((await run(returnScript, [key, ...idKeys], values)) !== 1) return false
      burnt = next.burnt
      return true
    },
    async sync(runOver) {
      await load(runOver)
    },
    close
  }
}
