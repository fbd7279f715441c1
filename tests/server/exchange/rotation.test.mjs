// SPDX-License-Identifier: MIT
// cs.rotate_key: who may replace a key, by what proof, and how long the one before still counts.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memorySessionStore } from 'countersign/server'
import * as kit from '../kit.mjs'
import { core, createKey, enrol, label, openAnswer, randomId } from '../kit.mjs'

/** A world whose gateway asks nobody: these tests are about keys and proofs. */
const createWorld = (options) => kit.createWorld({ rotation: 'trusted', ...options })

const base64 = (bytes) => Buffer.from(bytes).toString('base64')

const proofOf = (next, device, head, changes = {}) => {
  const { algorithm, publicKey } = next
  return next.sign(
    core.rotateSigningInput({ label, deviceSessionId: device.id, requestId: head, algorithm, publicKey, ...changes })
  )
}

const offerOf = ({ algorithm, publicKey }, proof, changes = {}) =>
  JSON.stringify({ algorithm, public_key: base64(publicKey), proof: base64(proof), ...changes })

/** A rotation of the world's device to `next`; options change what is signed, proved or sent. */
const rotate = (world, next, { device = world.device, head = randomId(), proof, offer, ...options } = {}) =>
  world.call({
    device,
    head,
    type: 'cs.rotate_key',
    payload: offerOf(next, proof ?? proofOf(next, device, head), offer),
    ...options
  })

const as = (device, key) => ({ ...key, id: device.id })
const stageOf = (world) => {
  const { stage, code } = world.refusals.at(-1)
  return [stage, code]
}

for (const [from, to] of [
  ['ed25519', 'ed25519'],
  ['ed25519', 'es256'],
  ['es256', 'ed25519'],
  ['es256', 'es256']
]) {
  test(`R120 ${from} becomes ${to}: the old key asks, the new one proves itself, and signs from then on`, async () => {
    const world = await createWorld({ algorithm: from })
    const next = createKey(to)
    assert.equal((await rotate(world, next)).resultCode, 'ok')
    const { algorithm, publicKey, previous } = await world.sessions.get(world.device.id)
    assert.deepEqual([algorithm, [...publicKey]], [to, [...next.publicKey]])
    assert.deepEqual([previous.algorithm, previous.replacedMs], [from, world.now()])
    world.now.ms += 1
    assert.equal((await world.call({ device: as(world.device, next) })).resultCode, 'ok')
    assert.equal((await world.call()).resultCode, 'cs.unauthenticated')
    assert.deepEqual(stageOf(world), ['signature', 'cs.unauthenticated'])
  })
}

test('R122 the key before verifies what was stamped before, for a minute and no longer', async () => {
  const world = await createWorld()
  const next = createKey()
  await rotate(world, next)
  const replacedMs = world.now()
  const held = Array.from({ length: 5 }, () => world.requestOf({ timestampMs: replacedMs }))
  const resultOf = async ({ frame, requestId }) => {
    const response = await world.sendFrame(frame)
    return (await openAnswer(response, requestId, world.signer)).resultCode
  }
  for (const [at, [afterMs, expected]] of [
    [0, 'ok'],
    [30_000, 'ok'],
    [60_000, 'ok'],
    [60_001, 'cs.unauthenticated'],
    [3_600_000, 'cs.unauthenticated']
  ].entries()) {
    world.now.ms = replacedMs + afterMs
    assert.equal(await resultOf(held[at]), expected, `${afterMs} ms later`)
  }
  world.now.ms += 1
  assert.equal((await world.call({ device: as(world.device, next) })).resultCode, 'ok')
  const metrics = world.gateway.metrics()
  assert.match(metrics, /countersign_previous_key_total\{verdict="pass"\} 3/)
  assert.match(metrics, /countersign_rotations_total\{result="ok"\} 1/)
})

test('D9 R122 the key before verifies nothing that was stamped after, not even by a millisecond', async () => {
  const world = await createWorld()
  await rotate(world, createKey())
  for (const late of [1, 5000, 10_000]) {
    assert.equal((await world.call({ timestampMs: world.now() + late })).resultCode, 'cs.unauthenticated')
    assert.deepEqual(stageOf(world), ['signature', 'cs.unauthenticated'])
  }
  assert.match(world.gateway.metrics(), /countersign_previous_key_total\{verdict="fail"\} 3/)
})

