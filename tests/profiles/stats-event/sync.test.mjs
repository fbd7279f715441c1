// SPDX-License-Identifier: MIT
// What a sync of statistics is worth: signatures, lowest modes, devices and their users, phases.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDeviceKey, signEvent, syncBody } from 'countersign/stats-event'
import { createStats, memoryStatsStore, phaseRules } from 'countersign/stats-event/server'
import { createDevice, createWorld, HOUR, NOW } from './kit.mjs'

const VERIFIED = { success: true, verified: true, trustLevel: 'verified', warnings: [] }
const refused = (...warnings) => ({ success: false, verified: false, trustLevel: 'untrusted', warnings })

for (const mode of ['covered', 'strict']) {
  test(`${mode} events of an enrolled device are verified and ranked`, async () => {
    const world = createWorld({ phase: 4 })
    const device = await createDevice(world, { mode })
    const events = [await device.session(NOW - 3 * HOUR, HOUR), await device.interaction(NOW - 2.5 * HOUR)]
    assert.deepEqual(await world.sync(device, events), { status: 200, answer: VERIFIED })
    const standing = { trustLevel: 'verified', reasons: [], isRanked: true, atMs: NOW }
    assert.deepEqual(await world.stats.standing('ada'), standing)
  })

  test(`a changed duration in a ${mode} event is a signature_mismatch: untrusted and not ranked`, async () => {
    const world = createWorld()
    const device = await createDevice(world, { mode })
    const event = await device.session(NOW - 3 * HOUR, HOUR)
    const forged = { ...event, data: { ...event.data, duration_ms: 2 * HOUR, end_time: NOW - HOUR } }
    const { answer } = await world.sync(device, [forged])
    assert.deepEqual([answer.trustLevel, answer.verified], ['untrusted', false])
    assert.ok(answer.warnings.includes('signature_mismatch'))
    assert.equal((await world.stats.standing('ada')).isRanked, false)
  })
}

test('compatible events verify, and what nobody signed in them keeps the user from being trusted', async () => {
  const world = createWorld({ phase: 3 })
  const device = await createDevice(world, { mode: 'compatible' })
  const event = await device.session(NOW - 3 * HOUR, HOUR)
  const { answer } = await world.sync(device, [event])
  const expected = { success: true, verified: true, trustLevel: 'suspicious', warnings: ['data_not_signed'] }
  assert.deepEqual(answer, expected)
  const forged = { ...event, data: { ...event.data, hours: 9999 } }
  assert.deepEqual((await world.sync(device, [forged])).answer, expected)
  assert.equal((await world.stats.standing('ada')).isRanked, false)
})

test('a device is held to its lowest mode, whatever else would verify', async () => {
  const accepts = {
    compatible: ['compatible', 'covered', 'strict'],
    covered: ['covered', 'strict'],
    strict: ['strict']
  }
  for (const [lowestMode, accepted] of Object.entries(accepts)) {
    for (const mode of ['compatible', 'covered', 'strict']) {
      const world = createWorld()
      const device = await createDevice(world, { mode, lowestMode })
      const { answer } = await world.sync(device, [await device.session(NOW - 3 * HOUR, HOUR)])
      assert.equal(answer.verified, accepted.includes(mode), `${mode} at a device of ${lowestMode}`)
      assert.equal(answer.warnings.includes('signature_mismatch'), !accepted.includes(mode))
    }
  }
})

test('a covered event whose inner signature is gone or wrong is a signature_mismatch, not a compatible event', async () => {
  const world = createWorld()
  const device = await createDevice(world)
  const event = await device.session(NOW - 3 * HOUR, HOUR)
  const { strict_signature: inner, ...data } = event.data
  const wrong = { ...event, data: { ...data, strict_signature: inner.replace(/.$/, (x) => (x === '0' ? '1' : '0')) } }
  for (const changed of [{ ...event, data }, wrong]) {
    const { answer } = await world.sync(device, [changed])
    assert.deepEqual([answer.trustLevel, answer.warnings.includes('signature_mismatch')], ['untrusted', true])
  }
  // Where the lowest mode is compatible, an inner signature that is there still has to be right.
  const lenient = await createDevice(createWorld(), { lowestMode: 'compatible', enrolled: false })
  const other = createWorld()
  await other.stats.enrol({ userId: 'ada', key: lenient.text, lowestMode: 'compatible' })
  const covered = await lenient.session(NOW - 3 * HOUR, HOUR)
  const broken = { ...covered, data: { ...covered.data, duration_ms: 1 } }
  assert.ok((await other.sync(lenient, [broken])).answer.warnings.includes('signature_mismatch'))
})

