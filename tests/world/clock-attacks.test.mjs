// SPDX-License-Identifier: MIT
// Attacks on a client's time, end to end: the real client, the real gateway, and somebody on the network between them.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { loadCore } from 'countersign/core'
import { createTestWorld } from 'countersign/testing'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const YEAR = 365.25 * DAY
const core = await loadCore()

const worlds = []
after(() => Promise.all(worlds.map((world) => world.close())))

/** A world whose one route counts what was executed, with one client. */
const started = async (client = {}, options = {}) => {
  const handled = []
  const routes = {
    'demo.add': ({ requestId }) => void handled.push(requestId),
    'GET /api/x': () => ({ payload: 'x' })
  }
  const world = await createTestWorld({ routes, ...options })
  worlds.push(world)
  return { world, handled, ...(await world.connect(client)) }
}

const sent = (world, type) =>
  world.network.log.filter(({ what, ...entry }) => what === 'sent' && (type === undefined || entry.type === type))
const stampOf = ({ body }) => core.parseSigningInput(core.parseFrame(body).signingInput).timestampMs
const codeOf = async (response) => {
  const { signingInput } = core.parseFrame(new Uint8Array(await response.arrayBuffer()))
  return core.parseSigningInput(signingInput).resultCode
}
const isNear = (one, other, withinMs = 50) => Math.abs(one - other) <= withinMs

for (const [name, skewMs] of [
  ['3 years', 3 * YEAR],
  ['23 h', 23 * HOUR],
  ['7 h', 7 * HOUR]
]) {
  test(`C8 a device clock ${name} ahead dates nothing ahead: there is nothing to capture`, async () => {
    const { world, client, handled } = await started({ skewMs })
    for (let round = 0; round < 3; round++) {
      assert.equal((await client.request('demo.add')).timings.tries, 1)
      await world.advance(HOUR)
    }
    for (const entry of sent(world)) {
      const atMs = world.time.startMs + entry.atMs
      assert.ok(stampOf(entry) <= atMs + 10_000, entry.type)
    }
    assert.equal(handled.length, 3)
  })

  test(`C8 the same with trustLocalClock: what was refused as dated ahead is refused when its time has come`, async () => {
    const { world, client, handled } = await started({ skewMs, trustLocalClock: true, retries: 0 })
    const [first] = await Promise.allSettled([client.request('demo.add')])
    const [captured] = sent(world, 'demo.add')
    const aheadMs = stampOf(captured) - world.time.nowMs
    assert.ok(isNear(aheadMs, skewMs))
    if (aheadMs > DAY) {
      assert.equal(first.reason.code, 'ERR_SESSION_REVOKED', 'beyond a day it costs the session')
    } else {
      assert.equal(first.value.timings.tries, 2, 'one correction')
    }
    const executed = handled.length
    for (const earlyMs of [10_000, 0, -30_000, -59_000]) {
      await world.advance(stampOf(captured) - earlyMs - world.time.nowMs)
      const code = await codeOf(await world.network.replay(captured))
      assert.equal(code, aheadMs > DAY ? 'cs.session_revoked' : 'cs.replayed', `${earlyMs} ms before its time`)
    }
    assert.equal(handled.length, executed)
  })
}

test('C8 a clock pushed ahead while running, its monotonic clock with it: refused, corrected once, refused again later', async () => {
  const { world, client, clock, handled } = await started()
  await client.request('demo.add')
  // No clock of the device tells: for it, 5 hours have passed.
  clock.driftPpm = 500_000
  await world.advance(10 * HOUR)
  clock.driftPpm = 0
  const { timings } = await client.request('demo.add')
  assert.equal(timings.tries, 2)
  const [, captured] = sent(world, 'demo.add')
  assert.ok(isNear(stampOf(captured) - world.time.nowMs, 5 * HOUR))
  await world.advance(5 * HOUR)
  assert.equal(await codeOf(await world.network.replay(captured)), 'cs.replayed')
  assert.equal(handled.length, 2)
})

