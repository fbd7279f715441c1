// SPDX-License-Identifier: MIT
// Existing routes moved behind signatures in phases (R140): who answers what, that bodies stay whole, and that nothing
// unsigned ever reaches a signed route.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { request as ask } from 'node:http'
import { test } from 'node:test'
import { createGateway, memoryReplayStore, memorySessionStore, nodeHandler } from 'countersign/server'
import { createSigner, createWorld, label, openAnswer, serve, signRequest } from '../kit.mjs'

const PHASES = ['observe', 'warn', 'require', 'enforce']
const EARLY = ['observe', 'warn']
const hashOf = (bytes) => createHash('sha256').update(bytes).digest('hex')

/** An old application behind a gateway: it says what it got. */
const createOld = () => {
  const seen = []
  const listener = async (request, response) => {
    const chunks = []
    for await (const chunk of request) chunks.push(chunk)
    const body = Buffer.concat(chunks)
    seen.push({ target: request.url, body: body.toString(), length: body.length, verdict: request.countersign })
    response.end(`old ${hashOf(body)}`)
  }
  return { seen, listener }
}

const createHouse = async (t, phase, options = {}) => {
  const old = createOld()
  const signed = []
  const world = await createWorld({
    phase,
    endpoint: '/exchange',
    userId: 'u1',
    routes: {
      'POST /orders': (context) => {
        signed.push(context)
        return { payload: `signed ${hashOf(context.payload)}` }
      },
      'POST /fails': () => {
        throw new Error('half done')
      }
    },
    ...options
  })
  const handler = nodeHandler(world.gateway)
  const { port } = await serve(t, (request, response) =>
    handler(request, response, () => old.listener(request, response))
  )
  const send = (target, { headers = {}, body, method = 'POST', chunks } = {}) =>
    new Promise((resolve, reject) => {
      const asked = ask({ port, path: target, method, headers, agent: false }, async (response) => {
        const pieces = []
        for await (const piece of response) pieces.push(piece)
        const { statusCode: status, headers: given } = response
        resolve({ status, headers: given, text: Buffer.concat(pieces).toString(), bytes: Buffer.concat(pieces) })
      })
      asked.on('error', reject)
      if (!chunks) return asked.end(body)
      const next = () => {
        if (chunks.length === 0) return asked.end()
        asked.write(chunks.shift())
        setTimeout(next, 15)
      }
      next()
    })
  const sign = (target, options = {}) => world.requestOf({ type: `POST ${target}`, payload: 'x', ...options })
  const sendSigned = (target, request, { body = request.payload, ...init } = {}) =>
    send(target, {
      ...init,
      body,
      headers: { countersign: Buffer.from(request.envelope).toString('base64url'), ...init.headers }
    })
  const open = ({ status, headers, bytes }, request) =>
    openAnswer(
      new Response(bytes, { status, headers: { countersign: headers.countersign } }),
      request.requestId,
      world.signer
    )
  const counted = () =>
    Object.fromEntries(
      Array.from(
        world.gateway.metrics().matchAll(/^countersign_would_refuse_total\{stage="(.*?)",code="(.*?)"\} (\d+)$/gm),
        ([, stage, code, count]) => [`${stage} ${code}`, Number(count)]
      )
    )
  return { ...world, old, signed, send, sign, sendSigned, open, counted }
}

test('R140 an unsigned request is the old handler’s in observe and warn, refused plainly after that', async (t) => {
  for (const phase of PHASES) {
    const house = await createHouse(t, phase)
    const { status, text, headers } = await house.send('/orders', { body: 'hello' })
    const isEarly = EARLY.includes(phase)
    assert.equal(status, isEarly ? 200 : 400, phase)
    assert.equal(text, isEarly ? `old ${hashOf('hello')}` : '')
    assert.equal(headers['countersign-warning'], phase === 'warn' ? 'none; unsigned' : undefined)
    assert.deepEqual(
      house.old.seen.map(({ verdict }) => verdict),
      isEarly ? [{ phase, code: 'unsigned' }] : []
    )
    assert.deepEqual(house.counted(), isEarly ? { 'none unsigned': 1 } : {})
    assert.deepEqual(
      house.refusals.map(({ code, passed }) => [code, passed]),
      {
        observe: [],
        warn: [['unsigned', true]],
        require: [['unsigned', undefined]],
        enforce: [['ERR_BAD_MAGIC', undefined]]
      }[phase]
    )
    assert.equal(house.signed.length, 0)
  }
})

test('R140 a request that verifies is its signed route’s in every phase', async (t) => {
  for (const phase of PHASES) {
    const house = await createHouse(t, phase)
    const request = house.sign('/orders')
    const answer = await house.open(await house.sendSigned('/orders', request), request)
    assert.deepEqual([answer.resultCode, answer.text], ['http.200', `signed ${hashOf('x')}`], phase)
    assert.deepEqual([house.old.seen, house.counted()], [[], {}])
    const again = await house.sendSigned('/orders', request)
    assert.equal(again.text.startsWith('old'), EARLY.includes(phase), 'a replay is told apart all the same')
    assert.equal(house.signed.length, 1)
  }
})

