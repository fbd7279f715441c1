// SPDX-License-Identifier: MIT
// The gateway behind node:http: raw targets, raw bodies, hostile senders.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { nodeHandler } from 'countersign/server'
import { createWorld, FRAME, openAnswer, serve } from './kit.mjs'

/** raw sends bytes over a socket and gives all that comes back until it closes, or `waitMs` after the last byte. */
const raw = async (port, pieces, { waitMs = 300, pauseMs = 0 } = {}) => {
  const socket = connect(port, '127.0.0.1')
  const received = []
  let last = Date.now()
  socket.on('data', (piece) => {
    received.push(piece)
    last = Date.now()
  })
  socket.on('error', () => {})
  let closed = false
  socket.on('close', () => {
    closed = true
  })
  await once(socket, 'connect')
  for (const piece of [pieces].flat()) {
    if (socket.destroyed) break
    socket.write(piece)
    if (pauseMs > 0) await sleep(pauseMs)
  }
  last = Date.now()
  while (!closed && Date.now() - last < waitMs) await sleep(5)
  socket.destroy()
  return Buffer.concat(received).toString('latin1')
}

/** statuses lists the status of every final answer in what a socket gave. */
const statuses = (text) => [...text.matchAll(/HTTP\/1\.1 ([2-5]\d\d) /g)].map(([, status]) => Number(status))

const head = (lines) => `${lines.join('\r\n')}\r\n\r\n`

const createServed = async (t, options = {}, serverOptions = {}) => {
  const world = await createWorld({ now: Date.now, ...options })
  const listener = nodeHandler(world.gateway)
  const served = await serve(t, listener, serverOptions)
  return { ...world, ...served }
}

const post = (length, extra = [], target = '/exchange') =>
  head([
    `POST ${target} HTTP/1.1`,
    'host: gateway',
    `content-type: ${FRAME}`,
    ...(length === undefined ? [] : [`content-length: ${length}`]),
    ...extra
  ])

test('I2 honest requests pass over a socket in every binding, one connection for all', async (t) => {
  const world = await createServed(t)
  const framed = world.requestOf()
  const answer = await fetch(`${world.url}/exchange`, {
    method: 'POST',
    body: framed.frame,
    headers: { 'content-type': FRAME }
  })
  assert.equal((await openAnswer(answer, framed.requestId, world.signer)).resultCode, 'ok')
  for (const target of ['/api/echo', '/api/echo?a=%2F..%2f&b=', '/api/echo?']) {
    const request = world.requestOf({ type: `POST ${target}`, payload: 'hello' })
    const text = await raw(world.port, [
      head([
        `POST ${target} HTTP/1.1`,
        'host: gateway',
        'content-length: 5',
        `countersign: ${Buffer.from(request.envelope).toString('base64url')}`,
        'connection: close'
      ]),
      'hello'
    ])
    assert.deepEqual(statuses(text), [200], target)
  }
  const targets = world.handled.slice(1).map(({ target }) => target)
  assert.deepEqual(targets, ['/api/echo', '/api/echo?a=%2F..%2f&b=', '/api/echo?'])
})

test('I3 the raw target is judged: dot segments, case of escapes, doubled slashes, absolute and authority forms', async (t) => {
  const world = await createServed(t)
  const request = world.requestOf({ type: 'POST /api/echo', payload: '' })
  const envelope = Buffer.from(request.envelope).toString('base64url')
  const targets = [
    '/api/./echo',
    '/api/x/../echo',
    '//api/echo',
    '/api/%65cho',
    '/api/echo/',
    '/api/echo?x',
    '/api/echo#x',
    'http://gateway/api/echo',
    'http://other/api/echo',
    'gateway:80',
    '*',
    '/API/echo',
    '/api/echo%20'
  ]
  for (const target of targets) {
    const text = await raw(
      world.port,
      head([`POST ${target} HTTP/1.1`, 'host: gateway', 'content-length: 0', `countersign: ${envelope}`]),
      { waitMs: 100 }
    )
    assert.ok(
      statuses(text).every((status) => status === 400),
      `${target} ${text.slice(0, 40)}`
    )
  }
  assert.equal(world.handled.length, 0)
})

