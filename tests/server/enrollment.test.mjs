// SPDX-License-Identifier: MIT
// Enrolment by e-mail code, and by an application with its own login.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createGateway, enrollment, memoryCodeStore, memoryReplayStore, memorySessionStore } from 'countersign/server'
import {
  core,
  createFakeClock,
  createKey,
  createSigner,
  frameRequest,
  label,
  openAnswer,
  sha256,
  signRequest
} from './kit.mjs'

const base = 'http://gateway/api/v1/public/auth'
const b64 = (bytes) => Buffer.from(bytes).toString('base64')
const MINUTE = 60_000
const HOUR = 60 * MINUTE

const createDesk = (options = {}) => {
  const now = createFakeClock()
  const signer = createSigner()
  const sessions = memorySessionStore()
  const mails = []
  const failures = []
  const enrolled = []
  const enrolling = enrollment({
    label,
    signer,
    sessions,
    now,
    mailer: (mail) => mails.push(mail),
    onFailure: (error) => failures.push(error),
    onEnrolled: (event) => enrolled.push(event),
    ...options
  })
  const post = (path, body, { remoteAddress = '192.0.2.1', headers = {} } = {}) =>
    enrolling.handle(
      new Request(`${base}/${path}`, {
        method: 'POST',
        body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
        headers: { 'content-type': 'application/json', ...headers }
      }),
      { remoteAddress }
    )
  const send = (email, init) => post('send-email-code', { email }, init)
  const challengeOf = async (email = 'a@example.com', init) => {
    const response = await send(email, init)
    assert.equal(response.status, 200)
    const { challenge_id: challengeId } = await response.json()
    return { challengeId, email, code: mails.at(-1).code }
  }
  return { now, signer, sessions, mails, failures, enrolled, enrolling, post, send, challengeOf }
}

const inputOf = (key, { challengeId, email }, changes = {}) =>
  core.enrollSigningInput({ label, challengeId, algorithm: key.algorithm, publicKey: key.publicKey, email, ...changes })

const confirmBody = (key, challenge, changes = {}) => ({
  challenge_id: challenge.challengeId,
  code: challenge.code,
  client_public_key: b64(key.publicKey),
  algorithm: key.algorithm,
  proof: b64(key.sign(inputOf(key, challenge))),
  time_zone: 'Europe/Berlin',
  ...changes
})

const confirm = (desk, key, challenge, changes) => desk.post('confirm-email-code', confirmBody(key, challenge, changes))

const problemOf = async (response) => {
  assert.equal(response.headers.get('content-type'), 'application/problem+json')
  assert.equal(response.headers.get('countersign'), null)
  const { type, title, status, code } = await response.json()
  assert.equal(type, 'about:blank')
  assert.equal(status, response.status)
  assert.ok(title.length > 0)
  return `${status} ${code}`
}

const wrong = (code) => String((Number(code) + 1) % 1_000_000).padStart(6, '0')

for (const algorithm of ['ed25519', 'es256']) {
  test(`R83 ${algorithm}: the confirm answer is signed in the header form, bound to the enrolment, and the session works`, async () => {
    const desk = createDesk()
    const challenge = await desk.challengeOf('Bob@Example.com')
    const key = createKey(algorithm)
    const response = await confirm(desk, key, challenge)
    const requestId = Buffer.from(sha256(inputOf(key, challenge))).toString('base64url')
    assert.equal(requestId.length, 43)
    const answer = await openAnswer(response, requestId, desk.signer)
    assert.deepEqual([answer.status, answer.resultCode, answer.timestampMs], [200, 'http.200', desk.now()])
    const { device_session_id: id } = JSON.parse(answer.text)
    assert.match(id, /^[\w-]{22}$/)
    const session = await desk.sessions.get(id)
    assert.deepEqual([session.userId, session.algorithm, session.status], ['bob@example.com', algorithm, 'active'])
    assert.deepEqual(
      desk.enrolled.map(({ email, timeZone }) => [email, timeZone]),
      [['Bob@Example.com', 'Europe/Berlin']]
    )
    const gateway = createGateway({
      label,
      signer: desk.signer,
      sessions: desk.sessions,
      replay: memoryReplayStore({ capacity: 64 }),
      routes: { 'demo.echo': ({ payload }) => ({ payload }) },
      now: desk.now
    })
    const request = signRequest({ ...key, id })
    assert.equal(
      (await openAnswer(await gateway.handle(frameRequest(request.frame)), request.requestId, desk.signer)).resultCode,
      'ok'
    )
  })
}