const failures = [
  ['parse', 'ERR_BAD_BASE64', (house) => [house.sign('/orders'), { headers: { countersign: '!' } }]],
  ['parse', 'ERR_TYPE_MISMATCH', (house) => [house.sign('/other')]],
  ['version', 'cs.unsupported_version', (house) => [house.sign('/orders', { version: 'v2' })]],
  ['session', 'cs.unauthenticated', (house) => [house.sign('/orders', { sessionId: 'A'.repeat(22) })]],
  ['signature', 'cs.unauthenticated', (house) => [house.sign('/orders', { signature: new Uint8Array(64) })]],
  ['freshness', 'cs.stale', (house) => [house.sign('/orders', { timestampMs: house.now() - 60_001 })]],
  ['payload_hash', 'cs.payload_mismatch', (house) => [house.sign('/orders'), { body: 'swapped' }]],
  ['none', 'content_encoding', (house) => [house.sign('/orders'), { headers: { 'content-encoding': 'gzip' } }]],
  ['none', 'duplicate_header', (house) => [house.sign('/orders'), { headers: { origin: ['http://a', 'http://b'] } }]]
]

test('R140 what fails a check is passed on whole in observe and warn, with its stage and code; refused from require on', async (t) => {
  for (const phase of PHASES) {
    for (const [stage, code, make] of failures) {
      const house = await createHouse(t, phase)
      const [request, init = {}] = make(house)
      const answer = await house.sendSigned('/orders', request, init)
      const what = `${phase} ${stage} ${code}`
      if (EARLY.includes(phase)) {
        assert.equal(answer.text, `old ${hashOf(init.body ?? 'x')}`, what)
        assert.deepEqual(house.old.seen[0].verdict, { phase, code, ...(stage === 'none' ? {} : { stage }) }, what)
        assert.deepEqual(house.counted(), { [`${stage} ${code}`]: 1 }, what)
        assert.equal(answer.headers['countersign-warning'], phase === 'warn' ? `${stage}; ${code}` : undefined)
        assert.equal(house.refusals.length, phase === 'warn' ? 1 : 0)
      } else {
        assert.ok(answer.status >= 400, what)
        assert.deepEqual([house.old.seen, house.counted()], [[], {}], what)
        if (code.startsWith('cs.')) assert.equal((await house.open(answer, request)).resultCode, code, what)
      }
      assert.equal(house.signed.length, 0, what)
    }
  }
})

test('R140 bodies of every size and shape reach the old handler whole after the gateway has read them', async (t) => {
  const house = await createHouse(t, 'observe')
  const sizes = [1, 1000, 16_384, 65_536, 65_537, 1_000_000, 3_000_000]
  for (const size of sizes) {
    const body = Buffer.alloc(size, 'ab')
    // Signed for another payload: found out at the last byte.
    const answer = await house.sendSigned('/orders', house.sign('/orders'), { body })
    assert.equal(answer.text, `old ${hashOf(body)}`, `${size} bytes`)
    const unsigned = await house.send('/orders', { body })
    assert.equal(unsigned.text, `old ${hashOf(body)}`, `${size} bytes, unsigned`)
  }
  const pieces = () => ['one ', 'two ', Buffer.alloc(70_000, 'c'), 'end'].map((piece) => Buffer.from(piece))
  const request = house.sign('/orders')
  const headers = { countersign: Buffer.from(request.envelope).toString('base64url'), 'transfer-encoding': 'chunked' }
  const chunked = await house.send('/orders', { chunks: pieces(), headers })
  assert.equal(chunked.text, `old ${hashOf(Buffer.concat(pieces()))}`)
  const good = house.sign('/orders', { payload: Buffer.concat(pieces()) })
  const whole = await house.send('/orders', {
    chunks: pieces(),
    headers: { countersign: Buffer.from(good.envelope).toString('base64url'), 'transfer-encoding': 'chunked' }
  })
  assert.equal((await house.open(whole, good)).text, `signed ${hashOf(Buffer.concat(pieces()))}`)
  assert.equal(house.counted()['payload_hash cs.payload_mismatch'], sizes.length + 1)
})

test('R140 a verified request without a signed route is the old handler’s, with user and session, until enforce', async (t) => {
  for (const phase of PHASES) {
    const house = await createHouse(t, phase)
    const request = house.sign('/not-moved')
    const answer = await house.sendSigned('/not-moved', request)
    if (phase === 'enforce') {
      assert.equal((await house.open(answer, request)).resultCode, 'http.404')
      continue
    }
    assert.equal(answer.text, `old ${hashOf('x')}`, phase)
    const verdict = { phase, stage: 'handler', code: 'http.404', sessionId: house.device.id, userId: 'u1' }
    assert.deepEqual(house.old.seen[0].verdict, verdict)
    assert.deepEqual(house.counted(), { 'handler http.404': 1 })
  }
})

