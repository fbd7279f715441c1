// SPDX-License-Identifier: MIT
// The reference gateway from outside: what each endpoint answers, and that every answer to a signed request is signed.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect, memoryStore } from 'countersign'
import { loadCore } from 'countersign/core'
import { describe, getJson, send, signIn, startGateway, textOf, until, utf8 } from './harness.mjs'

const FRAME = 'application/vnd.countersign.v1'

test('demo.echo answers ok with the payload, demo.fail refused, an unknown type unknown_type', async (t) => {
  const client = await signIn(t, await startGateway(t))
  const echo = await client.request('demo.echo', utf8('{"move":"Nf3"}'))
  assert.equal(echo.resultCode, 'ok')
  assert.equal(textOf(echo.payload), '{"move":"Nf3"}')
  assert.equal((await client.request('demo.echo')).payload.length, 0)
  assert.equal((await client.request('demo.fail', utf8('x'))).resultCode, 'refused')
  await assert.rejects(client.request('demo.nothing', utf8('x')), { code: 'ERR_UNKNOWN_TYPE', stage: 'handler' })
})

test('POST /exchange takes the json binding by its content type', async (t) => {
  const client = await signIn(t, await startGateway(t), { binding: 'json' })
  const reply = await client.request('demo.echo', utf8('json'))
  assert.equal(reply.resultCode, 'ok')
  assert.equal(textOf(reply.payload), 'json')
})

test('the header binding: POST /api/echo answers the body, GET /api/time the time', async (t) => {
  const client = await signIn(t, await startGateway(t))
  const echo = await client.fetch('/api/echo?a=%2F&b', { method: 'POST', body: '<script>alert(1)</script>' })
  assert.equal(echo.status, 200)
  assert.equal(await echo.text(), '<script>alert(1)</script>')
  assert.equal(echo.headers.get('content-type'), 'application/octet-stream')
  const before = Date.now()
  const time = await client.fetch('/api/time')
  const { server_time_ms: serverTimeMs, ...rest } = await time.json()
  assert.deepEqual(rest, {})
  assert.ok(serverTimeMs >= before && serverTimeMs <= Date.now(), `${serverTimeMs} after ${before}`)
})

test('an unsigned request to the header binding gets nothing', async (t) => {
  const gateway = await startGateway(t)
  for (const [path, method] of [
    ['/api/time', 'GET'],
    ['/api/echo', 'POST'],
    ['/exchange', 'POST'],
    ['/api/v1/sessions/x/revoke', 'POST']
  ]) {
    const { status, text } = await send(gateway, path, { method, headers: { 'content-type': FRAME } })
    assert.ok(status >= 400 && status < 500, `${path} ${status}`)
    assert.equal(text, '')
  }
})

test("a session is revoked by its own user, and by nobody else's", async (t) => {
  const gateway = await startGateway(t)
  const ada = await signIn(t, gateway, { email: 'ada@example.org' })
  const other = await signIn(t, gateway, { email: 'ada@example.org' })
  const eve = await signIn(t, gateway, { email: 'eve@example.org' })
  const sessions = await ada.sessions()
  const current = sessions.find((session) => session.isCurrent)
  const otherId = sessions.find((session) => !session.isCurrent)?.deviceSessionId
  assert.equal(sessions.length, 2)
  assert.ok(current)
  const path = `/api/v1/sessions/${otherId}/revoke`
  assert.equal((await eve.fetch(path, { method: 'POST' })).status, 404)
  assert.equal((await ada.fetch(`/api/v1/sessions/${'A'.repeat(22)}/revoke`, { method: 'POST' })).status, 404)
  assert.equal((await other.request('demo.echo')).resultCode, 'ok')
  const revoked = await ada.fetch(path, { method: 'POST' })
  assert.equal(revoked.status, 200)
  assert.deepEqual(await revoked.json(), { device_session_id: otherId, status: 'revoked' })
  await assert.rejects(other.request('demo.echo'), { code: 'ERR_SESSION_REVOKED' })
  assert.equal(other.state, 'revoked')
  assert.equal((await ada.request('demo.echo')).resultCode, 'ok')
})

