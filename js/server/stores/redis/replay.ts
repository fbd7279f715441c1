// SPDX-License-Identifier: MIT
// Replay ids in Redis: each id is reserved once, and forgotten ids lie under a floor (R58 to R64). Each script is one
// atomic step.
//
// An id is a key that expires by itself. Ids that expire at the same time form a group. `due` orders the groups.
// `groups` holds, for each group, the number of its ids (`<time>n`) and their newest time (`<time>t`). The first
// script that runs after a group may have expired raises the floor to that newest time, before it decides anything
// (R61).
//
// A session's floor (R142) is a key that expires, in a group like an id: when it goes, the floor of all rises to it.
//
// All lifetimes go by Redis's clock (R136). A request's time is compared only with times of requests. `state.mark` names the
// server, its line of data and its last loss of data. A script changes nothing when its caller knows another mark.

import { CountersignError } from '../../../common/errors.ts'
import type { ReserveVerdict } from '../../../common/types.ts'
import { randomId } from '../../support/encoding.ts'
import type { LimitedRequest, ReplayStore } from '../../types.ts'
import { checkReplayKey, encodeBytes, quotaOf, roomOf } from '../common.ts'
import { checkPolicy, storageFailed } from './client.ts'
import { LUA_CLOCK, type RunScript, script } from './scripts.ts'

/** Ids live up to this much longer than needed, so that there are few groups. */
const GROUP_MS = 4096

const shared = `${LUA_CLOCK}
local function identity()
  local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
  local data = string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
  return run .. '.' .. data
end
local state, due, groups = KEYS[1], KEYS[2], KEYS[3]
local kept = redis.call('HMGET', state, 'mark', 'floor', 'fence', 'size')
local mark = kept[1] or ''
local floor, fence, size = tonumber(kept[2] or 0), tonumber(kept[3] or 0), tonumber(kept[4] or 0)
local me = identity()
local isMine = string.sub(mark, 1, string.len(me) + 1) == me .. '/'
local now = clock()

local function sweep()
  local expired = redis.call('ZRANGEBYSCORE', due, '-inf', whole(now))
  if #expired == 0 then return end
  for _, group in ipairs(expired) do
    floor = math.max(floor, tonumber(redis.call('HGET', groups, group .. 't') or 0))
  end
  redis.call('HSET', state, 'floor', whole(floor))
  for _, group in ipairs(expired) do
    size = math.max(0, size - tonumber(redis.call('HGET', groups, group .. 'n') or 0))
    redis.call('HDEL', groups, group .. 'n', group .. 't')
    redis.call('ZREM', due, group)
  end
  redis.call('HSET', state, 'size', whole(size))
end
local function answer(word) return { word, mark, me, whole(floor), whole(fence), whole(size) } end
`

/**
 * Lua functions on ids. KEYS 4 id, 5 session, 6 its floor, then its shares; ARGV mark, time, life, quota, capacity, width,
 * now, held, then for each share its room for ids and for all.
 */
const ofIds = `
local id, session, own = KEYS[4], KEYS[5], KEYS[6]
local known, time, life = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local quota, capacity, width = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])

-- The live ids of the session or a share, and the times at which its first and its last one expire.
local function count(of)
  local live, first, last = 0, math.huge, 0
  local counts = redis.call('HGETALL', of)
  for at = 1, #counts, 2 do
    local expiry = tonumber(counts[at])
    if expiry <= now then redis.call('HDEL', of, counts[at])
    else
      live = live + tonumber(counts[at + 1])
      first, last = math.min(first, expiry), math.max(last, expiry)
    end
  end
  return live, first, last
end

-- The session may come again when its floor lies behind the caller's clock, and its first id has gone.
local function limited()
  local live, first = count(session)
  local wait = math.max(0, tonumber(redis.call('HGET', own, 'time')) + 1 - tonumber(ARGV[7]))
  if live >= quota then wait = math.max(wait, first - now) end
  local said = answer('limited')
  said[7] = whole(wait)
  return said
end

-- Whether each share has room: 0 for an id, 1 for a floor.
local function hasRoom(kind)
  for at = 7, #KEYS do
    if count(KEYS[at]) >= tonumber(ARGV[2 * at - 5 + kind]) then return false end
  end
  return true
end
local function changeShares(group, by)
  for at = 7, #KEYS do
    if redis.call('HINCRBY', KEYS[at], group, by) <= 0 then redis.call('HDEL', KEYS[at], group) end
    if by > 0 and redis.call('PEXPIRETIME', KEYS[at]) < tonumber(group) then
      redis.call('PEXPIREAT', KEYS[at], group)
    end
  end
end

-- Puts one more id, dated at, into the group of an expiry. The group comes before the id: an id that its group does
-- not count would expire without raising the floor.
local function join(group, at)
  redis.call('ZADD', due, group, group)
  redis.call('HINCRBY', groups, group .. 'n', 1)
  local newest = tonumber(redis.call('HGET', groups, group .. 't') or 0)
  if at > newest then redis.call('HSET', groups, group .. 't', whole(at)) end
  changeShares(group, 1)
  size = size + 1
end
local function leave(group)
  redis.call('HINCRBY', groups, group .. 'n', -1)
  changeShares(group, -1)
  size = size - 1
end
`