test("I3 the target of an express mount is the whole one, and a front end's headers change nothing", async (t) => {
  const world = await createWorld({ now: Date.now })
  const listener = nodeHandler(world.gateway)
  const { port } = await serve(t, (request, response) => {
    request.originalUrl = request.url
    request.url = request.url.replace(/^\/api/, '')
    listener(request, response, assert.fail)
  })
  const request = world.requestOf({ type: 'POST /api/echo', payload: '' })
  const lines = [
    'POST /api/echo HTTP/1.1',
    'host: gateway',
    'content-length: 0',
    'x-original-url: /other',
    'x-forwarded-prefix: /x',
    'connection: close'
  ]
  const text = await raw(port, head([...lines, `countersign: ${Buffer.from(request.envelope).toString('base64url')}`]))
  assert.deepEqual(statuses(text), [200])
})

test('I3 a body that a parser has read is a typed error, to next or as a plain 500', async (t) => {
  const world = await createWorld({ now: Date.now })
  const listener = nodeHandler(world.gateway)
  const errors = []
  for (const next of [undefined, (error) => errors.push(error)]) {
    const { port } = await serve(t, async (request, response) => {
      for await (const _ of request);
      listener(request, response, next)
      if (next) response.end()
    })
    const { frame } = world.requestOf()
    const text = await raw(port, [post(frame.length, ['connection: close']), frame])
    assert.deepEqual(statuses(text), [next ? 200 : 500])
  }
  assert.equal(errors[0].code, 'ERR_BODY_CONSUMED')
  assert.equal(world.handled.length, 0)
})

test('R47 the envelope is judged before the body comes: a refusal does not wait for it', async (t) => {
  const world = await createServed(t, { limits: { bodyMs: 30_000, idleMs: 30_000 } })
  const forged = world.requestOf({ payload: Buffer.alloc(1_000_000), signature: new Uint8Array(64) })
  const began = Date.now()
  const text = await raw(world.port, [post(forged.frame.length), forged.envelope], { waitMs: 150 })
  assert.deepEqual(statuses(text), [401])
  assert.ok(Date.now() - began < 3000)
  assert.match(text, /connection: close/i)
  const stale = world.requestOf({ type: 'POST /api/echo', payload: Buffer.alloc(1_000_000), timestampMs: 1 })
  const countersign = `countersign: ${Buffer.from(stale.envelope).toString('base64url')}`
  assert.deepEqual(statuses(await raw(world.port, post(1_000_000, [countersign], '/api/echo'), { waitMs: 150 })), [401])
})

test('R47 a large body that is still coming does not cost the sender its refusal', async (t) => {
  const world = await createServed(t)
  const payload = Buffer.alloc(4_000_000, 1)
  const forged = world.requestOf({ payload, signature: new Uint8Array(64) })
  const response = await fetch(`${world.url}/exchange`, {
    method: 'POST',
    body: forged.frame,
    headers: { 'content-type': FRAME }
  })
  assert.equal((await openAnswer(response, forged.requestId, world.signer)).resultCode, 'cs.unauthenticated')
})

test('E9 a declared length over the limit is a plain 413, one exceeded in streaming a signed cs.too_large that burns the id', async (t) => {
  const world = await createServed(t, { limits: { payloadBytes: 1000 } })
  assert.deepEqual(statuses(await raw(world.port, post(1_000_000_000), { waitMs: 100 })), [413])
  const request = world.requestOf({ payload: Buffer.alloc(1001) })
  const chunk = (bytes) => [`${bytes.length.toString(16)}\r\n`, bytes, '\r\n']
  const sent = [post(undefined, ['transfer-encoding: chunked']), ...chunk(request.frame), '0\r\n\r\n']
  const text = await raw(world.port, sent, { waitMs: 100 })
  assert.deepEqual(statuses(text), [413])
  assert.ok(text.includes(FRAME), 'signed')
  assert.equal(world.refusals.at(-1).code, 'cs.too_large')
  assert.deepEqual(statuses(await raw(world.port, sent, { waitMs: 100 })), [409])
  const fits = world.requestOf({ payload: Buffer.alloc(1000) })
  assert.equal(
    (await fetch(`${world.url}/exchange`, { method: 'POST', body: fits.frame, headers: { 'content-type': FRAME } }))
      .status,
    200
  )
})