test('R122 two rotations within a minute: only the last key but one still counts', async () => {
  const world = await createWorld()
  const [second, third] = [createKey(), createKey('es256')]
  const first = world.requestOf()
  await rotate(world, second)
  const between = world.requestOf({ device: as(world.device, second) })
  assert.equal((await rotate(world, third, { device: as(world.device, second) })).resultCode, 'ok')
  const answer = async ({ frame }) => (await world.sendFrame(frame)).status
  assert.equal(await answer(first), 401)
  assert.equal(await answer(between), 200)
})

test('H17 R151 for a day the key before ends the session for everybody, and can do nothing else', async () => {
  for (const [afterMs, expected] of [
    [1, 'ok'],
    [3_600_000, 'ok'],
    [86_400_000, 'ok'],
    [86_400_001, 'cs.unauthenticated']
  ]) {
    const world = await createWorld()
    const thief = createKey()
    await rotate(world, thief)
    world.now.ms += afterMs
    assert.equal((await world.call()).resultCode, 'cs.unauthenticated')
    assert.equal((await rotate(world, createKey())).resultCode, 'cs.unauthenticated')
    const own = JSON.stringify({ device_session_id: world.device.id })
    assert.equal((await world.call({ type: 'cs.revoke', payload: own })).resultCode, 'cs.unauthenticated')
    assert.deepEqual(stageOf(world), ['signature', 'cs.unauthenticated'])
    const frozen = await world.call({ type: 'cs.freeze', payload: '' })
    assert.equal(frozen.resultCode, expected, `${afterMs} ms later`)
    const isFrozen = expected === 'ok'
    const { status, revokedReason } = await world.sessions.get(world.device.id)
    assert.deepEqual([status, revokedReason], isFrozen ? ['revoked', 'frozen'] : ['active', undefined])
    const thieves = await world.call({ device: as(world.device, thief) })
    assert.equal(thieves.resultCode, isFrozen ? 'cs.session_revoked' : 'ok')
  }
})

test('R151 cs.freeze ends its own session only, takes no payload, and is used up like any request', async () => {
  const world = await createWorld({ userId: 'u1' })
  const other = await enrol(world.sessions, { userId: 'u1', nowMs: world.now() })
  const own = JSON.stringify({ device_session_id: other.id })
  assert.equal((await world.call({ type: 'cs.freeze', payload: own })).resultCode, 'invalid_payload')
  assert.equal((await world.call()).resultCode, 'ok')
  const request = world.requestOf({ type: 'cs.freeze', payload: '' })
  assert.equal((await world.sendFrame(request.frame)).status, 200)
  assert.equal((await world.call()).resultCode, 'cs.session_revoked')
  assert.equal((await world.call({ device: other })).resultCode, 'ok')
  // A stranger and a key of two rotations ago are nobody.
  const second = await createWorld()
  const [next, last] = [createKey(), createKey()]
  await rotate(second, next)
  second.now.ms += 1
  await rotate(second, last, { device: as(second.device, next) })
  second.now.ms += 1
  for (const key of [second.device, createKey()]) {
    const refused = await second.call({ type: 'cs.freeze', payload: '', device: as(second.device, key) })
    assert.equal(refused.resultCode, 'cs.unauthenticated')
    assert.deepEqual(stageOf(second), ['signature', 'cs.unauthenticated'])
  }
})

test('R121 the key before cannot replace the key, whatever it stamped: conflict', async () => {
  const world = await createWorld()
  const second = createKey()
  const timestampMs = world.now()
  await rotate(world, second)
  const thief = createKey()
  assert.equal((await rotate(world, thief, { timestampMs })).resultCode, 'conflict')
  assert.deepEqual([...(await world.sessions.get(world.device.id)).publicKey], [...second.publicKey])
  assert.match(world.gateway.metrics(), /countersign_rotations_total\{result="conflict"\} 1/)
})

test('R121 of many rotations of one key at once exactly one wins, and its key is the one that works', async () => {
  const world = await createWorld()
  const keys = Array.from({ length: 16 }, () => createKey())
  const codes = (await Promise.all(keys.map((next) => rotate(world, next)))).map(({ resultCode }) => resultCode)
  assert.equal(codes.filter((code) => code === 'ok').length, 1)
  assert.ok(
    codes.every((code) => ['ok', 'conflict', 'cs.unauthenticated'].includes(code)),
    String(codes)
  )
  world.now.ms += 1
  const works = await Promise.all(keys.map((next) => world.call({ device: as(world.device, next) })))
  assert.deepEqual(
    works.map(({ resultCode }) => resultCode === 'ok'),
    codes.map((code) => code === 'ok')
  )
})