test('/dev/trace gives the stages of an exchange with verdicts and times, and a replay as a pass of its own', async (t) => {
  const gateway = await startGateway(t)
  const client = await signIn(t, gateway)
  const core = await loadCore()
  const { serverKeys: keys } = await describe(gateway.url)
  const { frame, requestId } = await client.sign('demo.echo', utf8('x'))
  const post = async () => {
    const init = { method: 'POST', headers: { 'content-type': FRAME }, body: frame }
    const answer = new Uint8Array(await (await fetch(`${gateway.url}/exchange`, init)).arrayBuffer())
    return core.openResponse(answer, { label: 'demo', keys, requestId })
  }
  assert.equal((await post()).resultCode, 'ok')
  assert.equal((await post()).resultCode, 'cs.replayed')
  const { request_id: echoed, stages } = await getJson(
    `${gateway.url}/dev/trace?request_id=${encodeURIComponent(requestId)}`
  )
  assert.equal(echoed, requestId)
  const passes = [...new Set(stages.map(({ exchange }) => exchange))].map((pass) =>
    stages
      .filter(({ exchange }) => exchange === pass)
      .map(({ stage, verdict, code }) => [stage, verdict, ...(code ? [code] : [])])
  )
  assert.deepEqual(passes, [
    ['parse', 'version', 'session', 'signature', 'freshness', 'replay', 'payload_hash', 'rate', 'handler'].map(
      (stage) => [stage, 'pass']
    ),
    [
      ...['parse', 'version', 'session', 'signature', 'freshness'].map((stage) => [stage, 'pass']),
      ['replay', 'fail', 'cs.replayed']
    ]
  ])
  for (const { ms } of stages) assert.ok(Number.isFinite(ms) && ms >= 0)
  const unknown = await getJson(`${gateway.url}/dev/trace?request_id=nobody`)
  assert.deepEqual(unknown, { request_id: 'nobody', stages: [] })
})

test('PAST_MS is the window: what was signed earlier is cs.stale', async (t) => {
  // Signing in takes its time on a busy machine; only what is to be stale meets the short window.
  const { folder, port, stop, ...first } = await startGateway(t)
  const client = await signIn(t, first, { futureMs: 600_000 })
  const { frame, requestId } = await client.sign('demo.echo', utf8('x'))
  await stop()
  await new Promise((resolve) => setTimeout(resolve, 800))
  const gateway = await startGateway(t, { DATA_DIR: folder, PORT: String(port), PAST_MS: '600', FUTURE_MS: '500' })
  const response = await fetch(`${gateway.url}/exchange`, {
    method: 'POST',
    headers: { 'content-type': FRAME },
    body: frame
  })
  const answer = new Uint8Array(await response.arrayBuffer())
  await assert.rejects(client.open(answer, { requestId }), { code: 'ERR_STALE', resultCode: 'cs.stale' })
})

test('two labels over one DATA_DIR share the key and no session', async (t) => {
  const first = await startGateway(t, { LABEL: 'one' })
  const store = memoryStore()
  await signIn(t, first, { store })
  const before = await describe(first.url)
  await first.stop()
  const second = await startGateway(t, { LABEL: 'two', DATA_DIR: first.folder })
  const after = await describe(second.url)
  assert.deepEqual(after.serverKeys, before.serverKeys)
  const record = await store.get('one')
  await store.add('two', record)
  const client = await connect({ url: second.url, ...after, store })
  t.after(() => client.close())
  await assert.rejects(client.request('demo.echo'), { code: 'ERR_UNAUTHENTICATED' })
})

