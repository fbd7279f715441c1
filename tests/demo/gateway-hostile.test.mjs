// SPDX-License-Identifier: MIT
// Whatever arrives at whichever endpoint: a refusal, never a crash and never a 5xx.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { getJson, openSocket, send, startGateway } from './harness.mjs'

const PATHS = [
  '/exchange',
  '/api/echo',
  '/api/time',
  '/api/v1/sessions/x/revoke',
  '/api/v1/sessions/%ff/revoke',
  '/api/v1/public/auth/send-email-code',
  '/api/v1/public/auth/confirm-email-code',
  '/api/v1/public/auth/',
  '/api/',
  '/.well-known/countersign.json',
  '/healthz',
  '/metrics',
  '/dev/outbox?email=%ff%00',
  '/dev/outbox?email=__proto__',
  '/dev/trace?request_id=constructor',
  '/dev/trace?request_id=%',
  '/%',
  '/?'
]
const TYPES = [
  'application/json',
  'application/vnd.countersign.v1',
  'text/plain',
  '',
  'application/json; charset=utf-16'
]
const BODIES = [
  '',
  '{',
  '{}',
  '[]',
  'null',
  '"x"',
  '{"email":1}',
  '{"email":"a@b.example","email":"c@d.example"}',
  '\x00',
  '['.repeat(5000),
  'CS\x01'.repeat(99)
]

test('every endpoint survives every method with every odd body', async (t) => {
  const gateway = await startGateway(t)
  for (const path of PATHS) {
    for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH']) {
      const round = PATHS.indexOf(path) + method.length
      for (const [index, body] of BODIES.entries()) {
        if (method !== 'POST' && index > 1) break
        const type = TYPES[(round + index) % TYPES.length]
        const headers = { 'content-type': type, countersign: 'A'.repeat(index * 300) }
        const { status } = await send(gateway, path, { method, headers, body })
        assert.ok(status < 500, `${method} ${path} ${status}`)
      }
    }
  }
  assert.equal((await send(gateway, '/healthz')).status, 200)
})

test('names of Object.prototype are nobody', async (t) => {
  const gateway = await startGateway(t)
  for (const name of ['__proto__', 'constructor', 'toString']) {
    assert.deepEqual(await getJson(`${gateway.url}/dev/outbox?email=${name}`), [])
    assert.deepEqual((await getJson(`${gateway.url}/dev/trace?request_id=${name}`)).stages, [])
  }
})

test('bytes that are no HTTP, and requests that are two at once, are closed with 400', async (t) => {
  const gateway = await startGateway(t)
  const raw = [
    'NONSENSE\r\n\r\n',
    'GET / HTTP/1.1\r\n\r\n',
    'POST /exchange HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'POST /exchange HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc',
    'POST /exchange HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\n Folded: x\r\n\r\n',
    'GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n'
  ]
  for (const text of raw) {
    const { socket, closed } = openSocket(t, gateway.port)
    socket.end(text)
    assert.match(await closed, /^HTTP\/1\.1 400 /, JSON.stringify(text.slice(0, 60)))
  }
  assert.equal((await send(gateway, '/healthz')).status, 200)
})
