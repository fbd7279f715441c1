// SPDX-License-Identifier: MIT
// The memory of a live id in Redis. SECURITY.md states the figure.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, test } from 'node:test'
import { redisStores } from 'countersign/server/redis'
import { label } from '../../kit.mjs'
import { startRedis } from './server.mjs'

const IDS = 10_000
const AT_ONCE = 100

const redis = await startRedis()
after(() => redis.stop())

const usedBytes = async () => Number(/^used_memory:(\d+)/m.exec(await redis.cli('INFO', 'memory'))[1])

test('a live id takes about 200 bytes', async (t) => {
  const { replay, close } = await redisStores({ url: redis.url, label, deadlineMs: 1000 })
  t.after(close)
  await replay.fence(0)
  const nowMs = Date.now()
  const reserve = async (count) => {
    for (let done = 0; done < count; done += AT_ONCE) {
      const verdicts = await Promise.all(
        Array.from({ length: AT_ONCE }, (_, at) =>
          replay.reserve(randomBytes(32), nowMs, nowMs + 600_000, nowMs, `session-${(done + at) % 1000}`)
        )
      )
      assert.ok(verdicts.every((verdict) => verdict === 'reserved'))
    }
  }
  // The sessions' own groups and the connection are there before the measurement.
  await reserve(1000)
  const before = await usedBytes()
  await reserve(IDS)
  const each = ((await usedBytes()) - before) / IDS
  t.diagnostic(`${each.toFixed(0)} bytes for each live id`)
  assert.ok(each > 50 && each < 260, `${each} bytes`)
})
