// SPDX-License-Identifier: MIT
// The room of guests in the store of request ids (R163): a bounded part of it, and the rest for everybody else.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createGateway, enrollment, memoryReplayStore, memorySessionStore } from 'countersign/server'
import { createKey, createSigner, createWorld, enrol, label, randomId } from '../kit.mjs'

/** A gateway that takes guests, over a store of 640 ids: 160 for all guests, 20 for those of a source. */
const start = async (options = {}) => {
  const shared = { signer: createSigner(), sessions: memorySessionStore() }
  const mounted = enrollment({ label, ...shared, mailer() {}, guests: true })
  return createWorld({ ...shared, replay: memoryReplayStore({ capacity: 640 }), enrollment: mounted, ...options })
}
const guestOf = async (world, source, userId = `guest:${randomId()}`) => {
  const key = createKey()
  const nowMs = world.now.ms
  const { algorithm, publicKey } = key
  const record = { id: randomId(), userId, algorithm, publicKey, status: 'active', createdMs: nowMs, lastSeenMs: nowMs }
  await world.sessions.create({ ...record, source })
  return { ...key, id: record.id }
}
const lastRefusal = (world) => {
  const { stage, code } = world.refusals.at(-1)
  return `${stage} ${code}`
}

test('H26 R163 the guests of one source hold a thirty-second of the store, and those of another have room', async () => {
  const world = await start()
  let handled = 0
  const codes = new Set()
  for (let count = 0; count < 12; count++) {
    const device = await guestOf(world, 'office')
    for (let call = 0; call < 4; call++) {
      const { resultCode, text } = await world.call({ device })
      if (resultCode === 'ok') handled++
      else codes.add(`${resultCode} ${JSON.parse(text).retry_after_ms}`)
    }
  }
  assert.equal(handled, 18)
  assert.deepEqual([...codes].sort(), ['cs.rate_limited 1000', 'cs.unavailable 1000'])
  assert.match(lastRefusal(world), /^replay /)
  assert.equal(world.replay.size(), 20, 'two session floors have the rest')
  assert.equal((await world.call({ device: await guestOf(world, 'home') })).resultCode, 'ok')
  assert.equal((await world.call()).resultCode, 'ok')
})

test('H26 R163 all guests together hold a quarter, and users have the rest', async () => {
  const world = await start()
  for (let source = 0; source < 20; source++)
    for (let count = 0; count < 3; count++) {
      const device = await guestOf(world, `source ${source}`)
      for (let call = 0; call < 6; call++) await world.call({ device })
    }
  assert.equal(world.replay.size(), 160)
  for (let count = 0; count < 48; count++) {
    const user = await enrol(world.sessions, { userId: `u${count}@example.com`, nowMs: world.now.ms })
    for (let call = 0; call < 10; call++) assert.equal((await world.call({ device: user })).resultCode, 'ok')
  }
  assert.equal(world.replay.size(), 640)
  world.now.ms += 70_000
  assert.equal((await world.call({ device: await guestOf(world, 'source 1') })).resultCode, 'ok')
})

test('H30 R168 guests of pages without an origin hold together what one source holds, and a source of theirs an eighth', async () => {
  const world = await start({ replay: memoryReplayStore({ capacity: 6400 }) })
  const fill = async (source, devices, calls = 8) => {
    for (let count = 0; count < devices; count++) {
      const device = await guestOf(world, source)
      for (let call = 0; call < calls; call++) await world.call({ device })
    }
    return world.replay.size()
  }
  // A thirty-second of 6400 is 200, and an eighth of that 25.
  assert.equal(await fill('opaque/one', 12), 25)
  for (let at = 0; at < 40; at++) await fill(`opaque/${at}`, 3)
  assert.equal(world.replay.size(), 200)
  assert.match(lastRefusal(world), /^replay /)
  // Another source has its whole part beside them.
  assert.ok((await fill('home', 12, 20)) >= 375)
  assert.equal((await world.call()).resultCode, 'ok')
})

test('R163 where the enrolment takes no guests, a user id that begins like a guest’s has no share', async () => {
  const world = await start({ enrollment: undefined })
  const devices = await Promise.all([1, 2, 3].map(() => guestOf(world, 'office')))
  for (const device of devices)
    for (let call = 0; call < 9; call++) assert.equal((await world.call({ device })).resultCode, 'ok')
})

test('R163 a gateway with guests needs a store that knows shares', async () => {
  const { shares: _, ...replay } = memoryReplayStore()
  const shared = { label, signer: createSigner(), sessions: memorySessionStore() }
  const mounted = enrollment({ ...shared, mailer() {}, guests: true })
  assert.throws(() => createGateway({ ...shared, replay, routes: {}, enrollment: mounted }), {
    code: 'ERR_INVALID_ARGUMENT'
  })
})
