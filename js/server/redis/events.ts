// SPDX-License-Identifier: MIT
// Events in Redis (PROTOCOL.md, section 10): a Redis stream for each session, whose entries have our numbers as ids, and a hash
// with the stream's name and its last number. Number and entry are made in one script, which also tells it.

import { encodeText } from '../encoding.ts'
import type { EventStore } from '../types.ts'
import { type Run, script } from './scripts.ts'

/** A stream that nobody wrote to or read for so long is forgotten; whoever comes later learns of the gap. */
const IDLE_MS = 7 * 86_400_000
/** What replies carry as `$` in the protocol: taken as bytes. */
const AS_BYTES = { typeMapping: { 36: Buffer } }

/** KEYS hash, stream; ARGV a name for a new stream, life. */
const shared = `
local name = redis.call('HGET', KEYS[1], 'stream')
if not name then
  name = ARGV[1]
  redis.call('DEL', KEYS[2])
  redis.call('HSET', KEYS[1], 'stream', name, 'last', 0)
end
local function keep()
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
end
`

/** ARGV also: how many are kept, type, payload, channel, session. */
const appendScript = script(`${shared}
local number = redis.call('HINCRBY', KEYS[1], 'last', 1)
redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[3], number .. '-0', 't', ARGV[4], 'p', ARGV[5])
keep()
redis.call('PUBLISH', ARGV[6], ARGV[7])
return { name, number }
`)

/** ARGV also: the number after which, how many. */
const readScript = script(`${shared}
keep()
local next = tonumber(redis.call('HGET', KEYS[1], 'last')) + 1
local first = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)
local oldest = first[1] and tonumber(string.match(first[1][1], '^%d+')) or next
local from = string.format('%.0f', tonumber(ARGV[3]) + 1)
return { name, next, oldest, redis.call('XRANGE', KEYS[2], from .. '-0', '+', 'COUNT', ARGV[4]) }
`)

const dropScript = script(`return redis.call('DEL', KEYS[1], KEYS[2])`)

type Entry = [id: Buffer, fields: Buffer[]]

const streamName = (): string => encodeText(crypto.getRandomValues(new Uint8Array(16)), 'base64url')

/** redisEvents makes an EventStore of `keep` events a session, whose appends are told on `channel`. */
export const redisEvents = (
  run: Run,
  { prefix, channel, keep, watch }: { prefix: string; channel: string; keep: number; watch: EventStore['watch'] }
): EventStore => {
  const keysOf = (sessionId: string): string[] => [`${prefix}stream:${sessionId}`, `${prefix}events:${sessionId}`]

  return {
    async append(sessionId, { type, payload }) {
      const bytes = Buffer.from(payload)
      const values = [streamName(), IDLE_MS, keep, type, bytes, channel, sessionId]
      const [stream, sequence] = (await run(appendScript, keysOf(sessionId), values)) as [string, number]
      return { stream, sequence }
    },
    async read(sessionId, after, limit) {
      const values = [streamName(), IDLE_MS, after, limit]
      const reply = await run(readScript, keysOf(sessionId), values, AS_BYTES)
      const [stream, next, oldest, entries] = reply as [Buffer, number, number, Entry[]]
      const events = entries.map(([id, [, type, , payload]]) => ({
        sequence: Number.parseInt(String(id), 10),
        type: String(type),
        payload: new Uint8Array(payload ?? [])
      }))
      return { stream: String(stream), next, oldest, events }
    },
    async drop(sessionId) {
      await run(dropScript, keysOf(sessionId), [])
    },
    watch,
    close: () => {}
  }
}
