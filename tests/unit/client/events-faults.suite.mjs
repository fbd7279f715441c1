// SPDX-License-Identifier: MIT
// What must not reach a listener: events that are missing, repeated, early, somebody else's, forged, old.

import { makeStreamId } from './fake-streams.mjs'
import { CARRIERS, listen, listening, live, until } from './listening.mjs'

/** Once replaces what is sent for one event, the first time it is sent. */
const once = (streams, sequence, make) => {
  const { change } = streams
  let isDone = false
  streams.change = async (event, connection) => {
    if (isDone || event.sequence !== sequence) return change(event, connection)
    isDone = true
    return make(event, connection)
  }
}

export const suite = (test, assert) => {
  /** Faults: the error that refuses each, and what is sent in place of the third event of five. */
  const faults = (streams, gateway, stranger) => {
    const { frame } = streams
    return {
      'E12 a missing event': ['ERR_BAD_SEQUENCE', 'sequence', async () => []],
      'E12 a repeated event': [
        'ERR_BAD_SEQUENCE',
        'sequence',
        async (event) => [await frame({ ...event, sequence: 2, type: 'n' }), await frame(event)]
      ],
      'E12 events in another order': [
        'ERR_BAD_SEQUENCE',
        'sequence',
        async (event) => [await frame({ ...event, sequence: 4 }), await frame(event)]
      ],
      "E12 another session's event": [
        'ERR_WRONG_SESSION',
        'session',
        async (event) => [await frame({ ...event, session: 'C'.repeat(22) })]
      ],
      "E12 another stream's event": [
        'ERR_WRONG_STREAM',
        'sequence',
        async (event) => [await frame({ ...event, stream: makeStreamId() })]
      ],
      'E12 an event under a key nobody trusts': [
        'ERR_UNKNOWN_KEY',
        'signature',
        async (event) => [await frame({ ...event, keyId: 'k2' })]
      ],
      "E12 an event signed by a stranger in the server's name": [
        'ERR_BAD_SIGNATURE',
        'signature',
        async (event) => [await frame({ ...event, sign: stranger.sign })]
      ],
      'E12 another payload than was signed': [
        'ERR_PAYLOAD_MISMATCH',
        'payload_hash',
        async (event) => [await frame({ ...event, payload: 'to Rigel', sent: new Uint8Array([1]) })]
      ],
      'E12 a frame that is cut short': ['ERR_TRUNCATED', 'parse', async (event) => [(await frame(event)).slice(0, 60)]],
      'E12 a cs.time that names an event which never came': [
        'ERR_BAD_SEQUENCE',
        'sequence',
        async ({ session }) => [await frame({ type: 'cs.time', sequence: 3, session })]
      ],
      'E12 a cs.gap that goes back': [
        'ERR_BAD_SEQUENCE',
        'sequence',
        async ({ session }) => [
          await frame({ type: 'cs.gap', sequence: 2, session, payload: streams.position() }),
          ...(await Promise.all([1, 2].map((sequence) => frame({ type: 'n', sequence, session }))))
        ]
      ],
      'E12 an answer in place of an event': ['ERR_WRONG_DOMAIN', 'parse', async () => [gateway.anAnswer]]
    }
  }

  const names = Object.keys(faults({}, {}, {}))
  for (const carrier of CARRIERS) {
    for (const name of names) {
      test(`${name} is refused over ${carrier}, and the stream goes on as if nothing had been`, async () => {
        const { client, streams, gateway } = await listening()
        gateway.intercept = ((others) => async (exchange, answer) => {
          gateway.anAnswer ??= new Uint8Array(await (await answer()).arrayBuffer())
          return others(exchange, answer)
        })(gateway.intercept)
        const [code, stage, make] = faults(streams, gateway, await gateway.foreignKey())[name]
        const failed = []
        client.on('stage', (event) => {
          if (event.verdict === 'fail') failed.push(`${event.code} ${event.stage}`)
        })
        once(streams, 3, make)
        const heard = listen(client.events({ carrier }))
        await live(client)
        for (let number = 1; number <= 5; number++) streams.publish('n')
        await heard.count(5)
        assert.deepEqual(heard.got, ['n 1 ', 'n 2 ', 'n 3 ', 'n 4 ', 'n 5 '])
        assert.deepEqual(failed, [`${code} ${stage}`])
        assert.equal(client.state, 'ready')
        await client.close()
      })
    }
  }

  for (const carrier of ['sse', 'websocket']) {
    test(`E12 C6 a replayed cs.time hides no silence over ${carrier}, and says nothing about the time`, async () => {
      const { client, streams } = await listening()
      const codes = []
      client.on('stage', ({ verdict, code }) => verdict === 'fail' && codes.push(code))
      const heard = listen(client.events({ carrier }))
      await live(client)
      const { offsetMs, errorMs } = client.clock
      const [connection] = streams.connections
      const { session, last: sequence } = connection
      const old = await streams.frame({ type: 'cs.time', sequence, session, timestampMs: Date.now() - 60_000 })
      connection.send(old)
      await until(() => streams.opened.length === 2)
      await live(client)
      const [next] = streams.connections
      const fresh = await streams.frame({ type: 'cs.time', sequence, session })
      next.send(fresh, fresh)
      await until(() => streams.opened.length === 3)
      assert.deepEqual(codes, ['ERR_BAD_SEQUENCE', 'ERR_BAD_SEQUENCE'])
      assert.ok(Math.abs(client.clock.offsetMs - offsetMs) <= errorMs + 50)
      streams.publish('n')
      await heard.count(1)
      await client.close()
    })

    test(`events before the answer, or behind the answer to another request, are nobody's over ${carrier}`, async () => {
      const { client, streams, gateway } = await listening()
      const codes = []
      client.on('stage', ({ verdict, code }) => verdict === 'fail' && codes.push(code))
      let fault = async ({ sequence = 1 }) => [await streams.frame({ type: 'n', sequence })]
      const others = gateway.intercept
      gateway.intercept = async (exchange, answer) => {
        if (exchange.messageType !== 'cs.subscribe' || !fault) return others(exchange, answer)
        const wrong = await fault(exchange)
        fault = fault.next
        return others(exchange, async () => new Response(wrong[0]))
      }
      fault.next = async () => {
        const signingInput = gateway.core.responseSigningInput({
          label: gateway.label,
          requestId: 'another',
          timestampMs: Date.now(),
          resultCode: 'ok',
          payloadHash: gateway.core.sha256(new Uint8Array(0))
        })
        return [gateway.core.buildFrame({ signingInput, keyId: 'k1', signature: await gateway.sign(signingInput) })]
      }
      const heard = listen(client.events({ carrier }))
      await live(client)
      assert.deepEqual(codes, ['ERR_WRONG_DOMAIN', 'ERR_WRONG_REQUEST_ID'])
      streams.publish('n')
      await heard.count(1)
      await client.close()
    })
  }

  test('E12 what was still being verified when its listener left is not the next listener’s, and makes nothing live', async () => {
    const { client, gateway, streams } = await listening()
    const next = await gateway.foreignKey()
    const notAfter = Math.floor(gateway.now()) + 24 * 3600 * 1000
    const key = { id: 'k2', public_key: btoa(String.fromCharCode(...next.publicKey)), not_after: notAfter }
    let answerKeys
    const { intercept } = gateway
    gateway.intercept = async (exchange, answer) => {
      if (exchange.messageType !== 'cs.keys') return intercept(exchange, answer)
      await new Promise((resolve) => {
        answerKeys = resolve
      })
      return answer({ payload: JSON.stringify({ serial: 1, keys: [key] }) })
    }
    once(streams, 5, async (event) => [await streams.frame({ ...event, keyId: 'k2', sign: next.sign })])
    for (let number = 1; number <= 4; number++) streams.publish('n')
    const leaving = client.events()
    const heard = listen(leaving)
    await live(client)
    streams.publish('n')
    await until(() => answerKeys, 'the question for a key')
    await leaving.return()
    // The next one's subscription, or its question to follow by, is not answered yet when the key comes.
    let answerStream
    const hold = () =>
      new Promise((resolve) => {
        answerStream = resolve
      })
    streams.blocked = { sse: hold, poll: hold }
    const following = listen(client.events({ after: 0 }))
    await until(() => answerStream, 'the next subscription')
    answerKeys()
    await new Promise((resolve) => setTimeout(resolve, 100))
    assert.deepEqual([following.got, client.connection.state], [[], 'connecting'])
    streams.blocked = {}
    answerStream()
    await following.count(5)
    assert.deepEqual(
      following.events.map(({ sequence }) => sequence),
      [1, 2, 3, 4, 5]
    )
    assert.deepEqual(heard.got, [])
    await client.close()
  })
}