test('B10 a proof for another session, request, key, label or kind, or by another key, is none', async () => {
  const world = await createWorld()
  const other = await enrol(world.sessions, { nowMs: world.now() })
  const next = createKey()
  const { algorithm, publicKey } = next
  const stranger = createKey()
  const proofs = {
    'another session': (head) => proofOf(next, other, head),
    'another request': () => proofOf(next, world.device, randomId()),
    'another key': (head) => proofOf(next, world.device, head, { publicKey: stranger.publicKey }),
    'another label': (head) => proofOf(next, world.device, head, { label: 'other' }),
    'another kind': (head) =>
      next.sign(core.enrollSigningInput({ label, challengeId: head, algorithm, publicKey, email: world.device.id })),
    "somebody else's key": (head) => proofOf({ ...next, sign: stranger.sign }, world.device, head),
    'the old key': (head) => proofOf({ ...next, sign: world.device.sign }, world.device, head),
    zeros: () => new Uint8Array(64)
  }
  for (const [name, make] of Object.entries(proofs)) {
    const head = randomId()
    assert.equal((await rotate(world, next, { head, proof: make(head) })).resultCode, 'invalid_proof', name)
  }
  assert.equal((await world.sessions.get(world.device.id)).previous, undefined)
  assert.equal((await world.call()).resultCode, 'ok')
})

test('B4 B8 a key that could not be enrolled is refused, and so is the present one', async () => {
  const world = await createWorld()
  const small = Buffer.alloc(32)
  const keys = {
    'small order': { algorithm: 'ed25519', publicKey: small },
    'not canonical': { algorithm: 'ed25519', publicKey: Buffer.alloc(32, 0xff) },
    'cut short': { algorithm: 'ed25519', publicKey: createKey().publicKey.slice(0, 31) },
    'a point as ed25519': { ...createKey('es256'), algorithm: 'ed25519' },
    compressed: {
      algorithm: 'es256',
      publicKey: Buffer.concat([Buffer.from([2]), createKey('es256').publicKey.slice(1, 33)])
    },
    'off the curve': { algorithm: 'es256', publicKey: Buffer.concat([Buffer.from([4]), Buffer.alloc(64, 1)]) },
    'at infinity': { algorithm: 'es256', publicKey: Buffer.from([0]) },
    'the present one': world.device
  }
  for (const [name, next] of Object.entries(keys)) {
    const answer = await rotate(world, next, { proof: new Uint8Array(64) })
    assert.equal(answer.resultCode, 'invalid_key', name)
  }
  assert.equal((await world.call()).resultCode, 'ok')
})

test('R120 another payload than the three members in their one spelling is refused', async () => {
  const world = await createWorld()
  const next = createKey()
  const good = { algorithm: 'ed25519', public_key: base64(next.publicKey), proof: base64(new Uint8Array(64)) }
  for (const payload of [
    '',
    '{}',
    '[]',
    JSON.stringify({ ...good, more: 'x' }),
    JSON.stringify({ ...good, algorithm: 'none' }),
    JSON.stringify({ ...good, algorithm: 'Ed25519' }),
    JSON.stringify({ ...good, public_key: `${good.public_key} ` }),
    JSON.stringify({ ...good, public_key: Buffer.from(next.publicKey).toString('base64url') }),
    JSON.stringify({ ...good, proof: base64(new Uint8Array(63)) }),
    JSON.stringify({ ...good, proof: base64(new Uint8Array(65)) }),
    JSON.stringify({ ...good, proof: 1 }),
    `{"algorithm":"ed25519",${JSON.stringify(good).slice(1)}`
  ]) {
    assert.equal((await world.call({ type: 'cs.rotate_key', payload })).resultCode, 'invalid_payload', payload)
  }
})

test('D1 a rotation sent twice is refused as a replay, and under a new id by its signature', async () => {
  const world = await createWorld()
  const next = createKey()
  const head = randomId()
  const options = { type: 'cs.rotate_key', head, payload: offerOf(next, proofOf(next, world.device, head)) }
  const request = world.requestOf(options)
  assert.equal((await world.sendFrame(request.frame)).status, 200)
  assert.equal((await world.sendFrame(request.frame)).status, 409)
  assert.deepEqual(stageOf(world), ['replay', 'cs.replayed'])
  world.now.ms += 1
  assert.equal((await world.call({ ...options, head: randomId() })).resultCode, 'cs.unauthenticated')
  assert.deepEqual(stageOf(world), ['signature', 'cs.unauthenticated'])
  const back = await world.call({ ...options, device: as(world.device, next), head: randomId() })
  assert.equal(back.resultCode, 'invalid_key')
})

