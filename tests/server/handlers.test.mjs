// SPDX-License-Identifier: MIT
// Handlers: what they get, what they may give back, and that nothing they do ends or hangs the gateway.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createGateway } from 'countersign/server'
import { createWorld, enrol, frameRequest, openAnswer, signRequest } from './kit.mjs'

test('R18 a handler gets what was signed, and the idempotency key beside the payload', async () => {
  const world = await createWorld({ userId: 'u1' })
  await world.call({ idempotencyKey: 'order-1', payload: 'hello' })
  const [context] = world.handled
  const { session, userId, type, payload, idempotencyKey, requestId, timestampMs, binding, target, params, unsigned } =
    context
  assert.equal(session.id, world.device.id)
  assert.deepEqual([userId, type, idempotencyKey, binding, target], ['u1', 'demo.echo', 'order-1', 'frame', ''])
  assert.deepEqual([Buffer.from(payload).toString(), timestampMs], ['hello', world.now()])
  assert.match(requestId, /^[\w-]{22}~order-1\.[\w-]{22}$/)
  assert.equal(context.signal.aborted, false)
  assert.deepEqual(
    [Object.keys(params), Object.keys(unsigned)],
    [[], ['contentType', 'accept', 'acceptLanguage', 'userAgent']]
  )
  assert.equal((await world.call()).resultCode, 'ok')
  assert.equal(world.handled[1].idempotencyKey, undefined)
})

test('D13 two tries of one intent are two ids and one idempotency key: the application sees the effect once', async () => {
  const done = new Map()
  let effects = 0
  const world = await createWorld({
    routes: {
      'demo.order': ({ userId, idempotencyKey }) => {
        const name = `${userId}/${idempotencyKey}`
        if (!done.has(name)) done.set(name, ++effects)
        return { payload: String(done.get(name)) }
      }
    }
  })
  const first = await world.call({ type: 'demo.order', idempotencyKey: 'k' })
  const second = await world.call({ type: 'demo.order', idempotencyKey: 'k' })
  assert.deepEqual([first.text, second.text, effects], ['1', '1', 1])
})

test('R41 unsigned headers do not reach a handler: overrides, rewrites, conditionals, ranges, cookies', async () => {
  const world = await createWorld()
  const request = world.requestOf({ type: 'POST /api/echo' })
  const headers = {
    'x-http-method-override': 'DELETE',
    'x-original-url': '/admin',
    'x-rewrite-url': '/admin',
    'if-none-match': '*',
    range: 'bytes=0-1',
    cookie: 'a=b',
    authorization: 'Bearer x',
    'countersign-user': 'root',
    'user-agent': 'test'
  }
  const response = await world.sendHeader('POST', '/api/echo', request, { headers })
  assert.equal((await openAnswer(response, request.requestId, world.signer)).resultCode, 'http.200')
  const [context] = world.handled
  assert.equal(context.type, 'POST /api/echo')
  assert.equal(context.unsigned.userAgent, 'test')
  const seen = JSON.stringify(context, (_name, value) => (value instanceof Uint8Array ? '' : value))
  for (const value of ['DELETE', '/admin', 'Bearer', 'bytes=', 'root', 'a=b']) assert.ok(!seen.includes(value), value)
})

test('R36 routes match the raw target; values of :names are decoded once and have no prototype', async () => {
  const seen = []
  const world = await createWorld({
    routes: {
      'GET /items/:id': ({ params, target }) =>
        void seen.push({ id: params.id, target, proto: Object.getPrototypeOf(params) }),
      'GET /items/all': () => ({ status: 202 })
    }
  })
  const get = (target) => world.callHeader('GET', target, { payload: '' })
  assert.equal((await get('/items/7?x=1')).resultCode, 'http.200')
  assert.equal((await get('/items/a%2Fb%20c')).resultCode, 'http.200')
  assert.equal((await get('/items/all')).resultCode, 'http.202')
  for (const target of ['/items/', '/items', '/items/1/2', '/items/%zz', '/ITEMS/1', '//items/1']) {
    assert.equal((await get(target)).resultCode, 'http.404', target)
  }
  assert.deepEqual(seen, [
    { id: '7', target: '/items/7?x=1', proto: null },
    { id: 'a/b c', target: '/items/a%2Fb%20c', proto: null }
  ])
})

