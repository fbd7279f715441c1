// SPDX-License-Identifier: MIT
// Answers of requests with an idempotency key, in Redis: each key runs once (R130 to R132). An answer is a hash that
// expires by itself. Two lists of live keys, of all and of each owner, bound them. Holds and ages go by Redis's
// clock.

import { sha256 } from '../../support/encoding.ts'
import type { AnswerStore, AnswerVerdict } from '../../types.ts'
import { ANSWER_FORMAT, encodeBytes, quotaOf } from '../common.ts'
import { closableRun, LUA_CLOCK, REPLY_AS_BYTES, type RunScript, script } from './scripts.ts'

const shared = `${LUA_CLOCK}
local key, live = KEYS[1], KEYS[2]
local now = clock()
local function keep(owner, life)
  local expiry = now + tonumber(life)
  redis.call('ZADD', live, whole(expiry), key)
  redis.call('ZADD', owner, whole(expiry), key)
  redis.call('PEXPIREAT', owner, whole(math.max(expiry, redis.call('PEXPIRETIME', owner))))
  redis.call('PEXPIREAT', key, whole(expiry))
end
`

/** Claims a key. KEYS answer, live, owner; ARGV fingerprint, token, hold, life, repeatable, capacity, quota. */
const claimScript = script(`${shared}
local owner = KEYS[3]
local kept = redis.call(
  'HMGET', key, 'fingerprint', 'heldUntil', 'isOver', 'resultCode', 'status', 'contentType', 'payload', 'format', 'headers'
)
if kept[1] then
  if kept[1] ~= ARGV[1] then return { 'conflict' } end
  if kept[4] then return { 'kept', kept[4], kept[5], kept[6], kept[7], kept[8] or '1', kept[9] or '' } end
  local left = tonumber(kept[2]) - now
  if not kept[3] and left > 0 then return { 'held', whole(left) } end
  if ARGV[5] ~= '1' then return { 'unknown' } end
else
  for _, old in ipairs(redis.call('ZRANGEBYSCORE', live, '-inf', whole(now), 'LIMIT', 0, 64)) do
    redis.call('ZREM', live, old)
  end
  redis.call('ZREMRANGEBYSCORE', owner, '-inf', whole(now))
  local isFull = redis.call('ZCARD', live) >= tonumber(ARGV[6]) or redis.call('ZCARD', owner) >= tonumber(ARGV[7])
  if isFull then return { 'full' } end
end
redis.call('HDEL', key, 'isOver')
local heldUntil = whole(now + tonumber(ARGV[3]))
redis.call('HSET', key, 'owner', owner, 'fingerprint', ARGV[1], 'token', ARGV[2], 'heldUntil', heldUntil)
keep(owner, ARGV[4])
return { 'claimed' }
`)

/** Ends a claim. KEYS answer, live; ARGV token, life, then names and values of the answer, if there is one. */
const finishScript = script(`${shared}
local kept = redis.call('HMGET', key, 'token', 'isOver', 'owner')
if kept[1] ~= ARGV[1] or kept[2] then return 0 end
redis.call('HSET', key, 'isOver', '1', unpack(ARGV, 3))
keep(kept[3], ARGV[2])
return 1
`)

/** Releases a claim. KEYS answer, live; ARGV token. */
const releaseScript = script(`${shared}
local kept = redis.call('HMGET', key, 'token', 'isOver', 'owner')
if kept[1] ~= ARGV[1] or kept[2] then return 0 end
redis.call('ZREM', live, key)
redis.call('ZREM', kept[3], key)
redis.call('DEL', key)
return 1
`)

/** Forgets an owner. KEYS owner, live. */
const forgetScript = script(`
for _, key in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  redis.call('DEL', key)
  redis.call('ZREM', KEYS[2], key)
end
redis.call('DEL', KEYS[1])
return 1
`)

function parseVerdict([state, ...rest]: Buffer[]): AnswerVerdict {
  const name = String(state) as AnswerVerdict['state']
  if (name === 'held') return { state: name, retryAfterMs: Number(String(rest[0])) }
  if (name !== 'kept') return { state: name }
  const [resultCode, status, contentType, payload, format, headers] = rest
  if (Number(String(format)) > ANSWER_FORMAT) return { state: 'unknown' }
  const kept = String(headers)
  return {
    state: name,
    answer: {
      resultCode: String(resultCode),
      status: Number(String(status)),
      contentType: String(contentType),
      payload: new Uint8Array(payload ?? []),
      ...(kept ? { headers: JSON.parse(kept) } : {})
    }
  }
}

/** Creates an AnswerStore whose keys begin with `prefix`. One owner holds at most a 64th of `capacity`. */
export function createRedisAnswers(runScript: RunScript, prefix: string, capacity: number): AnswerStore {
  const quota = quotaOf(capacity)
  const keysOf = (key32: Uint8Array): string[] => [`${prefix}answer:${encodeBytes(key32)}`, `${prefix}answers`]
  const ownerKeyOf = (owner: string): string => `${prefix}answers-of:${encodeBytes(sha256(owner))}`
  const { run, close } = closableRun(runScript)

  return {
    async claim({ key32, fingerprint32, token, owner, holdMs, keepMs, repeatable }) {
      const ownerKey = ownerKeyOf(owner)
      const fingerprint = encodeBytes(fingerprint32)
      const values = [fingerprint, token, holdMs, keepMs, repeatable ? 1 : 0, capacity, quota]
      return parseVerdict((await run(claimScript, [...keysOf(key32), ownerKey], values, REPLY_AS_BYTES)) as Buffer[])
    },
    async finish(key32, token, answer, { keepMs }) {
      const words = answer
        ? ['resultCode', answer.resultCode, 'status', answer.status, 'contentType', answer.contentType]
        : []
      const payload = answer ? ['payload', Buffer.from(answer.payload), 'format', ANSWER_FORMAT] : []
      const headers = answer?.headers ? ['headers', JSON.stringify(answer.headers)] : []
      return (await run(finishScript, keysOf(key32), [token, keepMs, ...words, ...payload, ...headers])) === 1
    },
    async release(key32, token) {
      return (await run(releaseScript, keysOf(key32), [token])) === 1
    },
    async forgetUser(owner) {
      await run(forgetScript, [ownerKeyOf(owner), `${prefix}answers`], [])
    },
    close
  }
}