test('one bad event among good ones makes the sync untrusted, and the good ones count', async () => {
  const world = createWorld()
  const device = await createDevice(world)
  const good = await device.session(NOW - 5 * HOUR, HOUR)
  const bad = { ...(await device.session(NOW - 3 * HOUR, HOUR)), timestamp: NOW - 2 * HOUR }
  const { answer } = await world.sync(device, [good, bad])
  assert.deepEqual([answer.trustLevel, answer.warnings], ['untrusted', ['signature_mismatch']])
  assert.equal((await world.store.user('ada')).sessions.length, 1)
})

test('an event of another device is a device_mismatch', async () => {
  const world = createWorld()
  const device = await createDevice(world, { mode: 'compatible' })
  const { key: other } = await createDeviceKey()
  const foreign = await signEvent(other, { type: 'session', data: {}, timestamp: NOW }, { mode: 'compatible' })
  const { answer } = await world.sync(device, [foreign])
  assert.deepEqual([answer.trustLevel, answer.warnings.includes('device_mismatch')], ['untrusted', true])
})

test('the first sync binds the device to its user: another user cannot sync from it', async () => {
  const world = createWorld()
  const device = await createDevice(world, { enrolled: false })
  const events = [await device.session(NOW - 3 * HOUR, HOUR)]
  assert.deepEqual((await world.sync(device, events)).answer.warnings, ['no_enrolled_key'])
  const thief = { ...device, userId: 'eve' }
  const other = { status: 403, answer: refused('device_of_another_user') }
  assert.deepEqual(await world.sync(thief, events), other)
  assert.equal(await world.stats.standing('eve'), undefined)
})

test('whoever has the key takes a device back from somebody who only named it; a second owner of the key does not', async () => {
  const world = createWorld()
  const device = await createDevice(world, { enrolled: false })
  await world.sync({ ...device, userId: 'eve' }, [])
  assert.equal(await world.stats.enrol({ userId: 'ada', key: device.text }), 'enrolled')
  const events = [await device.session(NOW - 3 * HOUR, HOUR)]
  assert.equal((await world.sync(device, events)).answer.trustLevel, 'verified')
  assert.equal((await world.sync({ ...device, userId: 'eve' }, events)).status, 403)
  assert.equal(await world.stats.enrol({ userId: 'eve', key: device.text }), 'device_of_another_user')
  const { deviceId } = device.key
  const named = await world.stats.enrolSession({ userId: 'eve', deviceId, sessionId: 'x' })
  assert.equal(named, 'device_of_another_user')
})

test('a changed device is refused until the user was verified again, and then it is the one', async () => {
  const world = createWorld()
  const old = await createDevice(world)
  await world.sync(old, [await old.session(NOW - 5 * HOUR, HOUR)])
  const fresh = await createDevice(world, { enrolled: false })
  const events = [await fresh.session(NOW - 3 * HOUR, HOUR)]
  const changed = { success: false, verified: false, trustLevel: 'suspicious', warnings: ['device_changed'] }
  assert.deepEqual(await world.sync(fresh, events), { status: 403, answer: changed })
  const offer = { userId: 'ada', key: fresh.text }
  assert.equal(await world.stats.enrol(offer), 'needs_verification')
  assert.equal(await world.stats.enrol({ ...offer, verifiedMs: NOW }), 'needs_verification')
  world.nowMs = NOW + HOUR
  assert.equal(await world.stats.enrol({ ...offer, verifiedMs: NOW + 1 }), 'enrolled')
  const totals = { totalHours: 2, totalSessions: 2 }
  assert.equal((await world.sync(fresh, events, totals)).answer.trustLevel, 'verified')
  assert.deepEqual((await world.sync(old, [])).answer.warnings, ['device_changed'])
})

test('a device that enrols again does not lower its mode', async () => {
  const world = createWorld()
  const device = await createDevice(world, { lowestMode: 'strict' })
  assert.equal(await world.stats.enrol({ userId: 'ada', key: device.text, lowestMode: 'compatible' }), 'enrolled')
  assert.equal((await world.store.device(device.key.deviceId)).lowestMode, 'strict')
})

