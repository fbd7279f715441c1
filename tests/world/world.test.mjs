// SPDX-License-Identifier: MIT
// countersign/testing: the same seed gives the same transcript, time moves only when told, and every fault does what it says.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { emailEnrollment } from 'countersign'
import { createTestTime, createTestWorld, proxyAnswer } from 'countersign/testing'

const HOUR = 3600_000
const worlds = []
const createWorld = async (options) => {
  const world = await createTestWorld(options)
  worlds.push(world)
  return world
}
after(() => Promise.all(worlds.map((world) => world.close())))

const text = (bytes) => new TextDecoder().decode(bytes)
const passages = (world) => world.network.log.map(({ what }) => what)

const busyTest = async (seed) => {
  const world = await createWorld({ seed })
  const faults = {
    up: { delayMs: [0, 800], loss: 0.2, duplicate: 0.1, reorder: 0.2 },
    down: { delayMs: 30, loss: 0.1 }
  }
  const ada = await world.connect({ name: 'ada', skewMs: -7 * HOUR, driftPpm: 150, faults })
  const bob = await world.connect({ name: 'bob', faults: { ...faults, proxy: { chance: 0.2 } } })
  const calls = []
  for (let round = 0; round < 10; round++) {
    for (const { client } of [ada, bob]) {
      const call = client.request('demo.echo', String(round), { idempotencyKey: `k${round}` })
      calls.push(
        call.then(
          ({ requestId }) => requestId,
          ({ code }) => code
        )
      )
    }
    await world.advance(round === 5 ? 25 * HOUR : world.random.between(0, 3000))
  }
  const outcomes = await world.run(Promise.all(calls))
  return { lines: world.network.transcript(), outcomes }
}

test('the same seed gives the same transcript to the byte, another seed another one', async () => {
  const [one, same, other] = [await busyTest(7), await busyTest(7), await busyTest('7x')]
  assert.ok(one.lines.length > 60, String(one.lines.length))
  assert.deepEqual(same, one)
  assert.notDeepEqual(other.lines, one.lines)
})

test('without delays no time passes, and nothing has to be moved', async () => {
  const world = await createWorld()
  const { client } = await world.connect({ skewMs: 10 * 365 * 24 * HOUR })
  const startMs = world.time.nowMs
  const { payload, timings } = await client.request('demo.echo', 'hello')
  assert.deepEqual([text(payload), timings.tries, world.time.nowMs], ['hello', 1, startMs])
  assert.deepEqual(passages(world), [
    'sent',
    'arrived',
    'answered',
    'delivered',
    'sent',
    'arrived',
    'answered',
    'delivered'
  ])
})

test('the whole enrolment runs in it, with a key of the platform and a code from the mail', async () => {
  const world = await createWorld()
  const { client, device } = await world.connect({ device: false })
  assert.deepEqual([client.state, device], ['no-session', undefined])
  await emailEnrollment(client, { email: 'ada@example.com', code: () => world.server.mails.at(-1).code })
  assert.equal(client.state, 'ready')
  const sessions = await client.sessions()
  assert.equal(sessions.length, 1)
})

test('a device comes back for another visit, with its store and its clock', async () => {
  const world = await createWorld()
  const first = await world.connect({ name: 'first', skewMs: HOUR })
  await first.client.request('demo.echo')
  await first.client.close()
  const second = await world.connect({ name: 'second', device: first.device, clock: first.clock })
  assert.equal(second.client.clock.source, 'stored')
  assert.equal(second.client.sessionId, first.device.sessionId)
})

test('two clients of one device are two tabs of one browser, and two devices are none', async () => {
  const world = await createWorld()
  const one = await world.connect()
  const { client: tab } = await world.connect({ device: one.device, clock: one.clock })
  const other = await world.connect()
  assert.equal(tab.sessionId, one.client.sessionId)
  await one.client.signOut()
  // Tabs hear of each other in real time.
  for (let tries = 0; tab.state !== 'signed-out' && tries < 500; tries++) await wait(10)
  assert.equal(tab.state, 'signed-out')
  assert.equal(other.client.state, 'ready')
})

