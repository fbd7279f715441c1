// SPDX-License-Identifier: MIT
// Enrolment by e-mail code, and by an application with its own login.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createGateway, memoryCodeStore, memoryReplayStore } from 'countersign/server'
import { core, createKey, frameRequest, label, openAnswer, sha256, signRequest } from '../kit.mjs'
import { b64, base, confirm, confirmBody, createDesk, inputOf, problemOf } from './kit.mjs'

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

test('R82 a text that is no single plain address is refused', async () => {
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
  // One way of enrolment cannot be used to avoid the other.
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
