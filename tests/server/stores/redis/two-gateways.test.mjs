// SPDX-License-Identifier: MIT
// Two gateway processes act as one: on one Redis, and on one LMDB folder.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { lmdbStores } from 'countersign/server/lmdb'
import { redisStores } from 'countersign/server/redis'
import { subscribeOver } from '../../events/kit.mjs'
import { enrol, label, signRequest } from '../../kit.mjs'
import { createFleet, until } from './fleet.mjs'
import { startRedis } from './server.mjs'

const ROUNDS = process.env.COUNTERSIGN_LONG === '1' ? 20_000 : 1000
const AT_ONCE = 8
const DEVICES = 32

const redis = await startRedis()
after(() => redis.stop())

const kinds = {
  Redis: {
    // This test does not measure speed, so a busy machine must not fail it.
    fleet: (t) => createFleet(t, { store: redis.url, deadlineMs: 1000 }),
    open: () => redisStores({ url: redis.url, label })
  },
  LMDB: {
    fleet: (t) => createFleet(t),
    open: async (fleet) => lmdbStores({ path: join(fleet.folder, 'stores') })
  }
}

const signNow = (device, options) => signRequest(device, { type: 'demo.effect', nowMs: Date.now(), ...options })

for (const [kind, { fleet: makeFleet, open }] of Object.entries(kinds)) {
  const createWorld = async (t, devices = 1) => {
    const fleet = makeFleet(t)
    const stores = await open(fleet)
    t.after(() => stores.close())
    const enrolled = []
    // No request was ever accepted here, so no gateway needs a fence at its first start.
    await stores.replay.fence(0)
    const gateways = [await fleet.start(), await fleet.start()]
    for (let count = 0; count < devices; count++) enrolled.push(await enrol(stores.sessions, { nowMs: Date.now() }))
    return { fleet, gateways, stores, devices: enrolled }
  }
  const streamOf = ({ fleet, devices: [device] }, port) =>
    subscribeOver({ signer: fleet.signer, device, now: Date.now }, port)

  test(`D2 ${kind}: of ${ROUNDS} requests sent to both at once each is accepted exactly once`, async (t) => {
    const { fleet, gateways, devices } = await createWorld(t, DEVICES)
    const accepted = new Set()
    let begun = 0
    let undecided = 0
    const play = async () => {
      while (begun - undecided < ROUNDS) {
        const request = signNow(devices[begun++ % DEVICES])
        const answers = await Promise.all(gateways.map(({ port }) => fleet.send(port, request)))
        const codes = answers.map(({ resultCode }) => resultCode).sort()
        if (codes.includes('ok')) accepted.add(request.requestId)
        // A store that was late on a busy machine has refused, which proves nothing. One more round follows.
        if (codes.includes('cs.unavailable')) undecided++
        else assert.deepEqual(codes, ['cs.replayed', 'ok'])
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, play))
    const effects = fleet.effects()
    t.diagnostic(`${begun - undecided} rounds decided, ${undecided} refused because the store was late`)
    assert.equal(begun - undecided, ROUNDS)
    assert.ok(undecided <= ROUNDS / 20)
    assert.deepEqual([effects.length, new Set(effects).size], [accepted.size, accepted.size])
    assert.ok(effects.every((id) => accepted.has(id)))
  })

  test(`${kind}: an event published at one gateway reaches a stream at the other`, async (t) => {
    const world = await createWorld(t)
    const { gateways, devices } = world
    const [one, other] = gateways
    const stream = await streamOf(world, other.port)
    t.after(() => stream.leave())
    for (let count = 0; count < 20; count++) {
      const publisher = count % 2 === 0 ? one : other
      assert.equal(await publisher.ask('publish', devices[0].id, 'demo.news', String(count)), 1)
    }
    const events = await stream.take(20)
    assert.deepEqual(
      events.map(({ sequence, text }) => [sequence, text]),
      Array.from({ length: 20 }, (_, count) => [count + 1, String(count)])
    )
  })

  test(`${kind}: a session revoked at one gateway loses its stream at the other within a second`, async (t) => {
    const world = await createWorld(t)
    const { gateways, devices, fleet } = world
    const [one, other] = gateways
    const stream = await streamOf(world, other.port)
    const ending = stream.rest()
    const startedAt = performance.now()
    assert.equal(await one.ask('revoke', devices[0].id), true)
    const events = await ending
    const ms = performance.now() - startedAt
    assert.equal(events.at(-1).type, 'cs.revoked')
    t.diagnostic(`closed ${ms.toFixed(0)} ms after it was asked for, promised are 1000`)
    const refused = await until('the other gateway knows', async () => {
      const { resultCode } = await fleet.send(other.port, signNow(devices[0]))
      return resultCode !== 'ok' && resultCode
    })
    assert.equal(refused, 'cs.session_revoked')
  })
}
