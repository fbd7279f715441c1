// SPDX-License-Identifier: MIT
// What surrounds the stages: CORS, rates, metrics, hooks, logs, the server's key file.
import assert from 'node:assert/strict'
import { generateKeyPairSync, verify } from 'node:crypto'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { checkCors, createGateway, nodeHandler, serverKeyFile } from 'countersign/server'
import { createBuckets, sourceOf } from '../../dist/server/rates.js'
import { createWorld, enrol, FRAME, frameRequest, isPlain, openAnswer, randomId, serve } from './kit.mjs'

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
    assert.equal(headers.get('access-control-expose-headers'), 'countersign')
    assert.equal(headers.get('cache-control'), 'no-store, no-transform')
    assert.equal(headers.get('vary'), 'origin')
    assert.equal(headers.get('x-content-type-options'), 'nosniff')
    assert.equal(headers.get('set-cookie'), null)
  }
})

test('G8 an origin that no browser would send is refused at the start, with a hint', () => {
  const parts = {
    label: 'test',
    signer: { keyId: 'k', publicKey: new Uint8Array(32), sign() {} },
    sessions: { get() {}, create() {}, revoke() {}, listByUser() {} },
    replay: { reserve() {} },
    routes: {}
  }
  for (const origin of [
    '*',
    '',
    'null',
    'app.example',
    'https://app.example/',
    'https://app.example/path',
    'https://APP.example',
    'https://app.example:443',
    'https://*.example',
    'http://app.example',
    'ftp://app.example',
    7
  ]) {
    assert.throws(
      () => createGateway({ ...parts, origins: [origin] }),
      { code: 'ERR_INVALID_ARGUMENT', message: /origins: / },
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
  assert.ok((await checkCors({ url: doubled.url, origin: APP })).some((problem) => /given twice/.test(problem)))
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

test('K1 a bucket gives its burst, then its rate, and tells the wait', () => {
  const buckets = createBuckets({ perSecond: 10, burst: 3 })
  assert.deepEqual(
    [1, 2, 3, 4].map(() => buckets.take('a', 1000)),
    [0, 0, 0, 100]
  )
  assert.equal(buckets.take('b', 1000), 0)
  assert.equal(buckets.take('a', 1099), 1)
  assert.equal(buckets.take('a', 1100), 0)
  assert.equal(buckets.take('a', 1100), 100)
  assert.deepEqual(
    [1, 2, 3, 4].map(() => buckets.take('a', 60_000)),
    [0, 0, 0, 100]
  )
})

test('K1 buckets are bounded, and a full table forgets nobody who is being limited', () => {
  const buckets = createBuckets({ perSecond: 1, burst: 2 }, 100)
  for (let at = 0; at < 2; at++) buckets.take('victim', 0)
  assert.ok(buckets.take('victim', 0) > 0)
  for (let at = 0; at < 1000; at++) buckets.take(`s${at}`, 1)
  assert.ok(buckets.size <= 101)
  assert.ok(buckets.take('victim', 2) > 0, 'still limited')
  assert.ok(buckets.take('newcomer', 3) > 0, 'newcomers share one bucket')
  assert.equal(buckets.take('newcomer', 10_000), 0)
  assert.ok(buckets.size < 100, 'full buckets were dropped')
})

test('K1 the limits of sessions, users and types are counted apart', async () => {
  const world = await createWorld({
    userId: 'u1',
    rates: {
      perSession: 1000,
      perUser: { perSecond: 1, burst: 3 },
      perType: { 'demo.slow': { perSecond: 1, burst: 1 } }
    },
    routes: { 'demo.slow': () => {} }
  })
  const second = await enrol(world.sessions, { userId: 'u1' })
  const other = await enrol(world.sessions, { userId: 'u2' })
  const codeOf = async (options) => (await world.call(options)).resultCode
  assert.equal(await codeOf({ type: 'demo.slow' }), 'ok')
  assert.equal(await codeOf({ type: 'demo.slow', device: second }), 'cs.rate_limited')
  assert.equal(await codeOf({ type: 'demo.slow', device: other }), 'ok')
  assert.equal(await codeOf({ device: second }), 'ok')
  assert.equal(await codeOf({}), 'cs.rate_limited', "the user's fourth")
  assert.equal(await codeOf({ device: other }), 'ok')
})

test("K1 a forged request never spends its victim's rate", async () => {
  const world = await createWorld({ rates: { perSession: { perSecond: 1, burst: 1 } } })
  for (let count = 0; count < 5; count++) await world.call({ signature: new Uint8Array(64) })
  for (let count = 0; count < 5; count++) {
    const { envelope } = world.requestOf()
    await world.sendFrame(Buffer.concat([envelope, Buffer.from('other')]))
  }
  assert.equal((await world.call()).resultCode, 'ok')
})

test('K1 sources: addresses, IPv4 in IPv6, and whole networks of IPv6', () => {
  const table = {
    '192.0.2.1': '192.0.2.1',
    '::ffff:192.0.2.1': '192.0.2.1',
    '::FFFF:192.0.2.1': '192.0.2.1',
    '2001:db8::1': '2001:db8:0:0::/64',
    '2001:0db8:0000:0000:0001:0002:0003:0004': '2001:db8:0:0::/64',
    '2001:db8:0:1::': '2001:db8:0:1::/64',
    'fe80::1%eth0': 'fe80:0:0:0::/64',
    '::1': '0:0:0:0::/64',
    '64:ff9b::192.0.2.1': '64:ff9b:0:0::/64',
    unix: 'unix',
    '': ''
  }
  for (const [address, source] of Object.entries(table)) assert.equal(sourceOf(address), source, address)
})

test('P1 metrics are Prometheus text, and nothing a client sends adds a series', async () => {
  const world = await createWorld({ compatible: true })
  const run = async (round) => {
    for (const type of ['demo.echo', `x${round}"} 1\n# evil`, `type-${round}`])
      await world.call({ type }).catch(() => {})
    await world.call({ sessionId: `s${round}` })
    await world.call({ timestampMs: 1 })
    await world.call({ version: `v${round + 5}` })
    await world.sendFrame(Buffer.from(`junk${round}`))
  }
  await run(0)
  const names = (text) =>
    text
      .split('\n')
      .filter((line) => line && !line.startsWith('#'))
      .map((line) => line.replace(/ \S+$/, ''))
  const before = world.gateway.metrics()
  await run(1)
  assert.deepEqual(names(world.gateway.metrics()), names(before))
  for (const line of before.trim().split('\n')) {
    assert.match(
      line,
      /^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[a-z_]+="[^"\\\n]*"(,[a-z_]+="[^"\\\n]*")*\})? -?[\d.e+-]+)$/
    )
  }
  for (const part of [
    'countersign_stage_total{binding="frame",stage="freshness",verdict="fail",code="cs.stale"} 1',
    'countersign_stage_seconds_bucket{stage="signature",le="+Inf"}',
    'countersign_clock_skew_seconds_count',
    'countersign_replay_ids ',
    'countersign_answers_total{status="401"}'
  ]) {
    assert.ok(before.includes(part), part)
  }
})