test('header and json bindings pass too, named in the log', async () => {
  const world = await createWorld({ routes: { 'GET /api/x': () => ({ payload: 'x' }), 'demo.echo': () => ({}) } })
  const { client } = await world.connect({ binding: 'json' })
  assert.equal(await (await client.fetch('/api/x')).text(), 'x')
  await client.request('demo.echo', 'hi')
  const types = world.network.log.filter(({ what }) => what === 'sent').map(({ type }) => type)
  assert.deepEqual(types, ['cs.time', 'GET /api/x', 'demo.echo'])
})

test('a delay takes its time, either way, and a call that waits too long ends by its own limit', async () => {
  const world = await createWorld()
  const { client, link } = await world.connect()
  link.set({ up: { delayMs: 300 }, down: { delayMs: 700 } })
  const startMs = world.time.nowMs
  await world.run(client.request('demo.echo'))
  assert.equal(world.time.nowMs - startMs, 2000, 'cs.time, then the request')
  link.set({ up: { delayMs: 60_000 } })
  await assert.rejects(world.run(client.request('demo.echo')), { code: 'ERR_OUTCOME_UNKNOWN' })
  assert.equal(world.time.nowMs - startMs, 17_000)
})

test('a lost request is not executed, a lost answer is, and neither is told apart by who waits', async () => {
  const handled = []
  const world = await createWorld({ routes: { 'demo.add': ({ requestId }) => void handled.push(requestId) } })
  const { client, link } = await world.connect()
  await client.request('demo.add')
  link.once({ up: { loss: 1 } })
  await assert.rejects(client.request('demo.add'), { code: 'ERR_OUTCOME_UNKNOWN' })
  assert.equal(handled.length, 1)
  link.once({ down: { loss: 1 } })
  await assert.rejects(client.request('demo.add'), { code: 'ERR_OUTCOME_UNKNOWN' })
  assert.equal(handled.length, 2)
  link.once({ down: { loss: 1 } })
  assert.equal((await world.run(client.request('demo.add', '', { idempotencyKey: 'k' }))).timings.tries, 2)
  assert.equal(handled.length, 4)
})

test('a request that comes twice is executed once', async () => {
  let count = 0
  const world = await createWorld({ routes: { 'demo.add': () => void count++ } })
  const { client } = await world.connect({ faults: { up: { duplicate: 1, delayMs: 10 } } })
  await world.run(client.request('demo.add'))
  await world.advance(100)
  assert.equal(count, 1)
  assert.equal(passages(world).filter((what) => what === 'repeated').length, 2)
})

test('messages overtake each other where they are reordered', async () => {
  const arrivals = []
  const world = await createWorld({ routes: { 'demo.n': ({ payload }) => void arrivals.push(Number(text(payload))) } })
  const { client, link } = await world.connect()
  await client.request('demo.n', '0')
  link.set({ up: { reorder: 0.5, delayMs: 5 } })
  const calls = []
  for (let n = 1; n <= 20; n++) {
    calls.push(client.request('demo.n', String(n)))
    await world.advance(20)
  }
  await world.run(Promise.all(calls))
  assert.notDeepEqual(
    arrivals,
    arrivals.toSorted((a, b) => a - b)
  )
  assert.equal(new Set(arrivals).size, 21)
})

test('what is changed on its way is refused at its stage', async () => {
  const world = await createWorld()
  const { client, link } = await world.connect()
  await client.request('demo.echo')
  const flip = (message) => {
    message.body[message.body.length - 1] ^= 1
  }
  link.once({ down: { tamper: flip } })
  await assert.rejects(client.request('demo.echo', 'hello'), { code: 'ERR_PAYLOAD_MISMATCH', stage: 'payload_hash' })
  link.once({ up: { tamper: flip } })
  await assert.rejects(client.request('demo.echo', 'hello'), { resultCode: 'cs.payload_mismatch' })
  const [old] = world.network.log.filter(({ what }) => what === 'delivered').slice(-1)
  link.once({ down: { tamper: (message) => ({ ...message, body: old.body, headers: old.headers }) } })
  await assert.rejects(client.request('demo.echo', 'hello'), { code: 'ERR_WRONG_REQUEST_ID', stage: 'request_id' })
})