/** Reserves an id. */
const reserveScript = script(`${shared}${ofIds}
if not isMine or mark ~= known then return answer('lost') end
sweep()
if redis.call('EXISTS', id) == 1 then return answer('used') end
if time <= math.max(floor, fence) then return answer('too-old') end
if time <= tonumber(redis.call('HGET', own, 'time') or -1) then return limited() end
local live, _, last = count(session)
if size >= capacity or live >= quota or not hasRoom(0) then return answer('full') end

local expiry = (math.floor((now + life) / width) + 1) * width
local group = whole(expiry)
join(group, time)
redis.call('HSET', state, 'size', whole(size))
redis.call('HINCRBY', session, group, 1)
redis.call('PEXPIREAT', session, whole(math.max(last, expiry)))
if not redis.call('SET', id, '1', 'NX', 'PXAT', group) then return answer('used') end
return answer('reserved')
`)

/** Limits an id. */
const limitScript = script(`${shared}${ofIds}
if not isMine or mark ~= known then return answer('lost') end
sweep()
local held = redis.call('PEXPIRETIME', id)
local kept = redis.call('HMGET', own, 'time', 'group')
if held > 0 then
  local isCallers = ARGV[8] == '1' and redis.call('HEXISTS', session, whole(held)) == 1
  if not isCallers then return answer('used') end
  redis.call('DEL', id)
  if redis.call('HINCRBY', session, whole(held), -1) <= 0 then redis.call('HDEL', session, whole(held)) end
  leave(whole(held))
elseif not kept[1] and (size >= capacity or not hasRoom(1)) then return answer('full') end

if kept[2] then leave(kept[2]) end
local at = math.max(time, tonumber(kept[1] or 0))
local expiry = math.max((math.floor((now + life) / width) + 1) * width, held, tonumber(kept[2] or 0))
join(whole(expiry), at)
redis.call('HSET', state, 'size', whole(size))
redis.call('HSET', own, 'time', whole(at), 'group', whole(expiry))
redis.call('PEXPIREAT', own, whole(expiry))
return limited()
`)

/**
 * Reads the state and sweeps. KEYS state, due, groups. The seventh word of its reply is Redis's policy for full
 * memory.
 */
const beatScript = script(`${shared}
if isMine then sweep() end
local said = answer(isMine and 'known' or 'lost')
said[7] = string.match(redis.call('INFO', 'memory'), 'maxmemory_policy:([%w-]+)') or ''
return said
`)

/** Sets a fence. KEYS state, due, groups; ARGV time, the identity that the caller has seen, a word for a new mark. */
const fenceScript = script(`${shared}
if me ~= ARGV[2] then return answer('lost') end
fence = math.max(fence, tonumber(ARGV[1]))
if not isMine then mark = me .. '/' .. ARGV[3] end
redis.call('HSET', state, 'fence', whole(fence), 'mark', mark)
return answer('known')
`)

type ReplayReply = {
  word: string
  mark: string
  identity: string
  floorMs: number
  fenceMs: number
  size: number
  /** Only with the word `limited`. */
  waitMs: number
}

function parseReply(reply: unknown): ReplayReply {
  const [word = '', mark = '', identity = '', floor, fence, size, wait] = (reply as unknown[]).map(String)
  const numbers = { floorMs: Number(floor), fenceMs: Number(fence), size: Number(size), waitMs: Number(wait) }
  return { word, mark, identity, ...numbers }
}

