// SPDX-License-Identifier: MIT
// Events through the reference gateway's process, to the project's own client, on every carrier.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect, memoryStore } from 'countersign'
import WebSocket from 'ws'
import { timed } from '../server/events/kit.mjs'
import { describe, getJson, signIn, startGateway, textOf, until, utf8 } from './harness.mjs'

const CARRIERS = ['sse', 'websocket', 'poll']
// Node 20 has no WebSocket of its own.
const webSocket = (url, protocol) => new WebSocket(url, protocol)

/** listen collects the events of a client from its first live moment on; `done` gives how that ended. */
const listen = async (client, options) => {
  const events = []
  const controller = new AbortController()
  const done = (async () => {
    try {
      for await (const event of client.events({ signal: controller.signal, ...options })) {
        events.push({ ...event, text: JSON.parse(textOf(event.payload)).text })
      }
    } catch (error) {
      return error
    }
  })()
  await until(() => client.connection.state === 'live', 'a live stream')
  return { events, done, end: () => controller.abort() }
}

const publish = (client, text) => client.request('demo.publish', utf8(JSON.stringify({ text })))
const texts = ({ events }) => events.map(({ text }) => text)
const metric = async ({ url }, series) => {
  const lines = (await (await fetch(`${url}/metrics`)).text()).split('\n')
  return Number(lines.find((line) => line.startsWith(`${series} `))?.slice(series.length))
}

test('/.well-known/countersign.json names the carriers', async (t) => {
  const { carriers } = await getJson(`${(await startGateway(t)).url}/.well-known/countersign.json`)
  assert.deepEqual(carriers, CARRIERS)
})

for (const carrier of CARRIERS) {
  test(`${carrier}: events of demo.publish reach every session of the user in order, and nobody else's`, async (t) => {
    const gateway = await startGateway(t)
    const ada = await signIn(t, gateway, { webSocket })
    const second = await signIn(t, gateway, { webSocket })
    const eve = await signIn(t, gateway, { email: 'eve@example.org', webSocket })
    const heard = await Promise.all([ada, second, eve].map((client) => listen(client, { carrier })))
    // A poll is open only now and then; what it misses in between it asks for.
    for (let number = 1; number <= 20; number++) await publish(ada, String(number))
    await publish(eve, 'mine')
    const wanted = Array.from({ length: 20 }, (_, at) => String(at + 1))
    await until(() => heard[0].events.length >= 20 && heard[1].events.length >= 20, 'twenty events')
    await until(() => heard[2].events.length >= 1, "eve's event")
    assert.deepEqual(heard.map(texts), [wanted, wanted, ['mine']])
    assert.equal(ada.connection.carrier, carrier)
    for (const { end } of heard) end()
    await until(
      async () => (await metric(gateway, `countersign_streams{carrier="${carrier}"}`)) === 0,
      'no stream is left'
    )
  })

  test(`${carrier}: revoking a device ends its stream within 1 s, and no other`, async (t) => {
    const gateway = await startGateway(t)
    const ada = await signIn(t, gateway, { webSocket })
    const kept = await listen(ada, { carrier })
    await timed(t, async (count) => {
      const other = await signIn(t, gateway, { webSocket })
      const lost = await listen(other, { carrier })
      const { deviceSessionId } = (await ada.sessions()).find(
        ({ isCurrent, status }) => !isCurrent && status === 'active'
      )
      const beganMs = performance.now()
      await ada.fetch(`/api/v1/sessions/${deviceSessionId}/revoke`, { method: 'POST' })
      await until(() => other.state === 'revoked', 'the revocation')
      const tookMs = performance.now() - beganMs
      await lost.done
      await publish(ada, 'still here')
      await until(() => kept.events.length === count + 1, 'an event for the other session')
      return tookMs
    })
    kept.end()
  })

  test(`${carrier}: SIGTERM is not held up by open streams, and signs nobody out`, async (t) => {
    const gateway = await startGateway(t)
    const client = await signIn(t, gateway, { webSocket })
    const { end } = await listen(client, { carrier })
    gateway.child.kill('SIGTERM')
    assert.equal(await gateway.exited, 'ended with 0')
    assert.doesNotMatch(gateway.output(), /drain\.cut/)
    assert.equal(client.state, 'ready')
    end()
  })
}

test('kill -9 in the middle: the client goes on at the next process, no event lost or repeated', async (t) => {
  const first = await startGateway(t)
  const store = memoryStore()
  const client = await signIn(t, first, { store })
  const heard = await listen(client, { carrier: 'sse' })
  for (let number = 1; number <= 10; number++) await publish(client, String(number))
  await until(() => heard.events.length === 10, 'ten events')
  await first.stop('SIGKILL')
  const second = await startGateway(t, { DATA_DIR: first.folder, PORT: String(first.port) })
  for (let number = 11; number <= 20; number++) await publish(client, String(number))
  await until(() => heard.events.length >= 20, 'twenty events')
  assert.deepEqual(
    heard.events.map(({ sequence, text }) => [sequence, text]),
    Array.from({ length: 20 }, (_, at) => [at + 1, String(at + 1)])
  )
  heard.end()
  const again = await connect({ url: second.url, ...(await describe(second.url)), store })
  t.after(() => again.close())
  const resumed = await listen(again, { after: heard.events[4].cursor })
  await until(() => resumed.events.length === 15, 'fifteen events')
  assert.equal(resumed.events[0].sequence, 6)
  resumed.end()
})
