// SPDX-License-Identifier: MIT
// The next stream is open before the present one ends (R105): nothing is lost, nothing comes twice, no state changes.

import { hurried, listen, listening, live, until } from './listening.mjs'

const MINUTE = 60_000

/** Timers whose long waits a test ends; the short ones run by themselves. */
const heldTimers = () => {
  const held = []
  const schedule = (run, afterMs) => {
    if (afterMs < 30_000 || afterMs > 60 * MINUTE) return hurried(run, afterMs)
    const timer = { run, afterMs }
    held.push(timer)
    return () => {
      const at = held.indexOf(timer)
      if (at >= 0) held.splice(at, 1)
    }
  }
  return { held, schedule }
}

const started = async (carrier, options = {}) => {
  const { held, schedule } = heldTimers()
  const it = await listening({ schedule, ...options })
  const states = []
  const heard = listen(it.client.events({ carrier }))
  await live(it.client)
  it.client.on('connection', ({ state }) => states.push(state))
  it.streams.publish('n', '1')
  await heard.count(1)
  const renewals = () => held.filter(({ afterMs }) => afterMs < 16 * MINUTE && afterMs !== 600_000)
  const renew = async () => {
    await until(() => renewals().length === 1, 'the wait for a renewal')
    const [timer] = renewals()
    held.splice(held.indexOf(timer), 1)
    timer.run()
    return timer.afterMs
  }
  return { ...it, held, heard, states, renew, renewals }
}

export const suite = (test, assert) => {
  for (const carrier of ['sse', 'websocket']) {
    test(`R105 ${carrier}: the next stream goes on behind the last event, and the old one ends after it`, async () => {
      const { client, streams, heard, states, renew } = await started(carrier)
      for (let round = 1; round <= 5; round++) {
        const [old] = streams.connections
        const opened = streams.opened.length
        const afterMs = await renew()
        assert.ok(afterMs >= 10 * MINUTE && afterMs <= 14 * MINUTE, `renewed after ${afterMs} ms`)
        await until(() => streams.opened.length > opened, 'the next stream')
        await until(() => old.isEnded, 'the end of the old one')
        assert.deepEqual(streams.opened.at(-1), { carrier, after: round, stream: streams.stream })
        streams.publish('n', String(round + 1))
        await heard.count(round + 1)
      }
      assert.deepEqual(
        heard.got,
        [1, 2, 3, 4, 5, 6].map((number) => `n ${number} ${number}`)
      )
      assert.deepEqual([states, client.connection.state, streams.connections.size], [[], 'live', 1])
      await client.close()
    })

    test(`R105 ${carrier}: events that are published during a renewal come once and in order`, async () => {
      const { client, streams, heard, states, renew } = await started(carrier)
      let release
      const gate = new Promise((resolve) => {
        release = resolve
      })
      let isAsked = false
      streams.blocked[carrier] = async () => {
        isAsked = true
        await gate
      }
      await renew()
      await until(() => isAsked, 'the next subscription')
      for (const number of [2, 3, 4]) streams.publish('n', String(number))
      streams.blocked = {}
      release()
      await heard.count(4)
      streams.publish('n', '5')
      await heard.count(5)
      assert.deepEqual(
        heard.got,
        [1, 2, 3, 4, 5].map((number) => `n ${number} ${number}`)
      )
      assert.deepEqual(states, [])
      await client.close()
    })

    test(`R105 ${carrier}: a renewal that is refused or blocked leaves the present stream, and is tried again`, async () => {
      const { client, streams, heard, states, renew } = await started(carrier)
      const faults = [
        (_, answer) => answer({ resultCode: 'cs.rate_limited', payload: '{}' }),
        (_, answer) => answer({ resultCode: 'cs.unauthenticated', payload: '{}' }),
        new Response('<p>Sign in to the hotel</p>', { status: 403, headers: { 'content-type': 'text/html' } })
      ]
      const [old] = streams.connections
      for (const [at, fault] of faults.entries()) {
        streams.blocked[carrier] = fault
        const afterMs = await renew()
        assert.ok(at === 0 || (afterMs >= MINUTE / 2 && afterMs < MINUTE), `tried again after ${afterMs} ms`)
        streams.publish('n', String(at + 2))
        await heard.count(at + 2)
        assert.equal(old.isEnded, false)
      }
      streams.blocked = {}
      await renew()
      await until(() => old.isEnded, 'the end of the old one')
      streams.publish('n', '5')
      await heard.count(5)
      assert.deepEqual(
        heard.got,
        [1, 2, 3, 4, 5].map((number) => `n ${number} ${number}`)
      )
      assert.deepEqual([states, client.state], [[], 'ready'])
      await client.close()
    })
  }

  test('R105 a poll is never renewed, and clients that came together do not renew together', async () => {
    const { client, held } = await started('poll')
    assert.deepEqual(
      held.filter(({ afterMs }) => afterMs > 600_000 && afterMs < 16 * MINUTE),
      []
    )
    await client.close()
    const waits = []
    for (let count = 0; count < 4; count++) {
      const it = await started('sse')
      waits.push(it.renewals()[0].afterMs)
      await it.client.close()
      assert.equal(it.renewals().length, 0, 'a closed client waits for nothing')
    }
    assert.ok(new Set(waits).size > 1, String(waits))
  })

  test('R105 a stream that the gateway ends is opened again, as it was', async () => {
    const { client, streams, heard, states } = await started('sse')
    streams.cut()
    await until(() => streams.opened.length === 2 && client.connection.state === 'live', 'the next stream')
    streams.publish('n', '2')
    await heard.count(2)
    assert.deepEqual(
      [heard.got, states],
      [
        ['n 1 1', 'n 2 2'],
        ['connecting', 'live']
      ]
    )
    await client.close()
  })
}
