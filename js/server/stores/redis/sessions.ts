// SPDX-License-Identifier: MIT
// Sessions in Redis: a hash for each, a set of ids for each user, and two sets of the guests' active sessions. A
// script makes each change and publishes it in one step.

import type { Algorithm } from '../../../common/types.ts'
import type { SessionRecord, SessionStore } from '../../types.ts'
import { decodeBytes, encodeBytes, GUEST, IDLE, MAX_REPLACED_KEYS, REPLACED } from '../common.ts'
import { type RunScript, script } from './scripts.ts'

const FIELDS = [
  'id',
  'userId',
  'algorithm',
  'publicKey',
  'status',
  'createdMs',
  'lastSeenMs',
  'revokedMs',
  'revokedReason',
  'name',
  'source',
  'previousAlgorithm',
  'previousKey',
  'replacedMs',
  'replacedKeys'
] as const

type SessionFields = Partial<Record<(typeof FIELDS)[number], string>>

const readScript = script(`return redis.call('HMGET', KEYS[1], unpack(ARGV))`)

/**
 * Creates a session. KEYS session, user's set, the mark that sessions exist, the set of guests that it counts for, the
 * other one; ARGV id, the most live sessions or nothing, the beginning of sessions' keys, reason, time, channel, the
 * most guests or nothing where it is no guest, the session to end or nothing, the reason for that, then names and
 * values. Returns the ids of the sessions that it revoked (R143), `gone` or `full`, or nothing where the id is taken.
 */
const createScript = script(`
if redis.call('EXISTS', KEYS[1]) == 1 then return nil end
local ends = ARGV[8]
if ends ~= '' and redis.call('HGET', ARGV[3] .. ends, 'status') ~= 'active' then return 'gone' end
if ARGV[7] ~= '' then
  if redis.call('SCARD', KEYS[4]) >= (tonumber(ARGV[7]) or math.huge) then return 'full' end
  redis.call('SADD', KEYS[4], ARGV[1])
end
local function revoke(id, reason)
  redis.call('HSET', ARGV[3] .. id, 'status', 'revoked', 'revokedReason', reason, 'revokedMs', ARGV[5])
  redis.call('SREM', KEYS[4], id)
  redis.call('SREM', KEYS[5], id)
  redis.call('PUBLISH', ARGV[6], id)
end
local live = {}
if ARGV[2] ~= '' then
  for _, id in ipairs(redis.call('SMEMBERS', KEYS[2])) do
    local one = redis.call('HMGET', ARGV[3] .. id, 'status', 'lastSeenMs', 'createdMs')
    if one[1] == 'active' and id ~= ends then live[#live + 1] = { id, tonumber(one[2]), tonumber(one[3]) } end
  end
  table.sort(live, function(one, other)
    if one[2] ~= other[2] then return one[2] < other[2] end
    if one[3] ~= other[3] then return one[3] < other[3] end
    return one[1] < other[1]
  end)
end
local replaced = {}
for at = 1, #live + 1 - (tonumber(ARGV[2]) or math.huge) do
  replaced[at] = live[at][1]
  revoke(replaced[at], ARGV[4])
end
if ends ~= '' then
  replaced[#replaced + 1] = ends
  revoke(ends, ARGV[9])
end
redis.call('SADD', KEYS[2], ARGV[1])
redis.call('SET', KEYS[3], '1')
redis.call('HSET', KEYS[1], unpack(ARGV, 10))
return replaced
`)

/** Revokes a session. KEYS session, the two sets of guests; ARGV reason, time, channel, id. */
const revokeScript = script(`
local status = redis.call('HGET', KEYS[1], 'status')
if not status then return 0 end
if status == 'active' then
  redis.call('HSET', KEYS[1], 'status', 'revoked', 'revokedReason', ARGV[1], 'revokedMs', ARGV[2])
  redis.call('SREM', KEYS[2], ARGV[4])
  redis.call('SREM', KEYS[3], ARGV[4])
  redis.call('PUBLISH', ARGV[3], ARGV[4])
end
return 1
`)

/**
 * Replaces a key, unless the session has or had the next one, or had too many. Each replaced key ends with a comma.
 * KEYS session; ARGV present key, next algorithm, next key, time or nothing, channel, id, the most replaced keys.
 */