test('R36 a request line over 128 bytes is signed by its hash', async () => {
  const world = await createWorld({
    routes: { 'GET /api/search': ({ type, target }) => ({ payload: `${type.length} ${target.length}` }) }
  })
  const { createHash } = await import('node:crypto')
  for (const length of [127, 128, 129, 2000]) {
    const target = `/api/search?q=${'x'.repeat(length - 'GET /api/search?q='.length)}`
    const line = `GET ${target}`
    assert.equal(line.length, length)
    const hashed = `sha256:${createHash('sha256').update(line).digest('base64url')}`
    const request = world.requestOf({ type: length > 128 ? hashed : line, payload: '' })
    const answer = await openAnswer(await world.sendHeader('GET', target, request), request.requestId, world.signer)
    assert.equal(answer.text, `${length} ${target.length}`)
    if (length > 128) continue
    const other = world.requestOf({ type: hashed, payload: '' })
    assert.equal((await world.sendHeader('GET', target, other)).status, 400, 'the hash of a short line is not its type')
  }
})

test('R38 one configured mapping undoes a front end that rewrites targets', async () => {
  const world = await createWorld({ mapTarget: (raw) => raw.replace(/^\/internal/, '') })
  const request = world.requestOf({ type: 'POST /api/echo' })
  const response = await world.sendHeader('POST', '/internal/api/echo', request)
  assert.equal((await openAnswer(response, request.requestId, world.signer)).resultCode, 'http.200')
  const broken = await createWorld({
    mapTarget: () => {
      throw new Error('map')
    }
  })
  assert.equal((await broken.sendHeader('POST', '/api/echo', broken.requestOf({ type: 'POST /api/echo' }))).status, 400)
})

test('R39 HEAD, 204, 205 and 304 have an empty payload, and are signed so', async () => {
  const world = await createWorld({
    routes: {
      'POST /nothing': () => ({ status: 204, payload: 'dropped' }),
      'POST /reset': () => ({ status: 205, payload: 'dropped' }),
      'POST /same': () => ({ status: 304, payload: 'dropped' })
    }
  })
  for (const [target, status] of [
    ['/nothing', 204],
    ['/reset', 205],
    ['/same', 304]
  ]) {
    const answer = await world.callHeader('POST', target)
    assert.deepEqual([answer.status, answer.resultCode, answer.text], [status, `http.${status}`, ''])
  }
  const head = await world.callHeader('HEAD', '/api/time', { payload: '' })
  assert.deepEqual([head.resultCode, head.text], ['http.200', ''])
  const refused = await world.callHeader('HEAD', '/api/time', { payload: '', timestampMs: 1 })
  assert.deepEqual([refused.status, refused.resultCode, refused.text], [401, 'cs.stale', ''])
})

test('R40 the result code of a header answer is its status', async () => {
  const world = await createWorld({
    routes: { 'POST /api/make': () => ({ status: 201, payload: '{}', contentType: 'application/json' }) }
  })
  const request = world.requestOf({ type: 'POST /api/make' })
  const response = await world.sendHeader('POST', '/api/make', request)
  assert.equal(response.headers.get('content-type'), 'application/json')
  assert.equal((await openAnswer(response, request.requestId, world.signer)).resultCode, 'http.201')
})

const hostile = {
  'throws null': () => {
    throw null
  },
  'throws undefined': () => {
    throw undefined
  },
  'throws a string': () => {
    throw 'x'
  },
  'throws a symbol': () => {
    throw Symbol('x')
  },
  'throws a thing without a prototype': () => {
    throw Object.create(null)
  },
  'throws a revoked proxy': () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    throw proxy
  },
  'rejects with undefined': () => Promise.reject(undefined),
  'rejects later': () => sleep(2).then(() => Promise.reject(new Error('late'))),
  'gives a thenable that throws': () => ({
    // biome-ignore lint/suspicious/noThenProperty: that is the attack
    then() {
      throw new Error('then')
    }
  }),
  'gives a number': () => ({ payload: 42 }),
  'gives a stream': () => ({ payload: new ReadableStream() }),
  'gives a reserved code': () => ({ resultCode: 'cs.session_revoked' }),
  'gives an http code': () => ({ resultCode: 'http.200' }),
  'gives an empty code': () => ({ resultCode: '' }),
  'gives a code with a line break': () => ({ resultCode: 'a\r\nb' }),
  'gives a code with a lone surrogate': () => ({ resultCode: '\ud800' }),
  'gives a long code': () => ({ resultCode: 'x'.repeat(129) }),
  'gives a code that is no text': () => ({ resultCode: { toString: () => 'ok' } }),
  'has a getter that throws': () => ({
    get payload() {
      throw new Error('getter')
    }
  }),
  'gives a revoked proxy': () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    return proxy
  },
  'gives detached bytes': () => {
    const payload = new Uint8Array(8)
    structuredClone(payload.buffer, { transfer: [payload.buffer] })
    return { payload }
  }
}

for (const [name, handler] of Object.entries(hostile)) {
  test(`H4 a handler that ${name} gets a signed answer out and the gateway lives`, async () => {
    const world = await createWorld({ routes: { 'demo.bad': handler } })
    const answer = await world.call({ type: 'demo.bad' })
    assert.deepEqual([answer.status, answer.resultCode], [503, 'cs.unavailable'])
    assert.equal((await world.call()).resultCode, 'ok')
  })
}

