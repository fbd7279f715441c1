// SPDX-License-Identifier: MIT
// The protocol's own types, and that no application can take them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createGateway } from 'countersign/server'
import { createFakeClock, createWorld, enrol, startMs } from '../kit.mjs'

test("R32 applications cannot register the protocol's own types", () => {
  const parts = {
    label: 'test',
    signer: { keyId: 'k', publicKey: new Uint8Array(32), sign: () => new Uint8Array(64) },
    sessions: { get() {}, create() {}, revoke() {}, listByUser() {} },
    replay: { reserve() {} }
  }
  for (const type of ['cs.time', 'cs.own', 'http.200', 'a b', 'sha256:x', 'post /x', 'POST x']) {
    assert.throws(() => createGateway({ ...parts, routes: { [type]: () => {} } }), { code: 'ERR_RESERVED_TYPE' }, type)
  }
  assert.throws(() => createGateway({ ...parts, routes: { 'a\n': () => {} } }), { code: 'ERR_INVALID_TEXT' })
  assert.throws(() => createGateway({ ...parts, routes: { a: 'b' } }), { code: 'ERR_INVALID_ARGUMENT' })
  assert.throws(() => createGateway({ ...parts, label: 'Bad', routes: {} }), { code: 'ERR_INVALID_LABEL' })
  for (const bad of [
    { window: { pastMs: Number.NaN } },
    { window: { futureMs: 1.5 } },
    { limits: { payloadBytes: -1 } },
    { limits: { storeMs: 5000 } },
    { handlerTimeoutMs: 0 },
    { signer: {} },
    { sessions: null },
    { replay: {} },
    { rotation: 'maybe' },
    { stepUp: 'yes' },
    { rotation: 'trusted', stepUp: () => 'allowed' },
    { rates: { perSource: 0 } },
    { rates: { perSession: { perSecond: 1, burst: 0 } } }
  ]) {
    assert.throws(
      () => createGateway({ ...parts, routes: {}, ...bad }),
      { code: 'ERR_INVALID_ARGUMENT' },
      JSON.stringify(bad)
    )
  }
})

test('R87 cs.time is answered by itself, empty', async () => {
  const world = await createWorld()
  const answer = await world.call({ type: 'cs.time', payload: '' })
  assert.deepEqual([answer.status, answer.resultCode, answer.text, answer.timestampMs], [200, 'ok', '', world.now()])
})

test('R87 cs.sessions lists the sessions of the same user only', async () => {
  const world = await createWorld({ userId: 'u1' })
  const second = await enrol(world.sessions, { userId: 'u1', algorithm: 'es256', nowMs: world.now() + 1 })
  await enrol(world.sessions, { userId: 'u2' })
  await world.sessions.revoke(second.id, 'lost', startMs + 77)
  const { resultCode, text } = await world.call({ type: 'cs.sessions', payload: '' })
  assert.equal(resultCode, 'ok')
  const base = { created_ms: world.now(), last_seen_ms: world.now() }
  assert.deepEqual(JSON.parse(text), {
    sessions: [
      {
        device_session_id: second.id,
        algorithm: 'es256',
        status: 'revoked',
        created_ms: world.now() + 1,
        last_seen_ms: world.now() + 1,
        revoked_ms: startMs + 77,
        current: false
      },
      { device_session_id: world.device.id, algorithm: 'ed25519', status: 'active', ...base, current: true }
    ]
  })
})