test('R82 every well-formed address gets the same kind of answer, known or not, whatever the mailer does', async () => {
  const mailers = [
    () => {},
    async () => {},
    () => Promise.reject(new Error('no such mailbox')),
    () => {
      throw new Error('down')
    },
    () => new Promise(() => {})
  ]
  for (const mailer of mailers) {
    const desk = createDesk({ mailer })
    const shapes = []
    for (const email of ['a@example.com', 'new@example.com', 'ü@exämple.de', 'a+b@x', "o'neil@example.com"]) {
      const response = await desk.send(email)
      const body = await response.json()
      assert.match(body.challenge_id, /^[\w-]{22}$/)
      shapes.push(JSON.stringify([response.status, [...response.headers], Object.keys(body)]))
    }
    assert.equal(new Set(shapes).size, 1)
  }
})

test('R82 what is no single plain address is refused', async () => {
  const desk = createDesk()
  const bad = [
    '',
    'a',
    '@',
    'a@',
    '@b',
    'a@b@c',
    'a b@c',
    'a@b c',
    ' a@b',
    'a@b ',
    'a@b,c@d',
    'a@b;c@d',
    '<a@b>',
    'A <a@b>',
    '"a"@b',
    'a(b)@c',
    'a@b..c',
    'a@.b',
    'a@b.',
    'a@b\r\nbcc: c@d',
    'a@b\n',
    'a@b\0',
    'a\u00a0b@c',
    '\ud800@b',
    `${'a'.repeat(127)}@b`,
    'a@[1.2.3.4]',
    'a\\@b@c'
  ]
  for (const email of bad)
    assert.equal(await problemOf(await desk.send(email)), '400 invalid_request', JSON.stringify(email))
  assert.equal(desk.mails.length, 0)
})

test('R82 codes have six digits or more, of all kinds, and none is like the other', async () => {
  for (const digits of [undefined, 3, 8]) {
    const desk = createDesk({ digits })
    const codes = []
    for (let count = 0; count < 60; count++) codes.push((await desk.challengeOf(`u${count}@example.com`)).code)
    assert.ok(codes.every((code) => new RegExp(`^\\d{${digits === 8 ? 8 : 6}}$`).test(code)))
    assert.ok(new Set(codes).size > 55)
    assert.equal(new Set(codes.map((code) => code[0])).size > 5, true)
  }
})

test('R82 the code store never holds a code', async () => {
  const seen = []
  const codes = memoryCodeStore()
  const desk = createDesk({
    codes: {
      ...codes,
      create(challenge) {
        seen.push(challenge)
        return codes.create(challenge)
      }
    }
  })
  const { code } = await desk.challengeOf()
  assert.equal(seen[0].codeHash.length, 32)
  assert.ok(!JSON.stringify(seen).includes(code))
})

test('R85 form, key and proof are checked first, and cost no attempt', async () => {
  const desk = createDesk()
  const challenge = await desk.challengeOf()
  const key = createKey()
  const other = createKey('es256')
  const good = confirmBody(key, challenge)
  const table = [
    [{ ...good, extra: 'x' }, '400 invalid_request'],
    [{ ...good, code: 123456 }, '400 invalid_request'],
    [{ ...good, code: '' }, '400 invalid_request'],
    [{ ...good, proof: undefined }, '400 invalid_request'],
    [{ ...good, proof: good.proof.replace(/=+$/, '') }, '400 invalid_request'],
    [{ ...good, proof: b64(new Uint8Array(63)) }, '400 invalid_request'],
    [{ ...good, algorithm: 'none' }, '400 invalid_request'],
    [{ ...good, algorithm: 'HS256' }, '400 invalid_request'],
    [{ ...good, time_zone: 'x\ny' }, '400 invalid_request'],
    [{ ...good, client_public_key: Buffer.from(key.publicKey).toString('base64url') }, '400 invalid_request'],
    [{ ...good, algorithm: 'es256' }, '400 invalid_key'],
    [{ ...good, client_public_key: b64(new Uint8Array(32)) }, '400 invalid_key'],
    [{ ...good, client_public_key: b64(Buffer.concat([Buffer.from([1]), Buffer.alloc(31)])) }, '400 invalid_key'],
    [{ ...good, client_public_key: b64(other.publicKey) }, '400 invalid_key'],
    [{ ...good, client_public_key: b64(other.publicKey.subarray(0, 33)), algorithm: 'es256' }, '400 invalid_key'],
    [{ ...good, proof: b64(new Uint8Array(64)) }, '400 invalid_proof'],
    [{ ...good, client_public_key: b64(createKey().publicKey) }, '400 invalid_proof']
  ]
  for (const [body, expected] of table)
    assert.equal(
      await problemOf(await desk.post('confirm-email-code', body)),
      expected,
      JSON.stringify(body).slice(0, 90)
    )
  for (const text of [
    '',
    '[]',
    `${JSON.stringify(good)}x`,
    `\ufeff${JSON.stringify(good)}`,
    JSON.stringify(good).replace('{', '{"code":"1",')
  ]) {
    assert.equal(await problemOf(await desk.post('confirm-email-code', text)), '400 invalid_request')
  }
  assert.equal((await confirm(desk, key, challenge)).status, 200)
})

