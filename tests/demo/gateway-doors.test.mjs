// SPDX-License-Identifier: MIT
// What the reference gateway says beside the exchange, and to whom: Node's own refusals, /metrics by name, and its log.
import assert from 'node:assert/strict'
import { request } from 'node:http'
import { test } from 'node:test'
import { createLog } from '../../demo/gateway/log.mjs'
import { raw } from '../server/exchange/socket-kit.mjs'
import { runGateway, startGateway, until } from './harness.mjs'

const ask = (port, path, host) =>
  new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, path, headers: { host } }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
      .on('error', reject)
      .end()
  })

test('E13 /metrics and /dev answer to names of this machine, to HOST and METRICS_HOSTS, and to no other', async (t) => {
  const { port } = await startGateway(t, { METRICS_HOSTS: 'Metrics.example, 10.0.0.9' })
  for (const host of ['127.0.0.1', `localhost:${port}`, '[::1]:80', 'a.localhost', 'metrics.example:9090', '10.0.0.9'])
    assert.equal(await ask(port, '/metrics', host), 200, host)
  for (const host of ['rebound.example', 'metrics.example.org', '10.0.0.8', 'localhost.example', '127.0.0.1.example']) {
    assert.equal(await ask(port, '/metrics', host), 421, host)
    assert.equal(await ask(port, '/dev/outbox?email=a%40b.example', host), 404, host)
    assert.equal(await ask(port, '/healthz', host), 200, host)
  }
  const { how, output } = await runGateway(t, { METRICS_HOSTS: 'http://x' })
  assert.equal(how, 'ended with 1')
  assert.match(output, /METRICS_HOSTS must be/)
})

test("E13 the reference gateway's server refuses with its own headers", async (t) => {
  const { port } = await startGateway(t)
  const text = await raw(port, 'no http at all\r\n\r\n')
  assert.match(text, /^HTTP\/1\.1 400 /)
  assert.match(text, /cache-control: no-store, no-transform/)
})

test('H3 log lines are bounded for each kind, so junk hides nothing, and the rest is counted', () => {
  const lines = []
  const timers = []
  const log = createLog({
    write: (text) => lines.push(JSON.parse(text)),
    now: () => 0,
    perSecond: 3,
    later: (run, afterMs) => timers.push({ run, afterMs })
  })
  for (let count = 0; count < 1000; count++) log.line('refused', { code: 'ERR_BAD_MAGIC' })
  log.line('refused', { code: 'cs.session_revoked' })
  log.line('store.down', { error: 'gone' })
  const kinds = () => lines.splice(0).map(({ event, code, kind, lines: left }) => [event, code ?? kind, left])
  const junk = ['refused', 'ERR_BAD_MAGIC', undefined]
  assert.deepEqual(kinds(), [
    ...[junk, junk, junk],
    ['refused', 'cs.session_revoked', undefined],
    ['store.down', undefined, undefined]
  ])
  assert.deepEqual(
    timers.map(({ afterMs }) => afterMs),
    [1000, 1000, 1000]
  )
  for (const { run } of timers.splice(0)) run()
  assert.deepEqual(kinds(), [['log.dropped', 'refused ERR_BAD_MAGIC', 997]])
  log.line('refused', { code: 'ERR_BAD_MAGIC' })
  assert.deepEqual(kinds(), [junk])
})

test('H3 the log of a flooded gateway still says what else happens', async (t) => {
  const gateway = await startGateway(t)
  const junk = () => fetch(`${gateway.url}/exchange`, { method: 'POST', body: 'x' })
  await until(async () => {
    await Promise.all(Array.from({ length: 40 }, junk))
    return /"event":"log\.dropped","kind":"refused unsupported_media_type"/.test(gateway.output())
  })
  await fetch(`${gateway.url}/api/echo`, { method: 'POST', headers: { countersign: '!' }, body: 'x' })
  await until(() => /ERR_BAD_BASE64/.test(gateway.output()))
})