test('B14 a key under 32 bytes is enrolled for compatible mode only, a blank one not at all', async () => {
  const { stats } = createWorld()
  const refusal = { code: 'ERR_INVALID_ARGUMENT' }
  for (const lowestMode of ['covered', 'strict']) {
    await assert.rejects(stats.enrol({ userId: 'ada', key: '438b0255b839481c', lowestMode }), refusal)
  }
  await assert.rejects(stats.enrol({ userId: 'ada', key: ' \n', lowestMode: 'compatible' }), refusal)
  assert.equal(await stats.enrol({ userId: 'ada', key: '438b0255b839481c', lowestMode: 'compatible' }), 'enrolled')
})

test('an exchange session stands for the key: what it signs counts as signed, what another brings does not', async () => {
  const world = createWorld()
  const device = await createDevice(world, { enrolled: false })
  const { deviceId } = device.key
  assert.equal(await world.stats.enrolSession({ userId: 'ada', deviceId, sessionId: 'one' }), 'enrolled')
  const unsigned = { ...(await device.session(NOW - 3 * HOUR, HOUR)), signature: '' }
  const inSession = await world.sync(device, [unsigned], {}, { sessionId: 'one' })
  assert.deepEqual(inSession.answer, VERIFIED)
  for (const request of [{ sessionId: 'two' }, {}]) {
    assert.deepEqual((await world.sync(device, [unsigned], {}, request)).answer.warnings, ['no_enrolled_key'])
  }
})

test('the phases: both taken, warned, not ranked, refused', async () => {
  const seen = []
  for (const phase of [1, 2, 3, 4]) {
    const world = createWorld({ phase })
    const device = await createDevice(world, { enrolled: false })
    const { status, answer } = await world.sync(device, [await device.session(NOW - 3 * HOUR, HOUR)])
    seen.push([status, answer.warnings, (await world.stats.standing('ada'))?.isRanked])
    assert.equal(answer.success, phaseRules[phase].accepts)
    assert.equal(answer.verified, false)
  }
  assert.deepEqual(seen, [
    [200, [], true],
    [200, ['no_enrolled_key'], true],
    [200, ['no_enrolled_key'], false],
    [403, ['no_enrolled_key'], undefined]
  ])
})

test('the outer signature counts for nothing, right or wrong', async () => {
  const world = createWorld()
  const device = await createDevice(world, { enrolled: false })
  const totals = { totalHours: 1, totalSessions: 1, totalInteractions: 0 }
  const body = await syncBody(totals, [], device.key.deviceId, NOW)
  for (const signature of [body.signature, 'wrong', undefined]) {
    const { answer } = await world.stats.sync({ userId: 'ada', body: JSON.stringify({ ...body, signature }) })
    assert.deepEqual([answer.verified, answer.warnings], [false, ['unsigned']])
  }
})

test('the bytes of a sync may be a view of any kind', async () => {
  const world = createWorld()
  const device = await createDevice(world)
  const body = await syncBody({ totalHours: 0, totalSessions: 0, totalInteractions: 0 }, [], device.key.deviceId, NOW)
  const bytes = new TextEncoder().encode(JSON.stringify(body))
  for (const view of [bytes, bytes.buffer, new DataView(bytes.buffer)]) {
    assert.equal((await world.stats.sync({ userId: 'ada', body: view })).status, 200)
  }
})

test('arguments and options of another shape are refused', async () => {
  const refusal = { code: 'ERR_INVALID_ARGUMENT' }
  const store = memoryStatsStore()
  for (const options of [undefined, {}, { store: {} }, { store, phase: 5 }, { store, limits: { dayMs: '1' } }]) {
    assert.throws(() => createStats(options), refusal)
  }
  assert.throws(() => createStats({ store, distribution: 1 }), refusal)
  const { stats } = createWorld()
  for (const request of [
    undefined,
    {},
    { userId: '' },
    { userId: 'ada' },
    { userId: 'ada', body: {} },
    { userId: 'ada', body: [] }
  ]) {
    await assert.rejects(stats.sync(request), refusal)
  }
  await assert.rejects(stats.enrolSession({ userId: 'ada', deviceId: 'x', sessionId: 's' }), refusal)
  await assert.rejects(stats.enrol({ userId: 'ada', key: 'k'.repeat(40), lowestMode: 'lax' }), refusal)
})
