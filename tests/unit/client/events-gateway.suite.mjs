// SPDX-License-Identifier: MIT
// The client's events and the reference gateway, over real HTTP and WebSockets, under a policy of `connect-src 'self'`.

import { connect, emailEnrollment, memoryStore } from 'countersign'
import { HUNG_MS } from '../harness/wait.mjs'
import { CARRIERS, listen, live, until } from './listening.mjs'

const text = (bytes) => new TextDecoder().decode(bytes)

export const suite = (test, assert, env) => {
  const { gatewayUrl: url } = env

  /** A WebSocket for a Node that has none. */
  const sockets = async () => {
    if (typeof WebSocket === 'function') return {}
    const { WebSocket: Socket } = await import(`${'ws'}`)
    return { webSocket: (address, protocol) => new Socket(address, protocol) }
  }

  const signedIn = async (email = `${Math.random().toString(36).slice(2)}@example.com`) => {
    const { label, server_keys: keys } = await (await fetch(`${url}/.well-known/countersign.json`)).json()
    const serverKeys = keys.map(({ id, public_key: publicKey }) => ({ id, publicKey }))
    const options = { url, label, serverKeys, store: memoryStore(), timeoutMs: HUNG_MS, ...(await sockets()) }
    const client = await connect(options)
    const codeOf = async (challengeId) => {
      const outbox = await (await fetch(`${url}/dev/outbox?email=${encodeURIComponent(email)}`)).json()
      return outbox.find(({ challenge_id: id }) => id === challengeId).code
    }
    await emailEnrollment(client, { email, code: codeOf })
    const confirm = ({ challengeId }) => codeOf(challengeId)
    return { client, email, options, confirm }
  }

  for (const carrier of CARRIERS) {
    test(`${carrier}: what the gateway publishes arrives at every session of the user, in its order`, async () => {
      const { client: one, email } = await signedIn()
      const { client: two } = await signedIn(email)
      const heard = [listen(one.events({ carrier })), listen(two.events({ carrier }))]
      for (const client of [one, two]) await live(client)
      for (let number = 1; number <= 12; number++)
        await one.request('demo.publish', JSON.stringify({ text: `${number}` }), { idempotencyKey: `n${number}` })
      for (const { events, count } of heard) {
        await count(12)
        assert.deepEqual(
          events.map(({ type, sequence, payload }) => [type, sequence, JSON.parse(text(payload)).text]),
          Array.from({ length: 12 }, (_, at) => ['demo.note', at + 1, `${at + 1}`])
        )
      }
      assert.equal(one.connection.carrier, carrier)
      const { cursor } = heard[0].events[6]
      await heard[0].iterator.return()
      const again = listen(one.events({ carrier, after: cursor }))
      await again.count(5)
      assert.equal(again.events[0].sequence, 8)
      for (const client of [one, two]) await client.close()
    })

    test(`${carrier}: a session that is revoked hears of it on its stream`, async () => {
      const { client: one, email } = await signedIn()
      const { client: two } = await signedIn(email)
      const heard = listen(one.events({ carrier }))
      await live(one)
      await two.revoke(one.sessionId)
      await heard.ended()
      assert.equal(heard.error?.code, 'ERR_SESSION_REVOKED')
      assert.equal(one.state, 'revoked')
      for (const client of [one, two]) await client.close()
    })
  }

  /** A client that hears nothing from others. */
  const deaf = async (options) => {
    const { BroadcastChannel: Channel } = globalThis
    globalThis.BroadcastChannel = undefined
    try {
      return await connect(options)
    } finally {
      globalThis.BroadcastChannel = Channel
    }
  }

  for (const carrier of CARRIERS) {
    test(`${carrier}: a stream is opened with the key that counts, by a client who missed that it was replaced`, async () => {
      const { client: first, options, confirm } = await signedIn()
      const client = await deaf(options)
      const heard = listen(client.events({ carrier }))
      await live(client)
      await first.rotateKey({ confirm })
      await first.request('demo.publish', '{"text":"1"}')
      await heard.count(1)
      const { cursor } = heard.events[0]
      await heard.iterator.return()
      await client.request('demo.echo')
      await first.rotateKey({ confirm })
      await first.request('demo.publish', '{"text":"2"}')
      const again = listen(client.events({ carrier, after: cursor }))
      await again.count(1)
      assert.equal(again.events[0]?.sequence, 2)
      assert.equal(client.state, 'ready')
      await client.close()
      await first.close()
    })
  }

  test('auto takes server-sent events, the first that works here', async () => {
    const { client } = await signedIn()
    const heard = listen(client.events())
    await until(() => client.connection.state === 'live')
    assert.equal(client.connection.carrier, 'sse')
    await client.request('demo.publish', '{"text":"x"}')
    await heard.count(1)
    await client.close()
  })
}
