// SPDX-License-Identifier: MIT
// The demo's events: what is asked for is bounded, a ticker is its own session's, and a restart in place loses none.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { send, signIn, startGateway, textOf, until } from './harness.mjs'

const ask = async (client, type, value) => (await client.request(type, JSON.stringify(value))).resultCode

const listen = async (t, client) => {
  const events = []
  const controller = new AbortController()
  t.after(() => controller.abort())
  const run = async () => {
    for await (const { type, sequence, payload, stream } of client.events({
      signal: controller.signal,
      carrier: 'sse'
    }))
      events.push({ type, sequence, stream, ...JSON.parse(textOf(payload)) })
  }
  run().catch(() => {})
  await until(() => client.connection.state === 'live', 'a live stream')
  return events
}

test('what cannot be published, or ticked, is invalid_payload and publishes nothing', async (t) => {
  const client = await signIn(t, await startGateway(t))
  const events = await listen(t, client)
  for (const value of [{ text: 7 }, { text: 'x'.repeat(201) }])
    assert.equal(await ask(client, 'demo.publish', value), 'invalid_payload')
  const ticks = { count: 3, every_ms: 100 }
  for (const wrong of [
    { count: 0 },
    { count: 61 },
    { count: 1.5 },
    { every_ms: 99 },
    { every_ms: '100' },
    { count: null }
  ])
    assert.equal(await ask(client, 'demo.ticker', { ...ticks, ...wrong }), 'invalid_payload', JSON.stringify(wrong))
  for (const value of [null, [], 'x']) assert.equal(await ask(client, 'demo.ticker', value), 'invalid_payload')
  assert.equal(await ask(client, 'demo.publish', { text: 'x'.repeat(200) }), 'ok')
  await until(() => events.length > 0, 'the one that was right')
  assert.equal(events[0].sequence, 1)
})

test("a ticker ticks for its own session; a note is for all of the user's", async (t) => {
  const gateway = await startGateway(t)
  const [one, other] = [await signIn(t, gateway), await signIn(t, gateway)]
  const [ticked, beside] = [await listen(t, one), await listen(t, other)]
  assert.equal(await ask(one, 'demo.ticker', { count: 3, every_ms: 100 }), 'ok')
  await until(() => ticked.length === 3, 'three ticks')
  assert.deepEqual(
    ticked.map(({ type, sequence, n }) => ({ type, sequence, n })),
    [1, 2, 3].map((n) => ({ type: 'demo.tick', sequence: n, n }))
  )
  assert.ok(ticked.every(({ at_ms: atMs }) => Number.isSafeInteger(atMs)))
  assert.equal(await ask(one, 'demo.publish', { text: 'both' }), 'ok')
  await until(() => ticked.length === 4 && beside.length === 1, 'a note to both')
  assert.deepEqual([ticked[3].text, beside[0].text, beside[0].sequence], ['both', 'both', 1])
})

test('a restart in place ends the stream, not the session: the next number follows', async (t) => {
  const gateway = await startGateway(t)
  const client = await signIn(t, gateway)
  const events = await listen(t, client)
  assert.equal(await ask(client, 'demo.publish', { text: 'before' }), 'ok')
  await until(() => events.length === 1, 'the first')
  const { status } = await send(gateway, '/dev/restart', { headers: { 'x-countersign-dev': 'yes' } })
  assert.equal(status, 200)
  await until(() => client.connection.state !== 'live', 'the end of the stream')
  await until(() => client.connection.state === 'live', 'another stream')
  assert.equal(client.state, 'ready')
  assert.equal(await ask(client, 'demo.publish', { text: 'after' }), 'ok')
  await until(() => events.length === 2, 'the second')
  assert.deepEqual([events[1].text, events[1].sequence], ['after', 2])
  assert.equal(events[1].stream, events[0].stream)
})