test('P1 the skew of clocks is counted for verified requests only', async () => {
  const world = await createWorld()
  await world.call({ signature: new Uint8Array(64), timestampMs: 5 })
  assert.match(world.gateway.metrics(), /countersign_clock_skew_seconds_count 0/)
  await world.call({ timestampMs: world.now() + 3000 })
  assert.match(world.gateway.metrics(), /countersign_clock_skew_seconds_bucket\{le="5"\} 1/)
  assert.match(world.gateway.metrics(), /countersign_clock_skew_seconds_bucket\{le="2"\} 0/)
})

test('H3 hooks get printable ASCII: no line can be added to a log, no terminal spoken to', async () => {
  const world = await createWorld({ compatible: true, identify: () => '1.2.3.4\r\nrefused source=\u001b[31m' })
  const nasty = ['\u0085next\u2028line\u2029', '\u009b31mred', '\u202etxt.exe', 'é😀', 'back\\slash']
  for (const text of nasty) await world.call({ sessionId: text, type: text, requestId: text })
  const events = [...world.stages, ...world.refusals]
  assert.ok(events.length > nasty.length * 2)
  for (const event of events) assert.match(JSON.stringify(event), /^[\x20-\x7e]*$/)
  assert.ok(world.refusals.some(({ sessionId }) => sessionId === '\\u202etxt.exe'))
  assert.ok(world.refusals.some(({ sessionId }) => sessionId === 'back\\\\slash'))
})

test('H3 no hook and no metric ever holds a payload, a key, a signature or an envelope', async () => {
  const world = await createWorld()
  const payload = 'PAYLOAD-SECRET-0123456789'
  const requests = [
    world.requestOf({ payload }),
    world.requestOf({ payload, timestampMs: 1 }),
    world.requestOf({ payload, signature: Buffer.alloc(64, 0x5a) }),
    world.requestOf({ payload, sessionId: randomId() })
  ]
  for (const request of requests) await world.sendFrame(request.frame)
  await world.sendFrame(Buffer.concat([requests[0].envelope, Buffer.from('PAYLOAD-SECRET-other')]))
  const text = JSON.stringify([world.stages, world.refusals]) + world.gateway.metrics()
  assert.ok(!text.includes('PAYLOAD-SECRET'))
  const secrets = [
    ...requests.map(({ signature }) => signature),
    ...requests.map(({ envelope }) => envelope.subarray(0, 60)),
    world.device.publicKey,
    world.signer.publicKey
  ]
  for (const secret of secrets)
    for (const encoding of ['hex', 'base64', 'base64url'])
      assert.ok(!text.includes(Buffer.from(secret).toString(encoding).slice(0, 40)))
})