test('E9 an endless body of a verified request ends at the limit', async (t) => {
  const world = await createServed(t, { limits: { payloadBytes: 100_000 } })
  const request = world.requestOf({ payload: 'x' })
  const piece = Buffer.alloc(16_384, 1)
  const pieces = Array.from({ length: 40 }, () => Buffer.concat([Buffer.from('4000\r\n'), piece, Buffer.from('\r\n')]))
  const text = await raw(
    world.port,
    [
      post(undefined, ['transfer-encoding: chunked']),
      `${request.envelope.length.toString(16)}\r\n`,
      request.envelope,
      '\r\n',
      ...pieces
    ],
    { waitMs: 200 }
  )
  assert.deepEqual(statuses(text), [413])
})

test('E9 slow senders are cut: before the envelope plainly, within the body signed, and the id is burnt', async (t) => {
  const world = await createServed(t, { limits: { envelopeMs: 150, bodyMs: 400, idleMs: 150 } })
  const request = world.requestOf({ payload: Buffer.alloc(1000) })
  const slow = (bytes, count) => Array.from({ length: count }, (_, at) => bytes.subarray(at, at + 1))
  const began = Date.now()
  const early = await raw(world.port, [post(request.frame.length), ...slow(request.frame, 60)], {
    pauseMs: 10,
    waitMs: 100
  })
  assert.deepEqual(statuses(early), [400])
  assert.equal(world.refusals.at(-1).code, 'ERR_TIMEOUT')
  const late = await raw(world.port, [post(request.frame.length), request.envelope, ...slow(Buffer.alloc(1000), 90)], {
    pauseMs: 10,
    waitMs: 100
  })
  assert.deepEqual(statuses(late), [400])
  assert.equal(world.refusals.at(-1).code, 'cs.payload_mismatch')
  const idle = world.requestOf({ payload: Buffer.alloc(1000) })
  assert.deepEqual(statuses(await raw(world.port, [post(idle.frame.length), idle.envelope], { waitMs: 400 })), [400])
  assert.ok(Date.now() - began < 8000)
  for (const burnt of [request, idle]) {
    const again = await fetch(`${world.url}/exchange`, {
      method: 'POST',
      body: burnt.frame,
      headers: { 'content-type': FRAME }
    })
    assert.equal((await openAnswer(again, burnt.requestId, world.signer)).resultCode, 'cs.replayed')
  }
  const json = await raw(
    world.port,
    [
      head(['POST /exchange HTTP/1.1', 'host: gateway', 'content-type: application/json', 'content-length: 500']),
      '{"a'
    ],
    { waitMs: 300 }
  )
  assert.deepEqual(statuses(json), [400])
})

