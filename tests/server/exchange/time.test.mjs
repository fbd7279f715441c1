// SPDX-License-Identifier: MIT
// Freshness, the expiry of ids, requests dated ahead, fences, and the gateway's clock.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memoryReplayStore, memorySessionStore } from 'countersign/server'

import { createGatewayClock } from '../../../dist/server/support/gateway-clock.js'
import { core, createFakeClock, createWorld, enrol, openAnswer, startMs } from '../kit.mjs'

const DAY = 86_400_000

test('C1 the window is inclusive at both ends and exact to the millisecond', async () => {
  for (const [pastMs, futureMs] of [
    [60_000, 10_000],
    [1, 1],
    [5000, 2000]
  ]) {
    const world = await createWorld({ window: { pastMs, futureMs } })
    const table = [
      [-pastMs - 1, 'cs.stale'],
      [-pastMs, 'ok'],
      [0, 'ok'],
      [futureMs, 'ok'],
      [futureMs + 1, 'cs.stale']
    ]
    for (const [offset, code] of table) {
      const { resultCode } = await world.call({ timestampMs: world.now() + offset })
      assert.equal(resultCode, code, `window ${pastMs}/${futureMs}, offset ${offset}`)
    }
  }
})

test('C2 extreme times are refused without overflow, each as stale', async () => {
  for (const timestampMs of [0, 1, Math.floor(startMs / 1000), 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1]) {
    const world = await createWorld()
    const { status, resultCode } = await world.call({ timestampMs })
    assert.deepEqual([status, resultCode], [401, 'cs.stale'], String(timestampMs))
  }
})

test('C2 a time above 2^53-1 in the bytes is no time', async () => {
  const world = await createWorld()
  const request = world.requestOf()
  for (const time of ['0020000000000000', 'ffffffffffffffff', '8000000000000000']) {
    const input = Buffer.from(request.signingInput)
    const at = input.indexOf(Buffer.from(BigInt(request.fields.timestampMs).toString(16).padStart(16, '0'), 'hex'))
    Buffer.from(time, 'hex').copy(input, at)
    const frame = core.buildFrame({
      signingInput: input,
      keyId: '',
      signature: world.device.sign(input),
      payload: request.payload
    })
    assert.equal((await world.sendFrame(frame)).status, 400)
    assert.equal(world.stages.at(-1).code, 'ERR_BAD_TIMESTAMP')
  }
})

test('D5 an id outlives every moment at which a gateway of its label could take it for fresh', () => {
  for (const pastMs of [1, 500, 60_000]) {
    for (const futureMs of [1, 999, 10_000]) {
      for (
        let skew = -pastMs - futureMs;
        skew <= futureMs;
        skew += Math.max(1, Math.floor((pastMs + 2 * futureMs) / 97))
      ) {
        const now = startMs
        const expires = core.requestExpiry(now + skew, { nowMs: now, pastMs, futureMs })
        assert.ok(expires > now, 'never in the past')
        // The slowest clock is future/2 behind ours, the fastest as much ahead of it.
        assert.ok(expires >= now + skew + pastMs + futureMs / 2 + 2000)
      }
    }
  }
})

test('D5 a replay is refused at every moment of the window, and after it', async () => {
  const world = await createWorld()
  const request = world.requestOf({ timestampMs: world.now() + 10_000 })
  assert.equal((await world.sendFrame(request.frame)).status, 200)
  for (let step = 0; step < 80; step++) {
    world.now.ms += 1000
    const { resultCode } = await openAnswer(await world.sendFrame(request.frame), request.requestId, world.signer)
    assert.equal(resultCode, step < 70 ? 'cs.replayed' : 'cs.stale', `after ${step + 1} s`)
  }
  assert.equal(world.handled.length, 1)
})

test('C8 a request dated ahead is refused, and refused again when its time has come', async () => {
  for (const ahead of [10_001, 60_000, DAY]) {
    const world = await createWorld()
    const held = world.requestOf({ timestampMs: world.now() + ahead })
    const first = await openAnswer(await world.sendFrame(held.frame), held.requestId, world.signer)
    assert.deepEqual([first.status, first.resultCode], [401, 'cs.stale'])
    for (const offset of [-10_000, 0, 60_000]) {
      world.now.ms = held.fields.timestampMs + offset
      const { resultCode } = await openAnswer(await world.sendFrame(held.frame), held.requestId, world.signer)
      assert.equal(resultCode, 'cs.replayed', `${ahead} ahead, at ${offset}`)
    }
    assert.equal(world.handled.length, 0)
  }
})

