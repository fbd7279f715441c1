// SPDX-License-Identifier: MIT
// Devices whose clocks are wrong, jump or stand still, at the reference gateway and in the runtime's own time: the next
// request succeeds after one correction at most, and the error that is stated holds (R74 to R81, rows C3 and C4).

import { connect, emailEnrollment, memoryStore } from 'countersign'
import { createClocks } from './fixture.mjs'

const HOUR = 3600_000
const YEAR = 365.25 * 24 * HOUR
const skews = {
  '-10 years': -10 * YEAR,
  '-7 h': -7 * HOUR,
  '-31 s': -31_000,
  '+31 s': 31_000,
  '+7 h': 7 * HOUR,
  '+10 years': 10 * YEAR
}

export const suite = (test, assert, env) => {
  const { gatewayUrl: url } = env

  const enrolled = async () => {
    const { label, server_keys: keys } = await (await fetch(`${url}/.well-known/countersign.json`)).json()
    const serverKeys = keys.map(({ id, public_key: publicKey }) => ({ id, publicKey }))
    const options = { url, label, serverKeys, store: memoryStore() }
    const client = await connect(options)
    const email = `${Math.random().toString(36).slice(2)}@example.com`
    const code = async (challengeId) => {
      const outbox = await (await fetch(`${url}/dev/outbox?email=${encodeURIComponent(email)}`)).json()
      return outbox.find(({ challenge_id: id }) => id === challengeId).code
    }
    await emailEnrollment(client, { email, code })
    await client.close()
    return options
  }
  let enrolling
  // One session for all of them: enrolments are rationed.
  const device = () => {
    enrolling ??= enrolled()
    return enrolling
  }

  /** A visit of the device with clocks that a test sets, and without what an earlier one knew of the time. */
  const visit = async (skewMs, more = {}) => {
    const options = await device()
    const clocks = createClocks(skewMs)
    const { clock, timeFloorMs, ...record } = await options.store.get(options.label)
    const store = memoryStore()
    await store.put(options.label, record)
    const { now, monotonicNow } = clocks
    const client = await connect({ ...options, store, now, monotonicNow, ...more })
    return { client, clocks, store, reload: () => connect({ ...options, store, now, monotonicNow, ...more }) }
  }

  // Gateway and runtime share a machine: its clock is the truth.
  const holds = (client, what) => {
    const { errorMs } = client.clock
    // Between the two readings of the true clock any time may pass.
    const [beforeMs, estimateMs, afterMs] = [Date.now(), client.clock.now(), Date.now()]
    const wrongMs = Math.max(0, beforeMs - estimateMs, estimateMs - afterMs)
    assert.ok(wrongMs <= errorMs + 1, `${what}: ${wrongMs} ms wrong, ${errorMs} ms stated`)
  }

  for (const [name, skewMs] of Object.entries(skews)) {
    test(`C3 a device clock wrong by ${name}: requests succeed at once, after a reload too, and the stated error holds`, async () => {
      const { client, reload } = await visit(skewMs)
      assert.equal(client.clock.source, 'none')
      assert.equal((await client.request('demo.echo')).timings.tries, 1)
      assert.equal(client.clock.source, 'round-trip')
      assert.ok(Math.abs(client.clock.offsetMs + skewMs) <= client.clock.errorMs + 1)
      holds(client, name)
      await client.close()
      const again = await reload()
      assert.equal(again.clock.source, 'stored')
      holds(again, `${name}, stored`)
      assert.equal((await again.request('demo.echo')).timings.tries, 1)
      holds(again, `${name}, again`)
      await again.close()
    })
  }

  for (const stepMs of [-2 * HOUR, 2 * HOUR, -10 * YEAR, 10 * YEAR]) {
    test(`C3 the wall clock jumps by ${stepMs / HOUR} h during a visit: no request fails, none is sent twice`, async () => {
      const { client, clocks } = await visit(0)
      await client.request('demo.echo')
      clocks.skewMs += stepMs
      holds(client, 'after the jump')
      assert.ok(client.clock.errorMs >= Math.abs(stepMs) - 1000, 'suspected')
      assert.equal((await client.request('demo.echo')).timings.tries, 1)
      assert.ok(client.clock.errorMs < 60_000, 'and resynchronised')
      assert.equal(client.clock.lastCorrection, null)
      holds(client, 'after the answer')
      await client.close()
    })
  }

  test('C4 a monotonic clock that stood still for a while: noticed, told, and put right by the next answer', async () => {
    const { client, clocks } = await visit(0)
    await client.request('demo.echo')
    const told = []
    client.on('clock', ({ errorMs }) => told.push(errorMs))
    const fromMs = Date.now()
    await new Promise((resolve) => setTimeout(resolve, 1200))
    clocks.monotonicMs -= Date.now() - fromMs
    holds(client, 'asleep')
    assert.ok(told.length === 1 && told[0] >= 1000)
    assert.equal((await client.request('demo.echo')).timings.tries, 1)
    holds(client, 'awake')
    assert.ok(client.clock.lastCorrection.byMs > 500)
    await client.close()
  })

  test('R74 what a page hears of its surroundings is no time: nothing of it moves the clock or asks for it', async () => {
    let requests = 0
    const counted = (...all) => {
      requests += 1
      return fetch(...all)
    }
    const { client } = await visit(-7 * HOUR, { fetch: counted })
    await client.request('demo.echo')
    const [{ offsetMs }, before] = [client.clock, requests]
    for (const name of ['visibilitychange', 'pageshow', 'online', 'focus', 'resume']) {
      globalThis.document?.dispatchEvent(new Event(name))
      globalThis.dispatchEvent?.(new Event(name))
    }
    await new Promise((resolve) => setTimeout(resolve, 100))
    assert.ok(Math.abs(client.clock.offsetMs - offsetMs) < HOUR)
    assert.equal(requests, before)
    await client.close()
  })
}
