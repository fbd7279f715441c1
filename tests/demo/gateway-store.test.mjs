// SPDX-License-Identifier: MIT
// STORE: reference gateways over one Redis are one, and what is said about them holds no password.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { connect, memoryStore } from 'countersign'
import { redisStores } from 'countersign/server/redis'
import { startRedis } from '../server/stores/redis/server.mjs'
import { describe, makeFolder, runGateway, send, signIn, startGateway, until } from './harness.mjs'

// With a key it may be tried again: a busy machine lets a store be late.
const echo = (client) => client.request('demo.echo', 'x', { idempotencyKey: randomUUID() })

/** What shows that a Redis has been in use; the first start over one that does not is fenced. */
const mark = async (url) => {
  const stores = await redisStores({ url, label: 'demo' })
  await stores.replay.fence(0)
  await stores.close()
}

test('two gateways on one Redis: signed in at one, served by the other, signed out at both', async (t) => {
  const redis = await startRedis([], { password: 'hunter2' })
  t.after(() => redis.stop())
  await mark(redis.url)
  const one = await startGateway(t, { STORE: redis.url })
  const folder = await makeFolder(t)
  await copyFile(join(one.folder, 'server.key'), join(folder, 'server.key'))
  const other = await startGateway(t, { STORE: redis.url, DATA_DIR: folder })
  const store = memoryStore()
  const client = await signIn(t, one, { store })
  const elsewhere = await connect({ url: other.url, ...(await describe(other.url)), store })
  t.after(() => elsewhere.close())
  assert.equal(elsewhere.state, 'ready')
  for (const each of [client, elsewhere, client]) assert.equal((await echo(each)).resultCode, 'ok')

  const [{ deviceSessionId }] = await client.sessions()
  await client.revoke(deviceSessionId)
  await assert.rejects(echo(elsewhere), { code: 'ERR_SESSION_REVOKED' })

  for (const gateway of [one, other]) assert.doesNotMatch(gateway.output(), /hunter2/)
  assert.match(one.output(), /store redis:\/\/127\.0\.0\.1:\d+\b/)
})

test('a gateway whose Redis goes away says so in its log, refuses, and is back by itself', async (t) => {
  const redis = await startRedis(['--appendonly', 'yes', '--appendfsync', 'always'], { password: 'hunter2' })
  t.after(() => redis.stop())
  const gateway = await startGateway(t, { STORE: redis.url, FUTURE_MS: '1000' })
  const client = await signIn(t, gateway)
  await redis.kill()
  await until(() => /"event":"store\.down"/.test(gateway.output()), 'the loss in the log')
  await assert.rejects(client.request('demo.echo', 'x', { timeoutMs: 500 }))
  const metrics = await send(gateway, '/metrics')
  assert.match(metrics.text, /countersign_fail_closed_total\{reason="[a-z]+"\} [1-9]/)
  await redis.start()
  await until(
    () =>
      echo(client)
        .then(({ resultCode }) => resultCode === 'ok')
        .catch(() => false),
    'service'
  )
  assert.match(gateway.output(), /"event":"store\.up"/)
  assert.doesNotMatch(gateway.output(), /hunter2/)
})

test('another key over the sessions of a Redis is refused in one line', async (t) => {
  const redis = await startRedis()
  t.after(() => redis.stop())
  const one = await startGateway(t, { STORE: redis.url })
  await signIn(t, one)
  const { how, output } = await runGateway(t, { STORE: redis.url })
  assert.equal(how, 'ended with 1')
  assert.match(output, /^countersign: \S+server\.key is missing, but there are sessions: [^\n]+\n$/)
})

test('STORE=memory serves, and leaves nothing but the key', async (t) => {
  const one = await startGateway(t, { STORE: 'memory' })
  const store = memoryStore()
  const client = await signIn(t, one, { store })
  assert.equal((await echo(client)).resultCode, 'ok')
  await one.stop('SIGKILL')
  const again = await startGateway(t, { STORE: 'memory', DATA_DIR: one.folder })
  const later = await connect({ url: again.url, ...(await describe(again.url)), store })
  t.after(() => later.close())
  await assert.rejects(echo(later))
})
