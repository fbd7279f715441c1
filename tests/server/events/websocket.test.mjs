// SPDX-License-Identifier: MIT
// Streams over WebSocket (R110): their start, their end, and hostile clients.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { memoryEventStore, nodeHandler } from 'countersign/server'
import { webSocketHandler } from 'countersign/server/websocket'
import { until } from '../exchange/socket-kit.mjs'
import { createWorld, enrol, serve, signRequest } from '../kit.mjs'
import { createServed, dial, metric, subscribeBy } from './dial.mjs'
import { createEventWorld, openFirst, subscriptionOf, timed } from './kit.mjs'

test('R110 the same frames in the same order, resumed like any stream', async (t) => {
  const world = await createServed(t)
  const stream = await subscribeBy(world)
  for (let number = 1; number <= 50; number++) await world.gateway.publish(world.device.id, 'demo.note', String(number))
  const events = await stream.take(50)
  assert.deepEqual(
    events.map(({ text }) => text),
    Array.from({ length: 50 }, (_, at) => String(at + 1))
  )
  assert.equal(metric(world, 'countersign_streams{carrier="websocket"}'), 1)
  stream.socket.terminate()
  await until(() => metric(world, 'countersign_streams{carrier="websocket"}') === 0)
  const resumed = await subscribeBy(world, { after: 48, stream: stream.first.stream })
  assert.deepEqual(
    (await resumed.take(2)).map(({ text }) => text),
    ['49', '50']
  )
  assert.equal(resumed.socket.protocol, 'countersign.v1')
  assert.equal(resumed.socket.extensions, '')
})

test('R104 heartbeats, R105 a revocation within 1 s and 4401', (t) =>
  timed(t, async () => {
    const world = await createServed(t, { limits: { heartbeatMs: 40 } })
    const stream = await subscribeBy(world)
    assert.equal((await stream.next()).type, 'cs.time')
    const beganMs = performance.now()
    await world.sessions.revoke(world.device.id, 'user')
    assert.equal((await stream.rest()).at(-1).type, 'cs.revoked')
    assert.equal(await stream.closed(), 4401)
    return performance.now() - beganMs
  }))

test('R108 a gateway that closes says going away, never revoked', async (t) => {
  const world = await createServed(t)
  const stream = await subscribeBy(world)
  await world.gateway.close()
  assert.deepEqual(await stream.rest(), [])
  assert.equal(await stream.closed(), 1001)
})

test('R110 a refusal is the signed answer, then 4401', async (t) => {
  const world = await createServed(t, { limits: { sessionStreams: 1 } })
  const held = await subscribeBy(world)
  const stranger = await enrol(world.sessions)
  const ask = async (request) => {
    const opened = dial(world.port)
    await opened.opened()
    opened.socket.send(request.frame)
    const { resultCode } = openFirst(world, await opened.pull(), request.requestId)
    assert.equal(await opened.pull(), null)
    assert.equal(await opened.closed(), 4401)
    return [world.stages.at(-1).stage, resultCode]
  }
  assert.deepEqual(await ask(subscriptionOf(world)), ['rate', 'cs.rate_limited'])
  assert.deepEqual(await ask(subscriptionOf(world, { sessionId: stranger.id })), ['signature', 'cs.unauthenticated'])
  assert.deepEqual(await ask(subscriptionOf(world, { nowMs: Date.now() - 61_000 })), ['freshness', 'cs.stale'])
  assert.deepEqual(await ask(subscriptionOf(world, { payload: '{"after":"1"}' })), ['handler', 'invalid_payload'])
  const other = (type) => signRequest(world.device, { type, nowMs: Date.now(), payload: '{}' })
  // A WebSocket takes only a subscription, so other messages have no effect.
  for (const type of ['demo.echo', 'cs.poll', 'cs.revoke'])
    assert.deepEqual(await ask(other(type)), ['handler', 'unknown_type'])
  assert.equal(world.handled.length, 0)
  const used = subscriptionOf(world, { device: stranger })
  const first = dial(world.port)
  await first.opened()
  first.socket.send(used.frame)
  await first.pull()
  assert.deepEqual(await ask(used), ['replay', 'cs.replayed'])
  held.socket.terminate()
})

