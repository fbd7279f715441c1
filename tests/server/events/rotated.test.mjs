// SPDX-License-Identifier: MIT
// A new key does not go unnoticed (R122): the user's other sessions get an event, and the application's hook is called.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memoryEventStore, memorySessionStore } from 'countersign/server'
import { createTestWorld } from 'countersign/testing'
import { core, createKey, createWorld, enrol, label, randomId } from '../kit.mjs'

const base64 = (bytes) => Buffer.from(bytes).toString('base64')

const rotate = (world, next) => {
  const { device } = world
  const head = randomId()
  const { algorithm, publicKey } = next
  const fields = { label, deviceSessionId: device.id, requestId: head, algorithm, publicKey }
  const proof = base64(next.sign(core.rotateSigningInput(fields)))
  const payload = JSON.stringify({ algorithm, public_key: base64(publicKey), proof })
  return world.call({ type: 'cs.rotate_key', head, payload })
}

test('H18 R122 the other active sessions of the user hear of a new key, and no other session does', async () => {
  const events = memoryEventStore()
  const told = []
  const onRotated = (event) => told.push(event)
  const world = await createWorld({ userId: 'u1', events, onRotated, rotation: 'trusted' })
  const other = await enrol(world.sessions, { userId: 'u1', nowMs: world.now() })
  const revoked = await enrol(world.sessions, { userId: 'u1', nowMs: world.now() })
  await world.sessions.revoke(revoked.id, 'lost')
  const foreign = await enrol(world.sessions, { userId: 'u2', nowMs: world.now() })
  const next = createKey()
  assert.equal((await rotate(world, next)).resultCode, 'ok')
  const heard = async ({ id }) => (await events.read(id, 0, 9)).events.map(({ type }) => type)
  assert.deepEqual(await heard(other), ['cs.key_replaced'])
  for (const one of [world.device, revoked, foreign]) assert.deepEqual(await heard(one), [])
  const [{ payload, sequence }] = (await events.read(other.id, 0, 9)).events
  const { thumbprint, session, ...event } = told[0]
  assert.deepEqual(
    [JSON.parse(Buffer.from(payload)), sequence],
    [{ device_session_id: world.device.id, thumbprint }, 1]
  )
  assert.match(thumbprint, /^[A-Za-z0-9_-]{43}$/)
  assert.deepEqual([session.id, [...session.publicKey]], [world.device.id, [...world.device.publicKey]])
  assert.deepEqual(event, {
    userId: 'u1',
    algorithm: 'ed25519',
    publicKey: new Uint8Array(next.publicKey),
    source: '192.0.2.1'
  })
  // What replaces no key is told to nobody.
  assert.equal((await rotate(world, createKey())).resultCode, 'conflict')
  assert.deepEqual([told.length, (await heard(other)).length], [1, 1])
})

test('R122 a hook and a store of events that fail change nothing about the rotation', async () => {
  const down = () => Promise.reject(new Error('down'))
  for (const fault of ['append', 'listByUser', 'hook', 'no events']) {
    const sessions = memorySessionStore()
    const events = memoryEventStore()
    const world = await createWorld({
      userId: 'u1',
      rotation: 'trusted',
      sessions: { ...sessions, ...(fault === 'listByUser' ? { listByUser: down } : {}) },
      events: fault === 'no events' ? undefined : { ...events, ...(fault === 'append' ? { append: down } : {}) },
      onRotated: () => {
        if (fault === 'hook') throw new Error('down')
      }
    })
    await enrol(sessions, { userId: 'u1', nowMs: world.now() })
    assert.equal((await rotate(world, createKey())).resultCode, 'ok', fault)
    const isCounted = /countersign_fail_closed_total\{reason="events"\} 1/.test(world.gateway.metrics())
    assert.equal(isCounted, fault === 'append' || fault === 'listByUser', fault)
  }
})

for (const carrier of ['sse', 'poll']) {
  test(`H18 R122 over ${carrier}: a client on another device gets the event, verified and in its place`, async (t) => {
    const world = await createTestWorld({ seed: 3 })
    t.after(() => world.close())
    const userId = 'ada@example.com'
    const phone = await world.connect({ userId, name: 'phone' })
    // The new key is the platform's, which signs in real time: the world's time may move on meanwhile.
    const laptop = await world.connect({ userId, name: 'laptop', timeoutMs: 24 * 3600_000 })
    const got = []
    const stop = new AbortController()
    const reading = (async () => {
      for await (const event of phone.client.events({ carrier, signal: stop.signal })) got.push(event)
    })().catch(() => {})
    await world.advance(1000)
    await world.server.gateway.publish({ userId }, 'demo.n', '1')
    const confirm = ({ challengeId }) => world.server.mails.find((mail) => mail.challengeId === challengeId).code
    await world.run(laptop.client.rotateKey({ confirm }))
    await world.server.gateway.publish({ userId }, 'demo.n', '2')
    await world.advance(1000)
    assert.deepEqual(
      got.map(({ type, sequence }) => [type, sequence]),
      [
        ['demo.n', 1],
        ['cs.key_replaced', 2],
        ['demo.n', 3]
      ]
    )
    assert.deepEqual(JSON.parse(Buffer.from(got[1].payload)), {
      device_session_id: laptop.client.sessionId,
      thumbprint: laptop.client.key.thumbprint
    })
    stop.abort()
    await world.time.settle()
    await reading
  })
}