test('C8 beyond 24 h no id can be kept: the session has to sign in again', async () => {
  const world = await createWorld()
  const held = world.requestOf({ timestampMs: world.now() + DAY + 1 })
  assert.equal(
    (await openAnswer(await world.sendFrame(held.frame), held.requestId, world.signer)).resultCode,
    'cs.stale'
  )
  assert.equal((await world.sessions.get(world.device.id)).revokedReason, 'future-dated')
  world.now.ms = held.fields.timestampMs
  assert.equal(
    (await openAnswer(await world.sendFrame(held.frame), held.requestId, world.signer)).resultCode,
    'cs.session_revoked'
  )
  assert.equal(world.handled.length, 0)
})

test('R63 a session may leave 64 ids dated ahead; the next one ends it, a repeated one does not count', async () => {
  const world = await createWorld({ replay: memoryReplayStore({ capacity: 65_536 }) })
  const requests = Array.from({ length: 64 }, () => world.requestOf({ timestampMs: world.now() + 20_000 }))
  for (const request of [...requests, ...requests]) await world.sendFrame(request.frame)
  assert.equal((await world.sessions.get(world.device.id)).status, 'active')
  assert.equal((await world.call({ timestampMs: world.now() + 20_000 })).resultCode, 'cs.stale')
  assert.equal((await world.sessions.get(world.device.id)).status, 'revoked')
})

test('R63 ids dated ahead that have expired no longer count', async () => {
  const world = await createWorld({ replay: memoryReplayStore({ capacity: 65_536 }) })
  for (let round = 0; round < 3; round++) {
    for (let count = 0; count < 60; count++) await world.call({ timestampMs: world.now() + 20_000 })
    world.now.ms += 200_000
  }
  assert.equal((await world.sessions.get(world.device.id)).status, 'active')
})

test('R63 a request dated ahead that cannot be reserved is never called merely stale', async () => {
  const replay = { reserve: async () => 'full', close() {} }
  const world = await createWorld({ replay })
  assert.equal((await world.call({ timestampMs: world.now() + 20_000 })).resultCode, 'cs.unavailable')
})

test('R63 a request stale by at most the future edge is reserved too: a gateway with a slower clock refuses it', async () => {
  const replay = memoryReplayStore({ capacity: 4096 })
  const fast = await createWorld({ replay })
  const slow = await createWorld({
    replay,
    sessions: fast.sessions,
    signer: fast.signer,
    now: createFakeClock(startMs - 5000)
  })
  const request = fast.requestOf({ timestampMs: startMs - 60_001 })
  assert.equal(
    (await openAnswer(await fast.sendFrame(request.frame), request.requestId, fast.signer)).resultCode,
    'cs.stale'
  )
  assert.equal(
    (await openAnswer(await slow.sendFrame(request.frame), request.requestId, fast.signer)).resultCode,
    'cs.replayed'
  )
})

test('R62 memory forgets at a restart: what could have been accepted before waits out the fence', async () => {
  const before = await createWorld()
  const accepted = before.requestOf({ timestampMs: before.now() + 10_000 })
  assert.equal((await before.sendFrame(accepted.frame)).status, 200)
  const options = {
    sessions: before.sessions,
    signer: before.signer,
    now: before.now,
    replay: memoryReplayStore({ capacity: 64 })
  }
  const after = await createWorld(options)
  await after.gateway.ready()
  after.now.ms += 1000
  const refused = await openAnswer(await after.sendFrame(accepted.frame), accepted.requestId, after.signer)
  assert.deepEqual([refused.status, refused.resultCode], [503, 'cs.unavailable'])
  // Fenced at start + 10 s; one second has passed.
  assert.equal(JSON.parse(refused.text).retry_after_ms, 9001)
  assert.equal((await after.call()).resultCode, 'cs.unavailable')
  after.now.ms += 9001
  assert.equal(
    (await openAnswer(await after.sendFrame(accepted.frame), accepted.requestId, after.signer)).resultCode,
    'cs.stale'
  )
  assert.equal((await after.call()).resultCode, 'ok')
  assert.equal(after.handled.length, 1)
})

