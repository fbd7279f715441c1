// SPDX-License-Identifier: MIT
// countersign/json: values in and out, and the refusal of an input with its paths (R154).

import { jsonClient } from 'countersign/json'
import { enrolled, faults } from '../client/fixture.mjs'

export const suite = (test, assert) => {
  test('jsonClient sends a value and reads the answer as one', async () => {
    const { client, gateway } = await enrolled()
    const json = jsonClient(client)
    const reply = await json.request('demo.echo', { to: [1, 'ü'] }, { idempotencyKey: 'one' })
    assert.deepEqual([reply.ok, reply.json()], [true, { to: [1, 'ü'] }])
    assert.ok(gateway.seen.at(-1).requestId.includes('~one.'))
    assert.equal((await json.request('demo.echo')).payload.length, 0)
    const refused = await json.request('demo.fail', null)
    assert.deepEqual([refused.ok, refused.resultCode], [false, 'refused'])
    for (const value of [undefined, null, {}, 'client'])
      assert.throws(() => jsonClient(value), { code: 'ERR_INVALID_ARGUMENT' })
  })

  test('R154 a signed cs.bad_request is ERR_BAD_REQUEST, with the paths of its issues', async () => {
    const { client, gateway } = await enrolled()
    const refusedWith = async (payload) => {
      faults(gateway, [(_, answer) => answer({ resultCode: 'cs.bad_request', payload })])
      return assert.rejects(client.request('demo.echo', { json: 1 }), {
        code: 'ERR_BAD_REQUEST',
        stage: 'handler',
        retry: 'never',
        resultCode: 'cs.bad_request'
      })
    }
    const issues = [{ path: ['to', 0, '*'] }, { path: [] }]
    assert.deepEqual((await refusedWith(JSON.stringify({ issues }))).issues, issues)
    for (const bad of ['{}', '[]', '{"issues":7}', 'x']) assert.equal((await refusedWith(bad)).issues, undefined, bad)
    assert.equal(client.state, 'ready')
  })
}