test("B10 somebody else's public key cannot be registered: the proof is bound to key, challenge, address and label", async () => {
  const desk = createDesk()
  const mine = await desk.challengeOf('mallory@example.com')
  const theirs = await desk.challengeOf('victim@example.com')
  const victim = createKey()
  const proofs = [
    victim.sign(inputOf(victim, theirs)),
    victim.sign(inputOf(victim, { ...mine, email: 'victim@example.com' })),
    victim.sign(inputOf(victim, { ...mine, email: 'Mallory@example.com' })),
    victim.sign(inputOf(victim, mine, { label: 'staging' })),
    victim.sign(inputOf(victim, mine, { algorithm: 'es256', publicKey: createKey('es256').publicKey })),
    createKey().sign(inputOf(victim, mine)),
    victim.sign(
      core.rotateSigningInput({
        label,
        deviceSessionId: mine.challengeId,
        requestId: 'x',
        algorithm: 'ed25519',
        publicKey: victim.publicKey
      })
    )
  ]
  for (const proof of proofs)
    assert.equal(await problemOf(await confirm(desk, victim, mine, { proof: b64(proof) })), '400 invalid_proof')
})

test('R85 five wrong codes end a challenge, the right one included after them', async () => {
  const desk = createDesk()
  const challenge = await desk.challengeOf()
  const key = createKey()
  for (let count = 0; count < 5; count++) {
    assert.equal(
      await problemOf(await confirm(desk, key, challenge, { code: wrong(challenge.code) })),
      '400 invalid_code'
    )
  }
  const response = await confirm(desk, key, challenge)
  assert.ok(Number(response.headers.get('retry-after')) > 0)
  assert.equal(await problemOf(response), '429 too_many_requests')
  assert.equal((await confirm(desk, key, await desk.challengeOf())).status, 200)
})

test('R85 guesses made at once count like guesses made in turn', async () => {
  const desk = createDesk()
  const challenge = await desk.challengeOf()
  const key = createKey()
  const answers = await Promise.all(
    Array.from({ length: 40 }, () => confirm(desk, key, challenge, { code: wrong(challenge.code) }))
  )
  const statuses = answers.map(({ status }) => status)
  assert.equal(statuses.filter((status) => status === 400).length, 5)
  assert.equal(statuses.filter((status) => status === 429).length, 35)
})

test('R86 an address bears 15 wrong codes a day over all its challenges; right ones do not count', async () => {
  const desk = createDesk()
  const key = createKey()
  for (let round = 0; round < 3; round++) {
    const challenge = await desk.challengeOf('A@example.com')
    for (let count = 0; count < 5; count++) await confirm(desk, key, challenge, { code: wrong(challenge.code) })
    desk.now.ms += 20 * MINUTE
  }
  desk.now.ms += HOUR
  assert.equal(
    await problemOf(await confirm(desk, key, await desk.challengeOf('a@EXAMPLE.com'))),
    '429 too_many_requests'
  )
  desk.now.ms += 23 * HOUR
  for (let count = 0; count < 20; count++) {
    assert.equal((await confirm(desk, createKey(), await desk.challengeOf('a@example.com'))).status, 200)
    desk.now.ms += 13 * MINUTE
  }
})

test('R86 five mails an hour for an address, in any case of its letters; a hundred for a source', async () => {
  const desk = createDesk()
  for (const email of ['a@x', 'A@x', 'a@X', 'a@x', 'A@X']) assert.equal((await desk.send(email)).status, 200)
  const refused = await desk.send('a@x', { remoteAddress: '198.51.100.7' })
  assert.equal(refused.headers.get('retry-after'), '3600')
  assert.equal(await problemOf(refused), '429 too_many_requests')
  for (let count = 0; count < 95; count++) assert.equal((await desk.send(`u${count}@x`)).status, 200, String(count))
  assert.equal((await desk.send('one-more@x')).status, 429)
  assert.equal((await desk.send('one-more@x', { remoteAddress: '198.51.100.7' })).status, 200)
  assert.equal(desk.mails.length, 101)
  desk.now.ms += HOUR
  assert.equal((await desk.send('a@x')).status, 200)
})

