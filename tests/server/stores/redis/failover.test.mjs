// SPDX-License-Identifier: MIT
// D6: a copy that lags takes the primary's place. Ids that it never received are refused all the same.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { redisStores } from 'countersign/server/redis'
import { enrol, label } from '../../kit.mjs'
import { createFleet, until } from './fleet.mjs'
import { describePart, startLoad } from './load.mjs'
import { startProxy } from './proxy.mjs'
import { startRedis } from './server.mjs'

/** A primary, a copy that has caught up with it, and a proxy that leads to the primary. */
const startPair = async (t) => {
  const primary = await startRedis(['--repl-diskless-sync-delay', '0'])
  t.after(() => primary.stop())
  const copy = await startRedis(['--replicaof', '127.0.0.1', primary.port])
  t.after(() => copy.stop())
  const isCaughtUp = async () => {
    const [offset, behind] = await Promise.all(
      [primary, copy].map(async (redis) => /master_repl_offset:(\d+)/.exec(await redis.cli('INFO', 'replication'))[1])
    )
    return offset === behind && String(await copy.cli('INFO', 'replication')).includes('master_link_status:up')
  }
  await until('the copy follows', isCaughtUp)
  return { primary, copy, proxy: await startProxy(t, primary.port), isCaughtUp }
}

test('D6 failover under load to a copy that lost the latest ids: none is accepted twice, nobody is signed out', async (t) => {
  const { primary, copy, proxy, isCaughtUp } = await startPair(t)
  const fleet = createFleet(t, { store: proxy.url, window: { pastMs: 60_000, futureMs: 1000 } })
  const stores = await redisStores({ url: primary.url, label, deadlineMs: 1000 })
  await stores.replay.fence(0)
  const gateways = [await fleet.start(), await fleet.start()]
  const devices = []
  for (let count = 0; count < 8; count++) devices.push(await enrol(stores.sessions, { nowMs: Date.now() }))
  await stores.close()
  await until('the copy has the sessions', isCaughtUp)
  const load = startLoad(fleet, gateways, devices)
  await load.served('service before')
  await copy.cli('REPLICAOF', 'NO', 'ONE')
  load.phase('lost')
  await load.served('what the copy misses', 30)
  load.phase('switched')
  await primary.kill()
  proxy.point(copy.port)
  await load.served('service returns')
  const parts = await load.stop()
  for (const [name, part] of Object.entries(parts)) t.diagnostic(`${name}: ${describePart(part)}`)
  for (const { codes } of Object.values(parts)) assert.equal(codes['cs.unauthenticated'] ?? 0, 0)
})

test('D6 a failover behind one connection is seen in the step that would reserve', async (t) => {
  for (let round = 0; round < 3; round++) {
    const { primary, copy, proxy } = await startPair(t)
    const { replay, close } = await redisStores({ url: proxy.url, label, deadlineMs: 1000 })
    t.after(close)
    await replay.fence(0)
    const nowMs = Date.now()
    const id = new Uint8Array(randomBytes(32))
    const reserve = () => replay.reserve(id, nowMs, nowMs + 67_000, nowMs, 's')
    await copy.cli('REPLICAOF', 'NO', 'ONE')
    assert.equal(await reserve(), 'reserved')
    await proxy.pointHidden(copy.port)
    await assert.rejects(reserve(), { code: 'ERR_STORAGE_FAILED' })
    assert.equal(replay.mayHaveForgotten, true)
    await replay.fence(Date.now() + 10_000)
    assert.equal(await reserve(), 'too-old')
    await primary.stop()
  }
})