test('H4 header handlers with statuses and types that are none', async () => {
  const results = [
    { status: 99 },
    { status: 100 },
    { status: 199 },
    { status: 600 },
    { status: '200' },
    { status: Number.NaN },
    { status: 200.5 },
    { contentType: 'a\r\nb' },
    { contentType: '' },
    { contentType: 7 }
  ]
  for (const result of results) {
    const world = await createWorld({ routes: { 'POST /bad': () => result } })
    assert.equal((await world.callHeader('POST', '/bad')).resultCode, 'cs.unavailable', JSON.stringify(result))
  }
})

test('H4 a handler that never ends is ended by its deadline, its signal aborted', async () => {
  let signal
  const world = await createWorld({
    handlerTimeoutMs: 20,
    routes: {
      'demo.hang': (context) => {
        signal = context.signal
        return new Promise(() => {})
      }
    }
  })
  const answer = await world.call({ type: 'demo.hang' })
  assert.deepEqual([answer.status, answer.resultCode], [503, 'cs.unavailable'])
  assert.equal(signal.aborted, true)
})

test('H4 what a handler does after its deadline is dropped, rejections too', async () => {
  const world = await createWorld({
    handlerTimeoutMs: 5,
    routes: { 'demo.late': () => sleep(30).then(() => Promise.reject(new Error('late'))) }
  })
  assert.equal((await world.call({ type: 'demo.late' })).resultCode, 'cs.unavailable')
  await sleep(50)
  assert.equal((await world.call()).resultCode, 'ok')
})

test('H4 hooks that throw change nothing', async () => {
  const fault = () => {
    throw new Error('hook')
  }
  const world = await createWorld({ onStage: fault, onRefusal: fault, identify: fault })
  assert.equal((await world.call()).resultCode, 'ok')
  assert.equal((await world.call({ timestampMs: 1 })).resultCode, 'cs.stale')
  assert.equal((await world.sendFrame(Buffer.from('x'))).status, 400)
})

test('I7 the signal of a handler is aborted when the client leaves', async () => {
  let left
  const gone = new Promise((resolve) => {
    left = resolve
  })
  const world = await createWorld({
    routes: {
      'demo.wait': ({ signal }) =>
        new Promise(() => {
          signal.addEventListener('abort', () => left(signal.reason))
        })
    }
  })
  const client = new AbortController()
  const handling = world.gateway.handle(
    frameRequest(world.requestOf({ type: 'demo.wait' }).frame, { signal: client.signal })
  )
  await sleep(20)
  client.abort()
  assert.equal((await gone).code, 'ERR_ABORTED')
  await handling
})

test('R92 a payload that a handler changes after giving it is sent as it was signed', async () => {
  const payload = Buffer.from('first')
  const signer = (await import('./kit.mjs')).createSigner()
  const slow = {
    ...signer,
    sign: async (bytes) => {
      payload.write('other')
      return signer.sign(bytes)
    }
  }
  const world = await createWorld({ signer: slow, routes: { 'demo.change': () => ({ payload }) } })
  assert.equal((await world.call({ type: 'demo.change' })).text, 'first')
})

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
  await world.sessions.revoke(second.id, 'lost', 77)
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
        revoked_ms: 77,
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
    'cs.rotate_key',
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

test('H5 closing drains what is under way, refuses what is new, and aborts what hangs', async () => {
  let finish
  const signals = []
  const world = await createWorld({
    routes: {
      'demo.slow': () =>
        new Promise((resolve) => {
          finish = () => resolve({ payload: 'done' })
        }),
      'demo.hang': ({ signal }) => {
        signals.push(signal)
        return new Promise(() => {})
      }
    }
  })
  const slow = world.call({ type: 'demo.slow' })
  const hung = world.call({ type: 'demo.hang' })
  await sleep(20)
  const closing = world.gateway.close({ drainMs: 60 })
  finish()
  assert.equal((await slow).text, 'done')
  assert.equal((await world.call()).resultCode, 'cs.unavailable')
  await closing
  assert.equal((await hung).resultCode, 'cs.unavailable')
  assert.equal(signals[0].aborted, true)
})

test('I1 createGateway is there at once and may be awaited', async () => {
  const world = await createWorld()
  const gateway = await createGateway({
    label: 'test',
    signer: world.signer,
    sessions: world.sessions,
    replay: { reserve: async () => 'reserved', close() {} },
    routes: { 'demo.echo': ({ payload }) => ({ payload }) },
    now: world.now
  })
  await gateway.ready()
  const request = signRequest(world.device)
  const answer = await openAnswer(await gateway.handle(frameRequest(request.frame)), request.requestId, world.signer)
  assert.equal(answer.resultCode, 'ok')
})