test('/healthz and /metrics', async (t) => {
  const gateway = await startGateway(t)
  const client = await signIn(t, gateway)
  await client.request('demo.echo')
  const health = await send(gateway, '/healthz')
  assert.equal(health.status, 200)
  const metrics = await send(gateway, '/metrics')
  assert.equal(metrics.status, 200)
  assert.match(metrics.headers['content-type'], /^text\/plain; version=0\.0\.4/)
  for (const line of metrics.text.trimEnd().split('\n')) {
    assert.match(line, /^(# (HELP|TYPE) \w+ .+|\w+(\{[^}]*\})? [0-9.e+-]+|\w+(\{[^}]*\})? \+Inf)$/)
  }
  assert.match(metrics.text, /stage="signature"/)
})

test('ORIGINS: an exact origin may call, another may not, and none by default', async (t) => {
  const gateway = await startGateway(t, {
    ORIGINS: 'https://app.example, https://b.example:8443, capacitor://localhost, http://[::1]:3000'
  })
  const preflight = (port, origin) =>
    send({ port }, '/exchange', {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' }
    })
  for (const origin of [
    'https://app.example',
    'https://b.example:8443',
    'capacitor://localhost',
    'http://[::1]:3000'
  ]) {
    const { status, headers } = await preflight(gateway.port, origin)
    assert.equal(status, 204)
    assert.equal(headers['access-control-allow-origin'], origin)
    assert.match(headers.vary, /origin/i)
  }
  for (const origin of ['https://app.example.evil', 'http://app.example', 'null']) {
    assert.equal((await preflight(gateway.port, origin)).headers['access-control-allow-origin'], undefined, origin)
  }
  const closed = await startGateway(t)
  assert.equal((await preflight(closed.port, 'https://app.example')).headers['access-control-allow-origin'], undefined)
})

test('the page is served under a strict policy', async (t) => {
  const gateway = await startGateway(t)
  const page = await send(gateway, '/')
  assert.equal(page.status, 200)
  assert.match(page.headers['content-type'], /^text\/html/)
  const policy = page.headers['content-security-policy']
  for (const part of [
    "default-src 'none'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "style-src 'self'",
    "frame-ancestors 'none'"
  ]) {
    assert.ok(policy.split('; ').includes(part), part)
  }
  assert.doesNotMatch(policy, /unsafe-inline|'unsafe-eval'/)
  assert.equal(page.headers['x-content-type-options'], 'nosniff')
  assert.equal(page.headers['referrer-policy'], 'no-referrer')
  assert.doesNotMatch(page.text, /<script(?![^>]* src=)|<style| style=| on[a-z]+=/)
  assert.equal((await send(gateway, '/app.js', { headers: { 'if-none-match': '"x"' } })).status, 200)
  const { etag } = (await send(gateway, '/app.js')).headers
  assert.equal((await send(gateway, '/app.js', { headers: { 'if-none-match': etag } })).status, 304)
  assert.equal((await send(gateway, '/', { method: 'POST' })).status, 405)
})

test('nothing outside the page folder is served', async (t) => {
  const gateway = await startGateway(t)
  for (const path of [
    '/../server.key',
    '/%2e%2e/server.key',
    '/data/server.key',
    '/server.key',
    '/.git/config',
    '/app.mjs',
    '//etc/passwd',
    'http://127.0.0.1/',
    '*'
  ]) {
    const { status } = await send(gateway, path)
    assert.ok(status === 404 || status === 400, `${path} ${status}`)
  }
})

test('a refusal is one printable line of the log, without payload or signature', async (t) => {
  const gateway = await startGateway(t)
  const client = await signIn(t, gateway)
  const { frame, requestId } = await client.sign('demo.echo', utf8('secret-payload-text'))
  const broken = Uint8Array.from(frame)
  broken[broken.length - 1] ^= 1
  await fetch(`${gateway.url}/exchange`, { method: 'POST', headers: { 'content-type': FRAME }, body: broken })
  const line = await until(
    () =>
      gateway
        .output()
        .split('\n')
        .find((text) => text.includes(requestId)),
    'a log line'
  )
  const { event, stage, code } = JSON.parse(line)
  assert.deepEqual({ event, stage, code }, { event: 'refused', stage: 'payload_hash', code: 'cs.payload_mismatch' })
  assert.match(line, /^[\x20-\x7e]+$/)
  assert.doesNotMatch(gateway.output(), /secret-payload/)
})
