// SPDX-License-Identifier: MIT
// The CORS kit.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createGateway } from 'countersign/server'
import { createTestWorld } from 'countersign/testing'
import { createDesk, problemOf } from '../enrollment/kit.mjs'
import { createWorld, openAnswer, randomId } from '../kit.mjs'

const APP = 'https://app.example'
const NEEDED = 'content-type, countersign'
const CHECK = '/.well-known/countersign-cors'
const preflightOf = (world, origin, target = '/exchange', asked = NEEDED) =>
  world.gateway.handle(
    new Request(`http://gateway${target}`, {
      method: 'OPTIONS',
      headers: {
        ...(origin ? { origin } : {}),
        'access-control-request-method': 'POST',
        ...(asked === null ? {} : { 'access-control-request-headers': asked })
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
      'countersign, allow, content-disposition, etag, link, location, retry-after, x-request-id'
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

const allowedBy = async (answer) => (await answer).headers.get('access-control-allow-headers')
const PATHS = ['/exchange', '/api/echo', '/api/v1/public/auth/confirm-email-code', '/anything']

test('R168 pages without an origin are let in apart from the list, on every path, and nobody else with them', async () => {
  const asked = async (options, target = '/exchange') => {
    const world = await createWorld(options)
    const { headers } = await preflightOf(world, 'null', target, 'x-a')
    return ['origin', 'headers', 'credentials'].map((name) => headers.get(`access-control-allow-${name}`))
  }
  for (const target of PATHS) {
    assert.deepEqual(await asked({ origins: [APP] }, target), [null, null, null])
    assert.deepEqual(await asked({ allowOpaqueOrigin: false }, target), [null, null, null])
    assert.deepEqual(await asked({ allowOpaqueOrigin: true }, target), ['null', `${NEEDED}, x-a`, null])
  }
  const world = await createWorld({ allowOpaqueOrigin: true })
  for (const origin of [undefined, APP, 'NULL', 'null, null', 'file://'])
    assert.equal((await preflightOf(world, origin)).headers.get('access-control-allow-origin'), null, origin)
  const { status, headers } = await world.sendFrame(world.requestOf().frame, { headers: { origin: 'null' } })
  assert.deepEqual([status, headers.get('access-control-allow-origin'), headers.get('vary')], [200, 'null', 'origin'])
  const report = new Request(`http://gateway${CHECK}`, { headers: { origin: 'null' } })
  assert.deepEqual(await (await world.gateway.handle(report)).json(), { origin: 'null', allowed: true })
  for (const wrong of ['true', 1, null]) {
    await assert.rejects(createWorld({ allowOpaqueOrigin: wrong }), { code: 'ERR_INVALID_ARGUMENT', message: /Opaque/ })
    assert.throws(() => createDesk({ allowOpaqueOrigin: wrong }), { code: 'ERR_INVALID_ARGUMENT', message: /Opaque/ })
  }
  const desk = createDesk({ allowOpaqueOrigin: true })
  const sent = await desk.send('a@example.com', { headers: { origin: 'null' } })
  assert.deepEqual([sent.status, sent.headers.get('access-control-allow-origin')], [200, 'null'])
})

test('R166 a preflight of an allowed origin gets the names that it asks for, on every path', async () => {
  const world = await createWorld({ origins: [APP] })
  const many = Array.from({ length: 32 }, (_, at) => `x-${at}`)
  for (const [asked, given] of [
    [null, NEEDED],
    ['', NEEDED],
    [NEEDED, NEEDED],
    ['baggage,sentry-trace', `${NEEDED}, baggage, sentry-trace`],
    ['authorization, \tcontent-type , x-a', `${NEEDED}, authorization, x-a`],
    ["x!#$%&'*+.^_`|~-9", `${NEEDED}, x!#$%&'*+.^_\`|~-9`],
    [many.join(','), [NEEDED, ...many].join(', ')],
    ['x'.repeat(1024), `${NEEDED}, ${'x'.repeat(1024)}`]
  ])
    for (const target of PATHS) {
      const { status, headers } = await preflightOf(world, APP, target, asked)
      assert.deepEqual([status, headers.get('access-control-allow-headers')], [204, given])
      assert.equal(headers.get('access-control-allow-origin'), APP)
      assert.equal(headers.get('access-control-allow-credentials'), null)
      assert.equal(await allowedBy(preflightOf(world, 'https://evil.example', target, asked)), null)
    }
})

test('H29 R166 a preflight that asks as no browser does gets no name at all', async () => {
  const world = await createWorld({ origins: [APP] })
  for (const asked of [
    ...['*', 'x-a, *', 'X-A', 'x a', 'x-a,', ',x-a', 'x-a,,x-b', 'x-a;x-b', 'x-a: 1', 'x"', '\u00fc', '(x)', 'x/y'],
    Array.from({ length: 33 }, (_, at) => `x-${at}`).join(','),
    'x'.repeat(1025)
  ])
    for (const target of PATHS) {
      const { status, headers } = await preflightOf(world, APP, target, asked)
      assert.equal(status, 204)
      for (const name of ['headers', 'methods']) assert.equal(headers.get(`access-control-allow-${name}`), null, asked)
    }
})

test('R166 with allowHeaders a preflight gets that list, whatever it asks for', async () => {
  for (const [allowHeaders, given] of [
    [[], NEEDED],
    [['X-Request-Id', 'authorization', 'countersign'], `${NEEDED}, x-request-id, authorization`]
  ]) {
    const world = await createWorld({ origins: [APP], allowHeaders })
    for (const asked of [NEEDED, 'baggage', '*', null])
      for (const target of PATHS) assert.equal(await allowedBy(preflightOf(world, APP, target, asked)), given)
  }
})

test('R166 exposeHeaders names what pages may read, and what the protocol needs stays', async () => {
  const exposedBy = async (options) => {
    const world = await createWorld({ origins: [APP], ...options })
    const { headers } = await world.sendFrame(Buffer.from('junk'), { headers: { origin: APP } })
    return headers.get('access-control-expose-headers')
  }
  const usual = 'countersign, allow, content-disposition, etag, link, location, retry-after, x-request-id'
  assert.equal(await exposedBy({}), usual)
  assert.equal(await exposedBy({ answerHeaders: ['x-cost'] }), `${usual}, x-cost`)
  assert.equal(await exposedBy({ exposeHeaders: [] }), 'countersign, retry-after')
  assert.equal(await exposedBy({ exposeHeaders: ['ETag', 'x-edge'] }), 'countersign, etag, x-edge, retry-after')
})

test('R166 the enrolment behind a gateway, and without one, lets a page send and read the same', async () => {
  const options = { origins: [APP], exposeHeaders: ['x-edge'], allowHeaders: ['x-a'] }
  const limits = { enrollmentLimits: { mailsPerAddressAndSource: 1 } }
  const alone = createDesk({ ...limits, ...options })
  const inside = createDesk(limits)
  const world = await createWorld({ ...options, enrollment: inside.enrolling })
  const target = '/api/v1/public/auth/send-email-code'
  for (const handle of [alone.enrolling.handle, world.gateway.handle]) {
    assert.equal(await allowedBy(preflightOf({ gateway: { handle } }, APP, target, 'x-b')), `${NEEDED}, x-a`)
    const send = () =>
      handle(
        new Request(`http://gateway${target}`, {
          method: 'POST',
          body: '{"email":"a@example.com"}',
          headers: { origin: APP, 'content-type': 'application/json' }
        })
      )
    assert.equal((await send()).status, 200)
    const late = await send()
    assert.match(late.headers.get('retry-after'), /^\d+$/)
    assert.equal(late.headers.get('access-control-expose-headers'), 'countersign, x-edge, retry-after')
    assert.equal(await problemOf(late), '429 too_many_requests')
  }
})

test('R166 a list that names no header, or one that no page may have, is refused at the start', async () => {
  for (const option of ['allowHeaders', 'exposeHeaders', 'answerHeaders'])
    for (const names of [
      ...[
        'x-a',
        {},
        null,
        1,
        ['*'],
        [''],
        ['x a'],
        ['x\n'],
        [1],
        [Object.create(null)],
        ['set-cookie'],
        ['x'.repeat(65)]
      ],
      ...[['access-control-allow-origin'], Array.from({ length: 33 }, (_, at) => `x-${at}`)]
    ]) {
      const refused = { code: 'ERR_INVALID_ARGUMENT', message: new RegExp(option) }
      await assert.rejects(createWorld({ origins: [APP], [option]: names }), refused)
      if (option !== 'answerHeaders') assert.throws(() => createDesk({ [option]: names }), refused)
    }
})

test('R33 R41 the authorization header of a caller passes, and a change of it on the way changes nothing', async (t) => {
  const seen = []
  const identify = ({ header }) => {
    seen.push(header('authorization'))
    return 'one source'
  }
  const routes = { 'GET /api/x': () => ({ payload: 'x' }) }
  const own = await createTestWorld({ routes, identify })
  t.after(() => own.close())
  const { client } = await own.connect()
  assert.equal((await client.fetch('/api/x', { headers: { authorization: 'Bearer 1' } })).status, 200)
  assert.ok(seen.includes('Bearer 1'))
  const world = await createWorld({ identify, routes })
  const request = world.requestOf({ type: 'GET /api/x', payload: '' })
  const changed = await world.sendHeader('GET', '/api/x', request, { headers: { authorization: 'Bearer 2' } })
  assert.equal((await openAnswer(changed, request.requestId, world.signer)).resultCode, 'http.200')
  assert.equal(seen.at(-1), 'Bearer 2')
})

test('R166 a page whose script adds a header to each request can still ask why it is refused', async () => {
  const world = await createWorld({ origins: [APP] })
  const { headers } = await preflightOf(world, 'https://evil.example', CHECK, 'sentry-trace')
  assert.equal(headers.get('access-control-allow-origin'), '*')
  assert.equal(headers.get('access-control-allow-headers'), `${NEEDED}, sentry-trace`)
  assert.equal(await allowedBy(preflightOf(world, 'https://evil.example', CHECK, '*')), null)
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
