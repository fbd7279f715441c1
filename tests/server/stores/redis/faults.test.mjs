// SPDX-License-Identifier: MIT
// D6: a Redis that is killed, stopped, full, read-only, damaged, emptied or replaced under load. Nothing is accepted
// twice, refusals are signed and come soon, and service returns without help.
import assert from 'node:assert/strict'
import { mkdirSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { redisStores } from 'countersign/server/redis'
import { enrol, label } from '../../kit.mjs'
import { createFleet, until } from './fleet.mjs'
import { describePart, signNow, startLoad } from './load.mjs'
import { startRedis } from './server.mjs'

const window = { pastMs: 60_000, futureMs: 1000 }
const STATE = `countersign:{${label}}:replay:state`
const FAULT_MS = 700

const createWorld = async (t, settings) => {
  const redis = await startRedis(settings)
  t.after(() => redis.stop())
  const devices = []
  const open = async (work) => {
    const stores = await redisStores({ url: redis.url, label, deadlineMs: 1000 })
    try {
      return await work(stores)
    } finally {
      await stores.close()
    }
  }
  await open(async ({ sessions, replay }) => {
    // No request was ever accepted here, so no gateway needs a fence at its first start.
    await replay.fence(0)
    for (let count = 0; count < 8; count++) devices.push(await enrol(sessions, { nowMs: Date.now() }))
  })
  const fleet = createFleet(t, { store: redis.url, window })
  const gateways = [await fleet.start(), await fleet.start()]
  /** An application that keeps its sessions elsewhere too: they are back, the ids are not. */
  const bringSessionsBack = () =>
    open(async ({ sessions }) => {
      for (const { session } of devices) await sessions.create(session)
    })
  return { redis, fleet, gateways, devices, bringSessionsBack }
}

/** Runs one fault: load, break, repair, load. Reports and bounds the times of refusals. */
const play = async (t, world, { spoil, repair, isRefusing = true }) => {
  const load = startLoad(world.fleet, world.gateways, world.devices)
  await load.served('service before')
  await sleep(300)
  await spoil()
  load.phase('fault')
  await sleep(FAULT_MS)
  if (isRefusing) await load.refused(50)
  await load.settle()
  await repair()
  load.phase('after')
  await load.served('service returns')
  const parts = await load.stop()
  for (const [name, part] of Object.entries(parts)) t.diagnostic(`${name}: ${describePart(part)}`)
  if (isRefusing) {
    assert.equal(parts.fault.codes.ok ?? 0, 0, 'nothing is accepted while ids cannot be kept')
    for (const { ask } of world.gateways)
      assert.match(await ask('metrics'), /countersign_fail_closed_total\{[^}]*\} [1-9]/)
  }
  return parts
}

test('D6 Redis killed and started again empty; sessions come back, ids do not', async (t) => {
  const world = await createWorld(t)
  const { redis, bringSessionsBack } = world
  await play(t, world, {
    spoil: () => redis.kill(),
    async repair() {
      await redis.start()
      await bringSessionsBack()
    }
  })
})

/** startEmpty starts a gateway over a Redis that has never held anything, and enrols a device past it. */
const startEmpty = async (t, window) => {
  const redis = await startRedis()
  t.after(() => redis.stop())
  const fleet = createFleet(t, { store: redis.url, window, deadlineMs: 1000 })
  const gateway = await fleet.start()
  const stores = await redisStores({ url: redis.url, label })
  t.after(() => stores.close())
  return { fleet, gateway, device: await enrol(stores.sessions, { nowMs: Date.now() }) }
}