test("R87 cs.revoke ends a session of the same user, and nobody else's", async () => {
  const world = await createWorld({ userId: 'u1' })
  const second = await enrol(world.sessions, { userId: 'u1', nowMs: world.now() })
  const foreign = await enrol(world.sessions, { userId: 'u2', nowMs: world.now() })
  const revoke = async (id) =>
    (await world.call({ type: 'cs.revoke', payload: JSON.stringify({ device_session_id: id }) })).resultCode
  assert.equal(await revoke(foreign.id), 'not_found')
  assert.equal(await revoke('A'.repeat(22)), 'not_found')
  assert.equal((await world.call({ device: foreign })).resultCode, 'ok')
  assert.equal(await revoke(second.id), 'ok')
  assert.equal((await world.call({ device: second })).resultCode, 'cs.session_revoked')
  for (const payload of [
    '',
    '{}',
    '[]',
    'null',
    '{"device_session_id":1}',
    '{"device_session_id":"a","device_session_id":"b"}',
    '{"device_session_id":"a","x":"y"}'
  ]) {
    assert.equal((await world.call({ type: 'cs.revoke', payload })).resultCode, 'invalid_payload')
  }
  assert.equal(await revoke(world.device.id), 'ok')
  assert.equal((await world.call()).resultCode, 'cs.session_revoked')
})

test("R32 a cs. type that is not built in is unknown, never an application's", async () => {
  const world = await createWorld()
  for (const type of [
    'cs.keys',
    'cs.subscribe',
    'cs.constructor',
    'cs.',
    'http.200',
    'constructor',
    '__proto__',
    'toString'
  ]) {
    assert.equal((await world.call({ type })).resultCode, 'unknown_type', type)
  }
})

test('cs.keys answers the configured manifest, signed; without one it is unknown', async () => {
  const publicKey = new Uint8Array(32).fill(9)
  const notAfter = startMs + 80 * 86_400_000
  const serverKeys = { serial: 7, keys: [{ id: 'k2', publicKey, notAfter }] }
  const world = await createWorld({ serverKeys })
  const { resultCode, text } = await world.call({ type: 'cs.keys', payload: '' })
  assert.equal(resultCode, 'ok')
  const public_key = Buffer.from(publicKey).toString('base64')
  assert.deepEqual(JSON.parse(text), { serial: 7, keys: [{ id: 'k2', public_key, not_after: notAfter }] })
  const late = { serial: 7, keys: [{ id: 'k2', publicKey, notAfter: startMs + 91 * 86_400_000 }] }
  await assert.rejects(createWorld({ serverKeys: late }), { code: 'ERR_INVALID_ARGUMENT' })
})

test('R124 cs.rename names a device of the same user, and cs.sessions lists the name', async () => {
  const now = createFakeClock()
  const world = await createWorld({ now, userId: 'u1' })
  const second = await enrol(world.sessions, { userId: 'u1', nowMs: now() + 1 })
  const foreign = await enrol(world.sessions, { userId: 'u2' })
  const rename = async (members) =>
    (await world.call({ type: 'cs.rename', payload: typeof members === 'string' ? members : JSON.stringify(members) }))
      .resultCode
  const named = (id, name) => rename({ device_session_id: id, name })
  assert.equal(await named(second.id, 'Zoë’s 📱'), 'ok')
  assert.equal(await named(world.device.id, 'x'.repeat(128)), 'ok')
  assert.equal(await named(foreign.id, 'mine'), 'not_found')
  assert.equal(await named('A'.repeat(22), 'mine'), 'not_found')
  for (const name of ['', 'x'.repeat(129), 'é'.repeat(65), 'a\nb', 'a\u007fb', '\ud800'])
    assert.equal(await named(second.id, name), 'invalid_payload', JSON.stringify(name))
  for (const payload of [
    '',
    '{}',
    { name: 'x' },
    { device_session_id: second.id },
    { device_session_id: 1, name: 'x' }
  ])
    assert.equal(await rename(payload), 'invalid_payload', JSON.stringify(payload))
  const { sessions } = JSON.parse((await world.call({ type: 'cs.sessions', payload: '' })).text)
  assert.deepEqual(
    sessions.map(({ name, current }) => [name, current]),
    [
      ['Zoë’s 📱', false],
      ['x'.repeat(128), true]
    ]
  )
  assert.equal((await world.sessions.get(foreign.id)).name, undefined)
})
