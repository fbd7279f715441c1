// SPDX-License-Identifier: MIT
// R145: the requests of one source that have not reached their handler. Some are at work, some wait, and the others are
// refused. A source waits for itself only.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  enrollment,
  memoryCodeStore,
  memoryEventStore,
  memoryReplayStore,
  memorySessionStore
} from 'countersign/server'
import { createTurns } from '../../../dist/server/exchange/turns.js'
import { createWorld, FRAME, frameRequest, isPlain, signRequest } from '../kit.mjs'
import { until } from './socket-kit.mjs'

const limits = { sourceInFlight: 2, sourceWaiting: 3 }

/** Sessions whose reads wait until `open` is called. */
const createGatedSessions = () => {
  const sessions = memorySessionStore()
  const waiting = []
  let isOpen = false
  return {
    sessions: {
      ...sessions,
      async get(id) {
        if (!isOpen) await new Promise((resolve) => waiting.push(resolve))
        return sessions.get(id)
      }
    },
    waiting,
    open() {
      isOpen = true
      for (const go of waiting.splice(0)) go()
    }
  }
}

const sendFrom = (world, remoteAddress, options) => {
  const { frame } = signRequest(world.device, { nowMs: world.now(), ...options })
  return world.gateway.handle(frameRequest(frame), { remoteAddress })
}
const statusesOf = async (answers) => (await Promise.all(answers)).map(({ status }) => status)

test('H13 R145 a source has so many requests at work and so many waiting; the next is a plain 429', async () => {
  const { sessions, waiting, open } = createGatedSessions()
  const world = await createWorld({ sessions, limits })
  const answers = Array.from({ length: 5 }, () => sendFrom(world, '192.0.2.1'))
  const refused = await sendFrom(world, '192.0.2.1')
  assert.equal(refused.headers.get('retry-after'), '1')
  await isPlain(refused, 429)
  assert.deepEqual([world.refusals.at(-1).stage, world.refusals.at(-1).code], [undefined, 'source_busy'])
  assert.match(world.gateway.metrics(), /^countersign_requests_in_place 5$/m)
  const other = sendFrom(world, '192.0.2.2')
  await until(() => waiting.length === 3)
  open()
  assert.deepEqual(await statusesOf([...answers, other]), [200, 200, 200, 200, 200, 200])
  assert.equal((await sendFrom(world, '192.0.2.1')).status, 200)
  assert.match(world.gateway.metrics(), /^countersign_requests_in_place 0$/m)
})

test('H13 R145 by default 64 are at work and 256 wait', async () => {
  const { sessions, waiting, open } = createGatedSessions()
  // One session sends them all, so its quota has to have room.
  const replay = memoryReplayStore({ capacity: 4096, sessionQuota: 4096 })
  const world = await createWorld({ sessions, replay, limits: { storeMs: 1000 } })
  const answers = Array.from({ length: 321 }, () => sendFrom(world, '192.0.2.1'))
  await isPlain(await answers.pop(), 429)
  await until(() => waiting.length > 0)
  assert.equal(waiting.length, 64)
  open()
  // On a busy machine the first may have waited too long for their store; none is refused for its place.
  for (const status of await statusesOf(answers)) assert.ok(status === 200 || status === 503, `${status}`)
})

test('R145 a request that waits for its own bytes takes no turn, and one that waits for its turn keeps its bytes', async () => {
  const world = await createWorld({ limits: { sourceInFlight: 1, sourceWaiting: 2 } })
  const request = signRequest(world.device, { nowMs: world.now(), payload: 'p'.repeat(100) })
  const frame = Buffer.from(request.frame)
  const slowly = (cut) => {
    let send
    const body = new ReadableStream({
      start(controller) {
        if (cut > 0) controller.enqueue(frame.subarray(0, cut))
        send = () => {
          controller.enqueue(frame.subarray(cut))
          controller.close()
        }
      }
    })
    const init = { method: 'POST', body, headers: { 'content-type': FRAME }, duplex: 'half' }
    const answer = world.gateway.handle(new Request('http://gateway/exchange', init), { remoteAddress: '192.0.2.1' })
    return { answer, send }
  }
  const withoutEnvelope = slowly(0)
  const withoutBody = slowly(frame.length - 1)
  await until(() => world.stages.some(({ stage }) => stage === 'replay'))
  assert.equal((await sendFrom(world, '192.0.2.1')).status, 200)
  withoutBody.send()
  assert.equal((await withoutBody.answer).status, 200)
  withoutEnvelope.send()
  assert.equal((await withoutEnvelope.answer).status, 409, 'the same frame, and so used')
})

