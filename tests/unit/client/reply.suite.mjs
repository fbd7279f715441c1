// SPDX-License-Identifier: MIT
// JSON in and out of a call: `{ json }`, and what a reply is read as.

import { enrolled, faults } from './fixture.mjs'

export const suite = (test, assert) => {
  test('reply: a value goes out as JSON and comes back as one', async () => {
    const { client } = await enrolled()
    for (const value of [{ x: 1, name: 'grüß 😀' }, [], 'text', 0, false, null, { toJSON: () => 7 }]) {
      const reply = await client.request('demo.echo', { json: value })
      assert.deepEqual(reply.json(), JSON.parse(JSON.stringify(value)))
      assert.equal(reply.text(), JSON.stringify(value))
      assert.equal(reply.bytes, reply.payload)
      assert.equal(reply.ok, true)
    }
    // JSON has an escape for a lone surrogate, so nothing is lost.
    assert.equal((await client.request('demo.echo', { json: '\ud800' })).json(), '\ud800')
  })

  test('reply: what is no JSON value is a usage error, and nothing is sent', async () => {
    const { client, gateway } = await enrolled()
    const round = {}
    round.again = round
    const sent = gateway.seen.length
    for (const payload of [
      { json: undefined },
      { json: () => 1 },
      { json: Symbol('s') },
      { json: 5n },
      { json: round },
      { json: 1, text: 'x' }
    ]) {
      await assert.rejects(client.request('demo.echo', payload), { code: 'ERR_INVALID_ARGUMENT', category: 'usage' })
      await assert.rejects(client.sign('demo.echo', payload), { code: 'ERR_INVALID_ARGUMENT' })
    }
    await assert.rejects(client.request('demo.echo', { payload: 1 }), { code: 'ERR_INVALID_ARGUMENT' })
    await assert.rejects(client.request('demo.echo', { json: 'x'.repeat(20_000_000) }), {
      code: 'ERR_PAYLOAD_TOO_LARGE'
    })
    assert.equal(gateway.seen.length, sent)
  })

  test('reply: an own code is not ok and resolves; no JSON is ERR_BAD_JSON, and text is always text', async () => {
    const { client } = await enrolled()
    const refused = await client.request('demo.fail')
    assert.deepEqual([refused.ok, refused.resultCode], [false, 'refused'])
    const bytes = await client.request('demo.echo', Uint8Array.of(0xff, 0x7b))
    assert.throws(() => bytes.json(), { code: 'ERR_BAD_JSON' })
    assert.equal(bytes.text(), '\ufffd{')
    const empty = await client.request('demo.echo')
    assert.throws(() => empty.json(), { code: 'ERR_BAD_JSON' })
    assert.equal(empty.text(), '')
  })

  test('R66 reply: unknown_type is ERR_UNKNOWN_TYPE, for request and for open', async () => {
    const { client, gateway } = await enrolled()
    const unknown = { code: 'ERR_UNKNOWN_TYPE', stage: 'handler', retry: 'never', resultCode: 'unknown_type' }
    faults(gateway, [(_, answer) => answer({ resultCode: 'unknown_type' })])
    await assert.rejects(client.request('demo.echo'), unknown)
    const { frame, requestId } = await client.sign('demo.echo', { json: 1 })
    faults(gateway, [(_, answer) => answer({ resultCode: 'unknown_type' })])
    const answer = await gateway.fetch(`${gateway.origin}/exchange`, {
      method: 'POST',
      headers: { 'content-type': 'application/vnd.countersign.v1' },
      body: frame
    })
    await assert.rejects(client.open(new Uint8Array(await answer.arrayBuffer()), { requestId }), unknown)
    assert.equal(client.state, 'ready')
  })
}
