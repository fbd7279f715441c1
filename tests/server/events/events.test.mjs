// SPDX-License-Identifier: MIT
// Signed events at the gateway: numbers, order, resuming, gaps, refusals (PROTOCOL.md, section 10).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { enrollment, memoryEventStore, memoryReplayStore, memorySessionStore } from 'countersign/server'
import { createSigner, createWorld, enrol, isPlain, jsonOf, label, openAnswer } from '../kit.mjs'
import { createEventWorld, poll, SSE, subscribe, subscriptionOf } from './kit.mjs'

const texts = (events) => events.map(({ text }) => text)

test('E12 R101 a stream begins with its signed position, then events in order as they are published', async () => {
  const world = await createEventWorld()
  const stream = await subscribe(world)
  assert.match(stream.first.stream, /^[A-Za-z0-9_-]{22}$/)
  assert.deepEqual([stream.first.next, stream.first.oldest], [1, 1])
  for (let number = 1; number <= 20; number++)
    assert.equal(await world.gateway.publish(world.device.id, 'demo.note', String(number)), 1)
  const events = await stream.take(20)
  assert.deepEqual(
    texts(events),
    Array.from({ length: 20 }, (_, at) => String(at + 1))
  )
  assert.deepEqual(
    events.map(({ sequence }) => sequence),
    Array.from({ length: 20 }, (_, at) => at + 1)
  )
  await stream.leave()
})

test('E12 R111 a poll ends after 64 events, or after 512 KiB of them, and the next one goes on', async () => {
  const small = await createEventWorld()
  for (let number = 1; number <= 70; number++) await small.gateway.publish(small.device.id, 'demo.note', String(number))
  const [first, second] = [await poll(small, { after: 0 }), await poll(small, { after: 64 })]
  assert.deepEqual([first.events.length, second.events.length], [64, 6])

  const large = await createEventWorld()
  const payload = Buffer.alloc(60_000, 'x')
  for (let number = 1; number <= 15; number++) await large.gateway.publish(large.device.id, 'demo.note', payload)
  // Eight are 480,000 bytes, and the ninth reaches the limit.
  const { events } = await poll(large, { after: 0 })
  assert.equal(events.length, 9)
  assert.equal((await poll(large, { after: 9 })).events.length, 6)
})

test('R101 concurrent publishing numbers each event once, for all streams of the session alike', async () => {
  const world = await createEventWorld()
  const streams = await Promise.all([subscribe(world), subscribe(world), subscribe(world)])
  await Promise.all(
    Array.from({ length: 100 }, (_, at) => world.gateway.publish(world.device.id, 'demo.note', `n${at}`))
  )
  const [one, two, three] = await Promise.all(streams.map((stream) => stream.take(100)))
  assert.deepEqual(texts(one), texts(two))
  assert.deepEqual(texts(one), texts(three))
  assert.equal(new Set(texts(one)).size, 100)
  await Promise.all(streams.map((stream) => stream.leave()))
})

test('R102 resuming goes on after the number given, with or without the name of the stream', async () => {
  const world = await createEventWorld()
  for (let number = 1; number <= 10; number++) await world.gateway.publish(world.device.id, 'demo.note', String(number))
  const named = await subscribe(world)
  assert.deepEqual([named.first.next, named.first.oldest], [11, 1])
  const { stream } = named.first
  for (const options of [{ after: 7 }, { after: 7, stream }]) {
    const resumed = await subscribe(world, options)
    assert.deepEqual(texts(await resumed.take(3)), ['8', '9', '10'])
    await resumed.leave()
  }
  const whole = await subscribe(world, { after: 0, stream })
  assert.equal((await whole.take(10)).length, 10)
  const polled = await poll(world, { after: 4, stream })
  assert.deepEqual(texts(polled.events), ['5', '6', '7', '8', '9', '10'])
  await Promise.all([named.leave(), whole.leave()])
})