test('R110 only the endpoint, the subprotocol and an allowed origin are upgraded', async (t) => {
  const world = await createServed(t, { origins: ['https://app.example'] })
  const statusOf = (options) => dial(world.port, options).refused()
  assert.equal(await statusOf({ path: '/other' }), 404)
  assert.equal(await statusOf({ protocol: 'chat' }), 400)
  assert.equal(await statusOf({ protocol: [] }), 400)
  assert.equal(await statusOf({ origin: 'https://evil.example' }), 403)
  assert.equal(await statusOf({ origin: 'null' }), 403)
  assert.equal(await statusOf({ origin: 'https://app.example.evil' }), 403)
  const good = [
    {},
    { origin: 'https://app.example' },
    { origin: `http://127.0.0.1:${world.port}` },
    { origin: 'https://own.example', headers: { host: 'own.example' } },
    { origin: 'https://own.example', headers: { host: 'own.example:443' } }
  ]
  for (const options of good) {
    const opened = dial(world.port, options)
    await opened.opened()
    opened.socket.terminate()
  }
  await world.gateway.close()
  assert.equal(await statusOf({}), 503)
  const without = await createWorld()
  const served = await serve(t, nodeHandler(without.gateway))
  served.server.on('upgrade', webSocketHandler(without.gateway))
  assert.equal(await dial(served.port).refused(), 404)
})

test('H28 R110 an own scheme with the name of the gateway is no page of the gateway, and needs an entry', async (t) => {
  const own = ['capacitor://own.example', 'http+x://own.example', 'ws://own.example']
  const world = await createServed(t, { origins: ['capacitor://localhost', 'https://*.example.com'] })
  for (const origin of [...own, 'https://a.b.example.com', 'https://example.com'])
    assert.equal(await dial(world.port, { origin, headers: { host: 'own.example' } }).refused(), 403, origin)
  for (const origin of ['capacitor://localhost', 'https://a.example.com']) {
    const opened = dial(world.port, { origin })
    await opened.opened()
    opened.socket.terminate()
  }
})

test('H30 R110 a page without an origin gets no WebSocket, and its events over the other carriers', async (t) => {
  const world = await createServed(t, { allowOpaqueOrigin: true, origins: ['https://app.example'] })
  const refusedAs = async (options) => [await dial(world.port, options).refused(), world.refusals.at(-1).code]
  const host = { host: 'null' }
  for (const options of [{ origin: 'null' }, { origin: 'null', headers: host }])
    assert.deepEqual(await refusedAs(options), [403, 'opaque_origin'])
  assert.deepEqual(await refusedAs({ origin: 'https://evil.example' }), [403, 'foreign_origin'])
  assert.deepEqual(await refusedAs({ path: '/other' }), [404, 'not_found'])
  assert.deepEqual(await refusedAs({ protocol: 'chat' }), [400, 'no_websocket'])
  const { stage, status, signed, exchange } = world.refusals.at(-1)
  assert.deepEqual([stage, status, signed, exchange], [undefined, 400, false, 5])
  for (const accept of ['text/event-stream', undefined]) {
    const request = accept ? subscriptionOf(world) : world.requestOf({ type: 'cs.poll', payload: '{"wait_ms":0}' })
    const headers = { origin: 'null', ...(accept ? { accept } : {}) }
    const answer = await world.sendFrame(request.frame, { headers })
    assert.deepEqual([answer.status, answer.headers.get('access-control-allow-origin')], [200, 'null'])
    await answer.body?.cancel()
  }
})