test('R62 no fence where no session existed, nor for sessions this process has never served', async () => {
  const empty = memorySessionStore()
  const world = await createWorld({ sessions: empty })
  assert.equal((await world.call()).resultCode, 'ok')
  const lasting = { ...memorySessionStore(), volatile: false }
  const device = await enrol(lasting)
  const fenced = await createWorld({ sessions: lasting })
  assert.equal((await fenced.call({ device })).resultCode, 'cs.unavailable')
})

test('R62 a session made right after the gateway is no sign of an earlier life', async () => {
  const lasting = { ...memorySessionStore(), volatile: false }
  const world = await createWorld({ sessions: lasting })
  assert.equal((await world.call()).resultCode, 'ok')
})

test('R62 a replay store that was used already is not fenced again', async () => {
  const replay = memoryReplayStore({ capacity: 64 })
  const one = await createWorld({ replay })
  assert.equal((await one.call()).resultCode, 'ok')
  const two = await createWorld({ replay, sessions: one.sessions })
  assert.equal((await two.call()).resultCode, 'ok')
})

test('R65 the clock never steps back, whatever its source does', async () => {
  const world = await createWorld()
  assert.equal((await world.call()).timestampMs, startMs)
  world.now.ms = startMs - 3_600_000
  const { resultCode, timestampMs } = await world.call({ timestampMs: startMs })
  assert.deepEqual([resultCode, timestampMs], ['ok', startMs])
  assert.equal((await world.call({ timestampMs: startMs - 3_600_000 })).resultCode, 'cs.stale')
})

test('R65 readings that are no time are passed over', () => {
  const readings = [1000, Number.NaN, Number.POSITIVE_INFINITY, -5, 1001.9, 2 ** 60]
  const clock = createGatewayClock(() => readings.shift())
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6].map(() => clock.now()),
    [1000, 1000, 1000, 1000, 1001, 1001]
  )
})

test('R65 the clock starts at the stored floor at least', async () => {
  const replay = { ...memoryReplayStore({ capacity: 64 }), storedFloorMs: () => startMs + 5000 }
  const world = await createWorld({ replay })
  assert.equal((await world.call({ timestampMs: startMs + 5000 })).timestampMs, startMs + 5000)
})

test('R65 a process that is held up while it reads the clocks is not ahead afterwards', (t) => {
  let trueMs = startMs
  let heldMs = 0
  const reading = (fromMs) => {
    const ms = trueMs - fromMs
    trueMs += heldMs
    return ms
  }
  t.mock.method(Date, 'now', () => reading(0))
  t.mock.method(performance, 'now', () => reading(startMs - 1000))
  const clock = createGatewayClock()
  clock.now()
  heldMs = 20
  for (let count = 0; count < 5; count++) clock.now()
  heldMs = 0
  assert.equal(clock.now(), trueMs)
})

test('R65 the system clock set back does not reach the gateway', (t) => {
  const clock = createGatewayClock()
  const before = clock.now()
  const real = Date.now
  t.after(() => {
    Date.now = real
  })
  Date.now = () => real() - 7_200_000
  assert.ok(clock.now() >= before)
  Date.now = () => real() + 7_200_000
  assert.ok(clock.now() >= before + 7_200_000 - 5)
})

test('R47 one reading of the clock serves freshness and reservation', async () => {
  let readings = 0
  const seen = []
  const replay = {
    async reserve(_key, timestampMs, expiresMs, nowMs) {
      seen.push({ timestampMs, expiresMs, nowMs })
      return 'reserved'
    },
    close() {}
  }
  const world = await createWorld({ replay, now: () => startMs + readings++ })
  const { resultCode } = await world.call({ timestampMs: startMs })
  assert.equal(resultCode, 'ok')
  assert.equal(seen.length, 1)
  assert.equal(seen[0].expiresMs, startMs + 60_000 + 5000 + 2000)
})

test('R59 a reservation made more than a second after its reading does not count', async () => {
  const now = createFakeClock()
  const replay = {
    async reserve() {
      now.ms += 1001
      return 'reserved'
    },
    close() {}
  }
  const world = await createWorld({ replay, now })
  const answer = await world.call()
  assert.deepEqual([answer.status, answer.resultCode], [503, 'cs.unavailable'])
  assert.equal(world.handled.length, 0)
})

test('R66 an answer carries a reading taken as it is made', async () => {
  const now = createFakeClock()
  const world = await createWorld({
    now,
    routes: {
      'demo.slow': () => {
        now.ms += 4000
      }
    }
  })
  assert.equal((await world.call({ type: 'demo.slow' })).timestampMs, startMs + 4000)
})