/** A ReplayStore in Redis that can follow a change of the server behind its connection. */
type RedisReplay = ReplayStore & {
  /**
   * Reads the server's state, over a connection that may be new. Rejects with ERR_STORAGE_FAILED when it could evict
   * ids.
   */
  sync(run: RunScript): Promise<void>
}

type RedisReplayOptions = {
  prefix: string
  capacity: number
  /** Is called when Redis may have lost ids, and with them everything else in it. */
  onLost(): void
}

/** Creates a ReplayStore whose keys begin with `prefix`. */
export function createRedisReplay(run: RunScript, { prefix, capacity, onLost }: RedisReplayOptions): RedisReplay {
  const quota = quotaOf(capacity)
  const stateKeys = ['state', 'due', 'groups'].map((name) => `${prefix}replay:${name}`)
  let last: ReplayReply = { word: '', mark: '', identity: '', floorMs: 0, fenceMs: 0, size: 0, waitMs: 0 }
  // The mark under which this process may reserve. Absent when ids may have been lost.
  let mark: string | undefined
  // The newest time for which this process has asked a reservation.
  let newestMs = 0
  let isClosed = false

  const floorMs = (): number => Math.max(last.floorMs, last.fenceMs)

  // After a loss another gateway may have set a new mark. This process adopts it only if all that it reserved lies at
  // or under the floor, which refuses whatever may have been lost.
  const apply = (reply: ReplayReply): ReplayReply => {
    last = reply
    const known = mark
    if (reply.word === 'lost') mark = undefined
    else if (reply.mark !== known) mark = newestMs <= floorMs() ? reply.mark : undefined
    if (known !== undefined && mark !== known) onLost()
    return reply
  }

  const decide = async (decision: Parameters<RunScript>[0], request: LimitedRequest): Promise<ReserveVerdict> => {
    const { key32, timestampMs, expiresMs, nowMs, session, isReserved, shares = [] } = request
    if (isClosed) throw new CountersignError('ERR_CLOSED')
    checkReplayKey(key32)
    if (mark === undefined) throw storageFailed('Redis may have lost ids; the gateway must fence it first')
    const names = [`id:${encodeBytes(key32)}`, `of:${session}`, `floor-of:${session}`]
    names.push(...shares.map(({ name }) => `share:${name}`))
    const rooms = shares.flatMap((share) => {
      const { ids, most } = roomOf(capacity, share)
      return [ids, most]
    })
    const keys = [...stateKeys, ...names.map((name) => `${prefix}replay:${name}`)]
    const lifeMs = Math.max(expiresMs, timestampMs, nowMs) - nowMs
    const values = [mark, timestampMs, lifeMs, quota, capacity, GROUP_MS, nowMs, isReserved ? '1' : '0', ...rooms]
    // Counts before the reply arrives: a reply that gets lost may have been "reserved".
    newestMs = Math.max(newestMs, timestampMs)
    const { word, waitMs } = apply(parseReply(await run(decision, keys, values)))
    if (word === 'lost') throw storageFailed('Redis has lost ids: it was restarted, emptied or replaced')
    return word === 'limited' ? { verdict: word, retryAfterMs: waitMs } : (word as ReserveVerdict)
  }

  return {
    shares: true,
    reserve: (key32, timestampMs, expiresMs, nowMs, session = '', shares = []) =>
      decide(reserveScript, { key32, timestampMs, expiresMs, nowMs, session, isReserved: false, shares }),
    limit: (request) => decide(limitScript, request),
    floorMs,
    // Without the fence, which lies ahead of the clock: a clock that started there would gain with every restart.
    storedFloorMs: () => last.floorMs,
    isShared: true,
    get mayHaveForgotten() {
      return mark === undefined
    },
    async fence(ms) {
      const reply = parseReply(await run(fenceScript, stateKeys, [Math.ceil(ms), last.identity, randomId()]))
      apply(reply)
      if (reply.word === 'lost') throw storageFailed('Redis was replaced while it was fenced')
      mark = reply.mark
    },
    size: () => last.size,
    async sync(runOver) {
      const reply = await runOver(beatScript, stateKeys, [])
      apply(parseReply(reply))
      checkPolicy(String((reply as unknown[])[6]))
    },
    close() {
      isClosed = true
    }
  }
}
