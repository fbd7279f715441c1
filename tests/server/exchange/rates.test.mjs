// SPDX-License-Identifier: MIT
// Token buckets and what they are counted by.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memoryEventStore, memoryReplayStore } from 'countersign/server'
import { createBuckets, sourceOf } from '../../../dist/server/exchange/rates.js'
import { createWorld, enrol, frameRequest, randomId, signRequest } from '../kit.mjs'

test('K1 a bucket gives its burst, then its rate, and tells the wait', () => {
  const buckets = createBuckets({ perSecond: 10, burst: 3 })
  assert.deepEqual(
    [1, 2, 3, 4].map(() => buckets.take('a', 1000)),
    [0, 0, 0, 100]
  )
  assert.equal(buckets.take('b', 1000), 0)
  assert.equal(buckets.take('a', 1099), 1)
  assert.equal(buckets.take('a', 1100), 0)
  assert.equal(buckets.take('a', 1100), 100)
  assert.deepEqual(
    [1, 2, 3, 4].map(() => buckets.take('a', 60_000)),
    [0, 0, 0, 100]
  )
})

test('K1 buckets are bounded, and a full table forgets nobody who is being limited', () => {
  const buckets = createBuckets({ perSecond: 1, burst: 2 }, 100)
  for (let at = 0; at < 2; at++) buckets.take('victim', 0)
  assert.ok(buckets.take('victim', 0) > 0)
  for (let at = 0; at < 1000; at++) buckets.take(`s${at}`, 1)
  assert.ok(buckets.size <= 101)
  assert.ok(buckets.take('victim', 2) > 0, 'still limited')
  assert.ok(buckets.take('newcomer', 3) > 0, 'newcomers share one bucket')
  assert.equal(buckets.take('newcomer', 10_000), 0)
  assert.ok(buckets.size < 100, 'full buckets were dropped')
})

test('K1 the limits of sessions, users and types are counted apart', async () => {
  const world = await createWorld({
    userId: 'u1',
    rates: {
      perSession: 1000,
      perUser: { perSecond: 1, burst: 3 },
      perType: { 'demo.slow': { perSecond: 1, burst: 1 } }
    },
    routes: { 'demo.slow': () => {} }
  })
  const second = await enrol(world.sessions, { userId: 'u1' })
  const other = await enrol(world.sessions, { userId: 'u2' })
  const codeOf = async (options) => (await world.call(options)).resultCode
  assert.equal(await codeOf({ type: 'demo.slow' }), 'ok')
  assert.equal(await codeOf({ type: 'demo.slow', device: second }), 'cs.rate_limited')
  assert.equal(await codeOf({ type: 'demo.slow', device: other }), 'ok')
  world.now.ms += 1 // The refusal has raised the floor of that session to its own time.
  assert.equal(await codeOf({ device: second }), 'ok')
  assert.equal(await codeOf({}), 'cs.rate_limited', "the user's fourth")
  assert.equal(await codeOf({ device: other }), 'ok')
})

test('D15 of 2000 requests that one session sends at once, its burst is handled and each other is refused, signed', async () => {
  const world = await createWorld({
    replay: memoryReplayStore({ capacity: 2 ** 18 }),
    rates: { perSource: 1e9, perSession: { perSecond: 50, burst: 50 } }
  })
  const counts = {}
  for (let count = 0; count < 2000; count++) {
    const { resultCode } = await world.call()
    counts[resultCode] = (counts[resultCode] ?? 0) + 1
  }
  assert.deepEqual(counts, { ok: 50, 'cs.rate_limited': 1950 })
  assert.equal(world.handled.length, 50)
})

test("K1 a forged request never spends its victim's rate", async () => {
  const world = await createWorld({ rates: { perSession: { perSecond: 1, burst: 1 } } })
  for (let count = 0; count < 5; count++) await world.call({ signature: new Uint8Array(64) })
  for (let count = 0; count < 5; count++) {
    const { envelope } = world.requestOf()
    await world.sendFrame(Buffer.concat([envelope, Buffer.from('other')]))
  }
  assert.equal((await world.call()).resultCode, 'ok')
})

test('K1 sources: addresses, IPv4 in IPv6, and whole networks of IPv6', () => {
  const table = {
    '192.0.2.1': '192.0.2.1',
    '::ffff:192.0.2.1': '192.0.2.1',
    '::FFFF:192.0.2.1': '192.0.2.1',
    '2001:db8::1': '2001:db8:0:0::/64',
    '2001:0db8:0000:0000:0001:0002:0003:0004': '2001:db8:0:0::/64',
    '2001:db8:0:1::': '2001:db8:0:1::/64',
    'fe80::1%eth0': 'fe80:0:0:0::/64',
    '::1': '0:0:0:0::/64',
    '64:ff9b::192.0.2.1': '64:ff9b:0:0::/64',
    unix: 'unix',
    '': ''
  }
  for (const [address, source] of Object.entries(table)) assert.equal(sourceOf(address), source, address)
})

