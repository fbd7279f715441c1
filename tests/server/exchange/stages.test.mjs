// SPDX-License-Identifier: MIT
// Every stage refuses at its place, with its status, signed or plain, in each binding.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { core, createKey, createWorld, enrol, isPlain, jsonOf, openAnswer, randomId, sha256 } from '../kit.mjs'

const lastStage = ({ stages }) => {
  const { stage, verdict, code } = stages.at(-1)
  return { stage, verdict, code }
}

/** One way to send a request and to read its answer, for each binding. */
const bindings = {
  frame: { type: 'demo.echo', send: (world, request) => world.sendFrame(request.frame) },
  json: { type: 'demo.echo', send: (world, request) => world.sendJson(jsonOf(request)) },
  header: { type: 'POST /api/echo', send: (world, request) => world.sendHeader('POST', '/api/echo', request) }
}

for (const [binding, { type, send }] of Object.entries(bindings)) {
  const refused = (world, request, expected) =>
    send(world, request).then(async (response) => {
      const answer = await openAnswer(response, request.requestId, world.signer)
      assert.deepEqual({ status: answer.status, code: answer.resultCode, stage: lastStage(world).stage }, expected)
      assert.equal(world.stages.at(-1).verdict, 'fail')
      assert.equal(world.handled.length, 0)
      return answer
    })

  test(`R46 ${binding}: an honest request passes every stage in order`, async () => {
    const world = await createWorld()
    const request = world.requestOf({ type, payload: 'hello' })
    const answer = await openAnswer(await send(world, request), request.requestId, world.signer)
    assert.equal(answer.status, 200)
    assert.equal(answer.resultCode, binding === 'header' ? 'http.200' : 'ok')
    assert.equal(answer.text, 'hello')
    assert.deepEqual(
      world.stages.map(({ stage, verdict }) => `${stage} ${verdict}`),
      ['parse', 'version', 'session', 'signature', 'freshness', 'replay', 'payload_hash', 'rate', 'handler'].map(
        (stage) => `${stage} pass`
      )
    )
    assert.ok(
      world.stages.every((event) => event.requestId === request.requestId && event.binding === binding && event.ms >= 0)
    )
    assert.equal(world.refusals.length, 0)
  })

  test(`R46 ${binding}: parse refuses an id that is bound to other fields, plainly`, async () => {
    const world = await createWorld()
    const other = world.requestOf({ type })
    const request = world.requestOf({ type, requestId: other.requestId, payload: 'other' })
    await isPlain(await send(world, request), 400)
    assert.deepEqual(lastStage(world), { stage: 'parse', verdict: 'fail', code: 'ERR_BAD_REQUEST_ID' })
    assert.equal(world.stages.at(-1).requestId, request.requestId)
  })

  test(`R46 ${binding}: version refuses with a signed cs.unsupported_version`, async () => {
    const world = await createWorld()
    const request = world.requestOf({ type, version: 'v2' })
    await refused(world, request, { status: 400, code: 'cs.unsupported_version', stage: 'version' })
  })

  test(`R46 ${binding}: session refuses an unknown one with a signed cs.unauthenticated`, async () => {
    const world = await createWorld()
    const request = world.requestOf({ type, sessionId: randomId() })
    await refused(world, request, { status: 401, code: 'cs.unauthenticated', stage: 'session' })
  })

  test(`R50 ${binding}: a revoked session learns so only with its own signature`, async () => {
    const world = await createWorld()
    await world.sessions.revoke(world.device.id, 'test')
    await refused(world, world.requestOf({ type }), { status: 401, code: 'cs.session_revoked', stage: 'session' })
    const forged = world.requestOf({ type, signature: createKey().sign(Buffer.from('x')) })
    await refused(world, forged, { status: 401, code: 'cs.unauthenticated', stage: 'session' })
  })

  test(`R46 ${binding}: signature refuses another key's with a signed cs.unauthenticated`, async () => {
    const world = await createWorld()
    const stranger = { ...createKey(), id: world.device.id }
    await refused(world, world.requestOf({ type, device: stranger }), {
      status: 401,
      code: 'cs.unauthenticated',
      stage: 'signature'
    })
  })

  test(`R46 ${binding}: freshness refuses with a signed cs.stale that carries the gateway's time`, async () => {
    const world = await createWorld()
    const request = world.requestOf({ type, timestampMs: world.now() - 60_001 })
    const answer = await refused(world, request, { status: 401, code: 'cs.stale', stage: 'freshness' })
    assert.equal(answer.timestampMs, world.now())
  })

  test(`D1 ${binding}: replay refuses the same request the second time with 409`, async () => {
    const world = await createWorld()
    const request = world.requestOf({ type })
    assert.equal((await openAnswer(await send(world, request), request.requestId, world.signer)).status, 200)
    world.handled.length = 0
    await refused(world, request, { status: 409, code: 'cs.replayed', stage: 'replay' })
  })

  test(`R46 ${binding}: payload_hash refuses another payload, and the id is burnt`, async () => {
    const world = await createWorld()
    const request = world.requestOf({ type, payload: 'one' })
    const swapped = {
      ...request,
      payload: Buffer.from('two'),
      frame: Buffer.concat([request.envelope, Buffer.from('two')])
    }
    await refused(world, swapped, { status: 400, code: 'cs.payload_mismatch', stage: 'payload_hash' })
    await refused(world, request, { status: 409, code: 'cs.replayed', stage: 'replay' })
  })

  test(`R46 ${binding}: rate refuses with a signed cs.rate_limited and says when`, async () => {
    const world = await createWorld({ rates: { perSession: { perSecond: 1, burst: 1 } } })
    const first = world.requestOf({ type })
    assert.equal((await openAnswer(await send(world, first), first.requestId, world.signer)).status, 200)
    world.handled.length = 0
    const answer = await refused(world, world.requestOf({ type }), {
      status: 429,
      code: 'cs.rate_limited',
      stage: 'rate'
    })
    assert.equal(JSON.parse(answer.text).retry_after_ms, 1000)
  })

  test(`R46 ${binding}: a handler that throws ends in a signed cs.internal, and only the operator gets the reason`, async () => {
    const route = binding === 'header' ? 'POST /api/echo' : 'demo.echo'
    const world = await createWorld({
      routes: {
        [route]: () => {
          throw new Error('inside')
        }
      }
    })
    const answer = await refused(world, world.requestOf({ type }), {
      status: 500,
      code: 'cs.internal',
      stage: 'handler'
    })
    assert.equal(answer.text, '{}')
    assert.equal(world.refusals.at(-1).error.message, 'inside')
    assert.deepEqual(
      world.faults.map(({ message, error }) => [message, error.message]),
      [[`countersign: the handler of ${route} failed`, 'inside']]
    )
  })
}

