// SPDX-License-Identifier: MIT
// Replay ids in Redis (PROTOCOL.md, R58 to R64): each script is one step, whoever else asks at the same time.
//
// An id is a key that expires by itself. Ids that expire at the same time form a group: `due` orders the groups, `groups` holds
// of each how many ids it has (`<time>n`) and the newest time among them (`<time>t`). The floor is raised to that time by the
// first script that runs once the group may have expired, before it decides anything (R61). All of it goes by Redis's clock;
// what is compared with a request's time is a request's time. `state.mark` names the server, its line of data and the last
// loss of it: a script whose caller knows another mark changes nothing.

import { script } from './scripts.ts'

/** Ids live up to this much longer than asked, so that there are few groups. */
export const GROUP_MS = 4096

const shared = `
local function identity()
  local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
  local data = string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
  return run .. '.' .. data
end
local function whole(number) return string.format('%.0f', number) end
local function clock()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
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

/** Reserves: KEYS state, due, groups, id, session; ARGV mark, time, life, quota, capacity, group's width. */
export const reserveScript = script(`${shared}
local id, session = KEYS[4], KEYS[5]
local known, time, life = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local quota, capacity, width = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
if not isMine or mark ~= known then return answer('lost') end
sweep()
if redis.call('EXISTS', id) == 1 then return answer('used') end
if time <= math.max(floor, fence) then return answer('too-old') end

local live, last = 0, 0
local counts = redis.call('HGETALL', session)
for at = 1, #counts, 2 do
  local expiry = tonumber(counts[at])
  if expiry <= now then redis.call('HDEL', session, counts[at])
  else
    live = live + tonumber(counts[at + 1])
    last = math.max(last, expiry)
  end
end
if size >= capacity or live >= quota then return answer('full') end

local expiry = (math.floor((now + life) / width) + 1) * width
local group = whole(expiry)
-- The group first: an id whose group does not know it would be forgotten without the floor.
redis.call('ZADD', due, group, group)
redis.call('HINCRBY', groups, group .. 'n', 1)
local newest = tonumber(redis.call('HGET', groups, group .. 't') or 0)
if time > newest then redis.call('HSET', groups, group .. 't', whole(time)) end
size = size + 1
redis.call('HSET', state, 'size', whole(size))
redis.call('HINCRBY', session, group, 1)
redis.call('PEXPIREAT', session, whole(math.max(last, expiry)))
if not redis.call('SET', id, '1', 'NX', 'PXAT', group) then return answer('used') end
return answer('reserved')
`)

/** Looks and sweeps: KEYS state, due, groups. The seventh of its answer is the policy for memory that is full. */
export const beatScript = script(`${shared}
if isMine then sweep() end
local said = answer(isMine and 'known' or 'lost')
said[7] = string.match(redis.call('INFO', 'memory'), 'maxmemory_policy:([%w-]+)') or ''
return said
`)

/** Fences: KEYS state, due, groups; ARGV time, the identity that the caller has seen, a word for a new mark. */
export const fenceScript = script(`${shared}
if me ~= ARGV[2] then return answer('lost') end
fence = math.max(fence, tonumber(ARGV[1]))
if not isMine then mark = me .. '/' .. ARGV[3] end
redis.call('HSET', state, 'fence', whole(fence), 'mark', mark)
return answer('known')
`)
