// SPDX-License-Identifier: MIT
// What stands beside the exchange: CORS on every answer, methods, the one endpoint, and ends that must not hang.
import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { connect as connectSocket } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { describe, runGateway, signIn, startGateway, utf8 } from './harness.mjs'

const APP = 'https://app.example'
const get = (gateway, path, init = {}) => fetch(`${gateway.url}${path}`, { headers: { origin: APP }, ...init })

test('E13 an allowed origin can read every answer, documents and refusals too', async (t) => {
  const gateway = await startGateway(t, { ORIGINS: APP })
  for (const path of ['/.well-known/countersign.json', '/healthz', '/metrics', '/exchange', '/api/time']) {
    const { headers } = await get(gateway, path)
    assert.equal(headers.get('access-control-allow-origin'), APP, path)
    assert.match(headers.get('vary') ?? '', /origin/, path)
    assert.equal(headers.get('cache-control'), 'no-store, no-transform', path)
    const other = await get(gateway, path, { headers: { origin: 'https://other.example' } })
    assert.equal(other.headers.get('access-control-allow-origin'), null, path)
  }
  const preflight = await get(gateway, '/.well-known/countersign.json', { method: 'OPTIONS' })
  assert.equal(preflight.status, 204)
})

test('G8 the gateway tells a page how it sees its origin', async (t) => {
  const gateway = await startGateway(t, { ORIGINS: APP })
  const seen = await (await get(gateway, '/.well-known/countersign-cors')).json()
  assert.deepEqual(seen, { origin: APP, allowed: true })
})

test('documents are read with GET and HEAD only', async (t) => {
  const gateway = await startGateway(t)
  for (const method of ['POST', 'PUT', 'DELETE'])
    for (const path of ['/healthz', '/metrics', '/.well-known/countersign.json'])
      assert.equal((await fetch(`${gateway.url}${path}`, { method })).status, 405, `${method} ${path}`)
})

test('a call of a header route without an envelope is plain 400, whatever its type', async (t) => {
  const gateway = await startGateway(t)
  for (const type of ['', 'text/plain', 'application/json', 'application/octet-stream']) {
    const headers = type === '' ? {} : { 'content-type': type }
    const answer = await fetch(`${gateway.url}/api/echo`, { method: 'POST', headers, body: utf8('{}') })
    assert.equal(answer.status, 400, type)
    assert.equal(await answer.text(), '')
  }
})

test('frames are taken at /exchange alone', async (t) => {
  const gateway = await startGateway(t)
  const client = await signIn(t, gateway)
  const { frame } = await client.sign('demo.echo', utf8('x'))
  const init = { method: 'POST', headers: { 'content-type': 'application/vnd.countersign.v1' }, body: frame }
  assert.equal((await fetch(`${gateway.url}/api/echo`, init)).status, 400)
  assert.equal((await fetch(`${gateway.url}/exchange`, init)).status, 200)
})

test('a connection that was never used does not hold up the end', async (t) => {
  const gateway = await startGateway(t)
  await describe(gateway.url)
  const { hostname, port } = new URL(gateway.url)
  const socket = connectSocket(Number(port), hostname)
  await new Promise((resolve) => socket.once('connect', resolve))
  gateway.child.kill('SIGTERM')
  assert.equal(await gateway.exited, 'ended with 0')
  assert.doesNotMatch(gateway.output(), /drain\.cut/)
  socket.destroy()
})

test('sessions without their server key are refused, not answered with a new key', async (t) => {
  const { folder, stop } = await startGateway(t)
  await stop()
  await rm(join(folder, 'server.key'))
  const { how, output } = await runGateway(t, { DATA_DIR: folder })
  assert.equal(how, 'ended with 1')
  assert.match(output, /^countersign: [^\n]*server\.key is missing[^\n]*restore it[^\n]*\n$/)
})

test('a DATA_DIR that cannot be made ends with one line', async (t) => {
  const { how, output } = await runGateway(t, { DATA_DIR: '/proc/nope/deeper' })
  assert.equal(how, 'ended with 1')
  assert.match(output, /^countersign: DATA_DIR [^\n]* cannot be used \(ENOENT\)\n$/)
})
