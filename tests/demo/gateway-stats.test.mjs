// SPDX-License-Identifier: MIT
// The reference gateway takes StatsCode's sync: signed requests only, the user of the session, answers signed like any other.
import assert from 'node:assert/strict'
import { copyFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { redisStores } from 'countersign/server/redis'
import { createDeviceKey, readSyncAnswer, signEvent, syncBody } from 'countersign/stats-event'
import { startRedis } from '../server/stores/redis/server.mjs'
import { makeFolder, send, signIn, startGateway } from './harness.mjs'

const HOUR = 3_600_000

/** What shows that a Redis has been in use: the first start over one that does not is fenced for a while. */
const markUsed = async (url) => {
  const stores = await redisStores({ url, label: 'demo' })
  await stores.replay.fence(0)
  await stores.close()
}

const post = async (client, path, value) => {
  const response = await client.fetch(path, { method: 'POST', body: JSON.stringify(value) })
  assert.equal(response.headers.get('content-type'), 'application/json')
  return { status: response.status, text: await response.text() }
}

const eventsOf = (key, mode) => {
  const start = Date.now() - 2 * HOUR
  const data = { id: 'one', start_time: start, end_time: start + HOUR, duration_ms: HOUR }
  return Promise.all([signEvent(key, { type: 'session', data, timestamp: start }, { mode })])
}

const sync = async (client, key, events, totals = { totalHours: 1, totalSessions: 1, totalInteractions: 0 }) => {
  const body = await syncBody(totals, events, key.deviceId, Date.now())
  const { status, text } = await post(client, '/api/stats/sync', body)
  return { status, answer: readSyncAnswer(text) }
}

test('a sync of an enrolled device is verified, and a changed one is not', async (t) => {
  const client = await signIn(t, await startGateway(t))
  const { key, text } = await createDeviceKey()
  const enrolled = await post(client, '/api/stats/device', { deviceKey: text, lowestMode: 'covered' })
  assert.deepEqual([enrolled.status, enrolled.text], [200, '{"outcome":"enrolled"}'])
  const events = await eventsOf(key, 'covered')
  const verified = { success: true, verified: true, trustLevel: 'verified', warnings: [] }
  assert.deepEqual(await sync(client, key, events), { status: 200, answer: verified })
  events[0].data.duration_ms = 3 * HOUR
  const { status, answer } = await sync(client, key, events)
  assert.deepEqual([status, answer.trustLevel, answer.warnings], [200, 'untrusted', ['signature_mismatch']])
})

test('the session stands for the key where it was enrolled, and no device is two users', async (t) => {
  const gateway = await startGateway(t)
  const ada = await signIn(t, gateway)
  const { key } = await createDeviceKey()
  assert.equal((await post(ada, '/api/stats/device', { deviceId: key.deviceId })).status, 200)
  const events = await eventsOf(key, 'compatible')
  assert.equal((await sync(ada, key, events)).answer.trustLevel, 'verified')
  const eve = await signIn(t, gateway, { email: 'eve@example.org' })
  const refused = await sync(eve, key, events)
  assert.deepEqual([refused.status, refused.answer.warnings], [403, ['device_of_another_user']])
  assert.equal((await post(eve, '/api/stats/device', { deviceId: key.deviceId })).status, 409)
})

test('another device needs a session that was enrolled since: the mail is the verification', async (t) => {
  const gateway = await startGateway(t)
  const client = await signIn(t, gateway)
  const [old, fresh] = [await createDeviceKey(), await createDeviceKey()]
  assert.equal((await post(client, '/api/stats/device', { deviceKey: old.text })).status, 200)
  const events = await eventsOf(fresh.key, 'covered')
  assert.deepEqual((await sync(client, fresh.key, events)).answer.warnings, ['device_changed'])
  const refused = await post(client, '/api/stats/device', { deviceKey: fresh.text })
  assert.deepEqual([refused.status, refused.text], [403, '{"outcome":"needs_verification"}'])
  const again = await signIn(t, gateway)
  assert.equal((await post(again, '/api/stats/device', { deviceKey: fresh.text })).status, 200)
  assert.equal((await sync(client, fresh.key, events)).answer.trustLevel, 'verified')
})

test('what is malformed is a signed 400, and an unsigned sync gets nothing', async (t) => {
  const gateway = await startGateway(t)
  const client = await signIn(t, gateway)
  for (const value of [{}, [], { deviceId: 'x' }, { deviceKey: ' ' }, { deviceKey: 'short' }, { deviceKey: 7 }]) {
    const refused = await post(client, '/api/stats/device', value)
    assert.deepEqual([refused.status, refused.text], [400, '{"outcome":"malformed"}'])
    assert.equal((await post(client, '/api/stats/sync', value)).status, 400)
  }
  const body = JSON.stringify(await syncBody({ totalHours: 1, totalSessions: 1, totalInteractions: 1 }, [], 'a', 1))
  const headers = { 'content-type': 'application/json', 'content-length': body.length }
  const { status, text } = await send(gateway, '/api/stats/sync', { method: 'POST', headers, body })
  assert.ok(status >= 400 && status < 500)
  assert.equal(text, '')
})

test('STATS_PHASE decides what becomes of unsigned statistics, and devices outlive a restart', async (t) => {
  const gateway = await startGateway(t, { STATS_PHASE: '4' })
  const client = await signIn(t, gateway)
  const { key, text } = await createDeviceKey()
  assert.deepEqual((await sync(client, key, [])).answer.warnings, ['unsigned'])
  assert.equal((await sync(client, key, [])).status, 403)
  assert.equal((await post(client, '/api/stats/device', { deviceKey: text })).status, 200)
  await gateway.stop('SIGTERM')
  const second = await startGateway(t, { STATS_PHASE: '4', DATA_DIR: gateway.folder })
  const other = await signIn(t, second)
  assert.equal((await sync(other, key, await eventsOf(key, 'strict'))).answer.trustLevel, 'verified')
})

test('two gateways over one Redis know the same devices, and STORE=memory keeps none on the disk', async (t) => {
  const redis = await startRedis()
  t.after(() => redis.stop())
  await markUsed(redis.url)
  const one = await startGateway(t, { STORE: redis.url })
  const folder = await makeFolder(t)
  await copyFile(join(one.folder, 'server.key'), join(folder, 'server.key'))
  const other = await startGateway(t, { STORE: redis.url, DATA_DIR: folder })
  const [ada, eve] = [await signIn(t, one), await signIn(t, other, { email: 'eve@example.org' })]
  const { key, text } = await createDeviceKey()
  assert.equal((await post(ada, '/api/stats/device', { deviceKey: text })).status, 200)
  assert.equal((await post(eve, '/api/stats/device', { deviceKey: text })).status, 409)
  const again = await signIn(t, other)
  assert.equal((await sync(again, key, await eventsOf(key, 'strict'))).answer.trustLevel, 'verified')
  const memory = await startGateway(t, { STORE: 'memory' })
  assert.equal((await sync(await signIn(t, memory), key, [])).answer.success, true)
  const kept = await readdir(memory.folder)
  assert.deepEqual(
    kept.filter((name) => name.includes('stats')),
    []
  )
})
