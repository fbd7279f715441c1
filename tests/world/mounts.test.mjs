// SPDX-License-Identifier: MIT
// The code that docs/guide/mounts.md shows runs as it stands there, in real express, fastify and hono (R172).
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { request as ask } from 'node:http'
import { connect as dialTcp } from 'node:net'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { connect, emailEnrollment, memoryStore } from 'countersign'
import {
  createGateway,
  enrollment,
  memoryEventStore,
  memoryReplayStore,
  memorySessionStore,
  nodeHandler
} from 'countersign/server'
import { webSocketHandler } from 'countersign/server/websocket'
import express from 'express'
import { WebSocket } from 'ws'
import { writeModules } from '../interop/shown-code.mjs'
import { createSigner } from '../server/kit.mjs'

const NAMES = ['addresses', 'express', 'fastify', 'hono', 'hono-node', 'next']
const PACKAGES = ['express', 'fastify', 'hono', '@hono', 'proxy-addr']
const paths = { next: 'app/[...path]/route.mjs' }
const { folder, load: shown, remove } = writeModules('docs/guide/mounts.md', NAMES, PACKAGES, paths)
after(remove)

/** A gateway with routes, mailed codes and events; its refusals and the contexts of its handlers. */
const createHouse = (t, options = {}) => {
  const shared = { label: 'shop', signer: createSigner(), sessions: memorySessionStore() }
  const house = { codes: [], seen: [], refusals: [], signer: shared.signer }
  const handler = (context) => {
    house.seen.push(context)
    return { json: { route: context.route, path: context.path, page: context.query.get('page') } }
  }
  const names = ['GET /files/*', 'POST /api/orders', 'demo.echo']
  const gateway = createGateway({
    ...shared,
    endpoint: '/exchange',
    replay: memoryReplayStore(),
    events: memoryEventStore(),
    enrollment: enrollment({ ...shared, mailer: ({ code }) => void house.codes.push(code) }),
    routes: Object.fromEntries(names.map((name) => [name, handler])),
    onRefusal: (event) => house.refusals.push(event),
    ...options
  })
  t.after(() => gateway.close())
  return Object.assign(house, { gateway })
}

const listen = async (server) => {
  if (!server.listening) await once(server.listen(0, '127.0.0.1'), 'listening')
  return server
}

/** Each mount starts what the guide shows, on a port of the loopback: `{ server, stop }`. */
const MOUNTS = {
  async express(gateway) {
    return { server: await listen((await shown('express')).start(gateway)) }
  },
  async fastify(gateway) {
    const app = await (await shown('fastify')).start(gateway)
    await app.listen({ port: 0, host: '127.0.0.1' })
    return { server: app.server, stop: () => app.close() }
  },
  async hono(gateway) {
    const server = (await shown('hono-node')).start(gateway)
    if (!server.listening) await once(server, 'listening')
    return { server }
  }
}

const open = async (t, mount) => {
  const house = createHouse(t)
  const { server, stop } = await MOUNTS[mount](house.gateway)
  t.after(async () => {
    await stop?.()
    server.closeAllConnections()
    server.close()
  })
  return { ...house, server, stop, port: server.address().port, url: `http://127.0.0.1:${server.address().port}` }
}

const enrol = async (t, { url, codes, signer }) => {
  const client = await connect({
    url,
    label: 'shop',
    serverKeys: [{ id: signer.keyId, publicKey: signer.publicKey }],
    store: memoryStore(),
    webSocket: (address, protocol) => new WebSocket(address, protocol)
  })
  t.after(() => client.close())
  const code = async () => {
    while (codes.length === 0) await new Promise(setImmediate)
    return codes.pop()
  }
  await emailEnrollment(client, { email: 'a@example.com', code })
  return client
}

/** send makes a request as others on the network make it: with any target. */
const send = (port, method, path, { body, headers = {} } = {}) =>
  new Promise((resolve, reject) => {
    const asked = ask({ port, host: '127.0.0.1', path, method, headers, agent: false }, async (answer) => {
      let text = ''
      for await (const piece of answer.setEncoding('utf8')) text += piece
      resolve({ status: answer.statusCode, headers: answer.headers, text })
    })
    asked.on('error', reject)
    asked.end(body)
  })

const JSON_BODY = {
  body: JSON.stringify({ n: 1, text: 'ü'.repeat(30_000) }),
  headers: { 'content-type': 'application/json' }
}