test('C8 a refusal that never arrives leaves a request that is refused later all the same', async () => {
  const { world, client, link, handled } = await started({ skewMs: 7 * HOUR, trustLocalClock: true, retries: 0 })
  link.once({ down: { cut: true } })
  await assert.rejects(world.run(client.request('demo.add')), { code: 'ERR_OUTCOME_UNKNOWN' })
  const [captured] = sent(world, 'demo.add')
  await world.advance(7 * HOUR - 15_000)
  assert.equal(await codeOf(await world.network.replay(captured)), 'cs.replayed')
  assert.equal(handled.length, 0)
})

test('C5 forged and unsigned times move nothing, whatever they say and wherever they stand', async () => {
  const { world, client, link } = await started({ skewMs: -7 * HOUR })
  await client.request('demo.add')
  const before = client.clock
  const dated = (response, ms) => ({
    ...response,
    headers: { ...response.headers, date: new Date(world.time.nowMs + ms).toUTCString(), age: '86400' }
  })
  const shifted = (message) => {
    // The time inside the signed bytes, an hour ahead.
    const stamp = Buffer.alloc(8)
    stamp.writeBigUInt64BE(BigInt(world.serverClock.now()))
    const at = Buffer.from(message.body).indexOf(stamp)
    assert.ok(at > 0)
    message.body[at + 4] ^= 1
  }
  const notOurs = (message) => ({ ...message, headers: {}, body: new TextEncoder().encode('{"timestampMs":"99"}') })
  for (const [tamper, code] of [
    [(message) => dated(message, 5 * YEAR), undefined],
    [shifted, 'ERR_BAD_SIGNATURE'],
    [notOurs, 'ERR_OUTCOME_UNKNOWN'],
    [(message) => ({ ...dated(message, HOUR), status: 401, body: new Uint8Array(0) }), 'ERR_TRUNCATED']
  ]) {
    link.once({ down: { tamper } })
    const call = client.request('demo.add')
    if (code) await assert.rejects(call, { code })
    else await call
    const { offsetMs, errorMs, lastCorrection } = client.clock
    assert.ok(isNear(offsetMs, before.offsetMs, 5) && errorMs <= before.errorMs + 1, String(code))
    assert.equal(lastCorrection, null)
  }
  assert.equal(client.state, 'ready')
})

test('C6 a signed answer of an old capture does not move the clock back', async () => {
  const { world, client, link } = await started()
  await client.request('demo.add')
  const old = world.network.log.findLast(({ what, type }) => what === 'delivered' && type === 'demo.add')
  await world.advance(3 * HOUR)
  await client.request('demo.add')
  const { offsetMs, errorMs } = client.clock
  const replayed = (message) => ({ ...message, body: old.body.slice() })
  link.once({ down: { tamper: replayed } })
  await assert.rejects(client.request('demo.add'), { code: 'ERR_WRONG_REQUEST_ID', stage: 'request_id' })
  assert.ok(isNear(client.clock.offsetMs, offsetMs, 5) && client.clock.errorMs <= errorMs + 1)
  assert.equal((await client.request('demo.add')).timings.tries, 1)
})

test('C7 a time message held for 10 minutes is verified, and no sample', async () => {
  const { world, client, link, clock } = await started()
  await client.request('demo.add')
  clock.step(2 * HOUR)
  const { errorMs, offsetMs } = client.clock
  assert.ok(errorMs >= 2 * HOUR, 'suspected')
  link.once({ down: { delayMs: 10 * MINUTE } })
  const { serverTimeMs } = await world.run(client.request('demo.add', '', { timeoutMs: HOUR }))
  assert.ok(isNear(serverTimeMs, world.time.nowMs - 10 * MINUTE))
  assert.ok(client.clock.errorMs >= errorMs && isNear(client.clock.offsetMs, offsetMs))
  assert.ok(isNear(client.clock.now(), world.time.nowMs))
  await client.request('demo.add')
  assert.ok(client.clock.errorMs < 100, 'the next one resynchronises')
})

test('C7 a request held for a minute and more is stale, signed again once, and dated rightly', async () => {
  const { world, client, link, handled } = await started({ timeoutMs: HOUR })
  await client.request('demo.add')
  link.once({ up: { delayMs: 61_000 } })
  const { timings } = await world.run(client.request('demo.add'))
  assert.equal(timings.tries, 2)
  assert.equal(handled.length, 2)
  assert.ok(isNear(client.clock.now(), world.time.nowMs), 'the sample of 61 s moved nothing')
})

