// SPDX-License-Identifier: MIT
// What is plausible: each rule of the server at its boundary, and what it allows for.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seeded } from '../../unit/harness/bytes.mjs'
import { createDevice, createWorld, DAY, HOUR, NOW, setUp } from './kit.mjs'

const MINUTE = 60_000
const start = NOW - 5 * DAY

test('16 hours within any 24 are plausible, a minute more is hours_per_day, across midnight too', async () => {
  const blocks = (lastMs) => [
    [start, 8 * HOUR],
    [start + 10 * HOUR, 6 * HOUR],
    [start + 20 * HOUR, lastMs]
  ]
  assert.deepEqual(await (await setUp()).reasonsOf(...blocks(2 * HOUR)), [])
  assert.deepEqual(await (await setUp()).reasonsOf(...blocks(2 * HOUR + MINUTE)), ['hours_per_day'])
  // A window that ends inside of a session: 12 + 4 of it.
  const crossing = [
    [start, 12 * HOUR],
    [start + 19 * HOUR, 9 * HOUR]
  ]
  assert.deepEqual(await (await setUp()).reasonsOf(...crossing), ['hours_per_day'])
  const apart = [
    [start, 12 * HOUR],
    [start + 20 * HOUR, 4 * HOUR]
  ]
  assert.deepEqual(await (await setUp()).reasonsOf(...apart), [])
})

test('hours_per_day is what counting minute by minute says, for any sessions', async () => {
  const random = seeded(3)
  const found = { true: 0, false: 0 }
  for (let round = 0; round < 150; round++) {
    const world = createWorld()
    const { key, userId } = await createDevice(world, { enrolled: false })
    await world.stats.enrolSession({ userId, deviceId: key.deviceId, sessionId: 'here' })
    const sessions = Array.from({ length: 1 + random.below(8) }, () => {
      const from = random.below(60 * 60)
      return [from, from + 1 + random.below(12 * 60)]
    })
    const events = sessions.map(([from, to], at) => ({
      type: 'session',
      data: { id: `${at}`, duration_ms: (to - from) * MINUTE },
      timestamp: start + from * MINUTE,
      deviceId: key.deviceId,
      nonce: 'n'
    }))
    const busy = new Float64Array(4500)
    for (const [from, to] of sessions) for (let at = from; at < to; at++) busy[at] += 1
    let most = 0
    for (let at = 0, sum = 0; at < 4500; at++) {
      sum += busy[at] - (busy[at - 1440] ?? 0)
      most = Math.max(most, sum)
    }
    const reasons = await world.reasons({ key, userId }, events, {}, { sessionId: 'here' })
    assert.equal(reasons.includes('hours_per_day'), most > 16 * 60, JSON.stringify(sessions))
    found[most > 16 * 60] += 1
  }
  assert.ok(found.true > 30 && found.false > 30, JSON.stringify(found))
})

test('a session that ends before it starts hides no other from the sums, now or later', async () => {
  const { world, device } = await setUp()
  const odd = await device.session(start - 2 * HOUR, HOUR, { end_time: -1e300 })
  assert.deepEqual(await world.reasons(device, [odd]), ['duration_mismatch'])
  const long = [await device.session(start, 9 * HOUR), await device.session(start + 10 * HOUR, 9 * HOUR)]
  const totals = { totalHours: 19, totalSessions: 3 }
  assert.deepEqual(await world.reasons(device, long, totals), ['hours_per_day'])
})

test('the limits hold over several syncs, not for each by itself', async () => {
  const { world, device } = await setUp()
  const first = await device.session(start, 12 * HOUR)
  assert.deepEqual(await world.reasons(device, [first]), [])
  const second = await device.session(start + 13 * HOUR, 5 * HOUR)
  const totals = { totalHours: 17, totalSessions: 2 }
  assert.deepEqual(await world.reasons(device, [second], totals), ['hours_per_day'])
})

test('ten sessions begun within an hour are plausible, eleven are sessions_per_hour', async () => {
  const many = (count, apartMs) => Array.from({ length: count }, (_, at) => [start + at * apartMs, 5000])
  assert.deepEqual(await (await setUp()).reasonsOf(...many(10, MINUTE)), [])
  assert.deepEqual(await (await setUp()).reasonsOf(...many(11, MINUTE)), ['sessions_per_hour'])
  assert.deepEqual(await (await setUp()).reasonsOf(...many(11, HOUR / 10)), [])
  assert.deepEqual(await (await setUp()).reasonsOf(...many(11, HOUR / 10 - 1)), ['sessions_per_hour'])
})

test('sixty interactions within a minute are plausible, sixty-one are interactions_per_minute', async () => {
  for (const [count, expected] of [
    [60, []],
    [61, ['interactions_per_minute']]
  ]) {
    const { world, device } = await setUp()
    const events = await Promise.all(Array.from({ length: count }, (_, at) => device.interaction(start + at * 900)))
    assert.deepEqual(await world.reasons(device, events), expected)
  }
})

test('a hundred hours more within a week are plausible, more is hours_spike; with the weeks more may come', async () => {
  const claims = async (world, device, totalHours, atMs) => {
    world.nowMs = atMs
    return world.reasons(device, [await device.session(atMs - HOUR, MINUTE)], { totalHours, totalSessions: 1000 })
  }
  const { world, device } = await setUp()
  const spike = (found) => found.includes('hours_spike')
  assert.equal(spike(await claims(world, device, 50, NOW)), false)
  assert.equal(spike(await claims(world, device, 150, NOW + 3 * DAY)), false)
  assert.equal(spike(await claims(world, device, 150.01, NOW + 6 * DAY)), true)
  assert.equal(spike(await claims(world, device, 330, NOW + 20 * DAY)), false)
  assert.equal(spike(await claims(world, device, 531, NOW + 34 * DAY)), true)
})