test('R103 what was pushed out, another stream and a number not yet given are a gap, then events from the oldest on', async () => {
  const world = await createEventWorld({ events: memoryEventStore({ eventsPerSession: 3 }) })
  for (let number = 1; number <= 10; number++) await world.gateway.publish(world.device.id, 'demo.note', String(number))
  const elsewhere = 'A'.repeat(22)
  for (const options of [
    { after: 2 },
    { after: 9, stream: elsewhere },
    { after: 11 },
    { after: 10, stream: elsewhere }
  ]) {
    for (const open of [subscribe, async (...args) => ({ take: async () => (await poll(...args)).events })]) {
      const opened = await open(world, options)
      const [gap, ...events] = await opened.take(4)
      assert.equal(gap.type, 'cs.gap')
      const { next, oldest } = JSON.parse(gap.text)
      assert.deepEqual([gap.sequence, next, oldest], [options.after, 11, 8])
      assert.deepEqual(texts(events), ['8', '9', '10'])
      await opened.leave?.()
    }
  }
})

test('R103 a stream whose buffer was lost ends, and resumes with a gap on the new one', async () => {
  const events = memoryEventStore()
  const world = await createEventWorld({ events })
  const stream = await subscribe(world)
  await world.gateway.publish(world.device.id, 'demo.note', 'one')
  await stream.take(1)
  await events.drop(world.device.id)
  assert.deepEqual(await stream.rest(), [])
  await world.gateway.publish(world.device.id, 'demo.note', 'two')
  const again = await subscribe(world, { after: 1, stream: stream.first.stream })
  assert.notEqual(again.first.stream, stream.first.stream)
  const [gap, two] = await again.take(2)
  assert.deepEqual([gap.type, gap.sequence, two.text, two.sequence], ['cs.gap', 1, 'two', 1])
  await again.leave()
})

test('R106 a user is told on every active session, nobody else is', async () => {
  const world = await createEventWorld()
  const second = await enrol(world.sessions)
  const stranger = await enrol(world.sessions, { userId: 'other@example.com' })
  const gone = await enrol(world.sessions)
  await world.sessions.revoke(gone.id, 'x')
  const streams = await Promise.all([world.device, second, stranger].map((device) => subscribe(world, { device })))
  assert.equal(await world.gateway.publish({ userId: 'user@example.com' }, 'demo.note', 'hello'), 2)
  assert.equal(await world.gateway.publish({ userId: 'nobody' }, 'demo.note', 'hello'), 0)
  assert.equal(await world.gateway.publish({ sessionId: gone.id }, 'demo.note', 'hello'), 0)
  assert.equal(await world.gateway.publish({ sessionId: stranger.id }, 'demo.note', 'yours'), 1)
  const [one, two, other] = await Promise.all(streams.map((stream) => stream.take(1)))
  assert.deepEqual([one, two, other].map(texts), [['hello'], ['hello'], ['yours']])
  await Promise.all(streams.map((stream) => stream.leave()))
})

test('R106 the user of an address is the one that the mounted enrolment names', async () => {
  for (const [options, userId] of [
    [{}, 'user@example.com'],
    [{ userIdOf: (email) => `u-${email.length}` }, 'u-16']
  ]) {
    const shared = { signer: createSigner(), sessions: memorySessionStore() }
    const mounted = enrollment({ label, ...shared, mailer() {}, ...options })
    const world = await createEventWorld({ ...shared, userId, enrollment: mounted })
    assert.equal(await world.gateway.publish({ email: 'User@Example.com' }, 'demo.note', 'hello'), 1)
    assert.equal(await world.gateway.publish({ email: 'Other@Example.org!' }, 'demo.note', 'hello'), 0)
    await world.gateway.close()
  }
})

