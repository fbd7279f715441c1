// SPDX-License-Identifier: MIT
// Challenges and counters of the enrolment in Redis (R82 to R86). Each is a key that expires by itself. One list of
// all live keys bounds them.

import type { CodeStore } from '../../types.ts'
import { decodeBytes, encodeBytes } from '../common.ts'
import { closableRun, LUA_CLOCK, type RunScript, script } from './scripts.ts'

/** Keys live longer by this, because clocks of gateways differ. The decisions go by the time that a gateway passes. */
const SLACK_MS = 60_000

const shared = `${LUA_CLOCK}
local live = KEYS[2]
local function room(capacity)
  for _, key in ipairs(redis.call('ZRANGEBYSCORE', live, '-inf', clock(), 'LIMIT', 0, 64)) do
    redis.call('ZREM', live, key)
  end
  return redis.call('ZCARD', live) < tonumber(capacity)
end
local function keep(life)
  redis.call('ZADD', live, clock() + tonumber(life), KEYS[1])
  redis.call('PEXPIRE', KEYS[1], life)
end
`

/** Creates a challenge. KEYS challenge, live; ARGV capacity, life, then names and values. */
const createScript = script(`${shared}
if redis.call('EXISTS', KEYS[1]) == 1 or not room(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
keep(ARGV[2])
return 1
`)

const readScript = script(
  `return redis.call('HMGET', KEYS[1], 'email', 'createdMs', 'expiresMs', 'codeHash', 'isOpaque')`
)

/** Takes one event of a counter. KEYS counter, live; ARGV capacity, life, limit, window, now, 1 for a probe. */
const takeScript = script(`${shared}
local limit, window, now = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local times = redis.call('LRANGE', KEYS[1], 0, -1)
local probes = ARGV[6] == '1'
if #times == 0 and not probes and not room(ARGV[1]) then return window end
local old = 0
while old < #times and tonumber(times[old + 1]) <= now - window do old = old + 1 end
if #times - old >= limit then return math.max(1, tonumber(times[#times - limit + 1]) + window - now) end
if probes then return 0 end
if old > 0 then redis.call('LTRIM', KEYS[1], old, -1) end
redis.call('RPUSH', KEYS[1], ARGV[5])
keep(ARGV[2])
return 0
`)

/** Gives an event back. KEYS counter, live. A counter without events leaves the list of live keys too. */
const giveBackScript = script(`
redis.call('RPOP', KEYS[1])
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('ZREM', KEYS[2], KEYS[1]) end
return 1
`)

/** Binds a challenge to a key. KEYS challenge; ARGV binding, session id, now. */
const redeemScript = script(`
local kept = redis.call('HMGET', KEYS[1], 'expiresMs', 'binding', 'sessionId')
if not kept[1] or tonumber(kept[1]) <= tonumber(ARGV[3]) then return false end
if kept[2] then return kept[2] == ARGV[1] and kept[3] end
redis.call('HSET', KEYS[1], 'binding', ARGV[1], 'sessionId', ARGV[2])
return ARGV[2]
`)

/** Creates a CodeStore whose keys begin with `prefix`. */
export function createRedisCodes(runScript: RunScript, prefix: string, capacity: number): CodeStore {
  const challengeKey = (id: string): string => `${prefix}challenge:${id}`
  const countKey = (key: string): string => `${prefix}count:${key}`
  const liveKey = `${prefix}codes`
  const { run, close } = closableRun(runScript)

  return {
    async create({ id, email, codeHash, isOpaque, createdMs, expiresMs }) {
      const words = ['email', email, 'createdMs', createdMs, 'expiresMs', expiresMs]
      if (codeHash) words.push('codeHash', encodeBytes(codeHash))
      if (isOpaque) words.push('isOpaque', '1')
      const lifeMs = Math.max(1, expiresMs - createdMs) + SLACK_MS
      return (await run(createScript, [challengeKey(id), liveKey], [capacity, lifeMs, ...words])) === 1
    },
    async get(id, nowMs) {
      const reply = (await run(readScript, [challengeKey(id)], [])) as (string | null)[]
      const [email, created, expires, codeHash, isOpaque] = reply
      if (email == null || Number(expires) <= nowMs) return null
      const times = { createdMs: Number(created), expiresMs: Number(expires) }
      const challenge = { id, email, ...times, ...(isOpaque == null ? {} : { isOpaque: true as const }) }
      return codeHash == null ? challenge : { ...challenge, codeHash: decodeBytes(codeHash) }
    },
    async take(key, { limit, windowMs, nowMs, isProbe = false }) {
      const values = [capacity, windowMs + SLACK_MS, limit, windowMs, nowMs, isProbe ? 1 : 0]
      return Number(await run(takeScript, [countKey(key), liveKey], values))
    },
    async giveBack(key) {
      await run(giveBackScript, [countKey(key), liveKey], [])
    },
    async redeem(id, binding, sessionId, nowMs) {
      return (await run(redeemScript, [challengeKey(id)], [binding, sessionId, nowMs])) as string | null
    },
    close
  }
}