test('R86 all addresses of one IPv6 network are one source', async () => {
  const desk = createDesk()
  for (let count = 0; count < 100; count++)
    await desk.send(`u${count}@x`, { remoteAddress: `2001:db8:0:1::${count.toString(16)}` })
  assert.equal((await desk.send('v@x', { remoteAddress: '2001:DB8:0:1:ffff::1' })).status, 429)
  assert.equal((await desk.send('v@x', { remoteAddress: '2001:db8:0:2::1' })).status, 200)
})

test('R82 a code lives ten minutes', async () => {
  const desk = createDesk()
  const key = createKey()
  const early = await desk.challengeOf()
  desk.now.ms += 10 * MINUTE - 1
  assert.equal((await confirm(desk, key, early)).status, 200)
  const late = await desk.challengeOf()
  desk.now.ms += 10 * MINUTE
  assert.equal(await problemOf(await confirm(desk, key, late)), '400 invalid_code')
})

test('R85 the identical confirm repeated gives the same session, a different one is refused', async () => {
  for (const algorithm of ['ed25519', 'es256']) {
    const desk = createDesk()
    const challenge = await desk.challengeOf()
    const key = createKey(algorithm)
    // ES256 signs anew each time: identical is the key, not the signature.
    const answers = await Promise.all([1, 2, 3].map(() => confirm(desk, key, challenge)))
    const ids = await Promise.all(answers.map((response) => response.json().then((body) => body.device_session_id)))
    assert.equal(new Set(ids).size, 1)
    assert.equal(await problemOf(await confirm(desk, createKey(algorithm), challenge)), '409 challenge_used')
    assert.equal(
      await problemOf(await confirm(desk, key, challenge, { code: wrong(challenge.code) })),
      '400 invalid_code'
    )
    assert.equal((await desk.sessions.listByUser('a@example.com')).length, 1)
  }
})

test('R85 a confirm that was cut off between its two commits is made whole by repeating it', async () => {
  const sessions = memorySessionStore()
  let fails = true
  const create = (session) => (fails ? Promise.reject(new Error('killed')) : sessions.create(session))
  const desk = createDesk({ sessions: { ...sessions, create } })
  const challenge = await desk.challengeOf()
  const key = createKey()
  assert.equal(await problemOf(await confirm(desk, key, challenge)), '503 unavailable')
  assert.equal(desk.failures[0].message, 'killed')
  fails = false
  const { device_session_id: id } = await (await confirm(desk, key, challenge)).json()
  assert.equal((await sessions.get(id)).status, 'active')
})

test('R82 an unknown challenge, an expired and a wrong code are one answer', async () => {
  const desk = createDesk()
  const challenge = await desk.challengeOf()
  const key = createKey()
  const unknown = { ...challenge, challengeId: 'A'.repeat(22) }
  const first = await (await confirm(desk, key, unknown)).text()
  const second = await (await confirm(desk, key, challenge, { code: wrong(challenge.code) })).text()
  assert.equal(first, second)
})

test('R82 methods, types, sizes and paths that are none of its own are problems', async () => {
  const desk = createDesk()
  const get = await desk.enrolling.handle(new Request(`${base}/send-email-code`))
  assert.equal(get.headers.get('allow'), 'POST')
  assert.equal(await problemOf(get), '405 method_not_allowed')
  assert.equal(await problemOf(await desk.post('other', {})), '404 not_found')
  assert.equal(
    await problemOf(
      await desk.post('send-email-code', { email: 'a@b' }, { headers: { 'content-type': 'text/plain' } })
    ),
    '415 unsupported_media_type'
  )
  assert.equal(
    await problemOf(await desk.post('send-email-code', { email: 'a@b' }, { headers: { 'content-encoding': 'gzip' } })),
    '415 unsupported_media_type'
  )
  assert.equal(await problemOf(await desk.post('send-email-code', { email: 'a'.repeat(5000) })), '413 too_large')
  assert.equal(
    (
      await desk.enrolling.handle(
        new Request(`${base}/send-email-code?x=1`, {
          method: 'POST',
          body: '{"email":"a@b"}',
          headers: { 'content-type': 'application/json' }
        })
      )
    ).status,
    200
  )
})

