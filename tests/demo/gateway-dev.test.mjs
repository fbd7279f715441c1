// SPDX-License-Identifier: MIT
// /dev is for a person at this machine: every condition by itself closes it, and says nothing but 404.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { getJson, send, signIn, startGateway, until } from './harness.mjs'

const EMAIL = 'dev@example.org'
const OUTBOX = `/dev/outbox?email=${encodeURIComponent(EMAIL)}`
const TRACE = '/dev/trace?request_id=x'
const AUTH = '/api/v1/public/auth/send-email-code'

const askForCode = ({ port }) =>
  send({ port }, AUTH, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: EMAIL })
  })

test('the outbox shows challenge, code and time, for that address alone', async (t) => {
  const gateway = await startGateway(t)
  const before = Date.now()
  const { challenge_id: challengeId } = JSON.parse((await askForCode(gateway)).text)
  const mails = await until(async () => {
    const found = await getJson(gateway.url + OUTBOX)
    return found.length > 0 && found
  }, 'a mail')
  assert.equal(mails.length, 1)
  assert.deepEqual(Object.keys(mails[0]).sort(), ['challenge_id', 'code', 'sent_ms'])
  assert.equal(mails[0].challenge_id, challengeId)
  assert.match(mails[0].code, /^\d{6,}$/)
  assert.ok(mails[0].sent_ms >= before && mails[0].sent_ms <= Date.now())
  assert.deepEqual(await getJson(`${gateway.url}/dev/outbox?email=other%40example.org`), [])
  assert.deepEqual(await getJson(`${gateway.url}/dev/outbox`), [])
})

test('only loopback Host headers open /dev', async (t) => {
  const gateway = await startGateway(t)
  const { port } = gateway
  const open = [
    '127.0.0.1',
    `127.0.0.1:${port}`,
    `localhost:${port}`,
    'LOCALHOST',
    'demo.localhost',
    '127.9.9.9',
    `[::1]:${port}`
  ]
  const closed = [
    'app.example',
    `localhost.example:${port}`,
    '127.0.0.1.example',
    '192.168.0.7',
    '[::2]',
    'localhost:x',
    '0.0.0.0'
  ]
  for (const host of open) assert.equal((await send(gateway, OUTBOX, { headers: { host } })).status, 200, host)
  for (const host of closed) {
    for (const path of [OUTBOX, TRACE]) {
      const { status, text } = await send(gateway, path, { headers: { host } })
      assert.equal(status, 404, host)
      assert.doesNotMatch(text, /code|stages/, host)
    }
  }
})

test('two Host headers are two opinions', async (t) => {
  const gateway = await startGateway(t)
  const { status } = await send(gateway, OUTBOX, { headers: ['Host', 'localhost', 'Host', 'app.example'] })
  assert.ok(status === 404 || status === 400, String(status))
})

test('any forwarding header closes /dev', async (t) => {
  const gateway = await startGateway(t)
  const names = [
    'forwarded',
    'via',
    'x-forwarded-for',
    'x-forwarded-host',
    'x-forwarded-proto',
    'x-forwarded-port',
    'x-forwarded',
    'x-real-ip',
    'x-client-ip',
    'x-cluster-client-ip',
    'x-original-host',
    'x-original-forwarded-for',
    'x-envoy-external-address',
    'true-client-ip',
    'cf-connecting-ip',
    'cdn-loop'
  ]
  for (const name of names) {
    for (const path of [OUTBOX, TRACE]) {
      for (const value of ['127.0.0.1', '']) {
        assert.equal((await send(gateway, path, { headers: { [name]: value } })).status, 404, `${name}: ${value}`)
      }
    }
  }
})

test('a page of another site is refused', async (t) => {
  const gateway = await startGateway(t)
  assert.equal((await send(gateway, OUTBOX, { headers: { 'sec-fetch-site': 'cross-site' } })).status, 404)
  assert.equal((await send(gateway, OUTBOX, { headers: { 'sec-fetch-site': 'same-origin' } })).status, 200)
})

