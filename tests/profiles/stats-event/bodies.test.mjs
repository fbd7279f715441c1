// SPDX-License-Identifier: MIT
// Bodies of a sync that are none, hostile or mutated: refused as they are, and nothing crashes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { syncBody } from 'countersign/stats-event'
import { seeded } from '../../unit/harness/bytes.mjs'
import { createDevice, createWorld, HOUR, NOW } from './kit.mjs'

const refused = (...warnings) => ({ success: false, verified: false, trustLevel: 'untrusted', warnings })

test('a body of another shape is refused as malformed, whatever it is, and changes nothing', async () => {
  const world = createWorld()
  const device = await createDevice(world)
  const good = {
    totalHours: 1,
    totalSessions: 1,
    totalInteractions: 0,
    deviceId: device.key.deviceId,
    signedEvents: []
  }
  const wrong = [
    { totalHours: -1 },
    { totalHours: '1' },
    { totalSessions: 1.5 },
    { totalInteractions: 2 ** 53 },
    { totalInteractions: undefined },
    { deviceId: 'x' },
    { deviceId: device.key.deviceId.toUpperCase().replace(/\d/g, 'A') },
    { deviceId: null },
    { signedEvents: {} },
    { signedEvents: [1] },
    { signedEvents: [[]] },
    { signedEvents: Array(1001).fill({}) }
  ].map((change) => JSON.stringify({ ...good, ...change }))
  const texts = [
    '',
    '{',
    '[]',
    'null',
    '"text"',
    '\ufeff{}',
    `[${'['.repeat(100_000)}`,
    ' '.repeat(2 ** 20 + 1),
    ...wrong
  ]
  texts.push(JSON.stringify(good).replace('"totalHours":1', '"totalHours":1e400'))
  const bodies = [...texts, Buffer.from([0x7b, 0xff, 0x7d]), new Uint8Array(0)]
  for (const body of bodies) {
    const given = await world.stats.sync({ userId: 'ada', body })
    assert.deepEqual(given, { status: 400, answer: refused('malformed') }, String(body).slice(0, 80))
  }
  assert.equal(await world.stats.standing('ada'), undefined)
})

test('A8 A11 a body with a name twice, too deep or with a number beyond a double is refused as a whole', async () => {
  const world = createWorld()
  const device = await createDevice(world)
  const { deviceId } = device.key
  const totals = '"totalHours":1,"totalSessions":1,"totalInteractions":0'
  const bodyOf = (event) => `{${totals},"deviceId":"${deviceId}","signedEvents":[${event}]}`
  const good = JSON.stringify(await device.session(NOW - 3 * HOUR, HOUR))
  assert.equal((await world.stats.sync({ userId: 'ada', body: bodyOf(good) })).answer.trustLevel, 'verified')
  const deep = `{"data":${'['.repeat(50_000)}${']'.repeat(50_000)}}`
  const twice = good.replace('"type":', '"t\\u0079pe":"interaction","type":')
  for (const event of [deep, twice, '{"data":1e400}', '{"data":"\\ud800"}']) {
    const given = await world.stats.sync({ userId: 'ada', body: bodyOf(event) })
    assert.deepEqual(given, { status: 400, answer: refused('malformed') })
  }
  const body = bodyOf(`{"__proto__":{"x":1},"deviceId":"${deviceId}"}`)
  const { answer } = await world.stats.sync({ userId: 'ada', body })
  assert.deepEqual([answer.trustLevel, answer.warnings], ['untrusted', ['malformed']])
  assert.equal({}.x, undefined)
})

test('2,000 mutated bodies: none crashes, and none is verified that is not what was sent', async () => {
  const world = createWorld()
  const device = await createDevice(world, { mode: 'strict' })
  const events = [await device.session(NOW - 3 * HOUR, HOUR), await device.interaction(NOW - 2 * HOUR)]
  const totals = { totalHours: 1, totalSessions: 1, totalInteractions: 1 }
  const text = JSON.stringify(await syncBody(totals, events, device.key.deviceId, NOW))
  const random = seeded(5)
  let refusals = 0
  for (let round = 0; round < 2000; round++) {
    const at = random.below(text.length)
    const piece = random.pick([
      '',
      text[at] + text[at],
      String.fromCharCode(32 + random.below(95)),
      '{}',
      '[',
      '"',
      '\\'
    ])
    const body = text.slice(0, at) + piece + text.slice(at + 1)
    const { answer } = await world.stats.sync({ userId: 'ada', body })
    if (!answer.verified) refusals += 1
    else assert.deepEqual(JSON.parse(body).signedEvents, events, body)
  }
  assert.ok(refusals > 1000, `${refusals} refused`)
})
