// SPDX-License-Identifier: MIT
// The client and the reference gateway, over real HTTP: every binding, both algorithms, from enrolment to revocation.

import { connect, emailEnrollment, memoryStore } from 'countersign'
import { HUNG_MS } from '../harness/wait.mjs'
import { text } from './fixture.mjs'

const HOUR = 3600_000

export const suite = (test, assert, env) => {
  const { gatewayUrl: url } = env

  const settings = async (options = {}) => {
    const { label, server_keys: keys } = await (await fetch(`${url}/.well-known/countersign.json`)).json()
    const serverKeys = keys.map(({ id, public_key: publicKey }) => ({ id, publicKey }))
    return { url, label, serverKeys, store: memoryStore(), timeoutMs: HUNG_MS, ...options }
  }

  const mailOf = async (email, challengeId) => {
    const outbox = await (await fetch(`${url}/dev/outbox?email=${encodeURIComponent(email)}`)).json()
    return outbox.find(({ challenge_id: id }) => id === challengeId)
  }

  const signIn = async (client, email = `${Math.random().toString(36).slice(2)}@example.com`) => {
    await emailEnrollment(client, { email, code: async (challengeId) => (await mailOf(email, challengeId)).code })
    return email
  }

  const started = async (options) => {
    const all = await settings(options)
    const client = await connect(all)
    const email = await signIn(client)
    return { client, options: all, email }
  }

  for (const algorithm of ['ed25519', 'es256']) {
    for (const binding of ['frame', 'json']) {
      test(`${algorithm} over ${binding}: enrolled, answered, refused, listed, revoked`, async () => {
        const { client, options, email } = await started({ algorithms: [algorithm], binding })
        assert.equal(client.clock.source, 'round-trip')
        assert.equal(text((await client.request('demo.echo', 'hello')).payload), 'hello')
        assert.equal((await client.request('demo.fail')).resultCode, 'refused')
        await assert.rejects(client.request('demo.none'), { code: 'ERR_UNKNOWN_TYPE', resultCode: 'unknown_type' })
        assert.equal((await client.fetch('/api/none')).status, 404)
        const large = new Uint8Array(300_000).fill(7)
        assert.deepEqual((await client.request('demo.echo', large, { idempotencyKey: 'large' })).payload, large)

        const other = await connect(await settings({ binding }))
        await signIn(other, email)
        const list = await other.sessions()
        assert.deepEqual(
          list.map(({ deviceSessionId }) => deviceSessionId).sort(),
          [client.sessionId, other.sessionId].sort()
        )
        assert.equal(list.find(({ isCurrent }) => isCurrent).deviceSessionId, other.sessionId)
        assert.equal(list.find(({ isCurrent }) => !isCurrent).algorithm, algorithm)
        await other.revoke(client.sessionId)
        await assert.rejects(client.request('demo.echo'), { code: 'ERR_SESSION_REVOKED', stage: 'session' })
        assert.equal(client.state, 'revoked')
        assert.deepEqual(await other.signOut(), { revoked: true })
        await client.close()
        assert.equal((await connect(options)).state, 'revoked')
      })
    }
  }

  for (const binding of ['frame', 'json']) {
    test(`R120 R124 R150 over ${binding}: the key changes its algorithm twice, the device gets a name, the session stays`, async () => {
      const { client, options, email } = await started({ binding, algorithms: ['ed25519'] })
      const { sessionId } = client
      await client.close()
      const keys = new Set([client.key.thumbprint])
      for (const algorithm of ['es256', 'ed25519']) {
        const visit = await connect({ ...options, algorithms: [algorithm] })
        const early = Array.from({ length: 3 }, () => visit.request('demo.echo', 'x'))
        await assert.rejects(visit.rotateKey(), {
          code: 'ERR_ROTATION_REFUSED',
          stage: 'handler',
          resultCode: 'confirmation_required'
        })
        let shown
        const confirm = async ({ challengeId, thumbprint }) => {
          shown = thumbprint
          const mail = await mailOf(email, challengeId)
          assert.equal(mail.thumbprint, thumbprint, 'the person compares two equal thumbprints')
          return mail.code
        }
        await visit.rotateKey({ confirm })
        assert.equal(visit.key.thumbprint, shown)
        await Promise.all(early)
        assert.equal(text((await visit.request('demo.echo', algorithm)).payload), algorithm)
        assert.deepEqual([visit.sessionId, visit.key.algorithm], [sessionId, algorithm])
        keys.add(visit.key.thumbprint)
        await visit.rename(sessionId, `with ${algorithm}`)
        const [{ name, algorithm: listed }] = await visit.sessions()
        assert.deepEqual([name, listed], [`with ${algorithm}`, algorithm])
        await visit.close()
      }
      assert.equal(keys.size, 3)
      const last = await connect(options)
      assert.equal(text((await last.request('demo.echo', 'last')).payload), 'last')
      assert.deepEqual(await last.signOut(), { revoked: true })
    })
  }

  test('header: fetch is answered by the routes of an existing API, statuses and all', async () => {
    const { client } = await started()
    const echo = await client.fetch('/api/echo', { method: 'POST', body: 'via header' })
    assert.equal(echo.status, 200)
    assert.equal(echo.url, `${url}/api/echo`)
    assert.equal(await echo.text(), 'via header')
    const time = await (await client.fetch('/api/time?')).json()
    assert.ok(Math.abs(time.server_time_ms - Date.now()) < 60_000)
    const missing = await client.fetch('/api/none').catch((error) => error)
    assert.ok(missing.status === 404 || missing.code === 'ERR_UNSIGNED_ANSWER', String(missing))
  })

  for (const [name, skewMs] of Object.entries({
    '-10 years': -87_660 * HOUR,
    '-7 h': -7 * HOUR,
    '-31 s': -31e3,
    '+31 s': 31e3,
    '+7 h': 7 * HOUR,
    '+10 years': 87_660 * HOUR
  })) {
    test(`a clock wrong by ${name}: enrolment, the first request and the first after a reload succeed, and R63 costs nothing`, async () => {
      const { client, options } = await started({ now: () => Date.now() + skewMs })
      assert.equal((await client.request('demo.echo')).timings.tries, 1)
      await client.close()
      const again = await connect(options)
      assert.equal((await again.request('demo.echo')).timings.tries, 1)
      const { clock: _, timeFloorMs: __, ...record } = await options.store.get(options.label)
      await options.store.put(options.label, record)
      const forgetful = await connect(options)
      assert.equal(forgetful.clock.source, 'none')
      assert.equal((await forgetful.request('demo.echo')).timings.tries, 1)
    })
  }

  test('C12 a request stamped two hours late is refused by a signed cs.stale, and signed again once', async () => {
    const { client, options } = await started()
    await client.close()
    const { clock, ...record } = await options.store.get(options.label)
    await options.store.put(options.label, { ...record, clock: { ...clock, offsetMs: clock.offsetMs - 2 * HOUR } })
    const late = await connect(options)
    assert.equal((await late.request('demo.echo', '', { idempotencyKey: 'k' })).timings.tries, 2)
    assert.equal((await late.request('demo.echo')).timings.tries, 1)
  })

  test('D1 the same signed frame twice: the second is refused, and its outcome is open', async () => {
    const { client } = await started()
    const { frame, requestId } = await client.sign('demo.echo', 'once')
    const init = { method: 'POST', headers: { 'content-type': 'application/vnd.countersign.v1' }, body: frame }
    const carry = async () => new Uint8Array(await (await fetch(`${url}/exchange`, init)).arrayBuffer())
    const first = await carry()
    const second = await carry()
    await assert.rejects(client.open(second, { requestId }), { code: 'ERR_OUTCOME_UNKNOWN', resultCode: 'cs.replayed' })
    await assert.rejects(client.open(first, { requestId }), { code: 'ERR_WRONG_REQUEST_ID' })
  })

  test('E13 answers may not be stored, and a page elsewhere is told nothing', async () => {
    const { client } = await started()
    const { frame } = await client.sign('demo.echo')
    const init = { method: 'POST', headers: { 'content-type': 'application/vnd.countersign.v1' }, body: frame }
    const response = await fetch(`${url}/exchange`, init)
    assert.equal(response.headers.get('cache-control'), 'no-store, no-transform')
    assert.equal(response.headers.get('access-control-allow-origin'), null)
  })

  test('R86 a wrong code is the gateway’s problem, told with its status, and the next try succeeds', async () => {
    const client = await connect(await settings())
    const error = await assert.rejects(emailEnrollment(client, { email: 'wrong@example.com', code: '000000' }), {
      code: 'ERR_ENROLLMENT_REFUSED'
    })
    assert.ok(error.cause.status >= 400 && error.cause.status < 500)
    await signIn(client, 'wrong@example.com')
    assert.equal(client.state, 'ready')
  })
}