for (const mount of Object.keys(MOUNTS)) {
  test(`R172 ${mount}: enrolment, messages and routes are the gateway's, behind a client of this package`, async (t) => {
    const house = await open(t, mount)
    const client = await enrol(t, house)
    assert.equal((await client.request('demo.echo', { json: 1 })).json().route, 'demo.echo')
    const file = await client.fetch('/files/a%20b/c?page=2')
    assert.deepEqual(await file.json(), { route: 'GET /files/*', path: '/files/a%20b/c', page: '2' })
    const order = await client.fetch('/api/orders', { method: 'POST', body: JSON_BODY.body })
    assert.deepEqual([order.status, Buffer.from(house.seen.at(-1).payload).toString()], [200, JSON_BODY.body])
    const wrong = await client.fetch('/api/orders', { method: 'PUT', body: 'x' })
    assert.deepEqual([wrong.status, wrong.headers.get('allow')], [405, 'POST'])
    assert.deepEqual(house.refusals, [])
  })

  test(`R172 ${mount}: other paths are the application's, with their bodies, signed or not`, async (t) => {
    const house = await open(t, mount)
    const { status, text } = await send(house.port, 'POST', '/feedback', JSON_BODY)
    assert.deepEqual([status, JSON.parse(text)], [200, { got: JSON.parse(JSON_BODY.body) }])
    const missing = await send(house.port, 'GET', '/nothing')
    assert.deepEqual([missing.status, missing.headers.countersign], [404, undefined])
    assert.notEqual(missing.text, '')
    const client = await enrol(t, house)
    await assert.rejects(client.fetch('/nothing'), { code: 'ERR_UNSIGNED_ANSWER' })
    assert.deepEqual([house.seen.length, house.refusals.length], [0, 0])
  })

  for (const carrier of ['sse', 'websocket', 'poll'])
    test(`R172 ${mount}: events come over ${carrier}`, async (t) => {
      const house = await open(t, mount)
      const client = await enrol(t, house)
      const streams = (name) => house.gateway.metrics().match(new RegExp(`^${name}(?:\\{.*\\})? ([1-9]\\d*)$`, 'm'))
      const isLive = new Promise((resolve) => {
        client.on('connection', ({ state }) => state === 'live' && resolve())
      })
      const events = client.events({ carrier })
      const first = events.next()
      await isLive
      assert.equal(client.connection.carrier, carrier)
      await house.gateway.publish({ email: 'a@example.com' }, 'order.sent', 'one')
      const { value } = await first
      assert.deepEqual([value.type, Buffer.from(value.payload).toString()], ['order.sent', 'one'])
      if (carrier !== 'poll') assert.ok(streams('countersign_streams'))
      await events.return()
      await client.close()
      while (streams('countersign_streams') || streams('countersign_requests_in_place')) await new Promise(setImmediate)
    })

  test(`R172 ${mount}: a trusted proxy's address is the source, and what the sender wrote before it is not`, async (t) => {
    const house = await open(t, mount)
    const headers = { 'x-forwarded-for': '203.0.113.9, 198.51.100.7' }
    await send(house.port, 'GET', '/files/x', { headers })
    assert.deepEqual(
      house.refusals.map(({ source, code }) => [source, code]),
      [['198.51.100.7', 'ERR_BAD_MAGIC']]
    )
  })

  test(`H32 R172 ${mount}: no method, header or spelling of a target brings an owned path to the application`, async (t) => {
    const house = await open(t, mount)
    for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'PATCH'])
      for (const path of ['/api/orders', '/api/orders?x=/feedback', '/files/feedback', '/exchange?/feedback']) {
        const body = method === 'GET' ? undefined : '{}'
        const headers = {
          'x-original-url': '/feedback',
          'x-http-method-override': 'POST',
          'content-type': 'text/plain'
        }
        const { status, text } = await send(house.port, method, path, { body, headers })
        assert.ok(status >= 400 && status < 500 && text === '', `${method} ${path} ${status} ${text}`)
      }
    for (const path of [
      '/api/orders/',
      '//api/orders',
      '/api/./orders',
      '/API/orders',
      '/files/../feedback',
      '/files/'
    ])
      assert.ok((await send(house.port, 'GET', path)).status >= 400, path)
    assert.equal(house.seen.length, 0)
    assert.ok(house.refusals.every(({ stage }) => stage === undefined))
  })
}

test('R172 hono finds the address by itself on Bun and Deno', async (t) => {
  const { start } = await shown('hono')
  const house = createHouse(t)
  const app = start(house.gateway)
  const request = () => new Request('http://localhost/files/x')
  await app.fetch(request(), { requestIP: (given) => given instanceof Request && { address: '192.0.2.1' } })
  await app.fetch(request(), { remoteAddr: { hostname: '192.0.2.2' } })
  await app.fetch(request(), {})
  assert.deepEqual(
    house.refusals.map(({ source }) => source),
    ['192.0.2.1', '192.0.2.2', '']
  )
})