test('R106 publish refuses what is no event, with a typed error and without taking a number', async () => {
  const world = await createEventWorld()
  const { publish } = world.gateway
  const refusals = [
    [undefined, 'a', '', 'ERR_INVALID_ARGUMENT'],
    [{}, 'a', '', 'ERR_INVALID_ARGUMENT'],
    [{ sessionId: 'a', userId: 'b' }, 'a', '', 'ERR_INVALID_ARGUMENT'],
    [{ userId: 1 }, 'a', '', 'ERR_INVALID_ARGUMENT'],
    [{ userId: 'a', email: 'b' }, 'a', '', 'ERR_INVALID_ARGUMENT'],
    [{ email: 'without.enrolment@example.com' }, 'a', '', 'ERR_INVALID_ARGUMENT'],
    [world.device.id, '', '', 'ERR_INVALID_TEXT'],
    [world.device.id, 'a\n', '', 'ERR_INVALID_TEXT'],
    [world.device.id, 'cs.time', '', 'ERR_RESERVED_TYPE'],
    [world.device.id, 'http.200', '', 'ERR_RESERVED_TYPE'],
    [world.device.id, 'GET /', '', 'ERR_RESERVED_TYPE'],
    [world.device.id, 'a', 5, 'ERR_INVALID_ARGUMENT'],
    [world.device.id, 'a', null, 'ERR_INVALID_ARGUMENT'],
    [world.device.id, 'a', new Uint8Array(64 * 1024 + 1), 'ERR_PAYLOAD_TOO_LARGE']
  ]
  for (const [target, type, payload, code] of refusals) await assert.rejects(publish(target, type, payload), { code })
  assert.equal(await publish(world.device.id, 'a', new Uint8Array(64 * 1024)), 1)
  const { first } = await poll(world)
  assert.equal(first.next, 2)
  await world.gateway.close()
  await assert.rejects(publish(world.device.id, 'a'), { code: 'ERR_CLOSED' })
  const without = await createWorld()
  await assert.rejects(without.gateway.publish(world.device.id, 'a'), { code: 'ERR_INVALID_ARGUMENT' })
})

test('R106 a store that does not take an event says so', async () => {
  const failing = {
    ...memoryEventStore(),
    append: () => Promise.reject(new Error('full'))
  }
  const world = await createEventWorld({ events: failing })
  await assert.rejects(world.gateway.publish(world.device.id, 'a'), { code: 'ERR_STORAGE_FAILED' })
  assert.match(world.gateway.metrics(), /countersign_fail_closed_total\{reason="events"\} 1/)
})

test('R102 a payload that is no subscription is invalid_payload, whatever opens the stream', async () => {
  const world = await createEventWorld()
  const payloads = [
    '',
    '[]',
    'null',
    '{"after":-1}',
    '{"after":1.5}',
    '{"after":1e3}',
    '{"after":01}',
    '{"after":"1"}',
    '{"after":9007199254740992}',
    '{"after":1,"after":1}',
    '{"after":1,"other":1}',
    '{"stream":"AAAAAAAAAAAAAAAAAAAAAA"}',
    '{"after":1,"stream":"short"}',
    '{"after":1,"stream":1}',
    '{"wait_ms":1}',
    '\ufeff{}',
    '{} x'
  ]
  for (const payload of payloads) {
    const answer = await world.call({ type: 'cs.subscribe', payload, frame: ({ frame }) => frame })
    assert.equal(answer.resultCode, 'invalid_payload', payload)
  }
  const polls = [...payloads.filter((payload) => !payload.includes('wait')), '{"wait_ms":25001}', '{"wait_ms":-1}']
  for (const payload of polls)
    assert.equal((await world.call({ type: 'cs.poll', payload })).resultCode, 'invalid_payload', payload)
})

