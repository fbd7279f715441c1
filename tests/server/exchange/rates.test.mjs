// SPDX-License-Identifier: MIT
// Token buckets and what they are counted by.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memoryReplayStore } from 'countersign/server'
import { createBuckets, sourceOf } from '../../../dist/server/exchange/rates.js'
import { createWorld, enrol } from '../kit.mjs'

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