test('a restart in its place keeps address, key and sessions; it is not for passers-by', async (t) => {
  const gateway = await startGateway(t)
  const RESTART = '/dev/restart'
  const allowed = { 'x-countersign-dev': 'yes' }
  const client = await signIn(t, gateway)
  const before = await getJson(`${gateway.url}/.well-known/countersign.json`)
  for (const headers of [
    {},
    { 'x-countersign-dev': 'no' },
    { ...allowed, via: '1.1 x' },
    { ...allowed, 'sec-fetch-site': 'cross-site' }
  ])
    assert.equal((await send(gateway, RESTART, { headers })).status, 404, JSON.stringify(headers))
  assert.equal((await send(gateway, RESTART, { method: 'POST', headers: allowed })).status, 404)
  assert.equal((await client.request('demo.echo', 'before')).resultCode, 'ok')

  const { status, text } = await send(gateway, RESTART, { headers: allowed })
  assert.equal(status, 200)
  assert.deepEqual(JSON.parse(text), { restarting: true })
  await until(
    () =>
      send(gateway, '/healthz').then(
        () => false,
        () => true
      ),
    'it is down'
  )
  await until(
    () =>
      send(gateway, '/healthz').then(
        (answer) => answer.status === 200,
        () => false
      ),
    'it is back'
  )
  assert.deepEqual(await getJson(`${gateway.url}/.well-known/countersign.json`), before)
  assert.equal((await client.request('demo.echo', 'after')).resultCode, 'ok')
  assert.match(gateway.output(), /"event":"restarted"/)
})

test("the server's key is changed step by step, and a client of the old one goes on", async (t) => {
  const gateway = await startGateway(t)
  const headers = { 'x-countersign-dev': 'yes' }
  const stands = async () => JSON.parse((await send(gateway, '/dev/server-key', { headers })).text)
  const client = await signIn(t, gateway)
  const { signer: first, phase } = await stands()
  assert.equal(phase, 'steady')
  assert.equal((await send(gateway, '/dev/server-key')).status, 404)
  const take = async (step, expected) => {
    for (const early of ['announce', 'switch', 'retire', 'toString'].filter((name) => name !== step))
      assert.equal((await send(gateway, `/dev/server-key?step=${early}`, { headers })).status, 404, early)
    assert.equal((await send(gateway, `/dev/server-key?step=${step}`, { headers })).status, 200)
    await until(
      () =>
        stands().then(
          (now) => now.phase === expected,
          () => false
        ),
      `the key is ${expected}`
    )
    assert.equal((await client.request('demo.echo', step)).resultCode, 'ok')
  }
  await take('announce', 'announced')
  await take('switch', 'switched')
  assert.equal((await stands()).previous, first)
  assert.notEqual((await stands()).signer, first)
  await take('retire', 'steady')
})

test('only GET, only the two names', async (t) => {
  const gateway = await startGateway(t)
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS'])
    assert.equal((await send(gateway, OUTBOX, { method })).status, 404, method)
  for (const path of [
    '/dev',
    '/dev/',
    '/dev/outbox/',
    '/dev/x',
    '/DEV/outbox',
    '//dev/outbox',
    '/dev/../dev/outbox2'
  ]) {
    assert.equal((await send(gateway, path)).status, 404, path)
  }
})

test('a gateway bound to every address has no /dev', async (t) => {
  const gateway = await startGateway(t, { HOST: '0.0.0.0' })
  await askForCode(gateway)
  for (const path of [OUTBOX, TRACE]) assert.equal((await send(gateway, path)).status, 404)
})

test('a gateway that mails has no /dev', async (t) => {
  const gateway = await startGateway(t, { SMTP_URL: 'smtp://127.0.0.1:9' })
  for (const path of [OUTBOX, TRACE]) assert.equal((await send(gateway, path)).status, 404)
})

test('ported to IPv6 loopback, /dev is open', async (t) => {
  const gateway = await startGateway(t, { HOST: '::1' })
  assert.match(gateway.url, /^http:\/\/\[::1\]:\d+$/)
  assert.equal((await send({ port: gateway.port, host: '::1' }, OUTBOX)).status, 200)
})