test('R137 a Redis that holds nothing is fenced at the first start: it may have held something', async (t) => {
  // The fence lasts longer than any machine takes for this.
  const futureMs = 600_000
  const { fleet, gateway, device } = await startEmpty(t, { pastMs: 60_000, futureMs })
  const { resultCode, text } = await fleet.send(gateway.port, signNow(device))
  assert.equal(resultCode, 'cs.unavailable')
  const { retry_after_ms: waitMs } = JSON.parse(text)
  // future, and half of it for clocks that are apart; this far into it no machine is.
  assert.ok(waitMs > futureMs && waitMs <= 1.5 * futureMs + 1, `${waitMs} ms`)
})

test('R137 when that fence is over, the gateway serves, and the next start is none', async (t) => {
  const { fleet, gateway, device } = await startEmpty(t, window)
  const served = async () => (await fleet.send(gateway.port, signNow(device))).resultCode === 'ok'
  await until('service', served)
  const again = await fleet.start()
  assert.equal((await fleet.send(again.port, signNow(device))).resultCode, 'ok')
})

test('D6 Redis killed and started again with all it had: fenced, as nothing proves that it is all', async (t) => {
  const world = await createWorld(t, ['--appendonly', 'yes', '--appendfsync', 'always'])
  const { redis } = world
  const parts = await play(t, world, { spoil: () => redis.kill(), repair: () => redis.start() })
  assert.equal(
    parts.after.codes['cs.session_revoked'] ?? parts.after.codes['cs.unauthenticated'] ?? 0,
    0,
    'nobody is signed out'
  )
})

test('D6 Redis stopped, with its connections open', async (t) => {
  const world = await createWorld(t)
  const { redis } = world
  await play(t, world, { spoil: () => redis.pause(), repair: () => redis.resume() })
})

test('D6 Redis full: it refuses writes, evicts nothing', async (t) => {
  const world = await createWorld(t)
  const { redis } = world
  await play(t, world, {
    spoil: () => redis.cli('CONFIG', 'SET', 'maxmemory', '1mb'),
    repair: () => redis.cli('CONFIG', 'SET', 'maxmemory', '0')
  })
})

test('H7 Redis that cannot save to its disk', async (t) => {
  const world = await createWorld(t, ['--save', '3600 1'])
  const { redis } = world
  const saved = (status) =>
    until(`a save that is ${status}`, async () => {
      await redis.cli('BGSAVE').catch(() => {})
      return String(await redis.cli('INFO', 'persistence')).includes(`rdb_last_bgsave_status:${status}`)
    })
  await play(t, world, {
    async spoil() {
      // A folder stands in the place of the file, so that even root cannot write it.
      mkdirSync(join(redis.folder, 'dump.rdb'))
      await saved('err')
    },
    async repair() {
      rmdirSync(join(redis.folder, 'dump.rdb'))
      await saved('ok')
    }
  })
})

test('D6 Redis made a replica, then a primary again', async (t) => {
  const world = await createWorld(t)
  const { redis } = world
  await play(t, world, {
    spoil: () => redis.cli('REPLICAOF', '127.0.0.1', '1'),
    repair: () => redis.cli('REPLICAOF', 'NO', 'ONE')
  })
})

test('D6 something else in a key of the replay store', async (t) => {
  const world = await createWorld(t)
  const { redis } = world
  await play(t, world, {
    spoil: () => redis.cli('SET', STATE, 'junk'),
    repair: () => redis.cli('DEL', STATE)
  })
})

test('D6 Redis emptied under its gateways', async (t) => {
  const world = await createWorld(t)
  const { redis, bringSessionsBack } = world
  await play(t, world, { spoil: () => redis.cli('FLUSHALL'), repair: bringSessionsBack, isRefusing: false })
})

test('D6 Redis set to evict while it runs is not used until it is set back', async (t) => {
  const world = await createWorld(t)
  const { redis, gateways } = world
  const set = (policy) => redis.cli('CONFIG', 'SET', 'maxmemory-policy', policy)
  await play(t, world, {
    async spoil() {
      await set('allkeys-lru')
      await until('both have noticed', () => gateways.every(({ states }) => states.at(-1) === false))
    },
    repair: () => set('noeviction')
  })
})