test('R66 what no route answers gets a signed unknown_type, or 404 in the header binding', async () => {
  const world = await createWorld()
  const answer = await world.call({ type: 'demo.nothing' })
  assert.deepEqual([answer.status, answer.resultCode], [200, 'unknown_type'])
  const missing = await world.callHeader('GET', '/nowhere', { payload: '' })
  assert.deepEqual([missing.status, missing.resultCode], [404, 'http.404'])
})

test('R52 refusal payloads are {} or retry_after_ms, nothing else', async () => {
  const world = await createWorld()
  assert.equal((await world.call({ sessionId: randomId() })).text, '{}')
})

test('R54 no stage of crypto is reached by a request with a foreign label, plainly refused', async () => {
  const world = await createWorld()
  const request = world.requestOf({ label: 'staging' })
  await isPlain(await world.sendFrame(request.frame), 400)
  assert.deepEqual(lastStage(world), { stage: 'parse', verdict: 'fail', code: 'ERR_WRONG_DOMAIN' })
})

test('R31 frame and json refuse header types, header refuses every other', async () => {
  const world = await createWorld()
  for (const type of ['POST /api/echo', 'a b', `sha256:${Buffer.from(sha256('x')).toString('base64url')}`]) {
    const request = world.requestOf({ type })
    await isPlain(await world.sendFrame(request.frame), 400)
    await isPlain(await world.sendJson(jsonOf(request)), 400)
    assert.equal(lastStage(world).code, 'ERR_TYPE_MISMATCH')
  }
  for (const type of [
    'demo.echo',
    'POST /api/other',
    'GET /api/echo',
    'POST /api/echo?',
    'POST /api/Echo',
    'post /api/echo'
  ]) {
    await isPlain(await world.sendHeader('POST', '/api/echo', world.requestOf({ type })), 400)
  }
  assert.equal(world.handled.length, 0)
})