const replaceScript = script(`
local old = redis.call('HMGET', KEYS[1], 'publicKey', 'algorithm', 'status', 'replacedKeys', 'previousKey')
if old[1] ~= ARGV[1] or old[3] ~= 'active' then return 0 end
local replaced = (old[4] or (old[5] and old[5] .. ',') or '') .. old[1] .. ','
local _, count = string.gsub(replaced, ',', '')
if string.find(',' .. replaced, ',' .. ARGV[3] .. ',', 1, true) or count > tonumber(ARGV[7]) then return 0 end
redis.call('HSET', KEYS[1], 'algorithm', ARGV[2], 'publicKey', ARGV[3], 'replacedKeys', replaced)
if ARGV[4] == '' then
  redis.call('HDEL', KEYS[1], 'previousAlgorithm', 'previousKey', 'replacedMs')
else
  redis.call('HSET', KEYS[1], 'previousAlgorithm', old[2], 'previousKey', old[1], 'replacedMs', ARGV[4])
end
redis.call('PUBLISH', ARGV[5], ARGV[6])
return 1
`)

/** Names a device. KEYS session; ARGV name, channel, id. */
const renameScript = script(`
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'name', ARGV[1])
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1
`)

/** Moves last seen on. KEYS session; ARGV time. */
const touchScript = script(`
local seen = redis.call('HGET', KEYS[1], 'lastSeenMs')
if seen and tonumber(ARGV[1]) > tonumber(seen) then redis.call('HSET', KEYS[1], 'lastSeenMs', ARGV[1]) end
return 1
`)

/**
 * Looks at the next keys. KEYS the mark that sessions exist, the two sets of guests; ARGV cursor, pattern of sessions'
 * keys, number of keys to look at, time before which a session is idle, time before which one that was revoked goes,
 * now, reason, channel, the beginning of users' sets, time before which a guest is idle, the beginning of guests' ids.
 * Returns the next cursor and the ids of the sessions that it removed.
 */
const pruneScript = script(`
local found = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])
local said = { found[1] }
for _, key in ipairs(found[2]) do
  local one = redis.call('HMGET', key, 'id', 'userId', 'status', 'lastSeenMs', 'revokedMs')
  local isGuest = string.sub(one[2] or '', 1, string.len(ARGV[11])) == ARGV[11]
  local since = isGuest and math.max(tonumber(ARGV[4]), tonumber(ARGV[10])) or tonumber(ARGV[4])
  if one[3] == 'active' and tonumber(one[4]) < since then
    redis.call('HSET', key, 'status', 'revoked', 'revokedReason', ARGV[7], 'revokedMs', ARGV[6])
    redis.call('SREM', KEYS[2], one[1])
    redis.call('SREM', KEYS[3], one[1])
    redis.call('PUBLISH', ARGV[8], one[1])
  elseif one[3] == 'revoked' and tonumber(one[5] or one[4]) < tonumber(ARGV[5]) then
    redis.call('DEL', key)
    redis.call('SREM', ARGV[9] .. one[2], one[1])
    said[#said + 1] = one[1]
  end
end
return said
`)
/** Removes all sessions of a user. KEYS user's set, the two sets of guests; ARGV beginning of sessions' keys, channel. */
const forgetScript = script(`
local ids = redis.call('SMEMBERS', KEYS[1])
for _, id in ipairs(ids) do
  redis.call('DEL', ARGV[1] .. id)
  redis.call('SREM', KEYS[2], id)
  redis.call('SREM', KEYS[3], id)
  redis.call('PUBLISH', ARGV[2], id)
end
redis.call('DEL', KEYS[1])
return ids
`)

/** Keys of all kinds that are looked at for each session that one step of pruning should see. */
const KEYS_PER_SESSION = 16

const listScript = script(`return redis.call('SMEMBERS', KEYS[1])`)
const existsScript = script(`return redis.call('EXISTS', KEYS[1])`)

function encodeSession({ publicKey, previous, replacedKeys, ...rest }: SessionRecord): string[] {
  const fields: Record<string, string | number | undefined> = { ...rest, publicKey: encodeBytes(publicKey) }
  if (replacedKeys) fields.replacedKeys = replacedKeys.map((key) => `${key},`).join('')
  if (previous) {
    fields.previousAlgorithm = previous.algorithm
    fields.previousKey = encodeBytes(previous.publicKey)
    fields.replacedMs = previous.replacedMs
  }
  return FIELDS.flatMap((name) => (fields[name] === undefined ? [] : [name, String(fields[name])]))
}

