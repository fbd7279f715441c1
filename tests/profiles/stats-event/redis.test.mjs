// SPDX-License-Identifier: MIT
// Statistics over Redis: the suite of their stores, several gateways at once, a server that goes and comes.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, test } from 'node:test'
import { redisStatsStore } from 'countersign/stats-event/server/redis'
import { startRedis } from '../../server/stores/redis/server.mjs'
import { until } from '../../unit/harness/wait.mjs'
import { statsStoreSuite } from './store-suite.mjs'

const redis = await startRedis()
after(() => redis.stop())

const open = (prefix = randomUUID()) => redisStatsStore({ url: redis.url, label: 'test', prefix, deadlineMs: 1000 })

const add = ({ user }) => ({ user: { userId: 'ada', floorMs: (user?.floorMs ?? 0) + 1 }, result: undefined })

statsStoreSuite(test, 'redis', async (t) => {
  const store = await open()
  t.after(() => store.close())
  return store
})

test('four gateways that change one user at once lose no change of each other', async (t) => {
  const prefix = randomUUID()
  const stores = await Promise.all([1, 2, 3, 4].map(() => open(prefix)))
  t.after(() => stores.map((store) => store.close()))
  const changes = stores.map(async (store) => {
    for (let round = 0; round < 50; round++) await store.update('ada', 'd', add)
  })
  await Promise.all(changes)
  assert.equal((await stores[0].user('ada')).floorMs, 200)
})

test('a decision rests on both records as they stood at one moment: it is made again where one has changed', async (t) => {
  const prefix = randomUUID()
  const store = await open(prefix)
  t.after(() => store.close())
  const seen = []
  let binding
  const result = await store.update('ada', 'd', ({ device }) => {
    seen.push(device?.userId)
    // Somebody else binds the device between this reading and its being written down.
    binding ??= redis.cli('HSET', `${prefix}:{test}:stats-device:d`, 'version', '1', 'record', '{"userId":"eve"}')
    return { result: device?.userId ?? 'nobody' }
  })
  await binding
  assert.equal(result, seen.at(-1) ?? 'nobody')
  assert.equal((await store.device('d')).userId, 'eve')
})

test('while Redis is gone every step is refused, and afterwards it goes on', async () => {
  const own = await startRedis(['--appendonly', 'yes', '--appendfsync', 'always'])
  const store = await redisStatsStore({ url: own.url, label: 'test', deadlineMs: 1000 })
  try {
    await store.update('ada', 'd', add)
    await own.kill()
    await assert.rejects(store.update('ada', 'd', add), { code: 'ERR_STORAGE_FAILED' })
    await own.start()
    const user = await until(() => store.user('ada').catch(() => undefined), 'Redis is back')
    assert.deepEqual(user, { userId: 'ada', floorMs: 1 })
  } finally {
    await store.close()
    await own.stop()
  }
})

test('options that cannot work are refused, and so is a server that is not there', async () => {
  const refusal = { code: 'ERR_INVALID_ARGUMENT' }
  for (const options of [
    undefined,
    { label: 'a' },
    { url: 'http://x', label: 'a' },
    { url: redis.url, label: 'a', prefix: '{' }
  ]) {
    await assert.rejects(redisStatsStore(options), refusal)
  }
  await assert.rejects(redisStatsStore({ url: redis.url, label: 'A' }), { code: 'ERR_INVALID_LABEL' })
  const gone = { url: 'redis://127.0.0.1:1', label: 'a' }
  await assert.rejects(redisStatsStore(gone), { code: 'ERR_STORAGE_FAILED' })
})
