// SPDX-License-Identifier: MIT
// The wake, the bounds and the end of a stream at the gateway (PROTOCOL.md, section 10), on server-sent events and
// long-poll.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { memoryEventStore, memorySessionStore } from 'countersign/server'
import { until } from '../exchange/socket-kit.mjs'
import { createFakeClock, createKey, enrol, openAnswer, startMs } from '../kit.mjs'
import { createServed, metric } from './dial.mjs'
import { createEventWorld, poll, post, SSE, subscribe, subscribeOver, subscriptionOf, timed } from './kit.mjs'

const texts = (events) => events.map(({ text }) => text)

test('R104 silence is broken by cs.time with the last number sent and a time that only grows', async (t) => {
  const world = await createServed(t, { limits: { heartbeatMs: 40 } })
  const stream = await subscribeOver(world, world.port)
  const times = [await stream.next(), await stream.next()]
  await world.gateway.publish(world.device.id, 'demo.note', 'x')
  const [event] = await stream.take(1)
  const later = await stream.next()
  assert.deepEqual(
    [...times, event, later].map(({ type, sequence }) => [type, sequence]),
    [
      ['cs.time', 0],
      ['cs.time', 0],
      ['demo.note', 1],
      ['cs.time', 1]
    ]
  )
  assert.ok(metric(world, 'countersign_events_sent_total{carrier="sse",kind="cs.time"}') >= 3)
  assert.equal(metric(world, 'countersign_events_sent_total{carrier="sse",kind="numbered"}'), 1)
  assert.equal(metric(world, 'countersign_events_published_total'), 1)
  assert.equal(metric(world, 'countersign_streams{carrier="sse"}'), 1)
  stream.leave()
  await until(() => metric(world, 'countersign_streams{carrier="sse"}') === 0)
  assert.equal(metric(world, 'countersign_streams_ended_total{carrier="sse",reason="left"}'), 1)
})

const endings = [
  ['at once where the store tells', (sessions) => sessions],
  ['by looking again where it does not', ({ watch: _, ...sessions }) => sessions]
]
for (const [name, wrap] of endings) {
  test(`E12 R105 a revocation reaches open streams within 1 s as their last item, ${name}`, (t) =>
    timed(t, async () => {
      const sessions = memorySessionStore()
      const world = await createServed(t, { sessions: wrap(sessions) })
      const other = await enrol(sessions)
      const bystander = await subscribeOver(world, world.port, { device: other })
      const stream = await subscribeOver(world, world.port)
      const inProcess = await subscribe(world)
      const polling = poll(world, { waitMs: 20_000 })
      await until(() => metric(world, 'countersign_streams{carrier="poll"}') === 1)
      await world.gateway.publish(world.device.id, 'demo.note', 'before')
      await Promise.all([stream, inProcess].map((opened) => opened.take(1)))
      assert.deepEqual(texts((await polling).events), ['before'])
      const second = poll(world, { after: 1, waitMs: 20_000 })
      await until(() => metric(world, 'countersign_streams{carrier="poll"}') === 1)
      const beganMs = performance.now()
      await sessions.revoke(world.device.id, 'user')
      const [one, two, three] = await Promise.all([stream.rest(), inProcess.rest(), second])
      const tookMs = performance.now() - beganMs
      for (const events of [one, two, three.events]) {
        assert.deepEqual(
          [events.length, events[0].type, events[0].sequence, events[0].text],
          [1, 'cs.revoked', 1, '{}']
        )
      }
      assert.equal(metric(world, 'countersign_streams_ended_total{carrier="sse",reason="revoked"}'), 2)
      assert.equal(metric(world, 'countersign_streams_ended_total{carrier="poll",reason="revoked"}'), 1)
      await world.gateway.publish(other.id, 'demo.note', 'still here')
      assert.equal((await bystander.take(1))[0].text, 'still here')
      bystander.leave()
      return tookMs
    }))
}

test('R105 nothing that is published after a revocation is sent to the session', async (t) => {
  const world = await createServed(t)
  const stream = await subscribeOver(world, world.port)
  await world.sessions.revoke(world.device.id, 'user')
  assert.equal(await world.gateway.publish(world.device.id, 'demo.note', 'late'), 0)
  assert.deepEqual(
    (await stream.rest()).map(({ type }) => type),
    ['cs.revoked']
  )
})

