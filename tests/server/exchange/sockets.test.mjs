// SPDX-License-Identifier: MIT
// The gateway behind node:http: raw targets, raw bodies, connections.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { nodeHandler } from 'countersign/server'
import { createWorld, FRAME, openAnswer, serve } from '../kit.mjs'
import { createServed, head, post, raw, statuses, until } from './socket-kit.mjs'

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
      head([`POST ${target} HTTP/1.1`, 'host: gateway', 'content-length: 0', `countersign: ${envelope}`])
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

test('I2 HEAD has the headers of GET and no body; expect: 100-continue is asked for once the envelope was accepted', async (t) => {
  const world = await createServed(t, {}, { continues: true })
  const asked = world.requestOf({ type: 'HEAD /api/time', payload: '' })
  const text = await raw(
    world.port,
    head([
      'HEAD /api/time HTTP/1.1',
      'host: gateway',
      `countersign: ${Buffer.from(asked.envelope).toString('base64url')}`
    ])
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
  const accepted = await raw(world.port, [...expecting(), 'hello'], { pauseMs: 60 })
  assert.match(accepted, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200/)
  const refused = await raw(world.port, expecting({ signature: new Uint8Array(64) }))
  assert.match(refused, /^HTTP\/1\.1 401/)
})

test('I2 a connection serves on after a refusal whose body was taken', async (t) => {
  const world = await createServed(t)
  const bad = world.requestOf({ signature: new Uint8Array(64) })
  const good = world.requestOf()
  const text = await raw(world.port, [post(bad.frame.length), bad.frame, post(good.frame.length), good.frame], {
    answers: 2
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
  const connections = () =>
    new Promise((resolve) => world.server.getConnections((_error, connected) => resolve(connected)))
  await until(async () => (await connections()) === 0)
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
