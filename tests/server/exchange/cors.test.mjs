// SPDX-License-Identifier: MIT
// The CORS kit.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkCors, createGateway, nodeHandler } from 'countersign/server'
import { createWorld, randomId, serve } from '../kit.mjs'

const APP = 'https://app.example'
const preflightOf = (world, origin, target = '/exchange') =>
  world.gateway.handle(
    new Request(`http://gateway${target}`, {
      method: 'OPTIONS',
      headers: {
        ...(origin ? { origin } : {}),
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type, countersign'
      }
    })
  )

test('E13 preflights are answered 204 without authentication, for listed origins only', async () => {
  const world = await createWorld({ origins: [APP, 'http://localhost:5173'] })
  for (const [origin, granted] of [
    [APP, true],
    ['http://localhost:5173', true],
    ['https://evil.example', false],
    ['https://app.example.evil.example', false],
    ['https://APP.example', false],
    ['http://app.example', false],
    ['null', false],
    [undefined, false]
  ]) {
    for (const target of ['/exchange', '/api/echo', '/anything']) {
      const response = await preflightOf(world, origin, target)
      assert.equal(response.status, 204)
      assert.equal(response.headers.get('vary'), 'origin')
      assert.equal(response.headers.get('access-control-allow-origin'), granted ? origin : null)
      assert.equal(response.headers.get('access-control-allow-headers'), granted ? 'content-type, countersign' : null)
      assert.equal(response.headers.get('access-control-allow-credentials'), null)
    }
  }
})

test('E13 every answer, plain ones too, is exposed to listed origins and stored by nobody', async () => {
  const world = await createWorld({ origins: [APP], rates: { perSource: { perSecond: 1, burst: 4 } } })
  const answers = [
    await world.sendFrame(world.requestOf().frame, { headers: { origin: APP } }),
    await world.sendFrame(world.requestOf({ sessionId: randomId() }).frame, { headers: { origin: APP } }),
    await world.sendFrame(Buffer.from('junk'), { headers: { origin: APP } }),
    await world.sendFrame(Buffer.from('junk'), { headers: { origin: APP, 'content-type': 'text/plain' } }),
    await world.sendFrame(Buffer.from('junk'), { headers: { origin: APP } })
  ]
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 401, 400, 415, 429]
  )
  for (const { headers } of answers) {
    assert.equal(headers.get('access-control-allow-origin'), APP)
    assert.equal(
      headers.get('access-control-expose-headers'),
      'countersign, content-disposition, etag, link, location, retry-after, x-request-id'
    )
    assert.equal(headers.get('cache-control'), 'no-store, no-transform')
    assert.equal(headers.get('vary'), 'origin')
    assert.equal(headers.get('x-content-type-options'), 'nosniff')
    assert.equal(headers.get('set-cookie'), null)
  }
})

test('R165 origins of any scheme are allowed exactly as they stand, and patterns for exactly one label', async () => {
  const allowed = [
    ...['capacitor://localhost', 'tauri://localhost', 'ionic://localhost', 'app://obsidian.md', 'app://x:8080'],
    ...['chrome-extension://abcdefghijklmnopabcdefghijklmnop', 'vscode-webview://0d1f2c3b-aaaa-bbbb-cccc-123456789abc'],
    ...[
      'safari-web-extension://E3449EA7-EC08-409F',
      'http://tauri.localhost',
      'http://[::1]:3000',
      'https://[2001:db8::1]'
    ]
  ]
  const world = await createWorld({ origins: [...allowed, 'https://*.example.com', 'https://*.example.org:8443'] })
  const isAllowed = async (origin) => {
    const given = (await preflightOf(world, origin)).headers.get('access-control-allow-origin')
    assert.ok(given === null || given === origin)
    return given !== null
  }
  for (const origin of [...allowed, 'https://a.example.com', 'https://a-b_1.example.com', 'https://a.example.org:8443'])
    assert.equal(await isAllowed(origin), true, origin)
  for (const origin of [
    ...['capacitor://localhost:1', 'capacitor://other', 'app://localhost', 'chrome-extension://a', 'https://localhost'],
    ...['safari-web-extension://e3449ea7-ec08-409f', 'CAPACITOR://localhost', 'capacitor://localhost/', 'null', '']
  ])
    assert.equal(await isAllowed(origin), false, origin)
})

test('H28 R165 a pattern lets in no deeper name, no bare domain, no other end, scheme or port', async () => {
  const world = await createWorld({ origins: ['https://*.example.com', 'https://*.example.org:8443'] })
  for (const origin of [
    ...['https://example.com', 'https://a.b.example.com', 'https://.example.com', 'https://*.example.com'],
    ...['http://a.example.com', 'https://a.example.com:8443', 'https://a.example.org', 'https://aexample.com'],
    ...['https://a.example.com.evil.example', 'https://evil.example/.example.com', 'https://a.example.com/'],
    ...['https://u@a.example.com', 'https://a%2e.example.com', 'https://a,b.example.com', 'https://A.example.com'],
    ...['https://a.example.com, https://b.example.com', 'xhttps://a.example.com', 'null']
  ])
    for (const target of ['/exchange', '/api/v1/public/auth/send-email-code']) {
      const { headers } = await preflightOf(world, origin, target)
      assert.equal(headers.get('access-control-allow-origin'), null, origin)
      assert.equal(headers.get('access-control-allow-headers'), null, origin)
    }
  const ask = new Request('http://gateway/.well-known/countersign-cors', {
    headers: { origin: 'https://a.b.example.com' }
  })
  assert.match((await (await world.gateway.handle(ask)).json()).problem, /exactly one label/)
})

