// SPDX-License-Identifier: MIT
// What a full quota or an exceeded rate does with the id of a request: it is forgotten under the session's own floor.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memoryReplayStore } from 'countersign/server'
import { createWorld, enrol, openAnswer } from '../kit.mjs'

const lastRefusal = (world) => {
  const { stage, code } = world.refusals.at(-1)
  return `${stage} ${code}`
}

/** send delivers the frame of a request, as often as a test likes, and opens the answer. */
const send = async (world, request) => openAnswer(await world.sendFrame(request.frame), request.requestId, world.signer)

const waitOf = ({ text }) => JSON.parse(text).retry_after_ms

test('H9 R142 a request over its rate leaves no id, and is never handled later', async () => {
  const world = await createWorld({ rates: { perSession: { perSecond: 1, burst: 1 } } })
  assert.equal((await world.call()).resultCode, 'ok')
  const refused = world.requestOf()
  const older = world.requestOf({ timestampMs: world.now.ms - 1 })
  const answer = await send(world, refused)
  assert.deepEqual([answer.resultCode, answer.status, waitOf(answer)], ['cs.rate_limited', 429, 1000])
  assert.equal(lastRefusal(world), 'rate cs.rate_limited')
  assert.equal(world.replay.size(), 2, 'the id that was handled, and a floor')

  world.now.ms += 1500
  for (const request of [refused, older, refused]) {
    const again = await send(world, request)
    assert.deepEqual([again.resultCode, waitOf(again)], ['cs.rate_limited', 1])
    assert.equal(lastRefusal(world), 'replay cs.rate_limited')
  }
  assert.equal((await world.call()).resultCode, 'ok', 'those refusals have spent no rate')
  for (const ms of [58_500, 1, 20_000]) {
    world.now.ms += ms
    const late = await send(world, refused)
    assert.equal(late.resultCode, ms === 58_500 ? 'cs.rate_limited' : 'cs.stale')
  }
  assert.equal(lastRefusal(world), 'freshness cs.stale')
  assert.equal(world.handled.length, 2)
})

test('H9 R142 a full quota refuses for good, says its true wait, and touches no other session', async () => {
  const world = await createWorld({ replay: memoryReplayStore({ capacity: 640, sessionQuota: 3 }) })
  const other = await enrol(world.sessions, { userId: 'other@example.com', nowMs: world.now.ms })
  for (let count = 0; count < 3; count++) assert.equal((await world.call()).resultCode, 'ok')
  const refused = world.requestOf()
  const answer = await send(world, refused)
  assert.deepEqual([answer.resultCode, waitOf(answer)], ['cs.rate_limited', 67_001])
  assert.equal(lastRefusal(world), 'replay cs.rate_limited')
  assert.equal((await world.call({ device: other })).resultCode, 'ok')
  world.now.ms += 67_000
  assert.equal((await world.call()).resultCode, 'cs.rate_limited', 'a millisecond early')
  world.now.ms += 1
  assert.equal((await world.call()).resultCode, 'ok')
  assert.equal((await send(world, refused)).resultCode, 'cs.stale')
  assert.equal(world.handled.length, 5)
})

test('R142 a session at 200 requests a second never fills its share of a default store, 10 s ahead or not', async () => {
  const replay = memoryReplayStore()
  await replay.fence(0)
  const key = Buffer.alloc(32)
  for (let count = 0; count < 40_000; count++) {
    const nowMs = 1_775_000_000_000 + count * 5
    const timestampMs = nowMs + 10_000
    key.writeUInt32BE(count)
    const verdict = await replay.reserve(key, timestampMs, timestampMs + 67_000, nowMs, 'busy')
    if (verdict !== 'reserved') assert.fail(`${verdict} after ${count} requests`)
  }
  await replay.close()
})

test('R142 a full quota lets the id of a stale request be used nowhere, and one dated ahead raises no floor', async () => {
  const replay = memoryReplayStore({ capacity: 640, sessionQuota: 3 })
  const world = await createWorld({ replay })
  for (let count = 0; count < 3; count++) await world.call()
  const stale = world.requestOf({ timestampMs: world.now.ms - 60_001 })
  assert.equal((await send(world, stale)).resultCode, 'cs.stale')
  // A gateway whose clock is behind could still take it.
  const slow = await createWorld({
    replay,
    sessions: world.sessions,
    signer: world.signer,
    now: () => world.now.ms - 5000
  })
  assert.equal((await send(slow, stale)).resultCode, 'cs.rate_limited')
  assert.equal(lastRefusal(slow), 'replay cs.rate_limited')
  const ahead = world.requestOf({ timestampMs: world.now.ms + 3_600_000 })
  assert.equal((await send(world, ahead)).resultCode, 'cs.unavailable')
  assert.equal(lastRefusal(world), 'freshness cs.unavailable')
  world.now.ms += 67_001
  assert.equal((await world.call()).resultCode, 'ok', 'the session is not locked out until then')
})

test('R142 without the step a full quota stays cs.unavailable, and an exceeded rate keeps the id', async () => {
  const { reserve } = memoryReplayStore({ capacity: 640, sessionQuota: 2 })
  const rates = { perSession: { perSecond: 1, burst: 1 } }
  const world = await createWorld({ replay: { reserve, close() {} }, rates })
  await world.call()
  const refused = world.requestOf()
  assert.equal((await send(world, refused)).resultCode, 'cs.rate_limited')
  assert.equal((await send(world, refused)).resultCode, 'cs.replayed')
  assert.equal((await world.call()).resultCode, 'cs.unavailable')
  assert.equal(lastRefusal(world), 'replay cs.unavailable')
})

test('R142 a store that fails at the step changes nothing for the client, and is counted', async () => {
  const replay = memoryReplayStore({ capacity: 640 })
  replay.limit = () => Promise.reject(new Error('gone'))
  const world = await createWorld({ replay, rates: { perSession: { perSecond: 1, burst: 1 } } })
  await world.call()
  const refused = world.requestOf()
  assert.equal((await send(world, refused)).resultCode, 'cs.rate_limited')
  assert.equal(world.refusals.at(-1).error.message, 'gone')
  assert.match(world.gateway.metrics(), /countersign_fail_closed_total\{reason="replay"\} 1/)
  world.now.ms += 5000
  assert.equal((await send(world, refused)).resultCode, 'cs.replayed')
})