test('a claim that grows slowly is measured against the whole week, not against the last claim', async () => {
  const { world, device } = await setUp()
  const found = []
  for (let step = 0; step <= 12; step++) {
    world.nowMs = NOW + step * 10 * HOUR
    found.push((await world.reasons(device, [], { totalHours: step * 10 })).includes('hours_spike'))
  }
  assert.deepEqual(found.indexOf(true), 11)
})

test('totals that shrink are totals_decreased', async () => {
  for (const less of [{ totalHours: 9 }, { totalSessions: 9 }, { totalInteractions: 9 }]) {
    const { world, device } = await setUp()
    const totals = { totalHours: 10, totalSessions: 10, totalInteractions: 10 }
    await world.sync(device, [], totals)
    assert.ok(!(await world.reasons(device, [], totals)).includes('totals_decreased'))
    assert.ok((await world.reasons(device, [], { ...totals, ...less })).includes('totals_decreased'))
  }
})

test('totals against what is signed: less than is shown, or more hours than what is missing can have had', async () => {
  const check = async (totals, list = [[start, 2 * HOUR]]) => {
    const { world, device } = await setUp()
    const events = await Promise.all(list.map((one) => device.session(...one)))
    return (await world.reasons(device, events, totals)).includes('totals_mismatch')
  }
  assert.equal(await check({ totalHours: 2, totalSessions: 1 }), false)
  assert.equal(await check({ totalHours: 1.9, totalSessions: 1 }), true)
  assert.equal(await check({ totalHours: 2, totalSessions: 0 }), true)
  assert.equal(await check({ totalHours: 2.5, totalSessions: 1 }), true)
  // One session was left out as anomalous: it may have been too long.
  assert.equal(await check({ totalHours: 16, totalSessions: 2 }), false)
  assert.equal(await check({ totalHours: 30, totalSessions: 2 }), true)
})

test('only the last hundred sessions are sent and anomalous ones are missing: that is allowed for, most missing is not', async () => {
  const check = async (sent, totalSessions) => {
    const { world, device } = await setUp()
    const list = Array.from({ length: sent }, (_, at) => device.session(start + at * HOUR, MINUTE))
    const totals = { totalHours: totalSessions / 60, totalSessions }
    return (await world.reasons(device, await Promise.all(list), totals)).includes('totals_mismatch')
  }
  assert.equal(await check(100, 5000), false)
  assert.equal(await check(60, 100), false)
  assert.equal(await check(60, 5000), false)
  assert.equal(await check(40, 5000), true)
  assert.equal(await check(3, 8), false)
  assert.equal(await check(5, 20), true)
})

test('sessions of one device that overlap are session_overlap; of two devices, and end to end, they are not', async () => {
  const { reasonsOf } = await setUp()
  assert.deepEqual(await reasonsOf([start, HOUR], [start + HOUR, HOUR]), [])
  const other = await setUp()
  assert.deepEqual(await other.reasonsOf([start, HOUR], [start + HOUR / 2, HOUR]), ['session_overlap'])
  const inside = await setUp()
  const around = [
    [start, 3 * HOUR],
    [start + HOUR, MINUTE],
    [start + 2 * HOUR, MINUTE]
  ]
  assert.deepEqual(await inside.reasonsOf(...around), ['session_overlap'])
  const { world, device } = await setUp()
  await world.sync(device, [await device.session(start, HOUR)])
  const fresh = await createDevice(world, { enrolled: false })
  world.nowMs = NOW + HOUR
  await world.stats.enrol({ userId: 'ada', key: fresh.text, verifiedMs: NOW + 1 })
  const totals = { totalHours: 2, totalSessions: 2 }
  assert.deepEqual(await world.reasons(fresh, [await fresh.session(start, HOUR)], totals), [])
})

test('times that do not fit: ends before it starts, another length, ends in the future', async () => {
  const one = async (...session) => (await setUp()).reasonsOf(session)
  assert.deepEqual(await one(start, HOUR, { end_time: start + HOUR + 1001 }), ['duration_mismatch'])
  assert.deepEqual(await one(start, HOUR, { end_time: start + HOUR + 1000 }), [])
  assert.deepEqual(await one(start, HOUR, { end_time: start - HOUR }), ['duration_mismatch'])
  assert.deepEqual(await one(NOW - HOUR, HOUR + 5 * MINUTE), [])
  assert.deepEqual(await one(NOW - HOUR, HOUR + 5 * MINUTE + 1), ['session_in_future'])
})

test('something new dated long before what an earlier sync brought is a timestamp_discontinuity', async () => {
  const { world, device } = await setUp()
  const first = await device.session(start, HOUR)
  await world.sync(device, [first])
  const totals = { totalHours: 2, totalSessions: 2 }
  const late = await device.session(start - 11 * HOUR, HOUR)
  assert.deepEqual(await world.reasons(device, [late, first], totals), [])
  const back = await device.session(start - 13 * HOUR, HOUR)
  const more = { totalHours: 3, totalSessions: 3 }
  assert.deepEqual(await world.reasons(device, [back], more), ['timestamp_discontinuity'])
})

test('anomalous events are told and not counted', async () => {
  const { world, device } = await setUp()
  const events = [
    await device.session(NOW - HOUR, 4999),
    await device.session(start, 12 * HOUR + 1),
    await device.session(NOW - 31 * DAY, HOUR),
    await device.session(NOW + 5 * MINUTE + 1, HOUR)
  ]
  const found = await world.reasons(device, events)
  assert.deepEqual(found, ['session_too_short', 'session_too_long', 'timestamp_too_old', 'timestamp_future'])
  assert.deepEqual((await world.store.user('ada')).sessions, [])
})
