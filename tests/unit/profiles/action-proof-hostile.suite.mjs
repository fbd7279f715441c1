// SPDX-License-Identifier: MIT
// Action proofs that nobody honest sends: bodies two readers could read as two, prefixes, mutations.

import { createProof, importSecret, verifyProof } from 'countersign/action-proof'
import { utf8 } from '../harness/bytes.mjs'

const good = {
  actionType: 'puzzle_complete',
  timestamp: 1_752_748_200_000,
  actionData: { a: 1 },
  expectedPoints: 1,
  nonce: 'n'.repeat(8)
}

export const suite = (test, assert, env) => {
  test('A8 A9 A10 A11 A12 bodies that two readers could read as two are malformed', async () => {
    const secret = await importSecret('s'.repeat(32))
    const { text } = await createProof(secret, good)
    const bodies = [
      '',
      '[]',
      '{}',
      'null',
      '{"action_proof":1}',
      '{"action_proof":[]}',
      '{"action_proof":{}}',
      `\ufeff${text}`,
      `${text}x`,
      `${text}${text}`,
      text.slice(0, -1),
      text.replace('{"a":1}', '{"a":1,"a":1}'),
      text.replace('{"a":1}', '{"a":1,"\\u0061":1}'),
      text.replace('"action_proof":', '"action_proof":1,"action_proof":'),
      text.replace('{"a":1}', '1e400'),
      text.replace('{"a":1}', '01'),
      text.replace('{"a":1}', '"\\ud800"'),
      text.replace('{"a":1}', '"\\x"'),
      text.replace('{"a":1}', '"\n"'),
      text.replace('{"a":1}', `${'['.repeat(100_000)}`),
      text.replace('{"a":1}', `${'['.repeat(65)}${']'.repeat(65)}`),
      text.replace('"expected_points":1', '"expected_points":"1"'),
      text.replace('"expected_points":1', '"expected_points":null'),
      text.replace(/"client_signature":"[0-9a-f]+"/, '"client_signature":null')
    ]
    for (const body of bodies) {
      for (const mode of ['slices', 'excise']) {
        const verdict = await verifyProof(body, { secret, nowMs: good.timestamp, mode })
        assert.deepEqual(verdict, { ok: false, reason: 'malformed' }, body.slice(0, 80))
      }
    }
    assert.deepEqual(await verifyProof(Uint8Array.of(0x7b, 0xff, 0x7d), { secret, nowMs: 1 }), {
      ok: false,
      reason: 'malformed'
    })
    const polluting = await createProof(secret, { ...good, actionData: { constructor: 1, toString: 2 } })
    assert.equal((await verifyProof(polluting.text, { secret, nowMs: good.timestamp })).ok, true)
    const proto = text.replace('{"a":1}', '{"__proto__":{"x":1}}')
    assert.equal((await verifyProof(proto, { secret, nowMs: good.timestamp })).ok, false)
    assert.equal({}.x, undefined)
  })

  test('every prefix, and 10,000 mutations: nothing is accepted', async () => {
    const secret = await importSecret('s'.repeat(32))
    const { text } = await createProof(secret, { ...good, actionData: { s: 'é✓', n: [1.5, -0, null] } })
    const bytes = utf8(text)
    const options = { secret, nowMs: good.timestamp }
    for (let end = 0; end < bytes.length; end++) {
      assert.equal((await verifyProof(bytes.slice(0, end), options)).ok, false, `${end}`)
    }
    const rounds = env.runtime === 'node' ? 10_000 : 1_000
    let state = 3
    const reasons = new Set()
    for (let round = 0; round < rounds; round++) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      const changed = bytes.slice()
      changed[state % bytes.length] ^= 1 << ((state >>> 16) % 8)
      const verdict = await verifyProof(changed, { ...options, mode: round % 2 ? 'slices' : 'excise' })
      assert.equal(verdict.ok, false, new TextDecoder().decode(changed))
      reasons.add(verdict.reason)
    }
    assert.deepEqual([...reasons].sort(), ['malformed', 'signature', 'stale'])
  })
}