test('E13 answers of the enrolment are never stored, and cross origins only as listed', async () => {
  const desk = createDesk({ origins: ['https://app.example'] })
  const preflight = await desk.enrolling.handle(
    new Request(`${base}/send-email-code`, { method: 'OPTIONS', headers: { origin: 'https://app.example' } })
  )
  assert.equal(preflight.status, 204)
  assert.equal(preflight.headers.get('access-control-allow-headers'), 'content-type, countersign')
  for (const [origin, allowed] of [
    ['https://app.example', 'https://app.example'],
    ['https://evil.example', null]
  ]) {
    const response = await desk.send('a@b', { headers: { origin } })
    assert.equal(response.headers.get('access-control-allow-origin'), allowed)
    assert.equal(response.headers.get('cache-control'), 'no-store, no-transform')
    assert.equal(response.headers.get('vary'), 'origin')
  }
})

test("R86 mounted in a gateway it is public, counted by source and served with the gateway's headers", async () => {
  const desk = createDesk()
  const gateway = createGateway({
    label,
    signer: desk.signer,
    sessions: desk.sessions,
    replay: memoryReplayStore({ capacity: 64 }),
    routes: {},
    now: desk.now,
    enrollment: desk.enrolling,
    origins: ['https://app.example'],
    rates: { perSource: { perSecond: 1, burst: 2 } }
  })
  const send = () =>
    gateway.handle(
      new Request(`${base}/send-email-code`, {
        method: 'POST',
        body: '{"email":"a@b"}',
        headers: { 'content-type': 'application/json', origin: 'https://app.example' }
      }),
      { remoteAddress: '192.0.2.1' }
    )
  const first = await send()
  assert.deepEqual([first.status, first.headers.get('access-control-allow-origin')], [200, 'https://app.example'])
  assert.deepEqual([(await send()).status, (await send()).status], [200, 429])
})

test("R86 an application with its own login: challenge and proof stay, the user id takes the address's place", async () => {
  const desk = createDesk()
  const key = createKey()
  const challengeId = await desk.enrolling.challenge('user-7')
  const input = inputOf(key, { challengeId, email: 'user-7' })
  const offer = { challengeId, algorithm: 'ed25519', publicKey: key.publicKey, proof: key.sign(input) }
  assert.equal((await desk.enrolling.confirm('user-8', offer)).status, 400)
  const response = await desk.enrolling.confirm('user-7', offer)
  const answer = await openAnswer(response, Buffer.from(sha256(input)).toString('base64url'), desk.signer)
  const { device_session_id: id } = JSON.parse(answer.text)
  assert.equal((await desk.sessions.get(id)).userId, 'user-7')
  // Neither way leads around the other.
  const byMail = await desk.challengeOf()
  const proof = key.sign(inputOf(key, byMail))
  assert.equal(
    (await desk.enrolling.confirm(byMail.email, { ...offer, challengeId: byMail.challengeId, proof })).status,
    400
  )
  const bare = { challengeId: await desk.enrolling.challenge('user-7'), email: 'user-7', code: '000000' }
  assert.equal(await problemOf(await confirm(desk, key, bare)), '400 invalid_code')
})

test('J3 stores that fail end in a problem, and nothing is enrolled', async () => {
  const down = async () => {
    throw new Error('down')
  }
  const codes = memoryCodeStore()
  for (const name of ['create', 'get', 'take', 'redeem', 'giveBack']) {
    const broken = { ...codes }
    const desk = createDesk({ codes: broken })
    let challenge = { challengeId: 'A'.repeat(22), email: 'a@b', code: '000000' }
    if (name !== 'create') challenge = await desk.challengeOf(`${name}@example.com`)
    broken[name] = down
    const response = name === 'create' ? await desk.send('a@b') : await confirm(desk, createKey(), challenge)
    assert.equal(await problemOf(response), '503 unavailable', name)
    assert.deepEqual(await desk.sessions.listByUser(`${name}@example.com`), [])
  }
})

test('R82 a full code store refuses and forgets nothing', async () => {
  const desk = createDesk({ codes: memoryCodeStore({ capacity: 8 }) })
  const first = await desk.challengeOf()
  let refused = 0
  for (let count = 0; count < 10; count++)
    if ((await desk.send(`u${count}@x`, { remoteAddress: `192.0.2.${count + 9}` })).status === 429) refused += 1
  assert.ok(refused > 0)
  desk.now.ms += 10 * MINUTE - 1
  assert.notEqual((await confirm(desk, createKey(), first)).status, 400)
})
