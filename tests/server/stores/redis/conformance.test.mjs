// SPDX-License-Identifier: MIT
// The Redis stores against the suites that every store passes.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  answerConformance,
  clockConformance,
  codeConformance,
  eventConformance,
  replayConformance,
  sessionConformance
} from 'countersign/server/conformance'
import { redisStores } from 'countersign/server/redis'
import { startRedis } from './server.mjs'

const redis = await startRedis()
after(() => redis.stop())

/** The time that an id may stay beyond its expiry: the width of a group of ids, and a moment. */
const ROUNDED_MS = 4200

const makeStores = async () => {
  const prefix = randomUUID()
  const stores = await redisStores({
    url: redis.url,
    label: 'test',
    prefix,
    capacity: 640,
    answerCapacity: 640,
    deadlineMs: 1000
  })
  // A gateway does this at its start.
  await stores.replay.fence(0)
  return stores
}

test('R86 what was given back leaves nothing in Redis', async () => {
  const prefix = randomUUID()
  const stores = await redisStores({ url: redis.url, label: 'test', prefix })
  const keysNow = () => redis.cli('KEYS', `${prefix}*`)
  const before = await keysNow()
  for (let round = 0; round < 3; round++)
    await stores.codes.take('k', { limit: 9, windowMs: 60_000, nowMs: Date.now() })
  assert.ok((await keysNow()).length > before.length)
  for (let round = 0; round < 3; round++) await stores.codes.giveBack('k')
  assert.deepEqual((await keysNow()).sort(), before.sort())
  await stores.close()
})

// All at the same time, because most of them wait.
describe('the suites', { concurrency: 16 }, () => {
  const exact = { name: 'redis', elapse: (ms) => sleep(ms + 50) }
  sessionConformance(test, assert, makeStores, exact)
  replayConformance(test, assert, makeStores, { name: 'redis', elapse: (ms) => sleep(ms + ROUNDED_MS) })
  clockConformance(test, assert, makeStores, exact)
  codeConformance(test, assert, makeStores, exact)
  answerConformance(test, assert, makeStores, exact)
  eventConformance(test, assert, makeStores, exact)
})
