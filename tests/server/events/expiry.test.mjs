// SPDX-License-Identifier: MIT
// A stream lives for 15 minutes (R105): who had a subscription signed once does not listen for as long as the session
// lives. A client that may still sign opens the next stream before.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createGateway } from 'countersign/server'
import { createTestWorld } from 'countersign/testing'
import { createSigner } from '../kit.mjs'
import { createServed, metric } from './dial.mjs'
import { createEventWorld, subscribe, subscribeOver } from './kit.mjs'

const MINUTE = 60_000
const text = (bytes) => Buffer.from(bytes).toString()

test('H19 R105 a stream ends after its time, over a socket and in process, and the session goes on', async (t) => {
  const world = await createServed(t, { limits: { streamMs: 300, heartbeatMs: 20 } })
  const open = [await subscribeOver(world, world.port), await subscribe(world)]
  for (const stream of open)
    for (let item = await stream.next(); item; item = await stream.next()) assert.equal(item.type, 'cs.time')
  assert.equal(metric(world, 'countersign_streams_ended_total{carrier="sse",reason="expired"}'), 2)
  assert.equal(metric(world, 'countersign_streams{carrier="sse"}'), 0)
  // The session itself goes on.
  assert.equal((await world.call()).resultCode, 'ok')
})

test('R105 streamMs is a number of milliseconds, 15 minutes by default', async () => {
  const waits = []
  const schedule = (_, afterMs) => {
    waits.push(afterMs)
    return () => {}
  }
  const world = await createEventWorld({ schedule })
  const stream = await subscribe(world)
  assert.ok(waits.includes(15 * MINUTE), String(waits))
  stream.leave()
  const parts = { label: 'test', signer: createSigner(), sessions: world.sessions, replay: world.replay, routes: {} }
  for (const streamMs of [0, -1, 1.5, Number.NaN, '900000', 86_400_001])
    assert.throws(() => createGateway({ ...parts, limits: { streamMs } }), { code: 'ERR_INVALID_ARGUMENT' })
})

/** A client that listens for a while to an event each second; `got` has their numbers. */
const listenFor = async (t, minutes, options) => {
  const world = await createTestWorld({ seed: 5, ...options })
  const { client, device } = await world.connect({ name: 'phone' })
  const [got, states, stop] = [[], [], new AbortController()]
  client.on('connection', ({ state }) => states.push(state))
  const reading = (async () => {
    for await (const event of client.events({ carrier: 'sse', signal: stop.signal }))
      got.push(Number(text(event.payload)))
  })().catch(() => {})
  t.after(async () => {
    stop.abort()
    await world.time.settle()
    await reading
    await world.close()
  })
  await world.advance(1000)
  const count = minutes * 60
  for (let number = 1; number <= count; number++) {
    await world.server.gateway.publish({ sessionId: device.sessionId }, 'demo.n', String(number))
    await world.advance(1000)
  }
  await world.advance(5000)
  const ended = (reason) =>
    metric({ gateway: world.server.gateway }, `countersign_streams_ended_total{carrier="sse",reason="${reason}"}`) || 0
  return { got, states, expected: Array.from({ length: count }, (_, at) => at + 1), ended }
}

test('H19 R105 a client that listens for 50 minutes renews its stream, and loses, repeats and shows nothing', async (t) => {
  const { got, states, expected, ended } = await listenFor(t, 50)
  assert.deepEqual(got, expected)
  assert.deepEqual(states, ['connecting', 'live'])
  assert.deepEqual([ended('expired'), ended('left') >= 3], [0, true])
})

test('R105 where no second stream may open, the first one ends after its time and is opened again', async (t) => {
  const { got, states, expected, ended } = await listenFor(t, 20, { limits: { sessionStreams: 1 } })
  assert.deepEqual(got, expected)
  assert.deepEqual(states, ['connecting', 'live', 'connecting', 'live'])
  assert.equal(ended('expired'), 1)
})