test('R145 a handler takes no place: it may call the gateway, and it may take its time', async () => {
  const hold = []
  const world = await createWorld({
    limits: { sourceInFlight: 1, sourceWaiting: 0 },
    routes: {
      'demo.outer': async () => ({ payload: String((await sendFrom(world, '192.0.2.1')).status) }),
      'demo.slow': () => new Promise((resolve) => hold.push(resolve))
    }
  })
  const outer = await sendFrom(world, '192.0.2.1', { type: 'demo.outer' })
  assert.equal(outer.status, 200)
  assert.equal(world.handled.length, 1)
  const slow = []
  for (let count = 1; count <= 3; count++) {
    slow.push(sendFrom(world, '192.0.2.1', { type: 'demo.slow' }))
    await until(() => hold.length === count)
  }
  for (const resolve of hold) resolve()
  assert.deepEqual(await statusesOf(slow), [200, 200, 200])
})

test('R145 polls that wait for events take no place of their source', async () => {
  const world = await createWorld({
    now: Date.now,
    events: memoryEventStore(),
    limits: { sourceInFlight: 1, sourceWaiting: 0 }
  })
  const polls = []
  const parked = () => Number(/countersign_streams\{carrier="poll"\} (\d+)/.exec(world.gateway.metrics())?.[1])
  for (let count = 1; count <= 4; count++) {
    polls.push(sendFrom(world, '192.0.2.1', { type: 'cs.poll', payload: '{"wait_ms":25000}' }))
    await until(() => parked() === count)
  }
  assert.equal((await sendFrom(world, '192.0.2.1')).status, 200)
  await world.gateway.publish(world.device.id, 'demo.note', 'x')
  assert.deepEqual(await statusesOf(polls), [200, 200, 200, 200])
})

test('R145 requests of the enrolment have places like the others', async () => {
  let mails = 0
  const gate = []
  const codes = memoryCodeStore()
  const slowCodes = {
    ...codes,
    async take(...all) {
      await new Promise((resolve) => gate.push(resolve))
      return codes.take(...all)
    }
  }
  const { signer, sessions, now } = await createWorld()
  const mount = enrollment({ signer, sessions, now, label: 'test', codes: slowCodes, mailer: () => void mails++ })
  const world = await createWorld({ enrollment: mount, limits: { sourceInFlight: 1, sourceWaiting: 1 } })
  const ask = (name) =>
    world.gateway.handle(
      new Request('http://gateway/api/v1/public/auth/send-email-code', {
        method: 'POST',
        body: JSON.stringify({ email: `${name}@example.com` }),
        headers: { 'content-type': 'application/json' }
      }),
      { remoteAddress: '192.0.2.1' }
    )
  const first = ask('one')
  await until(() => gate.length === 1)
  const second = ask('two')
  await isPlain(await ask('three'), 429)
  assert.equal(gate.length, 1, 'the second waits for its turn')
  const opening = setInterval(() => gate.splice(0).forEach((go) => void go()), 1)
  assert.deepEqual(await statusesOf([first, second]), [200, 200])
  clearInterval(opening)
  assert.equal(mails, 2)
})

test('R145 those that had a turn before go first, and nothing stays behind', async () => {
  const turns = createTurns({ total: 8, inFlight: 1, waiting: 3 })
  const order = []
  const places = ['a', 'b', 'c', 'd'].map((name) => ({ name, place: turns.enter('s') }))
  assert.equal(turns.enter('s'), undefined)
  const [a, b, c, d] = places
  const take = async ({ name, place }) => {
    await place.turn()
    order.push(name)
  }
  await take(a)
  const waiting = [take(b), take(c)]
  a.place.pause()
  await waiting[0]
  const again = take(a)
  const last = take(d)
  b.place.leave()
  await again
  a.place.leave()
  a.place.leave()
  await waiting[1]
  c.place.pause()
  await last
  assert.deepEqual(order, ['a', 'b', 'a', 'c', 'd'])
  for (const { place } of places) place.leave()
  assert.equal(turns.size, 0)
})

test('H13 R145 turns go round the sources: a source that comes last waits for one turn of each', async () => {
  const turns = createTurns({ total: 2, inFlight: 2, waiting: 100 })
  const order = []
  const atWork = []
  const come = async (source) => {
    const place = turns.enter(source)
    await place.turn()
    order.push(source)
    atWork.push(place)
  }
  const all = [...Array(6).fill('flood'), ...Array(3).fill('second'), 'last'].map(come)
  for (let count = 0; count < all.length; count++) {
    await until(() => atWork.length > 0)
    assert.ok(atWork.length <= 2)
    atWork.shift().leave()
  }
  await Promise.all(all)
  assert.deepEqual(order.slice(0, 5), ['flood', 'flood', 'flood', 'second', 'last'])
  assert.equal(order.length, 10)
  assert.equal(turns.size, 0)
})
