// SPDX-License-Identifier: MIT
// What handlers get and what becomes of what they give.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createGateway } from 'countersign/server'
import { createWorld, frameRequest, openAnswer, signRequest } from '../kit.mjs'

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

const lostResults = [
  ['message', 'a text', /not a value of string/],
  ['message', 7, /not a value of number/],
  ['message', false, /not a value of boolean/],
  ['message', ['x'], /not a value of array/],
  ['message', new Map([['payload', 'x']]), /plain object/],
  ['message', new Date(0), /plain object/],
  ['message', { body: 'x' }, /has no member body; it may have resultCode, payload, json, status, contentType, headers/],
  ['message', { status: 404 }, /status is for HTTP routes/],
  ['http', { resultCode: 'refused' }, /resultCode is for message types/],
  ['message', new Response('x', { status: 404 }), /says nothing for a message type/],
  ...[300, 301, 302, 303, 307, 308, 399].map((status) => ['http', { status }, /200 to 299, 304 or 400 to 599/])
]

test('R66 a result of which something would reach no client is a TypeError at the gateway, never a silent ok', async () => {
  for (const [kind, result, message] of lostResults) {
    const route = kind === 'http' ? 'POST /lost' : 'demo.lost'
    const world = await createWorld({ routes: { [route]: () => result } })
    const answer = await (kind === 'http' ? world.callHeader('POST', '/lost') : world.call({ type: route }))
    const named = `${kind} ${typeof result} ${JSON.stringify(result)}`
    assert.deepEqual([answer.status, answer.resultCode], [500, 'cs.internal'], named)
    const [{ error }, ...others] = world.faults
    assert.ok(error instanceof TypeError && others.length === 0, named)
    assert.match(error.message, message)
  }
})

test('R66 a result for both kinds of routes, of another prototype, or of nothing, is whole', async () => {
  class Answer {
    payload = 'made'
  }
  const wholes = [
    [{ resultCode: 'gone', status: 404, payload: 'x', contentType: 'text/plain' }, 'gone', 'http.404', 'x'],
    [Object.assign(Object.create(null), { payload: 'bare' }), 'ok', 'http.200', 'bare'],
    [new Answer(), 'ok', 'http.200', 'made'],
    [null, 'ok', 'http.200', ''],
    [undefined, 'ok', 'http.200', '']
  ]
  for (const [result, resultCode, httpCode, text] of wholes) {
    const world = await createWorld({ routes: { 'demo.whole': () => result, 'POST /whole': () => result } })
    const message = await world.call({ type: 'demo.whole' })
    const http = await world.callHeader('POST', '/whole')
    assert.deepEqual([message.resultCode, message.text, http.resultCode, http.text], [resultCode, text, httpCode, text])
    assert.deepEqual(world.faults, [])
  }
})