test('I5 a refusal is told once, with its stage, status and source', async () => {
  const world = await createWorld({ identify: (request) => `${request.method} ${request.header('user-agent')}` })
  const request = world.requestOf({ timestampMs: 1 })
  await world.sendFrame(request.frame, { headers: { 'user-agent': 'test' } })
  assert.deepEqual(world.refusals, [
    {
      exchange: 1,
      stage: 'freshness',
      code: 'cs.stale',
      status: 401,
      signed: true,
      requestId: request.requestId,
      sessionId: world.device.id,
      source: 'POST test'
    }
  ])
  await world.sendFrame(Buffer.from('junk'))
  const { exchange, stage, code, status, signed } = world.refusals[1]
  assert.deepEqual(
    { exchange, stage, code, status, signed },
    { exchange: 2, stage: 'parse', code: 'ERR_BAD_MAGIC', status: 400, signed: false }
  )
})

const folder = (t) => {
  const path = mkdtempSync(join(tmpdir(), 'countersign-key-'))
  t.after(() => rmSync(path, { recursive: true, force: true }))
  return path
}

test('R21 serverKeyFile makes a key of mode 0600 once, and loads the same again', (t) => {
  const path = join(folder(t), 'server.key')
  const one = serverKeyFile(path)
  const two = serverKeyFile(path)
  assert.equal(statSync(path).mode & 0o777, 0o600)
  assert.deepEqual([two.keyId, [...two.publicKey]], [one.keyId, [...one.publicKey]])
  assert.match(one.keyId, /^[\w-]{22}$/)
  const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), one.publicKey])
  assert.equal(
    verify(null, Buffer.from('m'), { key: spki, format: 'der', type: 'spki' }, two.sign(Buffer.from('m'))),
    true
  )
  assert.deepEqual(readdirSync(join(path, '..')), ['server.key'])
  assert.ok(!JSON.stringify(one).includes('PRIVATE'))
})

test('R21 serverKeyFile refuses a file that others may read or that is no Ed25519 key, and repeats none of it', (t) => {
  const path = join(folder(t), 'server.key')
  serverKeyFile(path)
  for (const mode of [0o644, 0o640, 0o604, 0o660]) {
    chmodSync(path, mode)
    assert.throws(() => serverKeyFile(path), { code: 'ERR_INVALID_ARGUMENT', message: /chmod 600/ })
  }
  const pem = readFileSync(path, 'utf8')
  const bad = [
    '',
    'x',
    pem.slice(0, 60),
    generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'pem', type: 'pkcs8' }),
    generateKeyPairSync('ed25519').publicKey.export({ format: 'pem', type: 'spki' })
  ]
  for (const [at, text] of bad.entries()) {
    const other = join(path, '..', `bad${at}.key`)
    writeFileSync(other, text, { mode: 0o600 })
    assert.throws(
      () => serverKeyFile(other),
      (error) =>
        error.code === 'ERR_INVALID_ARGUMENT' && !error.message.includes('MII') && !error.message.includes('MC4')
    )
  }
  assert.throws(() => serverKeyFile(join(path, 'nested')), { code: 'ENOTDIR' })
})

test('I2 handle takes the raw target from its caller, else from the URL', async () => {
  const world = await createWorld()
  const request = world.requestOf({ type: 'POST /a/../api/echo', payload: '' })
  const headers = { countersign: Buffer.from(request.envelope).toString('base64url') }
  const post = (from) =>
    world.gateway.handle(new Request('http://gateway/a/../api/echo', { method: 'POST', headers }), from)
  await isPlain(await post(), 400)
  const answer = await openAnswer(await post({ rawTarget: '/a/../api/echo' }), request.requestId, world.signer)
  assert.equal(answer.resultCode, 'http.404')
})

test('I2 a Request whose body was read already ends in a plain refusal', async () => {
  const world = await createWorld()
  const request = frameRequest(world.requestOf().frame)
  await request.arrayBuffer()
  const response = await world.gateway.handle(request)
  assert.equal(response.status, 400)
  assert.equal(world.refusals.at(-1).signed, false)
})

test('R35 a gateway that cannot load its core refuses plainly and tries again', async () => {
  let loads = 0
  const world = await createWorld({
    get core() {
      loads += 1
      return Promise.reject(new Error('no wasm'))
    }
  })
  const response = await world.sendFrame(world.requestOf().frame, { headers: { 'content-type': FRAME } })
  assert.deepEqual([response.status, (await response.arrayBuffer()).byteLength], [503, 0])
  assert.match(world.gateway.metrics(), /countersign_fail_closed_total\{reason="core"\} 1/)
  await assert.rejects(world.gateway.ready(), /no wasm/)
  assert.ok(loads > 0)
})