test('K1 a debt is waited for, by one burst at most, and looking takes nothing', () => {
  const buckets = createBuckets({ perSecond: 10, burst: 3 })
  assert.equal(buckets.wait('a', 1000), 0)
  assert.equal(buckets.size, 0)
  buckets.spend('a', 1000, 5)
  assert.equal(buckets.wait('a', 1000), 300)
  assert.equal(buckets.take('a', 1000), 300)
  buckets.spend('a', 1000, 1000)
  assert.equal(buckets.take('a', 1000), 400)
  assert.equal(buckets.take('a', 1400), 0)
})

test('H15 R146 forged requests spend a bucket of their source; when it is empty nothing of the source is verified', async () => {
  const verified = []
  const world = await createWorld({ rates: { perSourceFailures: { perSecond: 1, burst: 3 } } })
  const send = async (remoteAddress, options) => {
    const before = world.stages.length
    const { frame } = signRequest(world.device, { nowMs: world.now(), ...options })
    const { status, headers } = await world.gateway.handle(frameRequest(frame), { remoteAddress })
    verified.push(world.stages.slice(before).some(({ stage }) => stage === 'version'))
    return [status, headers.get('content-type') !== null]
  }
  const mine = '192.0.2.1'
  const forged = { signature: new Uint8Array(64) }
  assert.deepEqual(await send(mine, forged), [401, true])
  assert.deepEqual(await send(mine, { ...forged, sessionId: randomId() }), [401, true])
  // These are no forgeries, whatever becomes of them.
  const head = randomId()
  assert.deepEqual(await send(mine, { head }), [200, true])
  assert.deepEqual(await send(mine, { head }), [409, true])
  assert.deepEqual(await send(mine, { timestampMs: world.now() - 61_000 }), [401, true])
  assert.deepEqual(await send(mine, { payloadHash: new Uint8Array(32) }), [400, true])
  assert.deepEqual(await send(mine, forged), [401, true])
  assert.ok(verified.every(Boolean))
  for (const options of [forged, {}]) {
    assert.deepEqual(await send(mine, options), [429, false])
    assert.equal(verified.at(-1), false, 'no cryptography')
    assert.deepEqual([world.refusals.at(-1).stage, world.refusals.at(-1).code], [undefined, 'source_failures'])
  }
  assert.deepEqual(await send('192.0.2.2'), [200, true], 'another source')
  world.now.ms += 1000
  assert.deepEqual(await send(mine), [200, true])
})

test('H15 R146 by default 600 forged requests a second are verified, and 2000 of all kinds are taken', async () => {
  const world = await createWorld()
  const forge = async () => {
    const { frame } = signRequest(world.device, { nowMs: world.now(), signature: new Uint8Array(64) })
    return (await world.gateway.handle(frameRequest(frame), { remoteAddress: '192.0.2.1' })).status
  }
  const seen = {}
  for (let count = 0; count < 650; count++) {
    const status = await forge()
    seen[status] = (seen[status] ?? 0) + 1
  }
  assert.deepEqual(seen, { 401: 600, 429: 50 })
})

test('H15 R146 copies of a used request spend no rate of the session, the user or the type', async () => {
  const one = { perSecond: 0.001, burst: 2 }
  const world = await createWorld({ rates: { perSession: one, perUser: one, perType: { 'demo.echo': one } } })
  const request = world.requestOf()
  assert.equal((await world.sendFrame(request.frame)).status, 200)
  for (let count = 0; count < 20; count++) {
    assert.equal((await world.sendFrame(request.frame)).status, 409)
    assert.equal(world.refusals.at(-1).stage, 'replay')
  }
  assert.equal((await world.call()).resultCode, 'ok')
  assert.equal((await world.call()).resultCode, 'cs.rate_limited')
  assert.equal(world.refusals.at(-1).stage, 'rate')
})

test('H15 R146 a poll is charged for the events that it sends', async () => {
  const perSession = { perSecond: 0.001, burst: 10 }
  const world = await createWorld({ events: memoryEventStore(), rates: { perSession } })
  const poll = () => world.call({ type: 'cs.poll', payload: '{"after":0}' })
  const until = async (count) => {
    for (let calls = 0; ; calls++) {
      const { resultCode } = await world.call()
      if (resultCode !== 'ok') {
        assert.deepEqual([resultCode, calls], ['cs.rate_limited', count])
        return
      }
    }
  }
  for (let count = 0; count < 5; count++) await world.gateway.publish(world.device.id, 'demo.note', 'x')
  assert.equal((await poll()).resultCode, 'ok')
  await until(10 - 1 - 5)
  const large = await createWorld({ events: memoryEventStore(), rates: { perSession } })
  await large.gateway.publish(large.device.id, 'demo.note', new Uint8Array(40_000))
  assert.equal((await large.call({ type: 'cs.poll', payload: '{"after":0}' })).resultCode, 'ok')
  let left = 0
  while ((await large.call()).resultCode === 'ok') left += 1
  assert.equal(left, 10 - 1 - 5, '40,000 bytes and a few more are five times 8 KiB')
})
