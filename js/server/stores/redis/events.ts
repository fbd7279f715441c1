// SPDX-License-Identifier: MIT
// Events in Redis (PROTOCOL.md, section 10). Each session has a Redis stream, whose entries carry our numbers as ids,
// and a hash with the stream's name and last number. One script makes the number and the entry, and publishes the
// change.

import { DAY_MS } from '../../../common/protocol.ts'
import { randomId } from '../../support/encoding.ts'
import type { EventStore } from '../../types.ts'
import { EVENT_OVERHEAD } from '../common.ts'
import { closableRun, REPLY_AS_BYTES, type RunScript, script } from './scripts.ts'

/** A stream that is neither written nor read for so long is forgotten. A later reader learns of the gap. */
const IDLE_MS = 7 * DAY_MS

/** KEYS hash, stream; ARGV a name for a new stream, life. */
const shared = `
local name = redis.call('HGET', KEYS[1], 'stream')
if not name then
  name = ARGV[1]
  redis.call('DEL', KEYS[2])
  redis.call('HSET', KEYS[1], 'stream', name, 'last', 0, 'bytes', 0)
end
local function keep()
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
end
`

/** Appends an event. ARGV also: events kept, bytes kept, size of this one, type, payload, channel, session. */
const appendScript = script(`${shared}
local number = redis.call('HINCRBY', KEYS[1], 'last', 1)
redis.call('XADD', KEYS[2], number .. '-0', 't', ARGV[6], 'p', ARGV[7], 's', ARGV[5])
local bytes = redis.call('HINCRBY', KEYS[1], 'bytes', ARGV[5])
local count = redis.call('XLEN', KEYS[2])
-- The event that was just appended always stays.
while count > 1 and (count > tonumber(ARGV[3]) or bytes > tonumber(ARGV[4])) do
  local first = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
  bytes = redis.call('HINCRBY', KEYS[1], 'bytes', '-' .. first[2][6])
  count = count - redis.call('XDEL', KEYS[2], first[1])
end
keep()
redis.call('PUBLISH', ARGV[8], ARGV[9])
return { name, number }
`)

/** Reads events. ARGV also: the number after which, how many. */
const readScript = script(`${shared}
keep()
local next = tonumber(redis.call('HGET', KEYS[1], 'last')) + 1
local first = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)
local oldest = first[1] and tonumber(string.match(first[1][1], '^%d+')) or next
local from = string.format('%.0f', tonumber(ARGV[3]) + 1)
return { name, next, oldest, redis.call('XRANGE', KEYS[2], from .. '-0', '+', 'COUNT', ARGV[4]) }
`)

/** Forgets a stream. ARGV channel, session. */
const dropScript = script(`
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('PUBLISH', ARGV[1], ARGV[2])
return 1
`)

type StreamReply = [id: Buffer, fields: Buffer[]]

type RedisEventsOptions = {
  prefix: string
  channel: string
  eventsPerSession: number
  bytesPerSession: number
  watch: EventStore['watch']
}

/** Creates an EventStore that keeps a bounded number of each session's events, and publishes changes on `channel`. */
export function createRedisEvents(runScript: RunScript, options: RedisEventsOptions): EventStore {
  const { prefix, channel, eventsPerSession, bytesPerSession, watch } = options
  const keysOf = (sessionId: string): string[] => [`${prefix}stream:${sessionId}`, `${prefix}events:${sessionId}`]
  const { run, close } = closableRun(runScript)

  return {
    async append(sessionId, { type, payload }) {
      const bytes = Buffer.from(payload)
      const bounds = [eventsPerSession, bytesPerSession, bytes.length + EVENT_OVERHEAD]
      const values = [randomId(), IDLE_MS, ...bounds, type, bytes, channel, sessionId]
      const [stream, sequence] = (await run(appendScript, keysOf(sessionId), values)) as [string, number]
      return { stream, sequence }
    },
    async read(sessionId, after, limit) {
      const values = [randomId(), IDLE_MS, after, limit]
      const reply = await run(readScript, keysOf(sessionId), values, REPLY_AS_BYTES)
      const [stream, next, oldest, entries] = reply as [Buffer, number, number, StreamReply[]]
      const events = entries.map(([id, [, type, , payload]]) => ({
        sequence: Number.parseInt(String(id), 10),
        type: String(type),
        payload: new Uint8Array(payload ?? [])
      }))
      return { stream: String(stream), next, oldest, events }
    },
    async drop(sessionId) {
      await run(dropScript, keysOf(sessionId), [channel, sessionId])
    },
    watch,
    close
  }
}