function decodeSession(reply: unknown): SessionRecord | null {
  const values = reply as (string | null)[]
  const fields: SessionFields = Object.fromEntries(
    FIELDS.flatMap((name, index) => (values[index] == null ? [] : [[name, values[index]]]))
  )
  const { id, userId, algorithm, status, revokedMs, revokedReason, name, source, previousAlgorithm, replacedMs } =
    fields
  if (id === undefined || userId === undefined) return null
  return {
    id,
    userId,
    algorithm: algorithm as Algorithm,
    publicKey: decodeBytes(fields.publicKey ?? ''),
    status: status as SessionRecord['status'],
    createdMs: Number(fields.createdMs),
    lastSeenMs: Number(fields.lastSeenMs),
    ...(revokedMs === undefined ? {} : { revokedMs: Number(revokedMs) }),
    ...(revokedReason === undefined ? {} : { revokedReason }),
    ...(name === undefined ? {} : { name }),
    ...(source === undefined ? {} : { source }),
    ...(previousAlgorithm === undefined
      ? {}
      : {
          previous: {
            algorithm: previousAlgorithm as Algorithm,
            publicKey: decodeBytes(fields.previousKey ?? ''),
            replacedMs: Number(replacedMs)
          }
        }),
    ...(fields.replacedKeys === undefined ? {} : { replacedKeys: fields.replacedKeys.split(',').slice(0, -1) })
  }
}

/** Creates a SessionStore whose keys begin with `prefix`. It publishes changes on `channel`. */
export function createRedisSessions(
  run: RunScript,
  prefix: string,
  channel: string,
  watch: NonNullable<SessionStore['watch']>
): SessionStore {
  const keyOf = (id: string): string => `${prefix}session:${id}`
  const userKey = (userId: string): string => `${prefix}user:${userId}`
  const anyKey = `${prefix}sessions`
  const guestKeys = [`${prefix}guests`, `${prefix}opaque-guests`]
  let cursor = '0'
  const get = async (id: string): Promise<SessionRecord | null> =>
    decodeSession(await run(readScript, [keyOf(id)], [...FIELDS]))

  return {
    guests: true,
    get,
    async create(session, { maxLive, maxGuests = Number.MAX_SAFE_INTEGER, maxOpaqueGuests, ends } = {}) {
      const pools = maxOpaqueGuests === undefined ? guestKeys : [...guestKeys].reverse()
      const keys = [keyOf(session.id), userKey(session.userId), anyKey, ...pools]
      const isGuest = session.status === 'active' && session.userId.startsWith(GUEST)
      const limits = [isGuest ? (maxOpaqueGuests ?? maxGuests) : '', ends?.id ?? '', ends?.reason ?? '']
      const values = [session.id, maxLive ?? '', keyOf(''), REPLACED, session.createdMs, channel, ...limits]
      const said = await run(createScript, keys, [...values, ...encodeSession(session)])
      if (said === 'gone' || said === 'full') return said
      if (said === null) return false
      return maxLive === undefined && !ends ? true : (said as string[])
    },
    async revoke(id, reason, atMs = Date.now()) {
      return (await run(revokeScript, [keyOf(id), ...guestKeys], [reason, atMs, channel, id])) === 1
    },
    async listByUser(userId) {
      const ids = (await run(listScript, [userKey(userId)], [])) as string[]
      const found = await Promise.all(ids.map(get))
      return found.filter((session) => session !== null)
    },
    async replaceKey(id, expectedKey, { algorithm, publicKey, atMs }) {
      const [expected, next] = [encodeBytes(expectedKey), encodeBytes(publicKey)]
      const values = [expected, algorithm, next, atMs ?? '', channel, id, MAX_REPLACED_KEYS]
      return (await run(replaceScript, [keyOf(id)], values)) === 1
    },
    async rename(id, name) {
      return (await run(renameScript, [keyOf(id)], [name, channel, id])) === 1
    },
    watch,
    async prune({ idleBeforeMs, guestIdleBeforeMs = idleBeforeMs, revokedBeforeMs, nowMs, limit }) {
      const times = [Math.max(0, idleBeforeMs), Math.max(0, revokedBeforeMs), nowMs]
      const values = [cursor, `${keyOf('')}*`, limit * KEYS_PER_SESSION, ...times, IDLE, channel, userKey('')]
      values.push(Math.max(0, guestIdleBeforeMs), GUEST)
      const [next = '0', ...removed] = (await run(pruneScript, [anyKey, ...guestKeys], values)) as string[]
      cursor = next
      return removed
    },
    forgetUser: async (userId) =>
      (await run(forgetScript, [userKey(userId), ...guestKeys], [keyOf(''), channel])) as string[],
    async touch(id, ms) {
      await run(touchScript, [keyOf(id)], [ms])
    },
    async isEmpty() {
      return (await run(existsScript, [anyKey], [])) === 0
    }
  }
}