test('R102 only the frame binding subscribes, by POST only with the accept header', async () => {
  const world = await createEventWorld()
  assert.equal((await world.call({ type: 'cs.subscribe', payload: '{}' })).resultCode, 'invalid_payload')
  for (const type of ['cs.subscribe', 'cs.poll']) {
    const request = world.requestOf({ type, payload: '{}' })
    const response = await world.sendJson(jsonOf(request), { headers: { accept: SSE } })
    assert.equal((await openAnswer(response, request.requestId, world.signer)).resultCode, 'invalid_payload')
  }
  // The header binding has no such type: a message of it stands for its request line, or for nothing.
  const request = world.requestOf({ type: 'cs.subscribe', payload: '{}' })
  await isPlain(await world.sendHeader('POST', '/api/echo', request, { headers: { accept: SSE } }), 400)
  assert.equal(world.stages.at(-1).stage, 'parse')
})

test('R102 without a store of events the types are unknown', async () => {
  const world = await createWorld()
  for (const type of ['cs.subscribe', 'cs.poll'])
    assert.equal((await world.call({ type, payload: '{}' })).resultCode, 'unknown_type')
})

test('R102 a subscription passes every stage; what fails one is an ordinary signed refusal', async () => {
  const world = await createEventWorld()
  const stranger = await enrol(world.sessions)
  const send = async (options, changes = {}) => {
    const request = subscriptionOf(world, options)
    const response = await world.sendFrame(changes.frame ?? request.frame, { headers: { accept: SSE } })
    assert.equal(response.headers.get('content-type'), 'application/vnd.countersign.v1')
    const { resultCode } = await openAnswer(response, request.requestId, world.signer)
    return [world.stages.at(-1).stage, resultCode, response.status]
  }
  assert.deepEqual(await send({ version: 'v2' }), ['version', 'cs.unsupported_version', 400])
  assert.deepEqual(await send({ sessionId: 'B'.repeat(22) }), ['session', 'cs.unauthenticated', 401])
  assert.deepEqual(await send({ sessionId: stranger.id }), ['signature', 'cs.unauthenticated', 401])
  assert.deepEqual(await send({ nowMs: Date.now() - 61_000 }), ['freshness', 'cs.stale', 401])
  const payloadHash = new Uint8Array(32)
  assert.deepEqual(await send({ payloadHash }), ['payload_hash', 'cs.payload_mismatch', 400])
  const request = subscriptionOf(world)
  const first = await world.sendFrame(request.frame, { headers: { accept: SSE } })
  const again = await world.sendFrame(request.frame, { headers: { accept: SSE } })
  assert.equal((await openAnswer(again, request.requestId, world.signer)).resultCode, 'cs.replayed')
  assert.equal(world.stages.at(-1).stage, 'replay')
  await first.body.cancel()
  await world.sessions.revoke(world.device.id, 'x')
  assert.deepEqual(await send({}), ['session', 'cs.session_revoked', 401])
})

test('E12 every bit of a subscription counts: none of its one-bit neighbours opens a stream', async () => {
  const replay = memoryReplayStore({ capacity: 65_536, sessionQuota: 65_536 })
  const world = await createEventWorld({ replay, rates: { perSource: 1e9, perSourceFailures: 1e9, perSession: 1e9 } })
  const { frame } = subscriptionOf(world, { after: 0, stream: 'A'.repeat(22) })
  const seen = {}
  for (let bit = 0; bit < 8 * frame.length; bit++) {
    const changed = frame.slice()
    changed[bit >> 3] ^= 1 << (bit & 7)
    const { status, headers } = await world.sendFrame(changed, { headers: { accept: SSE } })
    assert.notEqual(headers.get('content-type'), SSE, `bit ${bit}`)
    seen[status] = (seen[status] ?? 0) + 1
  }
  assert.deepEqual(Object.keys(seen), ['400', '401', '409'])
  const response = await world.sendFrame(frame, { headers: { accept: SSE } })
  // The first changed payload has used the id up, so the original is not accepted later.
  assert.equal(response.status, 409)
  assert.match(world.gateway.metrics(), /countersign_streams\{carrier="sse"\} 0/)
})