test('R48 a sender that leaves in the middle burns its id', async (t) => {
  const world = await createServed(t)
  const request = world.requestOf({ payload: Buffer.alloc(1000) })
  const socket = connect(world.port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write(Buffer.concat([Buffer.from(post(request.frame.length)), request.frame.subarray(0, -1)]))
  while (!world.stages.some(({ stage }) => stage === 'replay')) await sleep(5)
  socket.destroy()
  while (!world.refusals.some(({ code }) => code === 'cs.payload_mismatch')) await sleep(5)
  const again = await fetch(`${world.url}/exchange`, {
    method: 'POST',
    body: request.frame,
    headers: { 'content-type': FRAME }
  })
  assert.equal(again.status, 409)
  assert.equal(world.handled.length, 0)
})

test('E9 all bodies together are bounded: what is too much is refused for the moment, signed', async (t) => {
  const world = await createServed(t, { limits: { bufferedBytes: 150_000 } })
  const held = world.requestOf({ payload: Buffer.alloc(100_000) })
  const socket = connect(world.port, '127.0.0.1')
  t.after(() => socket.destroy())
  await once(socket, 'connect')
  socket.write(Buffer.concat([Buffer.from(post(held.frame.length)), held.frame.subarray(0, -1)]))
  while (!world.stages.some(({ stage }) => stage === 'replay')) await sleep(5)
  await sleep(50)
  const send = async (size) => {
    const request = world.requestOf({ payload: Buffer.alloc(size) })
    const response = await fetch(`${world.url}/exchange`, {
      method: 'POST',
      body: request.frame,
      headers: { 'content-type': FRAME }
    })
    return (await openAnswer(response, request.requestId, world.signer)).resultCode
  }
  assert.equal(await send(100_000), 'cs.unavailable')
  assert.equal(await send(1000), 'ok')
  socket.write(held.frame.subarray(-1))
  while (world.handled.length < 2) await sleep(5)
  await sleep(20)
  assert.equal(await send(100_000), 'ok')
})

test('E10 compressed bodies are refused in every binding: 415, plainly', async (t) => {
  const world = await createServed(t)
  const request = world.requestOf({ type: 'POST /api/echo', payload: 'x' })
  const bomb = gzipSync(Buffer.alloc(1_000_000))
  const countersign = `countersign: ${Buffer.from(request.envelope).toString('base64url')}`
  for (const coding of ['gzip', 'br', 'deflate', 'identity', 'gzip, identity', 'x-unknown', '']) {
    for (const lines of [[`content-type: ${FRAME}`], ['content-type: application/json'], [countersign]]) {
      const text = await raw(
        world.port,
        [
          head([
            'POST /api/echo HTTP/1.1',
            'host: gateway',
            `content-length: ${bomb.length}`,
            `content-encoding: ${coding}`,
            ...lines
          ]),
          bomb
        ],
        { waitMs: 80 }
      )
      assert.deepEqual(statuses(text), [415], coding)
    }
  }
})

const smuggled = 'GET /api/time HTTP/1.1\r\nhost: gateway\r\n\r\n'
const both = (extra) => (world) => {
  const { frame } = world.requestOf()
  return [post(frame.length, extra), frame, smuggled]
}
const smuggling = {
  'content-length and transfer-encoding': both(['transfer-encoding: chunked']),
  'content-length twice': both(['content-length: 1']),
  'content-length twice, equal': (world) => {
    const { frame } = world.requestOf()
    return [post(frame.length, [`content-length: ${frame.length}`]), frame]
  },
  'content-length list': () => [post('5, 5'), 'abcde'],
  'content-length with a sign': () => [post('+5'), 'abcde'],
  'content-length in hex': () => [post('0x5'), 'abcde'],
  'content-length that overflows': () => [post('99999999999999999999999'), 'abcde'],
  'content-length below zero': () => [post('-1'), 'abcde'],
  'transfer-encoding twice': () => [
    post(undefined, ['transfer-encoding: chunked', 'transfer-encoding: identity']),
    '0\r\n\r\n'
  ],
  'transfer-encoding with a typo': () => [post(5, ['transfer-encoding: xchunked']), 'abcde'],
  'transfer-encoding before a space': () => [post(5, ['transfer-encoding : chunked']), 'abcde'],
  'transfer-encoding after a tab': () => [post(5, ['transfer-encoding:\tchunked']), 'abcde'],
  'chunked not last': () => [post(undefined, ['transfer-encoding: chunked, gzip']), '0\r\n\r\n'],
  'folded header': () => [post(5, ['x-a: b', ' folded']), 'abcde'],
  'bare line feeds': () => ['POST /exchange HTTP/1.1\nhost: gateway\ncontent-length: 0\n\n'],
  'a space before the colon': () => [post(0, ['x-a : b'])],
  'NUL in a header': () => [post(0, ['x-a: b\0c'])],
  'carriage return in a header': () => [post(0, ['x-a: b\rc'])],
  'no host': () => ['POST /exchange HTTP/1.1\r\ncontent-length: 0\r\n\r\n'],
  'two hosts': () => [post(0, ['host: other'])],
  'two content types': () => [post(0, ['content-type: application/json'])],
  'two countersign headers': (world) => {
    const request = world.requestOf({ type: 'POST /api/echo', payload: '' })
    const line = `countersign: ${Buffer.from(request.envelope).toString('base64url')}`
    return [post(0, [line, line], '/api/echo')]
  },
  'two different countersign headers': (world) => {
    const lines = [1, 2].map(
      () =>
        `countersign: ${Buffer.from(world.requestOf({ type: 'POST /api/echo', payload: '' }).envelope).toString('base64url')}`
    )
    return [post(0, lines, '/api/echo')]
  },
  'countersign and Countersign': (world) => {
    const value = Buffer.from(world.requestOf({ type: 'POST /api/echo', payload: '' }).envelope).toString('base64url')
    return [post(0, [`countersign: ${value}`, `Countersign: ${value}`], '/api/echo')]
  },
  'a bad chunk size': () => [post(undefined, ['transfer-encoding: chunked']), 'zz\r\nabc\r\n0\r\n\r\n'],
  'a chunk size that overflows': () => [post(undefined, ['transfer-encoding: chunked']), 'fffffffffffffffff\r\nabc'],
  'another HTTP version': () => [post(0).replace('HTTP/1.1', 'HTTP/3.0')],
  'an endless header': () => [`POST /exchange HTTP/1.1\r\nx-a: ${'a'.repeat(40_000)}`],
  'a lower-case method': () => ['post /exchange HTTP/1.1\r\nhost: gateway\r\ncontent-length: 0\r\n\r\n'],
  CONNECT: () => ['CONNECT gateway:80 HTTP/1.1\r\nhost: gateway\r\n\r\n']
}

for (const [name, build] of Object.entries(smuggling)) {
  test(`E11 ${name}: nothing is accepted, nothing is smuggled behind it`, async (t) => {
    const world = await createServed(t)
    const text = await raw(world.port, build(world), { waitMs: 120 })
    assert.equal(world.handled.length, 0)
    assert.ok(
      statuses(text).every((status) => status >= 400 && status < 500),
      text.slice(0, 200)
    )
    assert.ok(statuses(text).length <= 1, 'one answer at most')
    assert.ok(!text.includes('"t":1'))
  })
}

test('I2 HEAD has the headers of GET and no body; expect: 100-continue is asked for once the envelope was accepted', async (t) => {
  const world = await createServed(t, {}, { continues: true })
  const asked = world.requestOf({ type: 'HEAD /api/time', payload: '' })
  const text = await raw(
    world.port,
    head([
      'HEAD /api/time HTTP/1.1',
      'host: gateway',
      `countersign: ${Buffer.from(asked.envelope).toString('base64url')}`
    ]),
    { waitMs: 100 }
  )
  assert.deepEqual(statuses(text), [200])
  assert.ok(text.endsWith('\r\n\r\n'), 'no body')
  const expecting = (options) => {
    const request = world.requestOf({ type: 'POST /api/echo', payload: 'hello', ...options })
    return [
      post(
        5,
        ['expect: 100-continue', `countersign: ${Buffer.from(request.envelope).toString('base64url')}`],
        '/api/echo'
      )
    ]
  }
  const accepted = await raw(world.port, [...expecting(), 'hello'], { pauseMs: 60, waitMs: 100 })
  assert.match(accepted, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200/)
  const refused = await raw(world.port, expecting({ signature: new Uint8Array(64) }), { waitMs: 100 })
  assert.match(refused, /^HTTP\/1\.1 401/)
})

test('I2 a connection serves on after a refusal whose body was taken', async (t) => {
  const world = await createServed(t)
  const bad = world.requestOf({ signature: new Uint8Array(64) })
  const good = world.requestOf()
  const text = await raw(world.port, [post(bad.frame.length), bad.frame, post(good.frame.length), good.frame], {
    waitMs: 200
  })
  assert.deepEqual(statuses(text), [401, 200])
})

test('I2 many aborted sockets leave nothing behind', async (t) => {
  const world = await createServed(t, {
    routes: {
      'demo.wait': ({ signal }) =>
        new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    }
  })
  for (let round = 0; round < 60; round++) {
    const { frame } = world.requestOf({ type: 'demo.wait' })
    const socket = connect(world.port, '127.0.0.1')
    socket.on('error', () => {})
    await once(socket, 'connect')
    socket.write(
      Buffer.concat([
        Buffer.from(post(frame.length)),
        frame.subarray(0, round % 2 === 0 ? undefined : (round * 7) % frame.length)
      ])
    )
    await sleep(round % 3)
    socket.destroy()
  }
  await sleep(200)
  const count = await new Promise((resolve) =>
    world.server.getConnections((_error, connections) => resolve(connections))
  )
  assert.equal(count, 0)
  assert.equal((await world.call()).resultCode, 'ok')
})

test('K1 a source over its rate is refused plainly before its body is read', async (t) => {
  const world = await createServed(t, { rates: { perSource: { perSecond: 1, burst: 2 } } })
  const send = async () =>
    (
      await fetch(`${world.url}/exchange`, {
        method: 'POST',
        body: world.requestOf().frame,
        headers: { 'content-type': FRAME }
      })
    ).status
  assert.deepEqual([await send(), await send(), await send()], [200, 200, 429])
})