test('C12 a server that answers stale for ever gets two requests, and a proxy that says so gets one', async () => {
  const { world, client, link, handled } = await started()
  await client.request('demo.add')
  // Its clock runs away between any two answers.
  link.set({
    up: {
      tamper: (message) => {
        world.serverClock.step(2 * MINUTE)
        return message
      }
    }
  })
  await assert.rejects(client.request('demo.add', '', { idempotencyKey: 'k' }), {
    code: 'ERR_STALE',
    resultCode: 'cs.stale'
  })
  assert.equal(sent(world, 'demo.add').length, 3)
  const stale = world.network.log.findLast(({ what, status }) => what === 'delivered' && status === 401)
  link.set({})
  link.once({ down: { tamper: (message) => ({ ...message, status: 401, body: stale.body.slice() }) } })
  await assert.rejects(client.request('demo.add'), { code: 'ERR_WRONG_REQUEST_ID' })
  assert.equal(sent(world, 'demo.add').length, 4)
  assert.equal(handled.length, 2)
})

test('C9 two gateways of two labels have two clocks on one device', async () => {
  const one = await started()
  const other = await started({}, { label: 'other', server: { skewMs: 5 * HOUR } })
  await one.client.request('demo.add')
  await other.client.request('demo.add')
  assert.ok(isNear(one.client.clock.offsetMs, 0) && isNear(other.client.clock.offsetMs, 5 * HOUR))
})

/** A world where a second gateway, `aheadMs` ahead, comes in beside the first: each request reaches one by chance. */
const startedTwice = async (aheadMs) => {
  const it = await started()
  await it.client.request('demo.add')
  const { gateway, sibling } = it.world.server
  const gateways = [gateway, sibling(it.world.time.createClock({ skewMs: aheadMs }))]
  it.world.network.lead((request, from) => it.world.random.pick(gateways).handle(request, from))
  return it
}

for (const aheadMs of [3, 500, 5000]) {
  test(`C10 two gateways of one label that differ by ${aheadMs} ms: every request succeeds at once`, async () => {
    const { world, client, handled } = await startedTwice(aheadMs)
    for (let round = 0; round < 20; round++) {
      await world.advance(1000)
      assert.equal((await client.request('demo.add')).timings.tries, 1)
    }
    assert.equal(handled.length, 21)
  })
}

for (const aheadMs of [HOUR, 23 * HOUR]) {
  test(`C8 C10 one of two gateways is ${aheadMs / HOUR} h ahead: requests fail at worst, and no session and no floor is lost`, async () => {
    const { world, client } = await startedTwice(aheadMs)
    let served = 0
    for (let round = 0; round < 20; round++) {
      await world.advance(1000)
      served += await client.request('demo.add').then(
        () => 1,
        (error) => {
          assert.ok(['ERR_STALE', 'ERR_CLOCK_UNKNOWN'].includes(error.code), error.code)
          return 0
        }
      )
    }
    assert.ok(served > 5, String(served))
    assert.equal(client.state, 'ready')
    // The broken one is taken out: the other is as good as ever.
    world.network.lead(world.server.gateway.handle)
    await client.request('demo.add', '', { idempotencyKey: 'k' })
    assert.equal((await client.request('demo.add')).timings.tries, 1)
    assert.ok(isNear(client.clock.now(), world.time.nowMs))
  })
}

test('C8 C10 one answer of a gateway that is three days ahead costs a question, never the session', async () => {
  const { world, client, handled } = await started()
  await client.request('demo.add')
  const broken = world.server.sibling(world.time.createClock({ skewMs: 3 * DAY }))
  const { handle } = world.server.gateway
  for (let round = 0; round < 5; round++) {
    let turn = 0
    world.network.lead((request, from) => (turn++ === 0 ? broken.handle(request, from) : handle(request, from)))
    assert.ok((await client.request('demo.add')).timings.tries <= 2)
    assert.ok(isNear(client.clock.now(), world.time.nowMs))
    await world.advance(MINUTE)
  }
  assert.deepEqual([handled.length, client.state], [6, 'ready'])
})
