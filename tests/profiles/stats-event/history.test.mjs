// SPDX-License-Identifier: MIT
// What is remembered of a user and what becomes of it: counted once, bounded, reviewed, shown to a hook of the application's.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DAY, HOUR, NOW, setUp } from './kit.mjs'

const start = NOW - 5 * DAY

test('a session is counted once: sent again, sent twice, closed after it was open; changed it is session_changed', async () => {
  const { world, device } = await setUp()
  const open = await device.session(start, 0, { id: 'one', end_time: null, duration_ms: null })
  assert.deepEqual(await world.reasons(device, [open, open], { totalSessions: 1 }), [])
  const closed = await device.session(start, HOUR, { id: 'one' })
  const totals = { totalHours: 1, totalSessions: 1 }
  for (const events of [[closed], [closed, closed], [open, closed], [closed, open]]) {
    assert.deepEqual(await world.reasons(device, events, totals), [])
    const { sessions } = await world.store.user('ada')
    assert.deepEqual(sessions, [['one', start, start + HOUR, device.key.deviceId]])
  }
  const longer = await device.session(start, 2 * HOUR, { id: 'one' })
  const found = await world.reasons(device, [longer], { totalHours: 2, totalSessions: 1 })
  assert.deepEqual(found, ['session_changed'])
  assert.equal((await world.store.user('ada')).sessions[0][2], start + HOUR)
})

test('a review in the favour of a user ends the suspicion, and does not open the door to the next jump', async () => {
  const { world, device } = await setUp()
  await world.sync(device, [], { totalHours: 10, totalSessions: 10 })
  world.nowMs = NOW + DAY
  const jump = { totalHours: 150, totalSessions: 12 }
  assert.ok((await world.reasons(device, [], jump)).includes('hours_spike'))
  world.nowMs += HOUR
  await world.stats.approve('ada')
  assert.ok(!(await world.reasons(device, [], jump)).includes('hours_spike'))
  world.nowMs += DAY
  assert.ok((await world.reasons(device, [], { ...jump, totalHours: 251 })).includes('hours_spike'))
  await world.stats.approve('nobody')
})

test('the distribution hook sees what was counted, and its words ask for a review', async () => {
  const seen = []
  const hook = (distribution) => {
    seen.push(distribution)
    return distribution.sessions.length > 1 ? ['always_the_same_hour'] : []
  }
  const { world, device, sessions } = await setUp({ distribution: hook })
  const [one, other] = await sessions([start, HOUR], [start + DAY, HOUR])
  assert.deepEqual(await world.reasons(device, [one]), [])
  const found = await world.reasons(device, [other, one], { totalHours: 2, totalSessions: 2 })
  assert.deepEqual(found, ['always_the_same_hour'])
  const { userId, deviceId, nowMs, totals, sessions: told, interactionsMs } = seen[1]
  assert.deepEqual([userId, deviceId, nowMs, interactionsMs], ['ada', device.key.deviceId, NOW, []])
  assert.deepEqual(totals, { totalHours: 2, totalSessions: 2, totalInteractions: 0 })
  assert.deepEqual(told[0], { id: one.data.id, startMs: start, endMs: start + HOUR })
})

test('a distribution hook that throws, or gives something else than words, asks for a review', async () => {
  const hooks = [
    () => {
      throw new Error('down')
    },
    async () => Promise.reject(new Error('down')),
    () => undefined,
    () => ['No Word'],
    () => 'text'
  ]
  for (const distribution of hooks) {
    assert.deepEqual(await (await setUp({ distribution })).reasonsOf([start, HOUR]), ['distribution_failed'])
  }
})

test('what is remembered of a user is bounded, and what was dropped cannot be counted again', async () => {
  const { world, device } = await setUp({ limits: { interactionsPerMinute: 1e9 } })
  device.mode = 'strict'
  const at = (index) => start + index * 1000
  const first = await device.interaction(at(0))
  for (let batch = 0; batch < 6; batch++) {
    const indexes = Array.from({ length: 1000 }, (_, index) => batch * 1000 + index)
    const rest = await Promise.all(indexes.slice(batch === 0 ? 1 : 0).map((index) => device.interaction(at(index))))
    const events = batch === 0 ? [first, ...rest] : rest
    await world.sync(device, events, { totalInteractions: (batch + 1) * 1000 })
  }
  const { interactions, floorMs } = await world.store.user('ada')
  assert.deepEqual([interactions.length, interactions[0][1], floorMs], [5000, at(1000), at(999)])
  await world.sync(device, [first], { totalInteractions: 6000 })
  assert.deepEqual((await world.store.user('ada')).interactions, interactions)
  world.nowMs = NOW + 32 * DAY
  await world.sync(device, [], { totalInteractions: 6000 })
  const user = await world.store.user('ada')
  assert.deepEqual([user.interactions, user.claims.length], [[], 2])
})
