// SPDX-License-Identifier: MIT
// A person is forgotten: sessions, events and kept answers go, and streams end.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { idempotent, memoryAnswerStore, memoryEventStore, memorySessionStore } from 'countersign/server'
import { lmdbStores } from 'countersign/server/lmdb'
import { createEventWorld, subscribe } from '../events/kit.mjs'
import { createWorld, enrol } from '../kit.mjs'

const memory = () => ({
  sessions: memorySessionStore(),
  events: memoryEventStore(),
  answers: memoryAnswerStore(),
  close() {}
})
const lmdb = () => {
  const path = mkdtempSync(join(tmpdir(), 'countersign-forget-'))
  const stores = lmdbStores({ path })
  return { ...stores, close: () => stores.close().then(() => rmSync(path, { recursive: true })) }
}

for (const [name, open] of Object.entries({ memory, lmdb }))
  test(`R144 ${name}: nothing of a person is left in the stores, and nothing of others is gone`, async (t) => {
    const { sessions, events, answers, close } = open()
    t.after(close)
    let runs = 0
    const score = idempotent(() => ({ payload: String(++runs) }), { answers })
    const world = await createWorld({ sessions, events, routes: { 'demo.score': score } })
    const other = await enrol(sessions, { userId: 'eve@example.com', nowMs: world.now() })
    const second = await enrol(sessions, { nowMs: world.now() })
    const { userId } = world.device.session
    const asks = [world.device, other].map((device) => ({ device, type: 'demo.score', idempotencyKey: 'one' }))
    for (const ask of asks) assert.equal((await world.call(ask)).resultCode, 'ok')
    for (const { id } of [world.device, other]) await world.gateway.publish(id, 'demo.note', 'x')
    const streamsOf = () =>
      Promise.all([world.device, other].map(async ({ id }) => (await events.read(id, 0, 1)).stream))
    const before = await streamsOf()

    assert.equal(await world.gateway.forgetUser(userId, { answers }), 2)
    for (const { id } of [world.device, second]) assert.equal(await sessions.get(id), null)
    assert.equal((await world.call({ device: world.device })).resultCode, 'cs.unauthenticated')
    const after = await streamsOf()
    assert.deepEqual([after[0] === before[0], after[1] === before[1]], [false, true], 'the events of the other stay')
    // Whoever comes back under that name finds no answer of before.
    const again = await enrol(sessions, { userId, nowMs: world.now() })
    world.now.ms += 1
    assert.equal((await world.call({ ...asks[0], device: again })).text, '3')
    assert.equal((await world.call(asks[1])).text, '2')
    assert.equal(await world.gateway.forgetUser('nobody@example.com', { answers }), 0)
  })

test('R144 the streams of a person who is forgotten end', async () => {
  const world = await createEventWorld()
  const stream = await subscribe(world)
  assert.equal(await world.gateway.forgetUser(world.device.session.userId), 1)
  await stream.rest()
})

test('forgetUser says what it cannot do, before it does anything', async () => {
  const { forgetUser, ...old } = memorySessionStore()
  assert.equal(typeof forgetUser, 'function')
  const world = await createWorld({ sessions: old })
  const { userId } = world.device.session
  await assert.rejects(world.gateway.forgetUser(userId), { code: 'ERR_INVALID_ARGUMENT' })
  await assert.rejects(world.gateway.forgetUser(''), { code: 'ERR_INVALID_TEXT' })
  const whole = await createWorld()
  await assert.rejects(whole.gateway.forgetUser(userId, { answers: {} }), { code: 'ERR_INVALID_ARGUMENT' })
  assert.equal((await whole.call()).resultCode, 'ok')
})