test('R105 a new key does not end a stream; a session that is gone does', async (t) => {
  const known = memorySessionStore()
  let isGone = false
  const sessions = { ...known, watch: undefined, get: async (id) => (isGone ? null : known.get(id)) }
  const world = await createServed(t, { sessions })
  const stream = await subscribeOver(world, world.port)
  const { algorithm, publicKey } = createKey()
  assert.equal(await known.replaceKey(world.device.id, world.device.publicKey, { algorithm, publicKey }), true)
  await world.gateway.publish(world.device.id, 'demo.note', 'same stream')
  assert.equal((await stream.take(1))[0].text, 'same stream')
  await sleep(600)
  isGone = true
  assert.deepEqual(
    (await stream.rest()).map(({ type }) => type),
    ['cs.revoked']
  )
})

test('R108 a gateway that closes ends streams without a word, and is not held up by them', async (t) => {
  // The poll's own wait never ends here: only the gateway's end can end it.
  const schedule = (run, ms) => {
    const timer = ms >= 20_000 ? undefined : setTimeout(run, ms)
    return () => clearTimeout(timer)
  }
  const world = await createServed(t, { schedule })
  const stream = await subscribeOver(world, world.port)
  const polling = poll(world, { waitMs: 20_000 })
  await until(() => metric(world, 'countersign_streams{carrier="poll"}') === 1)
  await world.gateway.close()
  assert.deepEqual(await stream.rest(), [])
  assert.deepEqual((await polling).events, [])
  assert.equal(metric(world, 'countersign_streams_ended_total{carrier="sse",reason="closed"}'), 1)
  const request = subscriptionOf(world)
  const response = await world.sendFrame(request.frame, { headers: { accept: SSE } })
  assert.equal((await openAnswer(response, request.requestId, world.signer)).resultCode, 'cs.unavailable')
})

test('R108 the 17th stream of a session is rate limited, one over the process limit is unavailable', async (t) => {
  const world = await createServed(t, { limits: { streams: 18 } })
  const open = await Promise.all(Array.from({ length: 16 }, () => subscribeOver(world, world.port)))
  const refuse = async (device = world.device) => {
    const request = subscriptionOf(world, { device })
    const response = await world.sendFrame(request.frame, { headers: { accept: SSE } })
    const { status, resultCode, text } = await openAnswer(response, request.requestId, world.signer)
    return [status, resultCode, JSON.parse(text).retry_after_ms > 0, world.stages.at(-1).stage]
  }
  assert.deepEqual(await refuse(), [429, 'cs.rate_limited', true, 'rate'])
  const second = await enrol(world.sessions)
  open.push(await subscribeOver(world, world.port, { device: second }))
  open.push(await subscribeOver(world, world.port, { device: second }))
  assert.deepEqual(await refuse(second), [503, 'cs.unavailable', true, 'handler'])
  open[0].leave()
  await until(() => metric(world, 'countersign_streams{carrier="sse"}') === 17)
  open.push(await subscribeOver(world, world.port))
  for (const stream of open) stream.leave()
  await until(() => metric(world, 'countersign_streams{carrier="sse"}') === 0)
})

test('R108 a reader that takes nothing is let go, and holds little until then', async (t) => {
  const events = memoryEventStore({
    eventsPerSession: 4096,
    bytesPerSession: 256 * 1024 * 1024,
    bytes: 512 * 1024 * 1024
  })
  let read = 0
  const counting = {
    ...events,
    async read(...values) {
      const page = await events.read(...values)
      for (const { payload } of page.events) read += payload.length
      return page
    }
  }
  const world = await createServed(t, { events: counting, limits: { stalledMs: 1500 } })
  const { response, socket } = await post(world.port, subscriptionOf(world).frame)
  response.pause()
  const payload = new Uint8Array(64 * 1024)
  for (let number = 0; number < 400; number++) await world.gateway.publish(world.device.id, 'demo.note', payload)
  await until(() => metric(world, 'countersign_streams_ended_total{carrier="sse",reason="slow"}') === 1)
  // 25 MiB were published. Beside the buffers of the system's sockets, one page was read.
  assert.ok(read < 12 * 1024 * 1024, `${read} bytes were read`)
  response.resume()
  await once(socket, 'close')
})

test('R108 a signer or a store that fails ends a stream, never silently', async (t) => {
  let isDown = false
  const events = memoryEventStore()
  const failing = {
    ...events,
    read: (...values) => (isDown ? Promise.reject(new Error('down')) : events.read(...values))
  }
  const world = await createServed(t, { events: failing })
  const stream = await subscribeOver(world, world.port)
  isDown = true
  await world.gateway.publish(world.device.id, 'demo.note', 'x')
  assert.deepEqual(await stream.rest(), [])
  assert.equal(metric(world, 'countersign_streams_ended_total{carrier="sse",reason="store"}'), 1)
  assert.ok(metric(world, 'countersign_fail_closed_total{reason="events"}') >= 1)
  assert.equal((await world.call({ type: 'cs.poll', payload: '{}' })).resultCode, 'cs.unavailable')
  isDown = false
  const again = await subscribeOver(world, world.port, { after: 0 })
  assert.equal((await again.take(1))[0].text, 'x')
  again.leave()
})