test('B19 R149 no key that a session had before comes back, whoever asks for it', async () => {
  const world = await createWorld()
  const keys = [world.device, createKey('es256'), createKey()]
  for (const [at, next] of keys.slice(1).entries()) {
    assert.equal((await rotate(world, next, { device: as(world.device, keys[at]) })).resultCode, 'ok')
    world.now.ms += 1
  }
  const present = as(world.device, keys[2])
  for (const next of keys) {
    const refused = await rotate(world, next, { device: present })
    assert.deepEqual([refused.resultCode, world.refusals.length], ['invalid_key', 0])
  }
  assert.equal((await world.call({ device: present })).resultCode, 'ok')
  // In another session of the same person the key is a new one.
  const other = await enrol(world.sessions, { nowMs: world.now() })
  assert.equal((await rotate(world, keys[1], { device: other })).resultCode, 'ok')
})

test('R149 after 64 rotations a session gets no other key, and its present one goes on', async () => {
  const sessions = memorySessionStore()
  const world = await createWorld({ sessions })
  let present = world.device
  for (let count = 0; count < 63; count++) {
    const next = createKey()
    await sessions.replaceKey(world.device.id, present.publicKey, next)
    present = next
  }
  const last = createKey()
  assert.equal((await rotate(world, last, { device: as(world.device, present) })).resultCode, 'ok')
  world.now.ms += 1
  present = as(world.device, last)
  assert.equal((await rotate(world, createKey(), { device: present })).resultCode, 'too_many_rotations')
  assert.match(world.gateway.metrics(), /countersign_rotations_total\{result="too_many_rotations"\} 1/)
  assert.equal((await world.call({ device: present })).resultCode, 'ok')
})

test('R149 a store that brings a key back all the same is not asked: the gateway has seen the list', async () => {
  const sessions = memorySessionStore()
  let asked = 0
  const replaceKey = (...given) => {
    asked += 1
    return sessions.replaceKey(...given)
  }
  const world = await createWorld({ sessions: { ...sessions, replaceKey } })
  const next = createKey()
  await rotate(world, next)
  world.now.ms += 1
  assert.equal((await rotate(world, world.device, { device: as(world.device, next) })).resultCode, 'invalid_key')
  assert.equal(asked, 1)
})

test('a revoked session cannot rotate, and a key before it learns no more than the present one', async () => {
  const world = await createWorld()
  const next = createKey()
  const held = world.requestOf()
  await rotate(world, next)
  await world.sessions.revoke(world.device.id, 'lost')
  assert.equal((await world.sendFrame(held.frame)).status, 401)
  assert.deepEqual(stageOf(world), ['session', 'cs.session_revoked'])
  const again = await rotate(world, createKey(), { device: as(world.device, next) })
  assert.equal(again.resultCode, 'cs.session_revoked')
  world.now.ms += 60_001
  assert.equal((await world.call({ timestampMs: world.now() - 60_000 })).resultCode, 'cs.unauthenticated')
})

test('a store that fails leaves the old key, says unavailable, and one that cannot replace keys has no such type', async () => {
  const sessions = memorySessionStore()
  const world = await createWorld({ sessions: { ...sessions, replaceKey: () => Promise.reject(new Error('disk')) } })
  assert.equal((await rotate(world, createKey())).resultCode, 'cs.unavailable')
  assert.deepEqual(stageOf(world), ['handler', 'cs.unavailable'])
  assert.equal((await world.call()).resultCode, 'ok')
  const { replaceKey: _, rename: __, ...less } = memorySessionStore()
  const bare = await createWorld({ sessions: less })
  assert.equal((await rotate(bare, createKey())).resultCode, 'unknown_type')
  assert.equal((await bare.call({ type: 'cs.rename', payload: '{}' })).resultCode, 'unknown_type')
})

test('R19 under a compatible label the proof names the whole id where it has no dot', async () => {
  const world = await createWorld({ compatible: true })
  const next = createKey()
  for (const [requestId, head] of [
    ['no-dot', 'no-dot'],
    ['with.two.dots', 'with.two']
  ]) {
    const device = requestId === 'no-dot' ? world.device : as(world.device, next)
    const key = requestId === 'no-dot' ? next : createKey('es256')
    const payload = offerOf(key, proofOf(key, device, head))
    assert.equal((await world.call({ type: 'cs.rotate_key', device, requestId, payload })).resultCode, 'ok', requestId)
    world.now.ms += 1
  }
})
