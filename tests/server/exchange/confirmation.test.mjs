// SPDX-License-Identifier: MIT
// A new key needs its user's yes (R150): by a mailed code that is good for this session and this key, or by a hook.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { enrollment, memoryCodeStore, memorySessionStore } from 'countersign/server'
import { core, createFakeClock, createKey, createSigner, createWorld, enrol, label, randomId, sha256 } from '../kit.mjs'

const USER = 'ada@example.com'
const MINUTE = 60_000
const base64 = (bytes) => Buffer.from(bytes).toString('base64')

/** A gateway with the enrolment's mails, and a session of Ada's. */
const createDesk = async ({ enrolling: changes = {}, ...options } = {}) => {
  const now = createFakeClock()
  const signer = createSigner()
  const sessions = memorySessionStore()
  const mails = []
  const mailer = (mail) => mails.push(mail)
  const mounted = enrollment({ label, signer, sessions, now, mailer, ...changes })
  const world = await createWorld({ now, signer, sessions, userId: USER, enrollment: mounted, ...options })
  return { ...world, mails, mounted }
}

const thumbprintOf = ({ algorithm, publicKey }) => {
  const part = (from, to) => Buffer.from(publicKey.slice(from, to)).toString('base64url')
  const jwk =
    algorithm === 'ed25519'
      ? { crv: 'Ed25519', kty: 'OKP', x: part(0) }
      : { crv: 'P-256', kty: 'EC', x: part(1, 33), y: part(33) }
  return Buffer.from(sha256(JSON.stringify(jwk))).toString('base64url')
}

const offerOf = (next, device, head) => {
  const { algorithm, publicKey } = next
  const fields = { label, deviceSessionId: device.id, requestId: head, algorithm, publicKey }
  return { algorithm, public_key: base64(publicKey), proof: base64(next.sign(core.rotateSigningInput(fields))) }
}

/** Sends `cs.rotate_key`, with a confirmation where there is one. */
const rotate = async (world, next, confirmation, { device = world.device, ...options } = {}) => {
  const head = randomId()
  const payload = JSON.stringify({ ...offerOf(next, device, head), ...(confirmation ? { confirmation } : {}) })
  return world.call({ device, head, type: 'cs.rotate_key', payload, ...options })
}

/** Asks for a new key and returns the confirmation that the mail allows. */
const ask = async (world, next, options) => {
  const answer = await rotate(world, next, undefined, options)
  assert.equal(answer.resultCode, 'confirmation_required')
  const { challenge_id: challengeId, ...others } = JSON.parse(answer.text)
  assert.deepEqual(others, {})
  const mail = world.mails.at(-1)
  assert.equal(mail.challengeId, challengeId)
  return { challenge_id: challengeId, code: mail.code }
}

const keyOf = async (world) => Buffer.from((await world.sessions.get(world.device.id)).publicKey)
const holds = async (world, key) => (await keyOf(world)).equals(Buffer.from(key.publicKey))
const wrong = (code) => String((Number(code) + 1) % 10 ** code.length).padStart(code.length, '0')

for (const algorithm of ['ed25519', 'es256']) {
  test(`H16 R150 ${algorithm}: a signature of the present key is not enough; the mailed code replaces it`, async () => {
    const world = await createDesk()
    const next = createKey(algorithm)
    const confirmation = await ask(world, next)
    const { email, purpose, thumbprint, code } = world.mails[0]
    assert.deepEqual([email, purpose, thumbprint], [USER, 'rotate', thumbprintOf(next)])
    assert.match(code, /^\d{6}$/)
    assert.ok(await holds(world, world.device))
    assert.equal((await rotate(world, next, confirmation)).resultCode, 'ok')
    assert.ok(await holds(world, next))
    assert.equal(world.mails.length, 1)
    assert.match(world.gateway.metrics(), /countersign_rotations_total\{result="confirmation_required"\} 1/)
  })
}