test('a partition is silence in the direction that was cut, and ends when it heals', async () => {
  const handled = []
  const world = await createWorld({ routes: { 'demo.add': ({ requestId }) => void handled.push(requestId) } })
  const { client, link } = await world.connect()
  const other = await world.connect()
  await client.request('demo.add')
  for (const [way, executed] of [
    ['up', 0],
    ['down', 1],
    ['both', 0]
  ]) {
    handled.length = 0
    link.cut(way)
    await assert.rejects(world.run(client.request('demo.add', '', { timeoutMs: 500 })), { code: 'ERR_OUTCOME_UNKNOWN' })
    assert.equal(handled.length, executed, way)
    await other.client.request('demo.add')
    link.heal()
    await client.request('demo.add')
  }
})

test('a proxy answers in the place of the gateway, or after it', async () => {
  let count = 0
  const world = await createWorld({ routes: { 'demo.add': () => void count++ } })
  const { client, link } = await world.connect()
  await client.request('demo.add')
  for (const answer of [401, 403, 502, 'captive-portal']) {
    link.once({ proxy: { chance: 1, answers: [answer] } })
    const code = answer === 401 || answer === 403 ? 'ERR_UNSIGNED_ANSWER' : 'ERR_OUTCOME_UNKNOWN'
    await assert.rejects(client.request('demo.add'), { code })
  }
  assert.equal(count, 1)
  link.once({ proxy: { chance: 1, answers: [502], passesOn: true } })
  await assert.rejects(client.request('demo.add'), { code: 'ERR_OUTCOME_UNKNOWN' })
  assert.equal(count, 2)
  assert.equal(proxyAnswer('captive-portal').status, 200)
})

test('a captured request can be sent again, and is refused', async () => {
  const world = await createWorld()
  const { client } = await world.connect()
  await client.request('demo.echo', 'once')
  const captured = world.network.log.findLast(({ what }) => what === 'arrived')
  assert.equal((await world.network.replay(captured)).status, 409)
})

test('a device that sleeps hears nothing until it wakes; its monotonic clock stands or runs', async () => {
  const world = await createWorld()
  const { client, clock, link } = await world.connect()
  await client.request('demo.echo')
  link.set({ down: { delayMs: 100 } })
  for (const [monotonic, passed] of [
    ['stands', 0],
    ['runs', HOUR]
  ]) {
    const call = client.request('demo.echo', '', { timeoutMs: 2 * HOUR })
    await world.time.settle()
    const [wallMs, monotonicMs] = [clock.now(), clock.monotonicNow()]
    await clock.sleep(HOUR, { monotonic })
    assert.deepEqual([clock.now() - wallMs, clock.monotonicNow() - monotonicMs], [HOUR, passed])
    await world.run(call)
  }
})

test('clocks: skew, drift, steps; timers count by the monotonic clock', async () => {
  const time = createTestTime({ startMs: 1000 })
  const clock = time.createClock({ skewMs: 500, driftPpm: 1000 })
  assert.equal(clock.now(), 1500)
  const [from, fired] = [clock.monotonicNow(), []]
  clock.schedule(() => fired.push(['clock', time.nowMs]), 1001)
  time.schedule(() => fired.push(['true', time.nowMs]), 1000)
  const cancel = time.schedule(() => fired.push('never'), 10)
  cancel()
  await time.advance(1000)
  assert.deepEqual([clock.now(), clock.monotonicNow() - from], [2501, 1001])
  assert.deepEqual(fired.map(([name]) => name).toSorted(), ['clock', 'true'])
  clock.step(-HOUR)
  assert.equal(clock.now(), 2501 - HOUR)
  clock.setWall(7)
  assert.deepEqual([clock.now(), clock.monotonicNow() - from], [7, 1001])
  assert.equal(time.pending, 0)
})

test('a promise that nothing can settle is told, not waited for', async () => {
  const time = createTestTime()
  await assert.rejects(time.run(new Promise(() => {})), { code: 'ERR_TIMEOUT' })
})

test('a closed world makes no more clients', async () => {
  const world = await createWorld()
  const { client } = await world.connect()
  await world.close()
  await world.close()
  await assert.rejects(client.request('demo.echo'), { code: 'ERR_CLOSED' })
  await assert.rejects(world.connect(), { code: 'ERR_CLOSED' })
})