test('G8 an origin that no browser would send is refused at the start, with a hint', () => {
  const parts = {
    label: 'test',
    signer: { keyId: 'k', publicKey: new Uint8Array(32), sign() {} },
    sessions: { get() {}, create() {}, revoke() {}, listByUser() {} },
    replay: { reserve() {} },
    routes: {}
  }
  const asBrowsers = /origins: .* as browsers write it/
  for (const [origin, message] of [
    ['', asBrowsers],
    ['app.example', asBrowsers],
    ['https://', asBrowsers],
    ['https://app.example/', asBrowsers],
    ['https://app.example/path', asBrowsers],
    ['https://app.example?x', asBrowsers],
    ['https://u:p@app.example', asBrowsers],
    ['https://APP.example', asBrowsers],
    ['https://b\u00fccher.example', asBrowsers],
    ['https://app.example:443', asBrowsers],
    [' https://app.example', asBrowsers],
    ['capacitor:localhost', asBrowsers],
    ['capacitor://localhost/', asBrowsers],
    ['app://a,b', asBrowsers],
    ['app://', asBrowsers],
    ['null', /origins: "null" .* allowOpaqueOrigin/],
    ['*', /origins: .* whole first label/],
    ['https://*', /origins: .* whole first label/],
    ['https://a*.example.com', /origins: .* whole first label/],
    ['https://*.*.example.com', /origins: .* whole first label/],
    ['https://a.*.example.com', /origins: .* whole first label/],
    ['chrome-extension://*', /origins: .* whole first label/],
    ['https://*.example', /origins: .* two labels/],
    ['https://*.example.', /origins: .* two labels/],
    ['https://*..example.com', /origins: .* two labels/],
    ['https://*.1.2.3', asBrowsers],
    ['http://*.example.com', /origins: .* WebCrypto/],
    ['http://app.example', /origins: .* WebCrypto/],
    ['ftp://app.example', /origins: .* no origin of their own/],
    ['wss://app.example', /origins: .* no origin of their own/],
    ['file://app', /origins: .* no origin of their own/],
    [7, /origins: 7 is no text/],
    [undefined, /origins: undefined is no text/]
  ]) {
    assert.throws(
      () => createGateway({ ...parts, origins: [origin] }),
      { code: 'ERR_INVALID_ARGUMENT', message },
      String(origin)
    )
  }
})

test('G8 the gateway tells any page how it sees its origin', async () => {
  const world = await createWorld({ origins: [APP, 'https://port.example:8443'] })
  const ask = async (origin) => {
    const response = await world.gateway.handle(
      new Request('http://gateway/.well-known/countersign-cors', { headers: origin ? { origin } : {} })
    )
    assert.equal(response.headers.get('access-control-allow-origin'), '*')
    return response.json()
  }
  assert.deepEqual(await ask(APP), { origin: APP, allowed: true })
  const table = [
    [undefined, /no Origin header/],
    ['http://app.example', /scheme differs/],
    ['https://port.example', /port differs/],
    ['https://other.example', /not in `origins`/],
    ['null', /opaque origin/],
    ['https://app.example/', /not an origin/]
  ]
  for (const [origin, problem] of table) {
    const report = await ask(origin)
    assert.equal(report.allowed, false)
    assert.match(report.problem, problem)
  }
})

test('G8 checkCors finds nothing wrong with a gateway, and what a front end breaks', async (t) => {
  const world = await createWorld({ origins: [APP] })
  const listener = nodeHandler(world.gateway)
  const good = await serve(t, listener)
  assert.deepEqual(await checkCors({ url: `${good.url}/exchange`, origin: APP }), [])
  const foreign = await checkCors({ url: `${good.url}/exchange`, origin: 'https://evil.example' })
  assert.ok(foreign.some((problem) => /access-control-allow-origin is missing/.test(problem)))
  assert.equal((await checkCors({ url: good.url, origin: 'app.example' })).length, 1)
  const breaking = (change) =>
    serve(t, (request, response) => {
      const set = response.setHeader.bind(response)
      response.setHeader = (name, value) => change(set, name, value)
      listener(request, response)
    })
  const doubled = await breaking((set, name, value) =>
    set(name, name === 'access-control-allow-origin' ? [value, '*'] : value)
  )
  assert.ok((await checkCors({ url: doubled.url, origin: APP })).some((problem) => /occurs twice/.test(problem)))
  const cached = await breaking((set, name, value) =>
    name === 'vary' || name === 'cache-control' ? undefined : set(name, value)
  )
  const problems = await checkCors({ url: cached.url, origin: APP })
  assert.ok(
    problems.some((problem) => /vary is missing/.test(problem)) &&
      problems.some((problem) => /cache-control is missing/.test(problem))
  )
  const answering = await serve(t, (_request, response) => response.writeHead(200).end('hello'))
  assert.ok(
    (await checkCors({ url: answering.url, origin: APP })).some((problem) => /status 200 instead of 204/.test(problem))
  )
})