test('E9 R110 a hostile first message ends the connection: garbage, text, too long, none, two', async (t) => {
  const world = await createServed(t)
  const send = async (...messages) => {
    const opened = dial(world.port)
    await opened.opened()
    for (const message of messages) opened.socket.send(message)
    return opened.closed()
  }
  const good = () => subscriptionOf(world).frame
  assert.equal(await send(Buffer.from('garbage')), 4400)
  assert.equal(await send(Buffer.alloc(0)), 4400)
  assert.equal(await send(Buffer.alloc(1500)), 4400)
  assert.equal(await send(good().subarray(0, 100)), 4400)
  assert.equal(await send(Buffer.from(good()).toString('latin1')), 4400)
  assert.equal(await send('{}'), 4400)
  assert.equal(await send(Buffer.alloc(4096)), 1009)
  const twice = good()
  assert.equal(await send(twice, twice), 4400)
  await until(() => metric(world, 'countersign_streams{carrier="websocket"}') === 0)
  const beganMs = performance.now()
  assert.equal(await send(), 4408)
  const tookMs = performance.now() - beganMs
  assert.ok(tookMs > 4900, `${tookMs} ms`)
  assert.equal((await world.call()).resultCode, 'ok')
})

test('R145 one source may have so many connections that have not said who they are', async (t) => {
  const world = await createServed(t, { limits: { sourceInFlight: 4, sourceWaiting: 12 } })
  const crowd = Array.from({ length: 16 }, () => dial(world.port))
  await Promise.all(crowd.map(({ opened }) => opened()))
  assert.equal(await dial(world.port).refused(), 429)
  crowd[0].socket.terminate()
  await until(async () => {
    const again = dial(world.port)
    const isOpen = await Promise.race([again.opened().then(() => true), again.pull().then(() => false)])
    return isOpen
  })
})

test('R56 upgrades count against the rate of their source', async (t) => {
  const world = await createServed(t, { rates: { perSource: { perSecond: 0.001, burst: 2 } } })
  await dial(world.port).opened()
  await dial(world.port).opened()
  assert.equal(await dial(world.port).refused(), 429)
})

test('R110 pings are answered, but a peer that never reads collects no pongs, and raw nonsense ends', async (t) => {
  const world = await createServed(t)
  const stream = await subscribeBy(world)
  stream.socket.ping(Buffer.from('x'))
  const [pong] = await once(stream.socket, 'pong')
  assert.equal(String(pong), 'x')
  const raw = connect(world.port, '127.0.0.1')
  raw.on('error', () => {})
  raw.write(
    'GET /exchange HTTP/1.1\r\nhost: gateway\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n' +
      'sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\nsec-websocket-protocol: countersign.v1\r\n\r\n'
  )
  await once(raw, 'data')
  // Unmasked, reserved bits set.
  raw.write(Buffer.from([0xff, 0x7f, 1, 2, 3]))
  await once(raw, 'close')
  const again = await subscribeBy(world)
  again.socket.terminate()
})

test('E9 R108 a peer that reads nothing is let go, and holds little until then', async (t) => {
  const events = memoryEventStore({ eventsPerSession: 1000, bytesPerSession: 2 ** 28, bytes: 2 ** 29 })
  let read = 0
  const counting = {
    ...events,
    async read(...values) {
      const page = await events.read(...values)
      read += page.events.length
      return page
    }
  }
  const world = await createServed(t, { events: counting, limits: { stalledMs: 1500 } })
  const stream = await subscribeBy(world)
  // Version 7 of the package cannot pause.
  stream.socket._socket.pause()
  for (let number = 0; number < 400; number++)
    await world.gateway.publish(world.device.id, 'demo.note', new Uint8Array(64 * 1024))
  await until(() => metric(world, 'countersign_streams_ended_total{carrier="websocket",reason="slow"}') === 1)
  // 25 MiB were published. Beside the buffers of the system's sockets, one page was read.
  assert.ok(read < 190, `${read} events were read`)
})

test('H4 a remoteAddress that throws is a 500, and webSocketHandler takes nothing but a gateway', async (t) => {
  const world = await createEventWorld()
  const served = await serve(t, nodeHandler(world.gateway))
  const remoteAddress = () => {
    throw new Error('no address')
  }
  served.server.on('upgrade', webSocketHandler(world.gateway, { remoteAddress }))
  assert.equal(await dial(served.port).refused(), 500)
  assert.equal((await world.call()).resultCode, 'ok')
  for (const [gateway, options] of [[], [{}], [world.gateway, null], [world.gateway, { remoteAddress: 'x' }]])
    assert.throws(() => webSocketHandler(gateway, options), { code: 'ERR_INVALID_ARGUMENT' })
})