test('D7 an id of one session does not burn the same text of another', async () => {
  const world = await createWorld()
  const other = await enrol(world.sessions, { nowMs: world.now() })
  const mine = world.requestOf()
  // The other session cannot even send this id: it is bound to the session that made it.
  const copied = world.requestOf({ device: other, requestId: mine.requestId })
  await isPlain(await world.sendFrame(copied.frame), 400)
  assert.equal((await openAnswer(await world.sendFrame(mine.frame), mine.requestId, world.signer)).status, 200)
})

test('D7 with a compatible label, where ids are free, each session has its own', async () => {
  const world = await createWorld({ compatible: true })
  const other = await enrol(world.sessions, { nowMs: world.now() })
  for (const device of [other, world.device]) {
    const request = world.requestOf({ device, requestId: 'move-1' })
    assert.equal((await openAnswer(await world.sendFrame(request.frame), 'move-1', world.signer)).status, 200)
  }
  const again = world.requestOf({ requestId: 'move-1', timestampMs: world.now() + 1 })
  assert.equal((await openAnswer(await world.sendFrame(again.frame), 'move-1', world.signer)).status, 409)
})

test('D11 unknown session and bad signature are one answer, headers and body', async () => {
  const world = await createWorld()
  const unknown = world.requestOf({ sessionId: randomId() })
  const forged = world.requestOf({ signature: createKey().sign(Buffer.from('x')) })
  const seen = []
  for (const request of [unknown, forged]) {
    const response = await world.sendFrame(request.frame)
    const headers = JSON.stringify([...response.headers])
    const { status, resultCode, text } = await openAnswer(response, request.requestId, world.signer)
    seen.push({ status, resultCode, text, headers })
  }
  assert.deepEqual(seen[0], seen[1])
  assert.equal(seen[0].resultCode, 'cs.unauthenticated')
})

test('D11 an unknown session costs a verification too', async () => {
  const world = await createWorld()
  const { device } = world
  const { fields } = world.requestOf()
  const signingInput = core.requestSigningInput(fields)
  const request = { signingInput, signature: device.sign(Buffer.from('another message')) }
  const { algorithm, publicKey } = device
  const time = { nowMs: fields.timestampMs, pastMs: 60_000, futureMs: 10_000 }
  const sessions = {
    known: { status: 'active', algorithm, publicKey },
    unknown: null,
    // A key of no size is refused without a verification, and shows what one costs.
    keyless: { status: 'active', algorithm, publicKey: new Uint8Array() }
  }
  const codes = {}
  const leastMs = { known: Infinity, unknown: Infinity, keyless: Infinity }
  for (let round = 0; round < 200; round++) {
    for (const [name, session] of Object.entries(sessions)) {
      const fromMs = performance.now()
      codes[name] = core.judgeRequest(request, session, {}, time).refusal.code
      leastMs[name] = Math.min(leastMs[name], performance.now() - fromMs)
    }
  }
  assert.deepEqual(Object.values(codes), Array(3).fill('cs.unauthenticated'))
  // The least of many interleaved rounds is the same on a busy machine. The gap is more than tenfold.
  assert.ok(leastMs.keyless < leastMs.known / 2, JSON.stringify(leastMs))
  assert.ok(leastMs.unknown > leastMs.known / 2, JSON.stringify(leastMs))
})
