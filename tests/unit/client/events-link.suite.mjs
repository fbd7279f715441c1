// SPDX-License-Identifier: MIT
// How a stream is opened, and what becomes of one that cannot be: signed refusals, silence, carriers that are blocked, a
// device that is offline.

import { connect } from 'countersign'
import { createTimers } from './fixture.mjs'
import { CARRIERS, listen, listening, live, until } from './listening.mjs'

const FRAME = 'application/vnd.countersign.v1'

const html = (status, text = '<p>Sign in to the hotel</p>') =>
  new Response(text, { status, headers: { 'content-type': 'text/html' } })

export const suite = (test, assert, env) => {
  for (const status of [200, 401, 403, 429, 502, 503]) {
    test(`E4 C5 an unsigned ${status} is a lost connection: no state, no clock, another try`, async () => {
      const { client, streams } = await listening()
      const states = []
      client.on('state', (state) => states.push(state))
      const times = []
      client.on('clock', (view) => times.push(view))
      streams.blocked.sse = html(status)
      const heard = listen(client.events({ carrier: 'sse' }))
      await until(() => client.connection.reason?.code === 'ERR_UNSIGNED_ANSWER')
      assert.equal(client.connection.state, 'connecting')
      assert.deepEqual(times, [])
      streams.blocked = {}
      await live(client)
      streams.publish('n')
      await heard.count(1)
      assert.deepEqual(states, [])
      // The answer that follows is signed, and its time counts.
      assert.ok(times.length > 0)
      await client.close()
    })
  }

  const refusal =
    (resultCode, payload = '{}') =>
    (_, answer) =>
      answer({ resultCode, payload })

  for (const carrier of CARRIERS) {
    test(`a signed refusal is told, and nothing is tried again: ${carrier}`, async () => {
      for (const [resultCode, code, state] of [
        ['cs.unauthenticated', 'ERR_UNAUTHENTICATED', 'ready'],
        ['unknown_type', 'ERR_UNKNOWN_RESULT', 'ready'],
        ['cs.session_revoked', 'ERR_SESSION_REVOKED', 'revoked']
      ]) {
        const { client, streams } = await listening()
        streams.blocked[carrier] = refusal(resultCode)
        const heard = listen(client.events({ carrier }))
        await heard.ended()
        assert.equal(heard.error.code, code)
        assert.equal(client.state, state)
        if (state === 'ready') {
          assert.equal(client.connection.state, 'refused')
          assert.equal(client.connection.reason.resultCode, resultCode)
        }
        await client.close()
      }
    })

    test(`R123 a stream refused for a key that another tab has replaced is opened with the new key, once: ${carrier}`, async () => {
      const { client, gateway, streams, store, options } = await listening()
      // Of another name over the same record: what it does is not told.
      const get = () => store.get('demo')
      const put = (_, record) => store.put('demo', record)
      const deaf = await connect({ ...options, namespace: 'deaf', store: { ...store, get, put } })
      // The record is looked at again once a second: just now, so not before the stream is asked for.
      await new Promise((resolve) => setTimeout(resolve, 1000))
      await client.request('demo.echo')
      await deaf.rotateKey()
      gateway.sessions.get(client.sessionId).previous = undefined
      const heard = listen(client.events({ carrier }))
      await live(client)
      assert.equal(client.key.thumbprint, deaf.key.thumbprint)
      streams.publish('n')
      await heard.count(1)
      await client.close()
    })

    test(`a signed cs.unavailable is waited out, a signed cs.stale signed again: ${carrier}`, async () => {
      const timers = createTimers()
      const { clocks } = timers
      const { client, streams } = await timers.run(
        listening({ schedule: timers.schedule, retries: 0, monotonicNow: clocks.monotonicNow, now: clocks.now })
      )
      const left = [refusal('cs.unavailable', '{"retry_after_ms":7000}'), refusal('cs.stale')]
      streams.blocked[carrier] = (...given) => left.shift()?.(...given)
      const heard = listen(client.events({ carrier }))
      await timers.run(until(() => client.connection.state === 'live'))
      assert.ok(
        timers.fired.some((ms) => ms >= 7000 && ms < 8000),
        `${timers.fired}`
      )
      assert.equal(client.state, 'ready')
      streams.publish('n')
      await timers.run(heard.count(1))
      await client.close()
    })
  }

  test('C6 a connection that is open and silent is stale after 25 s, and given up', async () => {
    const timers = createTimers()
    const { clocks } = timers
    const { client, streams } = await timers.run(
      listening({ schedule: timers.schedule, monotonicNow: clocks.monotonicNow, now: clocks.now })
    )
    const states = []
    client.on('connection', ({ state }) => states.push(state))
    const heard = listen(client.events({ carrier: 'sse' }))
    await timers.run(until(() => streams.opened.length === 2 && client.connection.state === 'live'))
    assert.deepEqual(states.slice(0, 3), ['connecting', 'live', 'stale'])
    streams.publish('n')
    await timers.run(heard.count(1))
    await client.close()
  })

  test('auto goes from what is blocked to what works, and stays there', async () => {
    const { client, streams } = await listening()
    streams.blocked = { sse: html(200), websocket: html(403) }
    const heard = listen(client.events())
    await until(() => client.connection.state === 'live' && client.connection.carrier === 'poll')
    streams.blocked = {}
    streams.publish('n')
    await heard.count(1)
    streams.cut()
    streams.publish('n')
    await heard.count(2)
    assert.ok(streams.opened.every(({ carrier }) => carrier === 'poll'))
    assert.equal(streams.sockets.length, 1)
    assert.equal(client.connection.carrier, 'poll')
    await client.close()
  })

  test('a proxy that holds a stream back costs 12 s, once', async () => {
    const timers = createTimers()
    const { clocks } = timers
    const { client, streams } = await timers.run(
      listening({ schedule: timers.schedule, monotonicNow: clocks.monotonicNow, now: clocks.now })
    )
    let held = 0
    streams.blocked.sse = () => {
      held++
      return new Promise(() => {})
    }
    const heard = listen(client.events())
    await timers.run(until(() => client.connection.state === 'live'))
    assert.equal(client.connection.carrier, 'websocket')
    assert.ok(timers.fired.includes(12_000), `${timers.fired}`)
    streams.cut()
    streams.publish('n')
    await timers.run(heard.count(1))
    assert.equal(held, 1)
    await client.close()
  })

  test('what changes a request on its way is a blocked carrier, not a refusal', async () => {
    const { client, streams } = await listening()
    streams.blocked.sse = refusal('invalid_payload')
    const heard = listen(client.events())
    await live(client)
    assert.equal(client.connection.carrier, 'websocket')
    streams.publish('n')
    await heard.count(1)
    await client.close()
  })

  test('a stream of what is no frame, a line without end and a text message are refused', async () => {
    const { client, streams } = await listening({ maxPayload: 5000 })
    const codes = []
    client.on('connection', ({ reason }) => reason && codes.push(reason.code))
    const answers = [
      () => new Response(`data: @@@\n\n`, { headers: { 'content-type': 'text/event-stream' } }),
      () =>
        new Response(`data: ${'A'.repeat(50_000)}`, {
          headers: { 'content-type': 'text/event-stream; charset=utf-8' }
        }),
      () => new Response('garbage', { headers: { 'content-type': FRAME } })
    ]
    streams.blocked.sse = () => answers.shift()?.()
    const heard = listen(client.events({ carrier: 'sse' }))
    await live(client)
    const seen = [...new Set(codes)]
    assert.deepEqual(seen, ['ERR_BAD_BASE64', 'ERR_ANSWER_TOO_LARGE', 'ERR_BAD_MAGIC'])
    streams.publish('n')
    await heard.count(1)
    await client.close()
  })

  if (env.runtime === 'node') return
  test('a device that goes offline says so, and is back at once when it is online again', async () => {
    const { client, streams } = await listening({
      schedule: (run, ms) => {
        const timer = setTimeout(run, ms <= 1000 ? ms + 60_000 : ms)
        return () => clearTimeout(timer)
      }
    })
    const heard = listen(client.events())
    await live(client)
    dispatchEvent(new Event('offline'))
    await until(() => client.connection.state === 'offline')
    assert.equal(client.state, 'ready')
    dispatchEvent(new Event('online'))
    await live(client)
    streams.publish('n')
    await heard.count(1)
    await client.close()
  })
}
