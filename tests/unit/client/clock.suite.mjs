// SPDX-License-Identifier: MIT
// The server's clock as a client keeps it (R74 to R81, R27), and the keys that its time judges (B15).

import { connect } from 'countersign'
import { fakeGateway } from './fake-gateway.mjs'
import { createClocks, createTimers, enrolled, faults, lost, optionsFor } from './fixture.mjs'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const YEAR = 365.25 * 24 * HOUR
const skews = { '-10 years': -10 * YEAR, '-7 h': -7 * HOUR, '-31 s': -31_000, 0: 0, '+31 s': 31_000, '+7 h': 7 * HOUR }

const started = async (skewMs = 0, options = {}) => {
  const clocks = createClocks(skewMs)
  const { now, monotonicNow } = clocks
  const it = await enrolled({ now, monotonicNow, ...options })
  const reload = () => connect(it.options)
  const seenTypes = () => it.gateway.seen.splice(0).map(({ messageType }) => messageType)
  return { ...it, clocks, reload, seenTypes }
}

// A round trip is well below this on any machine, and every clock that is wrong here is wrong by more.
const isNear = (a, b) => Math.abs(a - b) < 10_000

export const suite = (test, assert) => {
  for (const [name, skewMs] of Object.entries({ ...skews, '+10 years': 10 * YEAR })) {
    test(`a clock wrong by ${name}: enrolment and the first request succeed, after a reload too`, async () => {
      const { client, gateway, reload, seenTypes } = await started(skewMs)
      assert.equal(client.clock.source, 'round-trip', 'the confirm answer is the first sample')
      assert.ok(isNear(client.clock.offsetMs, -skewMs))
      assert.ok(isNear(client.clock.now(), Date.now()))
      assert.equal((await client.request('demo.echo')).timings.tries, 1)
      assert.deepEqual(seenTypes(), ['demo.echo'])
      await client.close()

      const again = await reload()
      assert.equal(again.clock.source, 'stored')
      assert.equal((await again.request('demo.echo')).timings.tries, 1)
      assert.deepEqual(seenTypes(), ['cs.time', 'demo.echo'], 'what may not be sent twice waits for a verified time')
      const third = await reload()
      assert.equal((await third.request('demo.echo', '', { idempotencyKey: 'k' })).timings.tries, 1)
      assert.deepEqual(seenTypes(), ['demo.echo'], 'a stored time serves what may be repeated')
      for (const { timestampMs } of gateway.seen) assert.ok(isNear(timestampMs, Date.now()))
    })

    test(`a clock wrong by ${name} and nothing stored: the time is asked for first, and no id is dated ahead`, async () => {
      const { gateway, store, reload, seenTypes } = await started(skewMs)
      const { clock, timeFloorMs, ...record } = await store.get('demo')
      assert.ok(clock !== undefined)
      for (const kept of [record, { ...record, ...(timeFloorMs === undefined ? {} : { timeFloorMs }) }]) {
        await store.put('demo', kept)
        const client = await reload()
        assert.equal(client.clock.source, 'none')
        const replies = await Promise.all(Array.from({ length: 10 }, () => client.request('demo.echo')))
        assert.ok(replies.every(({ timings }) => timings.tries === 1))
        for (const { timestampMs } of gateway.seen) assert.ok(timestampMs < Date.now() + 8 * HOUR)
        assert.deepEqual(seenTypes(), ['cs.time', ...Array(10).fill('demo.echo')], 'callers share one cs.time')
        await client.close()
      }
    })
  }

  for (const stepMs of [-7 * HOUR, -31_000, 31_000, 7 * HOUR]) {
    test(`a clock set by ${stepMs / 1000} s between two visits: the next requests succeed`, async () => {
      const { client, clocks, reload } = await started()
      await client.close()
      clocks.skewMs = stepMs
      const again = await reload()
      const first = await again.request('demo.echo', '', { idempotencyKey: 'k' })
      assert.ok(first.timings.tries <= 2)
      assert.equal((await again.request('demo.echo')).timings.tries, 1)
      const other = await reload()
      assert.equal((await other.request('demo.echo')).timings.tries, 1)
    })

    test(`R79 C3 a clock set by ${stepMs / 1000} s during a visit is noticed and costs nothing`, async () => {
      const { client, clocks, seenTypes } = await started()
      await client.request('demo.echo')
      const { errorMs } = client.clock
      clocks.skewMs = stepMs
      let told = 0
      client.on('clock', () => told++)
      assert.equal((await client.request('demo.echo')).timings.tries, 1)
      assert.ok(told >= 2, 'suspicion and the new sample are told')
      assert.ok(client.clock.errorMs <= errorMs + 1000, 'the answer resynchronised')
      assert.ok(isNear(client.clock.offsetMs, -stepMs))
      assert.equal(client.clock.lastCorrection, null, "the server's time is what it was")
      assert.deepEqual(seenTypes(), ['demo.echo', 'demo.echo'])
    })
  }

  test('C4 a monotonic clock that stood still during three hours of sleep costs one signed cs.stale', async () => {
    const { client, gateway, clocks } = await started()
    await client.request('demo.echo')
    clocks.skewMs = 3 * HOUR
    gateway.now = () => Date.now() + 3 * HOUR
    assert.equal((await client.request('demo.echo')).timings.tries, 2)
    assert.equal((await client.request('demo.echo')).timings.tries, 1)
  })

  test('R77 a failed cs.time rejects with its own error, and nothing of the caller was sent', async () => {
    const { gateway, reload, seenTypes } = await started()
    const client = await reload()
    faults(gateway, [lost, lost, lost], () => true)
    await assert.rejects(client.request('demo.echo'), { code: 'ERR_NETWORK' })
    assert.deepEqual(seenTypes(), ['cs.time', 'cs.time', 'cs.time'])
    faults(gateway, [() => new Response('a page', { status: 500 })], () => true)
    await assert.rejects(client.request('demo.echo'), { code: 'ERR_UNSIGNED_ANSWER', retry: 'safe' })
    const key = await gateway.foreignKey()
    faults(gateway, [(_, answer) => answer({ key })], () => true)
    await assert.rejects(client.request('demo.echo'), { code: 'ERR_BAD_SIGNATURE' })
    gateway.sessions.get(client.sessionId).isRevoked = true
    await assert.rejects(client.request('demo.echo'), { code: 'ERR_SESSION_REVOKED' })
    assert.equal(client.state, 'revoked')
    assert.ok(!seenTypes().includes('demo.echo'))
  })

  test('C7 R75 a sample of more than 5 s of round trip is dropped', async () => {
    const timers = createTimers()
    const { gateway, clocks, reload } = await started(0, { monotonicNow: timers.clocks.monotonicNow })
    const client = await reload()
    const slowly = async (_, answer) => {
      timers.clocks.monotonicMs += 6000
      return answer()
    }
    faults(gateway, [slowly, slowly], () => true)
    await assert.rejects(client.request('demo.echo'), { code: 'ERR_CLOCK_UNKNOWN', retry: 'safe' })
    faults(gateway, [slowly], () => true)
    await client.request('demo.echo')
    assert.ok(clocks)
  })

  test('R27 C8 a time before the floor is no sample, and no ground to refuse its answer', async () => {
    const { client, gateway, clocks, store, reload } = await started()
    clocks.skewMs = clocks.monotonicMs = 11 * MINUTE
    gateway.now = clocks.now
    await client.request('demo.echo')
    const { offsetMs } = client.clock
    const old = (_, answer) => answer({ timestampMs: gateway.now() - 10 * MINUTE })
    faults(gateway, [old])
    await client.request('demo.echo')
    assert.ok(isNear(client.clock.offsetMs, offsetMs))
    await client.close()
    assert.ok(isNear((await store.get('demo')).timeFloorMs, gateway.now()), 'an estimate that stood for ten minutes')
    const again = await reload()
    faults(gateway, [old, old], () => true)
    await assert.rejects(again.request('demo.echo'), { code: 'ERR_CLOCK_UNKNOWN' })
  })

  test('R76 C8 one answer that is a day ahead is asked about before anything is stamped by it', async () => {
    const { client, gateway, seenTypes } = await started()
    faults(gateway, [(_, answer) => answer({ timestampMs: Date.now() + 25 * HOUR })])
    await client.request('demo.echo')
    assert.ok(isNear(client.clock.now(), Date.now()), 'one answer moves nothing that far')
    assert.equal((await client.request('demo.echo')).timings.tries, 1)
    assert.deepEqual(seenTypes(), ['demo.echo', 'cs.time', 'demo.echo'])
    faults(gateway, [(_, answer) => answer({ timestampMs: Date.now() + 25 * HOUR, resultCode: 'cs.stale' })])
    assert.equal((await client.request('demo.echo')).timings.tries, 2)
    for (const { timestampMs } of gateway.seen) assert.ok(isNear(timestampMs, Date.now()))
    assert.deepEqual(seenTypes(), ['demo.echo', 'cs.time', 'demo.echo'])
  })

  test('R27 R76 C8 a server that keeps to a time far ahead moves the estimate, never the floor', async () => {
    const { client, gateway, store, reload } = await started()
    await client.request('demo.echo')
    gateway.now = () => Date.now() + 25 * HOUR
    await client.request('demo.echo', '', { idempotencyKey: 'k' })
    assert.ok(isNear(client.clock.now(), Date.now() + 25 * HOUR))
    assert.ok(isNear(client.clock.lastCorrection.byMs, 25 * HOUR))
    await client.close()
    assert.ok(((await store.get('demo')).timeFloorMs ?? 0) < Date.now() + HOUR)
    gateway.now = Date.now
    const again = await reload()
    await again.request('demo.echo')
    assert.ok(isNear(again.clock.now(), Date.now()))
    await again.close()
    await store.put('demo', { ...(await store.get('demo')), timeFloorMs: Date.now() + 25 * HOUR })
    await (await reload()).request('demo.echo')
  })

  test('R80 stamped times do not go back between samples, and do after one that says so', async () => {
    const { client, gateway, clocks } = await started()
    const stamp = async () => {
      const { signingInput } = gateway.core.parseFrame((await client.sign('demo.echo')).frame)
      return gateway.core.parseSigningInput(signingInput).timestampMs
    }
    const times = []
    for (const backMs of [0, 50, 20, 400, 0]) {
      clocks.monotonicMs = -backMs
      times.push(await stamp())
    }
    assert.deepEqual(
      times,
      times.toSorted((one, other) => one - other)
    )
    faults(gateway, [(_, answer) => answer({ timestampMs: Date.now() - 60_000 })])
    await client.request('demo.echo')
    assert.ok((await stamp()) < times[0] - 30_000)
  })

  test('C9 each label has a clock of its own', async () => {
    const one = await started()
    const gateway = await fakeGateway({ label: 'other', now: () => Date.now() + HOUR })
    const two = await enrolled({}, gateway)
    assert.ok(isNear(one.client.clock.offsetMs, 0))
    assert.ok(isNear(two.client.clock.offsetMs, HOUR))
  })

  test('R77 an application may opt into the local clock; a wrong one is then put right by cs.stale', async () => {
    const { store, reload, options, seenTypes } = await started()
    const { clock, ...record } = await store.get('demo')
    await store.put('demo', record)
    options.trustLocalClock = true
    await (await reload()).request('demo.echo')
    assert.deepEqual(seenTypes(), ['demo.echo'])
    options.now = () => Date.now() - HOUR
    await store.put('demo', record)
    const reply = await (await reload()).request('demo.echo')
    assert.equal(reply.timings.tries, 2)
    assert.ok(clock)
  })

  test('R78 a stored offset serves for 24 h, and not after the wall clock was set back', async () => {
    const { client, store, clocks, reload } = await started()
    await client.close()
    const { clock, ...record } = await store.get('demo')
    const sourceOf = async (patch) => {
      await store.put('demo', { ...record, clock: { ...clock, ...patch } })
      return (await reload()).clock.source
    }
    assert.equal(await sourceOf({ wallMs: clocks.now() - 23.9 * HOUR }), 'stored')
    assert.equal(await sourceOf({ wallMs: clocks.now() - 24.1 * HOUR }), 'none')
    assert.equal(await sourceOf({ wallMs: clocks.now() + 1000 }), 'none')
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, '0', null, -1e300]) {
      assert.equal(await sourceOf({ offsetMs: bad }), 'none', String(bad))
    }
  })

  test('B15 server keys: both of an overlap serve, unknown and swapped ids fail closed', async () => {
    const gateway = await fakeGateway()
    const next = await gateway.foreignKey()
    const serverKeys = [...gateway.keys, { id: 'k2', publicKey: next.publicKey }]
    const { client } = await enrolled({ serverKeys }, gateway)
    const answers = [
      [{}, undefined],
      [{ key: next, keyId: 'k2' }, undefined],
      [{ key: next, keyId: 'k1' }, 'ERR_BAD_SIGNATURE'],
      [{ keyId: 'k2' }, 'ERR_BAD_SIGNATURE'],
      [{ keyId: 'k3' }, 'ERR_UNKNOWN_KEY'],
      [{ keyId: '' }, 'ERR_UNKNOWN_KEY']
    ]
    for (const [overrides, code] of answers) {
      faults(gateway, [(_, answer) => answer(overrides)])
      if (code) await assert.rejects(client.request('demo.echo'), { code, stage: 'signature' })
      else await client.request('demo.echo')
    }
    const json = await enrolled({ serverKeys, binding: 'json' }, gateway)
    faults(gateway, [(_, answer) => answer({ key: next })])
    await json.client.request('demo.echo')
  })

  test('B15 R27 a key verifies within its validity and until the floor has passed it; no local clock ends one', async () => {
    const gateway = await fakeGateway()
    const [{ id, publicKey }] = gateway.keys
    const now = Date.now()
    const within = (times) => [{ id, publicKey, ...times }]
    const attempt = (serverKeys, options = {}) => enrolled({ serverKeys, ...options }, gateway)
    await attempt(within({ notBefore: now - HOUR, notAfter: now + HOUR }))
    await attempt(within({ notAfter: now + HOUR }), { now: () => now + 10 * YEAR })
    await assert.rejects(attempt(within({ notBefore: now + HOUR })), { code: 'ERR_KEY_NOT_VALID', stage: 'signature' })
    await assert.rejects(attempt(within({ notAfter: now - 1 })), { code: 'ERR_KEY_NOT_VALID' })

    const { client, store, options } = await attempt(within({ notAfter: now + HOUR }))
    await client.close()
    await store.put('demo', { ...(await store.get('demo')), timeFloorMs: now + 2 * HOUR })
    const late = await connect(optionsFor(gateway, options))
    await assert.rejects(late.request('demo.echo'), { code: 'ERR_KEY_NOT_VALID' }, 'the floor has passed it')
  })

  test('clock: one object until the estimate changes, and its error is never that of an earlier moment', async () => {
    const { client, clocks } = await started()
    const { clock } = client
    assert.equal(client.clock, clock)
    const { errorMs, ageMs, offsetMs } = clock
    clocks.monotonicMs += HOUR
    clocks.skewMs += HOUR
    assert.equal(client.clock, clock)
    assert.equal(clock.offsetMs, offsetMs)
    assert.ok(clock.errorMs > errorMs && clock.ageMs >= ageMs + HOUR)
    // The user sets the device's clock.
    clocks.skewMs += 5 * MINUTE
    const other = client.clock
    assert.notEqual(other, clock)
    assert.ok(isNear(other.offsetMs, offsetMs - HOUR - 5 * MINUTE) || isNear(other.offsetMs, offsetMs - 5 * MINUTE))
    assert.equal(client.clock, other)
    await client.request('demo.echo')
    assert.ok(client.clock.ageMs < HOUR)
  })
}
