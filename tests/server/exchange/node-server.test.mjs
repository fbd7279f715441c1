// SPDX-License-Identifier: MIT
// A server of node:http whose own refusals are the gateway's plain ones. No cache keeps them, and none stands behind
// the beginning of an answer.
import assert from 'node:assert/strict'
import https from 'node:https'
import { test } from 'node:test'
import { nodeHandler, nodeServer } from 'countersign/server'
import { createWorld } from '../kit.mjs'
import { head, post, raw, statuses } from './socket-kit.mjs'

const listen = async (t, server) => {
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return server.address().port
}

const createServed = async (t, options, listener) => {
  const world = await createWorld({ now: Date.now })
  return { ...world, port: await listen(t, nodeServer(listener ?? nodeHandler(world.gateway), options)) }
}

const HEADERS = [
  /^cache-control: no-store, no-transform\r$/im,
  /^x-content-type-options: nosniff\r$/im,
  /^vary: origin\r$/im
]

const isPlain = (text, status) => {
  assert.deepEqual(statuses(text), [status], text)
  for (const header of HEADERS) assert.match(text, header)
  assert.match(text, /^connection: close\r$/im)
  assert.match(text, /\r\n\r\n$/, 'no body')
}

test("E13 Node's own 400, 413, 417 and 431 are plain refusals with the gateway's headers", async (t) => {
  const { port } = await createServed(t)
  isPlain(await raw(port, 'no http at all\r\n\r\n'), 400)
  isPlain(await raw(port, 'GET / HTTP/1.1\r\nhost: g\r\ncontent-length: x\r\n\r\n'), 400)
  isPlain(await raw(port, head(['POST /exchange HTTP/1.1', 'connection: close', 'content-length: 0'])), 400)
  isPlain(await raw(port, [post(undefined, ['transfer-encoding: chunked']), 'no chunk\r\n']), 400)
  isPlain(await raw(port, [post(undefined, ['transfer-encoding: chunked']), `1;${'x'.repeat(20_000)}\r\n`]), 413)
  isPlain(await raw(port, post(0, ['expect: the-unexpected', 'connection: close'])), 417)
  isPlain(await raw(port, head(['GET / HTTP/1.1', 'host: g', `cookie: ${'x'.repeat(20_000)}`])), 431)
})

test("E13 Node's own 408 is a plain refusal with the gateway's headers", async (t) => {
  const { port } = await createServed(t, { headersTimeout: 50, requestTimeout: 100, connectionsCheckingInterval: 20 })
  isPlain(await raw(port, 'GET / HTTP/1.1\r\n'), 408)
})

test('E13 behind the beginning of an answer there is no second one: the connection ends', async (t) => {
  const { port } = await createServed(t, {}, (_request, response) => response.writeHead(200).write('begun'))
  const text = await raw(port, ['GET / HTTP/1.1\r\nhost: g\r\n\r\n', 'no http at all\r\n\r\n'], {
    pauseMs: 50,
    answers: 2
  })
  assert.deepEqual(statuses(text), [200])
  assert.match(text, /begun/)
})

test('R47 with nodeServer a client that waits for 100 Continue sends its body to a good envelope only', async (t) => {
  const world = await createServed(t)
  const request = world.requestOf()
  const text = await raw(world.port, [
    post(request.frame.length, ['expect: 100-continue', 'connection: close']),
    request.frame
  ])
  assert.match(text, /^HTTP\/1\.1 100 /)
  assert.deepEqual(statuses(text), [200])
})

test('nodeServer passes its options on, makes other servers too, and checks its arguments', async () => {
  const listener = () => {}
  const server = nodeServer(listener, { headersTimeout: 1234 })
  assert.equal(server.headersTimeout, 1234)
  assert.equal(server.requireHostHeader, false)
  assert.ok(nodeServer(listener, {}, https.createServer) instanceof https.Server)
  for (const bad of [undefined, null, 1, {}])
    assert.throws(() => nodeServer(bad), { code: 'ERR_INVALID_ARGUMENT' }, String(bad))
  for (const bad of [null, 1]) assert.throws(() => nodeServer(listener, bad), { code: 'ERR_INVALID_ARGUMENT' })
  assert.throws(() => nodeServer(listener, {}, 1), { code: 'ERR_INVALID_ARGUMENT' })
})