test('R172 a route of Next answers with every method, and takes the last address', async (t) => {
  const house = createHouse(t)
  globalThis.nextGateway = house.gateway
  t.after(() => delete globalThis.nextGateway)
  writeFileSync(join(folder, 'gateway.js'), 'export const gateway = globalThis.nextGateway')
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  const route = await shown('next')
  assert.deepEqual(Object.keys(route).sort(), ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT'])
  const headers = { 'x-forwarded-for': '203.0.113.9, 198.51.100.7' }
  const answer = await route.GET(new Request('http://localhost/files/x', { headers }))
  assert.deepEqual([answer.status, house.refusals[0].source], [400, '198.51.100.7'])
  assert.equal((await route.OPTIONS(new Request('http://localhost/files/x', { method: 'OPTIONS' }))).status, 204)
})

test('R172 a body parser in front of the gateway is ERR_BODY_CONSUMED, in express and hono', async (t) => {
  const { gateway } = createHouse(t)
  const app = express()
  const errors = []
  app.use(express.json(), nodeHandler(gateway, { fallthrough: true }))
  app.use((error, _request, response, _next) => response.status(500).json(errors.push(error.code)))
  const server = await listen(app.listen(0, '127.0.0.1'))
  t.after(() => server.close())
  const { status } = await send(server.address().port, 'POST', '/exchange', JSON_BODY)
  assert.deepEqual([status, errors], [500, ['ERR_BODY_CONSUMED']])

  const { countersign } = await shown('hono')
  const { Hono } = await import('hono')
  const late = new Hono()
  late.use(async (c, next) => {
    await c.req.json()
    await next()
  })
  late.use(countersign(gateway))
  late.onError((error, c) => c.text(error.code, 500))
  const answer = await late.fetch(new Request('http://localhost/exchange', { method: 'POST', ...JSON_BODY }), {})
  assert.deepEqual([answer.status, await answer.text()], [500, 'ERR_BODY_CONSUMED'])
})

test('R172 an upgrade for another path is left to the server’s other listeners', async (t) => {
  const { gateway } = createHouse(t)
  const server = await listen(express().listen(0, '127.0.0.1'))
  t.after(() => server.close())
  server.on('upgrade', webSocketHandler(gateway, { fallthrough: true }))
  server.on('upgrade', (request, socket) => {
    if (!gateway.owns(request.url)) socket.end('HTTP/1.1 418 Other\r\nconnection: close\r\n\r\n')
  })
  const refusalOf = async (path) => {
    const socket = new WebSocket(`ws://127.0.0.1:${server.address().port}${path}`)
    const [error] = await once(socket, 'error')
    return error.message
  }
  assert.match(await refusalOf('/hmr'), /418/)
  assert.match(await refusalOf('/exchange'), /400/)
})

test('R172 an upgrade that nobody takes is refused, and one that breaks off ends no process', async (t) => {
  const { gateway } = createHouse(t)
  const server = await listen(express().listen(0, '127.0.0.1'))
  t.after(() => server.close())
  const head = 'GET /hmr HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n'
  const dial = () => dialTcp(server.address().port, '127.0.0.1').setEncoding('utf8')
  const answerTo = async (socket) => {
    let text = ''
    for await (const piece of socket) text += piece
    return text
  }
  server.on('upgrade', webSocketHandler(gateway, { fallthrough: true }))
  const alone = dial()
  alone.write(head)
  assert.match(await answerTo(alone), /^HTTP\/1\.1 404 /)

  // Another listener is there, and answers nothing.
  const taken = []
  server.on('upgrade', (_request, socket) => taken.push(socket))
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const [left, broken] = [dial(), dial()]
  for (const socket of [left, broken]) {
    const before = taken.length
    socket.write(head)
    while (taken.length === before) await new Promise(setImmediate)
  }
  broken.resetAndDestroy()
  await new Promise((resolve) => taken[1].once('close', resolve))
  const answer = answerTo(left)
  t.mock.timers.tick(30_000)
  assert.match(await answer, /^HTTP\/1\.1 404 /)
})

test('R172 owns needs an endpoint, and fallthrough a gateway in the phase enforce', (t) => {
  const usage = { code: 'ERR_INVALID_ARGUMENT' }
  const whole = createHouse(t, { endpoint: undefined }).gateway
  assert.throws(() => whole.owns('/x'), usage)
  const early = createHouse(t, { phase: 'require' }).gateway
  const { gateway } = createHouse(t)
  for (const mount of [nodeHandler, webSocketHandler]) {
    for (const given of [whole, early]) assert.throws(() => mount(given, { fallthrough: true }), usage)
    assert.throws(() => mount(gateway, { fallthrough: 'yes' }), usage)
    assert.throws(() => mount({ exchange() {}, upgrade() {} }, { fallthrough: true }), usage)
  }
  const mapped = createHouse(t, { mapTarget: (raw) => raw.replace(/^\/v1/, '') }).gateway
  assert.deepEqual(
    ['/v1/files/x', '/files/x', '/v1/other', '/exchange', '/v1/exchange'].map((target) => mapped.owns(target)),
    [true, true, false, true, false]
  )
})