/** A `schedule` that a test runs by hand: `due(ms)` runs the work that was scheduled for that delay. */
const createSchedule = () => {
  const waiting = new Set()
  const schedule = (run, afterMs) => {
    const entry = { run, afterMs }
    waiting.add(entry)
    return () => waiting.delete(entry)
  }
  const due = (ms) => {
    for (const entry of [...waiting].filter(({ afterMs }) => afterMs === ms)) {
      waiting.delete(entry)
      entry.run()
    }
  }
  return { schedule, due, waiting }
}

test('R105 a session is looked at twice a second where its store tells nothing, and every two seconds where it does', async () => {
  for (const [watch, everyMs] of [
    [{ watch: undefined }, 500],
    [{}, 2000]
  ]) {
    const { schedule, waiting } = createSchedule()
    const sessions = { ...memorySessionStore(), ...watch }
    const world = await createEventWorld({ sessions, schedule })
    const stream = await subscribe(world)
    assert.ok([...waiting].some(({ afterMs }) => afterMs === everyMs))
    await stream.leave()
  }
})

test('R108 a session counts as seen while its stream lives, at most once a minute', async () => {
  const { schedule, due, waiting } = createSchedule()
  const sessions = memorySessionStore()
  const touched = []
  const noting = {
    ...sessions,
    touch(id, ms) {
      touched.push(ms)
      return sessions.touch(id, ms)
    }
  }
  const now = createFakeClock()
  const world = await createEventWorld({ sessions: noting, schedule, now })
  const stream = await subscribe(world)
  const round = async (afterMs) => {
    now.ms += afterMs
    due(2000)
    await sleep(5)
  }
  for (const afterMs of [2000, 50_000, 10_000, 2000, 30_000, 30_000]) await round(afterMs)
  assert.deepEqual(
    touched.map((ms) => ms - startMs),
    [62_000, 124_000]
  )
  due(10_000)
  assert.equal((await stream.next()).type, 'cs.time')
  await stream.leave()
  due(2000)
  assert.equal(waiting.size, 0, 'nothing is left to run')
})

test('R108 a session store that cannot be asked for 4 s ends the streams, not the session', async () => {
  const { schedule, due } = createSchedule()
  const sessions = memorySessionStore()
  let isDown = false
  const failing = { ...sessions, get: (id) => (isDown ? Promise.reject(new Error('down')) : sessions.get(id)) }
  const world = await createEventWorld({ sessions: failing, schedule })
  const stream = await subscribe(world)
  const round = async () => {
    due(2000)
    await sleep(5)
  }
  for (let count = 0; count < 5; count++) await round()
  isDown = true
  await round()
  assert.equal(metric(world, 'countersign_streams{carrier="sse"}'), 1)
  for (let count = 0; count < 2; count++) await round()
  assert.deepEqual(await stream.rest(), [])
  assert.equal(metric(world, 'countersign_streams_ended_total{carrier="sse",reason="store"}'), 1)
  isDown = false
  const again = await subscribe(world)
  await again.leave()
})

test('R108 a revocation that no watch tells of is found by looking again', async () => {
  const { schedule, due } = createSchedule()
  const sessions = memorySessionStore()
  const world = await createEventWorld({ sessions: { ...sessions, watch: () => () => {} }, schedule })
  const stream = await subscribe(world)
  await sessions.revoke(world.device.id, 'user')
  due(2000)
  assert.deepEqual(
    (await stream.rest()).map(({ type }) => type),
    ['cs.revoked']
  )
})

test('R111 a client that leaves its poll or its stream was refused nothing: no refusal, no failed stage, no exception', async (t) => {
  const world = await createServed(t)
  const stream = await subscribeOver(world, world.port)
  const { frame } = subscriptionOf(world, { type: 'cs.poll', payload: '{"wait_ms":20000}' })
  const leaving = new AbortController()
  const polling = fetch(`http://127.0.0.1:${world.port}/exchange`, {
    method: 'POST',
    headers: { 'content-type': 'application/vnd.countersign.v1' },
    body: frame,
    signal: leaving.signal
  })
  await until(() => metric(world, 'countersign_streams{carrier="poll"}') === 1)
  leaving.abort()
  await assert.rejects(polling, { name: 'AbortError' })
  stream.leave()
  await until(() => metric(world, 'countersign_answers_total{status="499"}') === 1)
  await until(() => metric(world, 'countersign_streams{carrier="sse"}') === 0)
  assert.deepEqual([world.refusals, world.faults], [[], []])
  assert.deepEqual(
    world.stages.filter(({ verdict }) => verdict === 'fail'),
    []
  )
})
