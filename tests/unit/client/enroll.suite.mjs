// SPDX-License-Identifier: MIT
// From no key to a session and back: enrolment (R82 to R86), the state machine, lost and corrupt keys (F-5), tabs (F-7).

import { connect, emailEnrollment, memoryStore } from 'countersign'
import { fakeGateway, platformKeyPair } from './fake-gateway.mjs'
import { enrol, enrolled, faults, lost, optionsFor } from './fixture.mjs'

const isConfirm = ({ messageType }) => messageType === 'confirm'

const fresh = async (options = {}) => {
  const gateway = await fakeGateway()
  const all = optionsFor(gateway, options)
  return { gateway, client: await connect(all), options: all, store: all.store }
}

export const suite = (test, assert) => {
  test('states: no-session, ready, signed-out and ready again, each told once', async () => {
    const { gateway, client, store } = await fresh()
    const states = []
    client.on('state', (state) => states.push(state))
    assert.equal(client.state, 'no-session')
    assert.equal(client.key, null)
    assert.equal(client.sessionId, null)
    await assert.rejects(client.request('demo.echo'), { code: 'ERR_NO_SESSION' })
    await assert.rejects(client.fetch('/x'), { code: 'ERR_NO_SESSION' })
    await assert.rejects(client.sign('demo.echo'), { code: 'ERR_NO_SESSION' })
    assert.equal(gateway.calls.length, 0)
    await enrol(client, gateway)
    const first = client.key.publicKey
    await assert.rejects(enrol(client, gateway), { code: 'ERR_ALREADY_ENROLLED' })
    assert.deepEqual(await client.signOut(), { revoked: true })
    assert.equal(await store.get('demo'), null, 'the key is gone')
    assert.equal(client.key, null)
    await assert.rejects(client.request('demo.echo'), { code: 'ERR_NO_SESSION' })
    await enrol(client, gateway)
    assert.notDeepEqual(client.key.publicKey, first, 'a new session has a new key')
    assert.deepEqual(states, ['ready', 'signed-out', 'ready'])
  })

  test('a session is there again after a reload, and one per namespace', async () => {
    const { client, options } = await enrolled()
    const again = await connect(options)
    assert.equal(again.state, 'ready')
    assert.equal(again.sessionId, client.sessionId)
    assert.deepEqual(again.key.publicKey, client.key.publicKey)
    assert.equal((await connect({ ...options, namespace: 'bob' })).state, 'no-session')
  })

  test('signing out deletes the key though the gateway cannot be told', async () => {
    const { client, gateway, store } = await enrolled({ retries: 0 })
    gateway.intercept = lost
    assert.deepEqual(await client.signOut(), { revoked: false })
    assert.equal(client.state, 'signed-out')
    assert.equal(await store.get('demo'), null)
  })

  test('R90 a revoked session stays revoked over a reload, and enrolling anew makes a new key', async () => {
    const { client, gateway, options } = await enrolled()
    const { publicKey } = client.key
    gateway.sessions.get(client.sessionId).isRevoked = true
    await assert.rejects(client.request('demo.echo'), { code: 'ERR_SESSION_REVOKED', stage: 'session' })
    const { length } = gateway.calls
    await assert.rejects(client.request('demo.echo'), { code: 'ERR_SESSION_REVOKED' })
    assert.equal(gateway.calls.length, length, 'nothing more is sent')
    await client.close()
    const again = await connect(options)
    assert.equal(again.state, 'revoked')
    await enrol(again, gateway)
    assert.equal(again.state, 'ready')
    assert.notDeepEqual(again.key.publicKey, publicKey)
    assert.equal((await again.request('demo.echo')).resultCode, 'ok')
  })

  test('the word that an earlier session is over does not end the one that came after it', async () => {
    const { client, gateway } = await enrolled()
    const { frame, requestId } = await client.sign('demo.echo')
    await client.signOut()
    await enrol(client, gateway)
    faults(gateway, [(_, answer) => answer({ resultCode: 'cs.session_revoked', payload: '{}' })])
    const headers = { 'content-type': 'application/vnd.countersign.v1' }
    const response = await gateway.fetch(`${gateway.origin}/exchange`, { method: 'POST', headers, body: frame })
    const answer = new Uint8Array(await response.arrayBuffer())
    await assert.rejects(client.open(answer, { requestId }), { code: 'ERR_SESSION_REVOKED' })
    assert.equal(client.state, 'ready')
  })

  test('a call in flight when the client signs out ends at once, with ERR_NO_SESSION', async () => {
    const { client, gateway } = await enrolled()
    faults(gateway, [() => new Promise(() => {})])
    const call = assert.rejects(client.request('demo.echo'), { code: 'ERR_NO_SESSION' })
    while (!gateway.seen.some(({ messageType }) => messageType === 'demo.echo'))
      await new Promise((go) => setTimeout(go, 1))
    assert.deepEqual(await client.signOut(), { revoked: true })
    await call
  })

  const corruptions = {
    'no private key': ({ key, ...record }) => record,
    'a private key of another algorithm': (record) => ({ ...record, algorithm: 'es256' }),
    'an unknown algorithm': (record) => ({ ...record, algorithm: 'rsa' }),
    'no algorithm': ({ algorithm, ...record }) => record,
    'another public key': (record) => ({ ...record, publicKey: record.publicKey.with(3, record.publicKey[3] ^ 1) }),
    'half a public key': (record) => ({ ...record, publicKey: record.publicKey.slice(0, 16) }),
    'a public key that is text': (record) => ({ ...record, publicKey: 'AAAA' }),
    'a malformed session id': (record) => ({ ...record, sessionId: 'short' }),
    'a session id that is a number': (record) => ({ ...record, sessionId: 7 }),
    'a public key in place of the private one': (record, pair) => ({ ...record, key: pair.publicKey }),
    'an extractable private key': (record, pair) => ({ ...record, key: pair.privateKey, publicKey: pair.raw }),
    'nothing at all': () => ({}),
    'a record that is text': () => 'demo'
  }
  for (const [what, corrupt] of Object.entries(corruptions)) {
    test(`F-5 a record with ${what} is a lost key, never a silent new one under the old session`, async () => {
      const { client, gateway, store, options } = await enrolled()
      const oldId = client.sessionId
      const generated = await platformKeyPair(true)
      const raw = new Uint8Array(await crypto.subtle.exportKey('raw', generated.publicKey))
      const { publicKey, privateKey } = generated
      const damaged = corrupt(await store.get('demo'), { publicKey, privateKey, raw })
      // The memory store copies records as objects, so text goes in through a store of its own.
      const held = typeof damaged === 'string' ? { ...store, get: async () => damaged } : store
      if (held === store) {
        await store.delete('demo')
        await store.put('demo', damaged)
      }
      const again = await connect({ ...options, store: held })
      assert.equal(again.state, 'key-lost')
      assert.equal(again.key, null)
      const { length } = gateway.calls
      await assert.rejects(again.request('demo.echo'), { code: 'ERR_KEY_LOST', category: 'key' })
      assert.equal(gateway.calls.length, length)
      if (held !== store) return
      await enrol(again, gateway)
      assert.equal(again.state, 'ready')
      assert.notEqual(again.sessionId, oldId)
    })
  }

  test('R84 the session id comes from a verified confirm answer alone', async () => {
    const { client, gateway, store } = await fresh()
    const key = await gateway.foreignKey()
    const id = 'AAAAAAAAAAAAAAAAAAAAAA'
    const forged = [
      [{ key }, { code: 'ERR_BAD_SIGNATURE', stage: 'signature' }],
      [{ requestId: 'another' }, { code: 'ERR_WRONG_REQUEST_ID', stage: 'request_id' }],
      [{ sentPayload: new TextEncoder().encode(`{"device_session_id":"${id}"}`) }, { code: 'ERR_PAYLOAD_MISMATCH' }],
      [{ resultCode: 'http.201' }, { code: 'ERR_RESULT_MISMATCH' }],
      [{ resultCode: 'http.201', status: 201 }, { code: 'ERR_RESULT_MISMATCH' }],
      [{ resultCode: 'ok' }, { code: 'ERR_RESULT_MISMATCH' }],
      [{ payload: '{"device_session_id":"short"}' }, { code: 'ERR_ENROLLMENT_REFUSED' }],
      [{ payload: '[]' }, { code: 'ERR_ENROLLMENT_REFUSED' }],
      [{ payload: 'x'.repeat(20_000) }, { code: 'ERR_ANSWER_TOO_LARGE' }]
    ]
    for (const [overrides, expected] of forged) {
      faults(gateway, [(_, answer) => answer(overrides)], isConfirm)
      await assert.rejects(enrol(client, gateway), expected)
      assert.equal(client.state, 'no-session')
      assert.equal((await store.get('demo')).sessionId, undefined)
    }
    const unsigned = () =>
      new Response(`{"device_session_id":"${id}"}`, { headers: { 'content-type': 'application/json' } })
    faults(gateway, [unsigned], isConfirm)
    await assert.rejects(enrol(client, gateway), { code: 'ERR_UNSIGNED_ANSWER' })
    await enrol(client, gateway)
    assert.equal(client.state, 'ready')
  })

  test('R86 the gateway’s problem is told with its status; a portal’s page is not taken for one', async () => {
    const { client, gateway } = await fresh()
    const error = await assert.rejects(enrol(client, gateway, { code: 'wrong' }), { code: 'ERR_ENROLLMENT_REFUSED' })
    assert.equal(error.cause.status, 400)
    assert.equal(error.cause.problem.title, 'wrong code')
    faults(gateway, [() => new Response('<html>', { status: 401 })], isConfirm)
    await assert.rejects(enrol(client, gateway), { code: 'ERR_UNSIGNED_ANSWER' })
    faults(
      gateway,
      [() => new Response('{', { status: 400, headers: { 'content-type': 'application/problem+json' } })],
      isConfirm
    )
    await assert.rejects(enrol(client, gateway), { code: 'ERR_ENROLLMENT_REFUSED' })
    await enrol(client, gateway)
    assert.equal(client.state, 'ready')
  })

  test('R85 a crash or a lost answer after registration: repeating the same confirm gives the same session', async () => {
    const { client, gateway, options } = await fresh()
    let challengeId
    const code = (id) => {
      challengeId = id
      return gateway.code
    }
    faults(gateway, [lost, lost], isConfirm)
    await assert.rejects(emailEnrollment(client, { email: 'ada@example.com', code }), { code: 'ERR_NETWORK' })
    const registered = [...gateway.sessions.keys()]
    assert.equal(registered.length, 1)
    const again = await connect(options)
    assert.equal(again.state, 'no-session')
    await emailEnrollment(again, { email: 'ada@example.com', code, challengeId })
    assert.equal(again.sessionId, registered[0])
    assert.equal(gateway.sessions.size, 1)
    faults(gateway, [lost], isConfirm)
    const other = await connect({ ...options, store: memoryStore() })
    await emailEnrollment(other, { email: 'ada@example.com', code })
    assert.equal(other.state, 'ready', 'one lost answer is asked for again by itself')
    assert.equal(gateway.sessions.size, 2)
  })

  test('enroll: a login of the application’s own takes the key where it likes', async () => {
    const { client, gateway } = await fresh()
    gateway.challenges.set('AAAAAAAAAAAAAAAAAAAAAA', { email: 'user-42' })
    const base64 = (bytes) => btoa(String.fromCharCode(...bytes))
    await client.enroll(async ({ publicKey, algorithm, prove, post }) => {
      assert.ok(publicKey instanceof Uint8Array)
      const proof = await prove('AAAAAAAAAAAAAAAAAAAAAA', 'user-42')
      assert.equal(proof.length, 64)
      const body = { challenge_id: 'AAAAAAAAAAAAAAAAAAAAAA', code: '123456', algorithm }
      return post('/api/v1/public/auth/confirm-email-code', {
        ...body,
        client_public_key: base64(publicKey),
        proof: base64(proof)
      })
    })
    assert.equal(client.state, 'ready')
    const { init } = gateway.calls.at(-1)
    assert.deepEqual([init.redirect, init.credentials, init.referrerPolicy], ['error', 'omit', 'no-referrer'])
  })

  test('enroll: what register does wrong is a usage error, what it throws comes through, and the key is kept', async () => {
    const { client, gateway, store } = await fresh()
    await assert.rejects(client.enroll(), { code: 'ERR_INVALID_ARGUMENT' })
    await assert.rejects(
      client.enroll(async () => new Response('')),
      { code: 'ERR_INVALID_ARGUMENT' }
    )
    await assert.rejects(
      client.enroll(async ({ prove }) => void (await prove('x', 'y'))),
      { code: 'ERR_INVALID_ARGUMENT' }
    )
    await assert.rejects(
      client.enroll(({ prove }) => prove('x', '\ud800')),
      { code: 'ERR_INVALID_TEXT' }
    )
    const reason = new Error('closed the dialogue')
    const thrown = await client.enroll(() => Promise.reject(reason)).catch((error) => error)
    assert.equal(thrown, reason)
    await assert.rejects(
      client.enroll(({ post }) => post('https://evil.test/', {})),
      { code: 'ERR_FOREIGN_ORIGIN' }
    )
    const { publicKey } = await store.get('demo')
    await enrol(client, gateway)
    assert.deepEqual(client.key.publicKey, publicKey, 'the key made first is the one that is enrolled')
    for (const bad of [{}, { email: 7, code: '1' }, { email: 'a@b' }, null]) {
      await assert.rejects(emailEnrollment(client, bad), { code: 'ERR_INVALID_ARGUMENT' })
    }
    for (const none of [null, undefined, {}, { enroll: 7 }]) {
      await assert.rejects(emailEnrollment(none, { email: 'a@b', code: '1' }), { code: 'ERR_INVALID_ARGUMENT' })
    }
  })
}
