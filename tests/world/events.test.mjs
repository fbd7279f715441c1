// SPDX-License-Identifier: MIT
// Streams of events on a test world: the faults of a stream do what they say, the clock hears its events, proxies end nothing.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTestWorld } from 'countersign/testing'

const HOUR = 3600_000
const text = (bytes) => new TextDecoder().decode(bytes)

/** A world with one client that listens; `got` lists what it hears. */
const listening = async (t, { carrier = 'sse', seed = 1, ...client } = {}) => {
  const world = await createTestWorld({ seed })
  const it = await world.connect(client)
  const [got, stop] = [[], new AbortController()]
  const reading = (async () => {
    for await (const event of it.client.events({ carrier, signal: stop.signal })) got.push(event)
  })().catch((error) => error)
  const publish = (payload) => world.server.gateway.publish({ sessionId: it.device.sessionId }, 'demo.n', payload)
  const end = async () => {
    stop.abort()
    await world.time.settle()
    return reading
  }
  t.after(async () => {
    await end()
    await world.close()
  })
  await world.advance(1000)
  const numbers = () => got.map(({ payload }) => Number(text(payload)))
  return { world, got, numbers, publish, end, ...it }
}

const upTo = (count) => Array.from({ length: count }, (_, index) => index + 1)

for (const carrier of ['sse', 'poll']) {
  test(`${carrier}: a stream that breaks, repeats, swallows and overtakes loses no event and repeats none, the same way every time`, async (t) => {
    const runs = []
    for (let run = 0; run < 2; run++) {
      const it = await listening(t, { carrier, seed: 9 })
      it.link.set({ down: { delayMs: [0, 50], loss: 0.05, reorder: 0.05, duplicate: 0.05, swallow: 0.05 } })
      for (const number of upTo(150)) {
        await it.publish(String(number))
        await it.world.advance(200)
      }
      await it.world.advance(2 * 60_000)
      assert.deepEqual(it.numbers(), upTo(150))
      runs.push(it.world.network.transcript())
    }
    assert.deepEqual(runs[0], runs[1])
  })
}

const faults = {
  loss: { down: { loss: 1 } },
  swallow: { down: { swallow: 1 } },
  duplicate: { down: { duplicate: 1 } },
  reorder: { down: { reorder: 1 } },
  tamper: {
    down: {
      tamper: (message) => {
        message.body[30] ^= 1
      }
    }
  }
}
for (const [name, fault] of Object.entries(faults)) {
  test(`sse: one item with ${name} costs a reconnect at most`, async (t) => {
    const it = await listening(t)
    await it.publish('1')
    await it.world.advance(100)
    it.link.once(fault, { isMeant: (type) => type === 'event' })
    for (const number of [2, 3, 4]) {
      await it.publish(String(number))
      await it.world.advance(100)
    }
    await it.world.advance(60_000)
    assert.deepEqual(it.numbers(), upTo(4))
    const subscriptions = it.world.network.log.filter(({ what, type }) => what === 'sent' && type === 'cs.subscribe')
    assert.equal(subscriptions.length, 2)
  })
}

test('sse: a stream that falls silent is noticed, and another one follows once there is a way again', async (t) => {
  const it = await listening(t)
  await it.publish('1')
  await it.world.advance(100)
  it.link.cut()
  await it.publish('2')
  await it.world.advance(60_000)
  assert.notEqual(it.client.connection.state, 'live')
  it.link.heal()
  await it.world.advance(60_000)
  assert.deepEqual(it.numbers(), [1, 2])
  assert.equal(it.client.connection.state, 'live')
})

test('sse: heartbeats come by the time of the world, and keep the clock', async (t) => {
  const it = await listening(t, { skewMs: -7 * HOUR })
  const heartbeats = () =>
    it.world.network.log.filter(({ type, what }) => type === 'event' && what === 'delivered').length
  const before = heartbeats()
  await it.world.advance(10 * 60_000)
  assert.ok(heartbeats() - before >= 55)
  const { ageMs, errorMs, source } = it.client.clock
  assert.ok(ageMs <= 10_000 && errorMs < 1000 && source === 'round-trip')
  assert.ok(Math.abs(it.client.clock.now() - it.world.time.nowMs) <= errorMs)
})

test('C3 C4 a device that listens wakes from three hours of sleep with the time right again, before it asks for anything', async (t) => {
  const it = await listening(t)
  await it.world.advance(30_000)
  await it.clock.sleep(3 * HOUR)
  await it.world.advance(60_000)
  const { errorMs } = it.client.clock
  assert.ok(Math.abs(it.client.clock.now() - it.world.time.nowMs) <= errorMs)
  assert.ok(errorMs < 5000)
  assert.equal((await it.client.request('demo.echo')).timings.tries, 1)
})

test('R76 an event of a gateway that is ahead leaves no bound, and is asked about in the background', async (t) => {
  const it = await listening(t)
  const asked = () => it.world.network.log.filter(({ what, type }) => what === 'sent' && type === 'cs.time').length
  const before = asked()
  it.world.serverClock.step(4000)
  await it.publish('1')
  await it.world.advance(10)
  assert.equal(asked(), before + 1)
  assert.equal(it.client.clock.source, 'round-trip')
  assert.ok(Math.abs(it.client.clock.now() - it.world.serverClock.now()) <= it.client.clock.errorMs)
})

test('C8 C10 a stream whose gateway jumps three days ahead costs a question now and then, never the session', async (t) => {
  const it = await listening(t)
  const { server, network, time } = it.world
  const clock = time.createClock()
  const other = server.sibling(clock)
  // The stream breaks and leads to the other gateway from then on; requests stay with the first.
  const isStream = (request) => request.headers.get('accept') === 'text/event-stream'
  network.lead((request, from) => (isStream(request) ? other : server.gateway).handle(request, from))
  it.link.once({ down: { loss: 1 } }, { isMeant: (type) => type === 'event' })
  await it.publish('1')
  await it.world.advance(60_000)
  clock.step(72 * HOUR)
  for (const number of [2, 3, 4]) {
    await it.publish(String(number))
    await it.world.advance(30_000)
    assert.ok((await it.world.run(it.client.request('demo.echo'))).timings.tries <= 2)
  }
  assert.deepEqual([it.client.state, it.numbers()], ['ready', [1, 2, 3, 4]])
  assert.ok(it.got.at(-1).timestampMs > time.nowMs + 71 * HOUR, 'signed three days ahead')
  assert.ok(Math.abs(it.client.clock.now() - time.nowMs) < 1000)
})

for (const carrier of ['sse', 'poll']) {
  for (const answer of [401, 403, 502, 'captive-portal']) {
    test(`E4 C5 ${carrier}: a proxy says ${answer} to a subscription: the session stays, the clock stands, events go on`, async (t) => {
      const it = await listening(t, { carrier, skewMs: -7 * HOUR })
      await it.publish('1')
      await it.world.advance(1000)
      const { offsetMs, lastCorrection } = it.client.clock
      it.link.set({ proxy: { chance: 1, answers: [answer] }, down: { loss: 1 } })
      await it.world.advance(60_000)
      await it.publish('2')
      await it.world.advance(5 * 60_000)
      assert.deepEqual([it.client.state, it.numbers()], ['ready', [1]])
      assert.ok(Math.abs(it.client.clock.offsetMs - offsetMs) < 5)
      assert.equal(it.client.clock.lastCorrection, lastCorrection)
      it.link.set({})
      await it.world.advance(2 * 60_000)
      assert.deepEqual(it.numbers(), [1, 2])
      assert.equal(it.client.state, 'ready')
    })
  }
}
