// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTestWorld, insecureRandom, proxyAnswer } from 'countersign/testing'

test('mistakes are typed errors', async (t) => {
  const world = await createTestWorld()
  t.after(() => world.close())
  const { link, clock } = await world.connect({ name: 'ada' })
  const argument = { code: 'ERR_INVALID_ARGUMENT' }
  await assert.rejects(createTestWorld({ seed: null }), argument)
  await assert.rejects(createTestWorld({ now: Date.now }), argument)
  await assert.rejects(createTestWorld({ label: 'Not A Label' }), { code: 'ERR_INVALID_LABEL' })
  await assert.rejects(world.connect({ name: 'ada' }), argument)
  await assert.rejects(world.connect({ faults: { up: { loss: 2 } } }), argument)
  for (const faults of [
    null,
    { sideways: {} },
    { up: { loss: -1 } },
    { up: { delayMs: [5, 1] } },
    { down: { duplicate: 'often' } },
    { down: { tamper: 'it' } },
    { up: { cut: 1 } },
    { proxy: { answers: [200] } }
  ]) {
    assert.throws(() => link.set(faults), argument)
  }
  assert.throws(() => link.once({}, { times: 0 }), argument)
  assert.throws(() => link.cut('sideways'), argument)
  assert.throws(() => clock.setWall(Number.NaN), { code: 'ERR_INVALID_TIME' })
  assert.throws(() => proxyAnswer(200), argument)
  assert.throws(() => insecureRandom(Number.NaN), argument)
  await assert.rejects(world.advance(-1), { code: 'ERR_INVALID_TIME' })
  await assert.rejects(clock.sleep(1, { monotonic: 'walks' }), argument)
  const moving = world.advance(10)
  await assert.rejects(world.advance(10), argument)
  await moving
  await assert.rejects(world.network.replay({ status: 200 }), argument)
  const { NODE_ENV } = process.env
  t.after(() => {
    if (NODE_ENV === undefined) delete process.env.NODE_ENV
    else process.env.NODE_ENV = NODE_ENV
  })
  process.env.NODE_ENV = 'production'
  assert.throws(() => insecureRandom(1), argument)
  await assert.rejects(createTestWorld(), argument)
})