test('H16 R150 the code of one new key is none for another key, another session, or an enrolment', async () => {
  const world = await createDesk()
  const [next, thief] = [createKey(), createKey()]
  const confirmation = await ask(world, next)
  assert.equal((await rotate(world, thief, confirmation)).resultCode, 'confirmation_refused')
  const device = await enrol(world.sessions, { userId: USER, nowMs: world.now() })
  assert.equal((await rotate(world, next, confirmation, { device })).resultCode, 'confirmation_refused')
  const { challenge_id: challengeId, code } = confirmation
  const fields = { label, challengeId, algorithm: thief.algorithm, publicKey: thief.publicKey, email: USER }
  const body = {
    challenge_id: challengeId,
    code,
    client_public_key: base64(thief.publicKey),
    algorithm: thief.algorithm,
    proof: base64(thief.sign(core.enrollSigningInput(fields)))
  }
  const post = (path, members) =>
    world.mounted.handle(
      new Request(`http://gateway/api/v1/public/auth/${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(members)
      }),
      { remoteAddress: '192.0.2.1' }
    )
  const response = await post('confirm-email-code', body)
  assert.deepEqual([response.status, (await response.json()).code], [400, 'invalid_code'])
  // Nor the other way round: a code that enrols replaces no key.
  const { challenge_id: other } = await (await post('send-email-code', { email: USER })).json()
  const enrolling = world.mails.at(-1)
  assert.deepEqual([enrolling.purpose, enrolling.thumbprint, enrolling.challengeId], ['enroll', undefined, other])
  const crossed = { challenge_id: other, code: enrolling.code }
  assert.equal((await rotate(world, next, crossed)).resultCode, 'confirmation_refused')
  assert.equal((await rotate(world, next, confirmation)).resultCode, 'ok')
})

test('R150 a wrong code, an expired and an unknown challenge, and one of another user get the same answer', async () => {
  const world = await createDesk()
  const next = createKey()
  const confirmation = await ask(world, next)
  const refused = async (changes) => {
    const answer = await rotate(world, next, { ...confirmation, ...changes })
    assert.deepEqual([answer.status, answer.resultCode, answer.text], [200, 'confirmation_refused', ''])
  }
  await refused({ code: wrong(confirmation.code) })
  await refused({ challenge_id: 'A'.repeat(22) })
  const device = await enrol(world.sessions, { userId: 'eve@example.com', nowMs: world.now() })
  await refused(await ask(world, createKey(), { device }))
  world.now.ms += 10 * MINUTE + 1
  await refused({})
  assert.ok(await holds(world, world.device))
})

test('H16 R86 wrong codes and mails of rotations have the bounds of an enrolment', async () => {
  const world = await createDesk()
  const next = createKey()
  const confirmation = await ask(world, next)
  const bad = { ...confirmation, code: wrong(confirmation.code) }
  for (let count = 0; count < 5; count++)
    assert.equal((await rotate(world, next, bad)).resultCode, 'confirmation_refused')
  const over = await rotate(world, next, confirmation)
  assert.equal(over.resultCode, 'too_many_requests')
  assert.ok(JSON.parse(over.text).retry_after_ms > 0)
  for (let count = 1; count < 5; count++) await ask(world, createKey())
  const sixth = await rotate(world, createKey())
  assert.deepEqual([sixth.resultCode, world.mails.length], ['too_many_requests', 5])
  const { retry_after_ms: waitMs } = JSON.parse(sixth.text)
  assert.ok(Number.isInteger(waitMs) && waitMs > 0 && waitMs <= 60 * MINUTE, String(waitMs))
  assert.ok(await holds(world, world.device))
})

test('R121 no mail is sent for a request that another check refuses', async () => {
  const world = await createDesk()
  const next = createKey()
  const head = randomId()
  const good = offerOf(next, world.device, head)
  const send = async (members, given = head) =>
    (await world.call({ type: 'cs.rotate_key', head: given, payload: JSON.stringify(members) })).resultCode
  assert.equal(await send({ ...good, proof: base64(new Uint8Array(64)) }), 'invalid_proof')
  assert.equal(await send({ ...good, public_key: base64(world.device.publicKey) }, randomId()), 'invalid_key')
  assert.equal(await send({ ...good, more: 'x' }, randomId()), 'invalid_payload')
  const timestampMs = world.now()
  assert.equal((await rotate(world, next, await ask(world, next))).resultCode, 'ok')
  // The key before signed this in time, and it may do everything but replace the key.
  assert.equal((await rotate(world, createKey(), undefined, { timestampMs })).resultCode, 'conflict')
  assert.equal(world.mails.length, 1)
})

test('A8 A18 R150 a confirmation has exactly two texts, each once, and nothing within', async () => {
  const world = await createDesk()
  const next = createKey()
  const given = await ask(world, next)
  const parts = [
    '{}',
    '[]',
    'null',
    '"x"',
    '1',
    JSON.stringify({ code: given.code }),
    JSON.stringify({ challenge_id: given.challenge_id }),
    JSON.stringify({ ...given, more: 'x' }),
    JSON.stringify({ ...given, code: Number(given.code) }),
    JSON.stringify({ ...given, code: '' }),
    JSON.stringify({ ...given, code: 'x'.repeat(129) }),
    JSON.stringify({ ...given, code: `${given.code}\n` }),
    JSON.stringify({ ...given, challenge_id: { id: given.challenge_id } }),
    `{"code":"${wrong(given.code)}",${JSON.stringify(given).slice(1)}`,
    `{"c\\u006fde":"${wrong(given.code)}",${JSON.stringify(given).slice(1)}`,
    `${JSON.stringify(given)},"confirmation":${JSON.stringify(given)}`,
    `${JSON.stringify(given)},"con\\u0066irmation":{}`,
    `{"__proto__":{},${JSON.stringify(given).slice(1)}`
  ]
  for (const part of parts) {
    const head = randomId()
    const payload = `${JSON.stringify(offerOf(next, world.device, head)).slice(0, -1)},"confirmation":${part}}`
    assert.equal((await world.call({ type: 'cs.rotate_key', head, payload })).resultCode, 'invalid_payload', part)
  }
  assert.equal((await rotate(world, next, given)).resultCode, 'ok')
})

test('R150 without a mail and a hook there is no new key: no enrolment, an own user id, no address', async () => {
  const ownId = { enrolling: { userIdOf: () => USER } }
  for (const options of [{ enrollment: undefined }, { userId: 'user-7' }, ownId]) {
    const world = await createDesk(options)
    assert.equal((await rotate(world, createKey())).resultCode, 'confirmation_unavailable')
    const confirmation = { challenge_id: 'A'.repeat(22), code: '123456' }
    assert.equal((await rotate(world, createKey(), confirmation)).resultCode, 'confirmation_unavailable')
    assert.deepEqual([world.mails.length, await holds(world, world.device)], [0, true])
    assert.equal((await world.call()).resultCode, 'ok')
  }
})

test('R150 emailOf finds the address of a user id of the application', async () => {
  const emailOf = (userId) => (userId === 'user-7' ? USER : undefined)
  const world = await createDesk({ userId: 'user-7', enrolling: { userIdOf: () => 'user-7', emailOf } })
  const next = createKey()
  assert.equal((await rotate(world, next, await ask(world, next))).resultCode, 'ok')
  assert.equal(world.mails[0].email, USER)
  const device = await enrol(world.sessions, { userId: 'user-8', nowMs: world.now() })
  assert.equal((await rotate(world, createKey(), undefined, { device })).resultCode, 'confirmation_unavailable')
})

test('R150 the hook decides instead of the mail, and gets what it needs to decide', async () => {
  const seen = []
  const verdicts = [{ challengeId: 'é' }, 'refused', 'unavailable', { retryAfterMs: 1500.2 }, 'allowed']
  const stepUp = async ({ signal, ...request }) => {
    seen.push({ ...request, isAborted: signal.aborted })
    return verdicts[seen.length - 1]
  }
  const world = await createDesk({ stepUp })
  const next = createKey()
  const answers = []
  for (let count = 0; count < verdicts.length; count++) {
    const { resultCode, text } = await rotate(world, next, count > 0 && { challenge_id: 'é', code: 'yes' })
    answers.push(text === '' ? [resultCode] : [resultCode, JSON.parse(text)])
  }
  assert.deepEqual(answers, [
    ['confirmation_required', { challenge_id: 'é' }],
    ['confirmation_refused'],
    ['confirmation_unavailable'],
    ['too_many_requests', { retry_after_ms: 1501 }],
    ['ok']
  ])
  assert.deepEqual([world.mails.length, await holds(world, next)], [0, true])
  const { session, ...first } = seen[0]
  assert.equal(session.id, world.device.id)
  assert.deepEqual(first, {
    userId: USER,
    algorithm: 'ed25519',
    publicKey: next.publicKey,
    thumbprint: thumbprintOf(next),
    source: '192.0.2.1',
    isAborted: false
  })
  assert.deepEqual(seen[1].confirmation, { challengeId: 'é', code: 'yes' })
})

test('R150 a hook that fails, says nothing, or says it too late replaces no key', async () => {
  const late = Promise.withResolvers?.() ?? {}
  late.promise ??= new Promise((resolve) => {
    late.resolve = resolve
  })
  const verdicts = [
    () => undefined,
    () => null,
    () => true,
    () => 'yes',
    () => ({}),
    () => ({ challengeId: '' }),
    () => ({ retryAfterMs: Number.NaN }),
    () => Promise.reject(new Error('down')),
    () => late.promise
  ]
  const world = await createDesk({ stepUp: () => verdicts.shift()(), handlerTimeoutMs: 50 })
  while (verdicts.length > 0) {
    assert.equal((await rotate(world, createKey())).resultCode, 'cs.unavailable')
    const { stage, code } = world.refusals.at(-1)
    assert.deepEqual([stage, code], ['handler', 'cs.unavailable'])
  }
  // The last one gave no verdict in time, so there is nothing to print.
  assert.deepEqual([...new Set(world.faults.map(({ message }) => message))], ['countersign: stepUp failed'])
  assert.equal(world.faults.length, 8)
  late.resolve('allowed')
  await new Promise((resolve) => setImmediate(resolve))
  assert.ok(await holds(world, world.device))
})

test("R150 of two rotations that are both confirmed one wins, and the loser's code is good for nothing", async () => {
  const world = await createDesk()
  const [one, other] = [createKey(), createKey()]
  const [first, second] = [await ask(world, one), await ask(world, other)]
  const results = await Promise.all([rotate(world, one, first), rotate(world, other, second)])
  const codes = results.map(({ resultCode }) => resultCode)
  assert.equal(codes.filter((code) => code === 'ok').length, 1, String(codes))
  assert.ok(
    codes.every((code) => ['ok', 'conflict', 'cs.unauthenticated'].includes(code)),
    String(codes)
  )
  assert.ok(await holds(world, codes[0] === 'ok' ? one : other))
})

test("R150 with 'trusted' the present key replaces itself at once, and no mail is sent", async () => {
  const world = await createDesk({ rotation: 'trusted' })
  const next = createKey()
  assert.equal((await rotate(world, next)).resultCode, 'ok')
  assert.deepEqual([world.mails.length, await holds(world, next)], [0, true])
})

test('R150 a code store that fails refuses, and over the limit of all mails a session still gets its mail', async () => {
  const codes = memoryCodeStore()
  const broken = { ...codes }
  const world = await createDesk({ enrolling: { codes: broken, mailsPerHour: 1 } })
  const next = createKey()
  await ask(world, next)
  const confirmation = await ask(world, next)
  for (const name of ['take', 'create', 'get']) {
    const answer = name === 'get' ? () => rotate(world, next, confirmation) : () => rotate(world, next)
    broken[name] = () => Promise.reject(new Error('down'))
    assert.equal((await answer()).resultCode, 'cs.unavailable', name)
    broken[name] = codes[name]
  }
  assert.equal((await rotate(world, next, confirmation)).resultCode, 'ok')
})
