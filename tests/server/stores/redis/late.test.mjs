// SPDX-License-Identifier: MIT
// R138: a reply of Redis that comes late refuses its own request. It hurts no other, and is taken for no other's.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { createGateway } from 'countersign/server'
import { redisStores } from 'countersign/server/redis'
import { HUNG_MS } from '../../../unit/harness/wait.mjs'
import { createSigner, enrol, frameRequest, label, openAnswer, signRequest } from '../../kit.mjs'
import { until } from './fleet.mjs'
import { startRedis } from './server.mjs'

const redis = await startRedis()
after(() => redis.stop())

/** A pause that was shorter than this has not made the connection a dead one. */
const SHORT_MS = 900

const open = async (t, deadlineMs = 100) => {
  const states = []
  const stores = await redisStores({
    url: redis.url,
    label,
    deadlineMs,
    onState: ({ isUp }) => states.push(isUp)
  })
  t.after(() => stores.close())
  await until('a fence', () =>
    stores.replay.fence(0).then(
      () => true,
      () => false
    )
  )
  return { ...stores, states }
}

/** Plays rounds until one was not disturbed by a busy machine: short, and with an outcome. */
const undisturbed = async (round) => {
  const endMs = performance.now() + HUNG_MS
  for (;;) {
    const beganMs = performance.now()
    const outcome = await round()
    if (outcome && performance.now() - beganMs < SHORT_MS) return outcome
    assert.ok(performance.now() < endMs, 'hung: every round was disturbed')
  }
}

/** Enrols devices over stores of their own, which wait for a busy machine. */
const enrolMany = async (t, count) => {
  const { sessions } = await open(t, 1000)
  return Promise.all(Array.from({ length: count }, () => enrol(sessions, { nowMs: Date.now() })))
}

/** Redis answers nothing until `work` is done. */
const paused = async (work) => {
  redis.pause()
  try {
    return await work()
  } finally {
    redis.resume()
  }
}

const why = (error) => String(error.detail ?? error.message)

test('H14 R138 a late reply refuses its own command, drops no connection, and is no other command’s reply', async (t) => {
  const devices = await enrolMany(t, 50)
  const { sessions, states } = await open(t)
  const { downs, found } = await undisturbed(async () => {
    const before = states.length
    const later = []
    await paused(async () => {
      await assert.rejects(sessions.get(devices[0].id), (error) => /did not answer within 100 ms/.test(why(error)))
      // Behind the late one on the same connection. The first reply that comes belongs to the late one.
      for (const { id } of devices.slice(1)) later.push(sessions.get(id).catch(why))
    })
    const found = await Promise.all(later)
    return found.some((one) => typeof one === 'object') && { downs: states.length - before, found }
  })
  assert.equal(downs, 0, 'the connection stays')
  for (const [at, session] of found.entries()) {
    if (typeof session === 'string') assert.match(session, /did not answer/)
    else assert.equal(session.id, devices[at + 1].id)
  }
  assert.ok(
    found.some((session) => typeof session === 'object'),
    'those behind the late one are answered'
  )
  for (const { id } of devices) assert.equal((await sessions.get(id)).id, id)
})

test('H14 R138 at a gateway, one late answer is one signed refusal, and its request is never handled', async (t) => {
  const [device] = await enrolMany(t, 1)
  const { sessions, replay, states } = await open(t)
  const handled = []
  const signer = createSigner()
  const gateway = createGateway({
    ...{ label, signer, sessions, replay },
    routes: { 'demo.echo': ({ requestId }) => void handled.push(requestId) }
  })
  t.after(() => gateway.close())
  const send = async (request = signRequest(device, { nowMs: Date.now() })) => {
    const answer = await openAnswer(await gateway.handle(frameRequest(request.frame)), request.requestId, signer)
    return answer.resultCode
  }
  await until('service', async () => (await send()) === 'ok')
  const late = signRequest(device, { nowMs: Date.now() })
  const { downs } = await undisturbed(async () => {
    const before = states.length
    await paused(async () => assert.equal(await send(late), 'cs.unavailable'))
    return { downs: states.length - before }
  })
  assert.equal(downs, 0)
  await until('service', async () => (await send()) === 'ok')
  assert.ok(!handled.includes(late.requestId))
})

test('H14 R138 a connection on which nothing comes is given up, and commands behind it are refused at once', async (t) => {
  const [device] = await enrolMany(t, 1)
  const { sessions, states } = await open(t)
  redis.pause()
  const reasons = new Set()
  await until('the connection is given up', async () => {
    await sessions.get(device.id).catch((error) => reasons.add(why(error).replace(/:\d+/, '')))
    return states.includes(false)
  })
  await assert.rejects(sessions.get(device.id), (error) => /is not connected/.test(why(error)))
  redis.resume()
  await until('it is back', () => states.at(-1) === true)
  await until('service', async () => (await sessions.get(device.id).catch(() => null))?.id === device.id)
})

test('H14 R138 commands do not pile up without bound behind a Redis that does not answer', async (t) => {
  const [device] = await enrolMany(t, 1)
  const { sessions } = await open(t, 1000)
  const outcomes = await paused(async () => {
    const all = Array.from({ length: 1100 }, () => sessions.get(device.id).catch(why))
    return [await all.at(-1), all]
  })
  assert.match(outcomes[0], /commands to answer/)
  const counted = (await Promise.all(outcomes[1])).filter((one) => /commands to answer/.test(String(one)))
  // The beat of the connection may be one of the commands without a reply.
  assert.ok(counted.length >= 76 && counted.length <= 78, `${counted.length} refused at once`)
})
