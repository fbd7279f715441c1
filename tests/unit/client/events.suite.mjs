// SPDX-License-Identifier: MIT
// Listening: every carrier gives every event, in its order, once; and goes on over whatever breaks.

import { CARRIERS, listen, listening, live, until } from './listening.mjs'

export const suite = (test, assert) => {
  for (const carrier of CARRIERS) {
    test(`E12 ${carrier}: events come in their order, each once, from now on`, async () => {
      const { client, streams } = await listening()
      streams.publish('early', 'x')
      const heard = listen(client.events({ carrier }))
      await live(client)
      for (let number = 2; number <= 40; number++) streams.publish('fleet.moved', `${number}`)
      await heard.count(39)
      assert.deepEqual(
        heard.got,
        Array.from({ length: 39 }, (_, at) => `fleet.moved ${at + 2} ${at + 2}`)
      )
      const [{ stream, cursor, timestampMs, eventId, ...rest }] = heard.events
      assert.deepEqual(cursor, { stream, sequence: 2 })
      assert.equal(stream, streams.stream)
      assert.equal(eventId.length, 22)
      assert.ok(Math.abs(timestampMs - Date.now()) < 60_000)
      assert.deepEqual(Object.keys(rest).sort(), ['payload', 'sequence', 'type'])
      assert.deepEqual(client.connection.carrier, carrier)
      await client.close()
    })

    test(`E12 ${carrier}: the end of a stream is a reconnect behind the last event, nothing lost and nothing twice`, async () => {
      const { client, streams } = await listening()
      const heard = listen(client.events({ carrier }))
      await live(client)
      for (let round = 0; round < 8; round++) {
        for (let one = 0; one < 5; one++) streams.publish('n')
        if (round % 2) await heard.count(round * 5)
        streams.cut()
      }
      await heard.count(40)
      assert.deepEqual(
        heard.got,
        Array.from({ length: 40 }, (_, at) => `n ${at + 1} `)
      )
      assert.equal(client.state, 'ready')
      const { after, stream } = streams.opened.at(-1)
      assert.ok(after <= 40 && stream === streams.stream)
      await client.close()
    })

    test(`E12 ${carrier}: a client that comes back goes on behind its cursor, and is told what was lost`, async () => {
      const { client, streams } = await listening()
      for (let number = 1; number <= 9; number++) streams.publish('n')
      const first = listen(client.events({ carrier, after: 6 }))
      await first.count(3)
      assert.deepEqual(first.got, ['n 7 ', 'n 8 ', 'n 9 '])
      await first.iterator.return()
      const { cursor } = first.events.at(-1)
      streams.publish('n')
      const second = listen(client.events({ carrier, after: cursor }))
      await second.count(1)
      assert.deepEqual(second.got, ['n 10 '])
      await second.iterator.return()

      for (let number = 11; number <= 20; number++) streams.publish('n')
      streams.oldest = 15
      const third = listen(client.events({ carrier, after: cursor }))
      await third.count(7)
      assert.deepEqual(third.got.slice(1), ['n 15 ', 'n 16 ', 'n 17 ', 'n 18 ', 'n 19 ', 'n 20 '])
      assert.equal(third.events[0].type, 'cs.gap')
      assert.deepEqual(third.events[0].cursor, { stream: streams.stream, sequence: 14 })
      await client.close()
    })

    test(`E12 ${carrier}: another stream is a gap, even where its numbers would go on`, async () => {
      const { client, streams } = await listening()
      const heard = listen(client.events({ carrier, types: ['n'] }))
      await live(client)
      for (const _ of [1, 2, 3]) streams.publish('n', 'old')
      await heard.count(3)
      streams.lose()
      for (const _ of [1, 2, 3, 4]) streams.publish('n', 'new')
      await heard.count(8)
      assert.deepEqual(
        heard.got.map((text) => text.replace(/\{.*/, '')),
        ['n 1 old', 'n 2 old', 'n 3 old', 'cs.gap 3 ', 'n 1 new', 'n 2 new', 'n 3 new', 'n 4 new']
      )
      await client.close()
    })

    test(`E12 ${carrier}: cs.revoked ends the session, and the listening with that`, async () => {
      const { client, streams } = await listening()
      const heard = listen(client.events({ carrier }))
      await live(client)
      streams.publish('n')
      await heard.count(1)
      streams.revoke()
      await heard.ended()
      assert.equal(heard.error?.code, 'ERR_SESSION_REVOKED')
      assert.equal(client.state, 'revoked')
      assert.deepEqual(heard.got, ['n 1 '])
      await client.close()
    })
  }

  test('two listeners share one connection; one that comes late is handed what it asks for first', async () => {
    const { client, streams } = await listening()
    const all = listen(client.events())
    const some = listen(client.events({ types: ['b'] }))
    await live(client)
    for (const type of ['a', 'b', 'a', 'b', 'c']) streams.publish(type)
    await all.count(5)
    await some.count(2)
    assert.deepEqual(some.got, ['b 2 ', 'b 4 '])
    const late = listen(client.events({ after: 1 }))
    streams.publish('d')
    await late.count(5)
    streams.publish('e')
    await late.count(6)
    assert.deepEqual(late.got, ['b 2 ', 'a 3 ', 'b 4 ', 'c 5 ', 'd 6 ', 'e 7 '])
    await all.count(7)
    assert.deepEqual(streams.opened.filter(({ carrier }) => carrier === 'sse').length, 1)
    await client.close()
  })

  test('the stream opens with the first listener and closes with the last', async () => {
    const { client, streams } = await listening()
    assert.equal(client.connection.state, 'idle')
    const events = client.events()
    assert.equal(streams.opened.length, 0)
    const one = listen(events)
    const two = listen(client.events())
    await live(client)
    await one.iterator.return()
    await one.ended()
    assert.equal(client.connection.state, 'live')
    assert.equal(streams.connections.size, 1)
    await two.iterator.return()
    assert.equal(client.connection.state, 'idle')
    assert.equal(client.connection.role, 'none')
    await until(() => streams.connections.size === 0, 'the connection to be given up')
    const again = listen(client.events())
    await live(client)
    streams.publish('n')
    await again.count(1)
    assert.deepEqual(again.got, ['n 1 '])
    await client.close()
    await again.ended()
    assert.equal(again.error?.code, 'ERR_CLOSED')
    await assert.rejects(client.events().next(), { code: 'ERR_CLOSED' })
  })

  test('an abort ends one listener, a break in the loop another, with nothing left behind', async () => {
    const { client, streams } = await listening()
    const controller = new AbortController()
    const heard = listen(client.events({ signal: controller.signal }))
    await live(client)
    streams.publish('n')
    await heard.count(1)
    controller.abort('enough')
    await heard.ended()
    assert.equal(heard.error?.code, 'ERR_ABORTED')
    assert.equal(heard.error.cause, 'enough')
    await until(() => streams.connections.size === 0, 'the connection to be given up')
    await assert.rejects(client.events({ signal: controller.signal }).next(), { code: 'ERR_ABORTED' })
    assert.equal(client.connection.state, 'idle')

    const reading = (async () => {
      for await (const { sequence } of client.events({ after: 0 })) if (sequence === 3) return sequence
      return 0
    })()
    streams.publish('n')
    streams.publish('n')
    assert.equal(await reading, 3)
    await until(() => streams.connections.size === 0, 'the connection to be given up')
    await client.close()
  })

  test('a slow listener holds the stream back; another one meanwhile gets everything', async () => {
    const { client, streams } = await listening()
    const slow = client.events()
    const first = slow.next()
    await live(client)
    for (let number = 1; number <= 3000; number++) streams.publish('n')
    assert.equal((await first).value.sequence, 1)
    const [connection] = streams.connections
    await until(() => connection.last > 1000)
    await new Promise((resolve) => setTimeout(resolve, 200))
    assert.ok(connection.last <= 1005, `${connection.last} events were read for nobody`)
    assert.equal(client.connection.state, 'live')

    const quick = listen(client.events({ after: 0 }))
    await quick.count(3000)
    for (let number = 2; number <= 3000; number++) assert.equal((await slow.next()).value.sequence, number)
    streams.publish('n')
    assert.equal((await slow.next()).value.sequence, 3001)
    await quick.count(3001)
    assert.deepEqual(
      quick.got,
      Array.from({ length: 3001 }, (_, at) => `n ${at + 1} `)
    )
    await client.close()
  })

  test('what is no option is a usage error, and nothing is opened', async () => {
    const { client, streams } = await listening()
    const bad = [{ after: -1 }, { after: 1.5 }, { after: '1' }, { after: {} }, { after: { stream: 's', sequence: 1 } }]
    const more = [{ types: 'n' }, { types: [1] }, { carrier: 'ftp' }, { signal: 5 }]
    for (const options of [...bad, ...more]) {
      await assert.rejects(client.events(options).next(), { category: 'usage' }, JSON.stringify(options))
    }
    assert.throws(() => client.events(null), { code: 'ERR_INVALID_ARGUMENT' })
    assert.equal(streams.opened.length, 0)
    await client.signOut()
    await assert.rejects(client.events().next(), { code: 'ERR_NO_SESSION' })
    await client.close()
  })
}
