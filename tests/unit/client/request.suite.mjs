// SPDX-License-Identifier: MIT
import { CountersignError, connect, memoryStore } from 'countersign'
import { fakeGateway } from './fake-gateway.mjs'
import { enrol, enrolled, faults, optionsFor, text, utf8 } from './fixture.mjs'

const refusals = [
  ['cs.unauthenticated', 'ERR_UNAUTHENTICATED', 'session', 'ready'],
  ['cs.session_revoked', 'ERR_SESSION_REVOKED', 'session', 'revoked'],
  ['cs.unsupported_version', 'ERR_VERSION_REFUSED', 'version', 'ready'],
  ['cs.payload_mismatch', 'ERR_PAYLOAD_MISMATCH', 'payload_hash', 'ready'],
  ['cs.replayed', 'ERR_OUTCOME_UNKNOWN', 'replay', 'ready'],
  ['cs.too_large', 'ERR_TOO_LARGE', 'payload_hash', 'ready'],
  ['cs.internal', 'ERR_HANDLER_FAILED', 'handler', 'ready'],
  ['cs.invented_later', 'ERR_UNKNOWN_RESULT', undefined, 'ready']
]

export const suite = (test, assert) => {
  for (const binding of ['frame', 'json']) {
    for (const algorithm of ['ed25519', 'es256']) {
      test(`request: ${algorithm} over ${binding} gets its verified answer, every check reported in order`, async () => {
        const { client, gateway } = await enrolled({ binding, algorithms: [algorithm] })
        const stages = []
        client.on('stage', (event) => stages.push(`${event.stage} ${event.verdict}`))
        const reply = await client.request('demo.echo', utf8('hello'))
        assert.equal(text(reply.payload), 'hello')
        assert.equal(reply.resultCode, 'ok')
        assert.equal(reply.timings.tries, 1)
        assert.ok(Math.abs(reply.serverTimeMs - Date.now()) < 60_000)
        assert.deepEqual(stages, [
          'parse pass',
          'signature pass',
          'request_id pass',
          'payload_hash pass',
          'freshness pass'
        ])
        assert.equal(gateway.seen.at(-1).deviceSessionId, client.sessionId)
        assert.equal(client.key.algorithm, algorithm)
      })
    }
  }

  test('R153 a reply has the headers of its answer as a plain object, which survives structured cloning', async () => {
    const { client, gateway } = await enrolled()
    faults(gateway, [
      async (_, answer) => {
        const { status, headers, body } = await answer()
        const all = new Headers(headers)
        all.set('ETag', '"1"')
        return new Response(body, { status, headers: all })
      }
    ])
    const { headers } = structuredClone(await client.request('demo.echo', 'x'))
    assert.deepEqual([headers.etag, headers['content-type']], ['"1"', 'application/vnd.countersign.v1'])
    assert.equal((await client.request('demo.echo', 'x')).headers.etag, undefined)
  })

  test('request: payloads of no, one and many bytes are echoed, hashed by the core or by the platform', async () => {
    const { client } = await enrolled()
    for (const size of [0, 1, 4096, 4097, 300_000]) {
      const payload = new Uint8Array(size).fill(7)
      assert.deepEqual((await client.request('demo.echo', payload)).payload, payload, `${size} bytes`)
    }
    assert.equal((await client.request('demo.echo')).payload.length, 0)
    assert.equal(text((await client.request('demo.echo', 'grüß')).payload), 'grüß')
  })

  test('request: result codes of the application resolve, whatever they say', async () => {
    const { client } = await enrolled()
    assert.equal((await client.request('demo.fail')).resultCode, 'refused')
  })

  for (const [resultCode, code, stage, state] of refusals) {
    test(`R66 request: a signed ${resultCode} rejects as ${code} and leaves the client ${state}`, async () => {
      const { client, gateway } = await enrolled()
      faults(gateway, [(_, answer) => answer({ resultCode, payload: '{}' })])
      await assert.rejects(client.request('demo.echo'), { code, stage, resultCode })
      assert.equal(client.state, state)
    })
  }

  test('request: the name of an abort is the one that fetch gives: AbortError, or TimeoutError after AbortSignal.timeout', async () => {
    const { client } = await enrolled()
    const controller = new AbortController()
    controller.abort()
    const late = new AbortController()
    late.abort(new DOMException('late', 'TimeoutError'))
    for (const [{ signal }, name] of [
      [controller, 'AbortError'],
      [late, 'TimeoutError']
    ]) {
      await assert.rejects(client.request('demo.echo', '', { signal }), { code: 'ERR_ABORTED', name })
      await assert.rejects(client.fetch('/x', { signal }), { code: 'ERR_ABORTED', name })
    }
  })

  test('R32 request: a code of the header binding in a frame is a mismatch', async () => {
    const { client, gateway } = await enrolled()
    faults(gateway, [(_, answer) => answer({ resultCode: 'http.200' })])
    await assert.rejects(client.request('demo.echo'), { code: 'ERR_RESULT_MISMATCH', stage: 'parse' })
  })

  test('R32 reserved types are usage errors and nothing is sent', async () => {
    const { client, gateway } = await enrolled()
    for (const type of ['cs.time', 'cs.revoke', 'http.200', 'POST /x', 'a b', 'sha256:x']) {
      await assert.rejects(client.request(type), { code: 'ERR_RESERVED_TYPE' }, type)
      await assert.rejects(client.sign(type), { code: 'ERR_RESERVED_TYPE' }, type)
    }
    assert.equal(gateway.calls.length, 0)
  })

  test('A4 lone surrogates and other text that is none are refused before anything is sent', async () => {
    const { client, gateway } = await enrolled()
    for (const bad of ['\ud800', 'a\udc00', '\udc00\ud800', 'end\udfff']) {
      await assert.rejects(client.request(bad), { code: 'ERR_INVALID_TEXT' })
      await assert.rejects(client.request('demo.echo', bad), { code: 'ERR_INVALID_TEXT' })
      await assert.rejects(client.request('demo.echo', '', { idempotencyKey: bad }), {
        code: 'ERR_INVALID_IDEMPOTENCY_KEY'
      })
      await assert.rejects(client.sign(bad), { code: 'ERR_INVALID_TEXT' })
      await assert.rejects(client.revoke(bad), { code: 'ERR_INVALID_TEXT' })
    }
    for (const bad of ['', 'a\n', '\u007f', 'é'.repeat(65)]) {
      await assert.rejects(client.request(bad), { code: 'ERR_INVALID_TEXT' })
    }
    for (const bad of [undefined, null, 7, {}, [], Symbol('x')]) {
      await assert.rejects(client.request(bad), { code: 'ERR_INVALID_ARGUMENT' })
    }
    assert.equal(gateway.calls.length, 0)
    assert.equal(text((await client.request('日本語.\u{1f600}', '\u{1f600}')).payload), '\u{1f600}')
  })

  test('A14 an answer whose payload hash is hex text and not 32 bytes is malformed', async () => {
    const { client, gateway } = await enrolled()
    const key = { sign: async () => new Uint8Array(64) }
    faults(gateway, [
      async ({ requestId }) => {
        const { core } = gateway
        const input = core.responseSigningInput({
          label: 'demo',
          requestId,
          timestampMs: 1,
          resultCode: 'ok',
          payloadHash: new Uint8Array(32)
        })
        const hex = new Uint8Array([...input.subarray(0, -33), 64, ...new Uint8Array(64).fill(0x61)])
        const frame = core.buildFrame({ signingInput: hex, keyId: 'k1', signature: await key.sign() })
        return new Response(frame, { headers: { 'content-type': 'application/vnd.countersign.v1' } })
      }
    ])
    await assert.rejects(client.request('demo.echo'), { code: 'ERR_BAD_FIELD_SIZE', stage: 'parse' })
  })

  test('B9 the signing policy is asked before anything is signed or sent, for every way of signing', async () => {
    const { client, gateway } = await enrolled({ allowTypes: ['demo.echo', 'GET /api/time'] })
    await client.request('demo.echo')
    await client.fetch('/api/time')
    const { length } = gateway.calls
    await assert.rejects(client.request('demo.fail'), { code: 'ERR_TYPE_NOT_ALLOWED' })
    await assert.rejects(client.sign('demo.fail'), { code: 'ERR_TYPE_NOT_ALLOWED' })
    await assert.rejects(client.fetch('/api/time?x'), { code: 'ERR_TYPE_NOT_ALLOWED' })
    await assert.rejects(client.fetch('/api/time', { method: 'POST' }), { code: 'ERR_TYPE_NOT_ALLOWED' })
    assert.equal(gateway.calls.length, length)
    const asked = []
    const strict = await enrolled({
      allowTypes: (type) => {
        asked.push(type)
        return 'yes'
      }
    })
    await assert.rejects(strict.client.request('demo.echo'), { code: 'ERR_TYPE_NOT_ALLOWED' }, 'only true allows')
    assert.deepEqual(asked, ['demo.echo'])
    assert.equal((await strict.client.sessions()).length, 1, "the protocol's own types need no leave")
  })

  test('request: a payload over the limit is a usage error, an answer over it is refused', async () => {
    const { client, gateway } = await enrolled({ maxPayload: 100 })
    assert.equal((await client.request('demo.echo', new Uint8Array(100))).payload.length, 100)
    const { length } = gateway.calls
    await assert.rejects(client.request('demo.echo', new Uint8Array(101)), { code: 'ERR_PAYLOAD_TOO_LARGE' })
    await assert.rejects(client.sign('demo.echo', new Uint8Array(101)), { code: 'ERR_PAYLOAD_TOO_LARGE' })
    assert.equal(gateway.calls.length, length)
    faults(gateway, [(_, answer) => answer({ payload: new Uint8Array(2000) })])
    await assert.rejects(client.request('demo.echo'), { code: 'ERR_ANSWER_TOO_LARGE' })
    for (const binding of ['frame', 'json']) {
      const it = await enrolled({ maxPayload: 100, binding })
      for (const [size, code] of [
        [100, undefined],
        [101, 'ERR_ANSWER_TOO_LARGE']
      ]) {
        faults(it.gateway, [(_, answer) => answer({ payload: new Uint8Array(size) })])
        const error = await it.client.request('demo.echo').catch((reason) => reason)
        assert.equal(error.code, code, `${binding} ${size}`)
      }
    }
  })

  test('sign and open: a frame travels by other means, its answer is opened once', async () => {
    const { client, gateway } = await enrolled()
    const carry = async (frame) => {
      const init = { method: 'POST', headers: { 'content-type': 'application/vnd.countersign.v1' }, body: frame }
      return new Uint8Array(await (await gateway.fetch(`${gateway.origin}/exchange`, init)).arrayBuffer())
    }
    const { frame, requestId } = await client.sign('demo.echo', utf8('by hand'), { idempotencyKey: 'order-1' })
    assert.ok(requestId.includes('~order-1.'))
    const answer = await carry(frame)
    const other = await client.sign('demo.echo')
    await assert.rejects(client.open(answer, other), { code: 'ERR_WRONG_REQUEST_ID', stage: 'request_id' })
    const damaged = answer.with(-1, answer.at(-1) ^ 1)
    await assert.rejects(client.open(damaged, { requestId }), { code: 'ERR_PAYLOAD_MISMATCH', stage: 'payload_hash' })
    const opened = await client.open(answer, { requestId })
    assert.equal(text(opened.payload), 'by hand')
    await assert.rejects(client.open(answer, { requestId }), { code: 'ERR_WRONG_REQUEST_ID' }, 'an id is used once')
    await assert.rejects(client.open(answer, { requestId: 'never-made' }), { code: 'ERR_WRONG_REQUEST_ID' })
    await assert.rejects(client.open(new Uint8Array(0), other), { category: 'malformed', stage: 'parse' })
    await assert.rejects(client.open(answer, {}), { code: 'ERR_INVALID_ARGUMENT' })
    await assert.rejects(client.open('frame', other), { code: 'ERR_INVALID_ARGUMENT' })
  })

  test('sign: the answer to a signed frame can be a refusal, and a revocation ends the session', async () => {
    const { client, gateway } = await enrolled()
    const { frame, requestId } = await client.sign('demo.echo')
    gateway.sessions.get(client.sessionId).isRevoked = true
    const init = { method: 'POST', headers: { 'content-type': 'application/vnd.countersign.v1' }, body: frame }
    const answer = await (await gateway.fetch(`${gateway.origin}/exchange`, init)).arrayBuffer()
    await assert.rejects(client.open(answer, { requestId }), { code: 'ERR_SESSION_REVOKED' })
    assert.equal(client.state, 'revoked')
  })

  test('request: a Signer of the caller serves in place of a CryptoKey', async () => {
    const gateway = await fakeGateway()
    const key = await gateway.foreignKey()
    const store = memoryStore()
    await store.put('demo', { key: { sign: key.sign }, publicKey: key.publicKey, algorithm: 'ed25519' })
    const client = await connect(optionsFor(gateway, { store }))
    assert.equal(client.state, 'no-session')
    await enrol(client, gateway)
    assert.equal(text((await client.request('demo.echo', 'x')).payload), 'x')
    const short = { ...(await store.get('demo')), key: { sign: async () => new Uint8Array(63) } }
    await store.put('demo', short)
    assert.equal((await connect(optionsFor(gateway, { store }))).state, 'key-lost')
  })

  test('sessions: the gateway lists and ends sessions by signed requests', async () => {
    const { client } = await enrolled()
    const [session] = await client.sessions()
    assert.deepEqual(session, {
      deviceSessionId: client.sessionId,
      algorithm: 'ed25519',
      status: 'active',
      createdMs: 1,
      lastSeenMs: 2,
      isCurrent: true
    })
    await client.revoke(client.sessionId)
    assert.equal(client.state, 'revoked')
    await assert.rejects(client.request('demo.echo'), { code: 'ERR_SESSION_REVOKED' })
  })

  test('F-14 a core that stopped fails one call; the next has a new one, its clock asked for afresh, the key intact', async () => {
    const { client, gateway, store } = await enrolled()
    await client.request('demo.echo')
    const prototype = Object.getPrototypeOf(Object.getPrototypeOf(gateway.core))
    const { beginRequest } = prototype
    prototype.beginRequest = () => {
      prototype.beginRequest = beginRequest
      throw new CountersignError('ERR_CORE_TRAPPED')
    }
    await assert.rejects(client.request('demo.echo'), { code: 'ERR_CORE_TRAPPED', retry: 'safe' })
    gateway.seen.length = 0
    assert.equal(text((await client.request('demo.echo', 'x')).payload), 'x')
    assert.deepEqual(
      gateway.seen.map(({ messageType }) => messageType),
      ['cs.time', 'demo.echo']
    )
    assert.equal(client.state, 'ready')
    assert.equal((await store.get('demo')).sessionId, client.sessionId)
  })

  test('a fetch of the application that gives no Response is a transport error', async () => {
    const { options } = await enrolled()
    const read = new Response('x', { headers: { 'content-type': 'application/vnd.countersign.v1' } })
    await read.text()
    const locked = new Response('x', { headers: { 'content-type': 'application/vnd.countersign.v1' } })
    locked.body?.getReader()
    for (const nothing of [undefined, null, 7, {}, read, locked]) {
      const client = await connect({ ...options, fetch: async () => nothing, retries: 0, trustLocalClock: true })
      await assert.rejects(client.request('demo.echo'), { category: 'transport' }, String(nothing))
    }
  })
}