test('R140 R170 a path that is signed for other methods is the old handler’s, until enforce', async (t) => {
  for (const phase of PHASES) {
    const house = await createHouse(t, phase)
    const request = house.sign('/orders', { type: 'PUT /orders' })
    const answer = await house.sendSigned('/orders', request, { method: 'PUT' })
    if (phase === 'enforce') {
      assert.equal((await house.open(answer, request)).resultCode, 'http.405')
      continue
    }
    assert.equal(answer.text, `old ${hashOf('x')}`, phase)
    const verdict = { phase, stage: 'handler', code: 'http.405', sessionId: house.device.id, userId: 'u1' }
    assert.deepEqual(house.old.seen[0].verdict, verdict)
    assert.deepEqual(house.counted(), { 'handler http.405': 1 })
    assert.equal(house.signed.length, 0)
  }
})

test('R140 a signed route that failed is never run again by the old handler', async (t) => {
  const house = await createHouse(t, 'observe')
  const request = house.sign('/fails')
  const answer = await house.open(await house.sendSigned('/fails', request), request)
  assert.deepEqual([answer.resultCode, house.old.seen], ['cs.internal', []])
})

test('R140 the gateway’s own endpoints know no phase', async (t) => {
  const house = await createHouse(t, 'observe')
  for (const init of [{ body: '{}', headers: { 'content-type': 'application/json' } }, { body: 'x' }, {}]) {
    assert.ok((await house.send('/exchange', init)).status >= 400)
  }
  const refused = signRequest(house.device, { nowMs: house.now(), timestampMs: 1 })
  const response = await house.send('/exchange', {
    body: refused.frame,
    headers: { 'content-type': 'application/vnd.countersign.v1' }
  })
  assert.equal(response.status, 401)
  assert.deepEqual([house.old.seen, house.counted()], [[], {}])
})

test('R140 what a client says about itself is no verdict, and without an old handler everything is refused', async (t) => {
  const house = await createHouse(t, 'observe')
  await house.send('/orders', { body: 'x', headers: { 'countersign-verdict': 'verified', 'x-countersign': '{}' } })
  assert.deepEqual(house.old.seen[0].verdict, { phase: 'observe', code: 'unsigned' })
  const { url } = await serve(t, nodeHandler(house.gateway))
  assert.equal((await fetch(`${url}/orders`, { method: 'POST', body: 'x' })).status, 400)
  assert.equal(
    (await house.gateway.handle(new Request('http://gateway/orders', { method: 'POST', body: 'x' }))).status,
    400
  )
})

test('R140 handle passes on to legacy: whole, with the verdict, warned, and its fault is not the gateway’s word', async () => {
  const seen = []
  const legacy = async (request, verdict) => {
    const body = await request.text()
    seen.push([body, verdict])
    if (body === 'throw') throw new Error('old fault')
    return new Response(`old ${body}`, { status: 201, headers: { 'x-old': '1' } })
  }
  const world = await createWorld({ phase: 'warn', endpoint: '/exchange', legacy })
  const post = (body, headers = {}) =>
    world.gateway.handle(new Request('http://gateway/api/echo', { method: 'POST', body, headers }))
  const unsigned = await post('hello')
  assert.deepEqual([unsigned.status, await unsigned.text(), unsigned.headers.get('x-old')], [201, 'old hello', '1'])
  assert.equal(unsigned.headers.get('countersign-warning'), 'none; unsigned')
  const request = world.requestOf({ type: 'POST /api/echo', payload: 'x' })
  const countersign = Buffer.from(request.envelope).toString('base64url')
  const mismatch = await post('swapped', { countersign })
  assert.equal(await mismatch.text(), 'old swapped')
  assert.deepEqual(seen[1], ['swapped', { phase: 'warn', stage: 'payload_hash', code: 'cs.payload_mismatch' }])
  assert.equal((await post('throw')).status, 500)
  const good = world.requestOf({ type: 'POST /api/echo', payload: 'x' })
  const answer = await post('x', { countersign: Buffer.from(good.envelope).toString('base64url') })
  assert.equal((await openAnswer(answer, good.requestId, world.signer)).text, 'x')
  assert.equal(seen.length, 3)
})

test('phases: what cannot work is refused at creation', () => {
  const parts = {
    label,
    signer: createSigner(),
    sessions: memorySessionStore(),
    replay: memoryReplayStore(),
    routes: {}
  }
  for (const options of [{ phase: 'trust' }, { phase: 'observe' }, { phase: 'enforce', legacy: 1 }, { phase: null }])
    assert.throws(() => createGateway({ ...parts, ...options }), { code: 'ERR_INVALID_ARGUMENT' })
  assert.equal(createGateway(parts).phase, 'enforce')
})
