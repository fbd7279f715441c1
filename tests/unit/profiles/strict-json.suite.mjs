// SPDX-License-Identifier: MIT
// The reader of JSON as WebAssembly against a reader that shares nothing with it: verdict, value bytes and canonical text of
// any bodies, whole and mutated. COUNTERSIGN_LONG=1 takes a million.
import { JsonCore, loadJsonCore } from '../../../dist/profiles/common/json-core.js'
import { concat, utf8 } from '../harness/bytes.mjs'
import { randomOf } from '../harness/random.mjs'
import { anyBody, bodyOfCase, canonicalOf, mutated, readStrict } from '../harness/strict-json.mjs'

const TAG = '0'.repeat(64)
const RULES = { nowMs: 1_752_748_200_000, maxAgeMs: 30_000, skewMs: 5000, mode: 'bare' }
const ACTION = '"action_type":"a","timestamp":"2025-07-17T10:30:00Z"'
const decode = (bytes) => new TextDecoder().decode(bytes)

/** The canonical text of a body as the strict message of an event has it: behind a label, before the other member. */
const canonicalBy = (core, body) => {
  const event = concat(utf8(`{"signature":"${TAG}","deviceId":"d","data":[`), body, utf8(']}'))
  const { verdict, claims } = core.event(event, 'strict', { deviceId: 'd', isStrong: true })
  if (verdict !== 'ok') return verdict
  const text = decode(claims[0].message)
  return text.slice('\u000estats-event-v2{"data":['.length, -'],"deviceId":"d"}'.length)
}

/** The bytes of a body as a proof that was read has them. */
const sliceBy = (core, body) => {
  const proof = concat(utf8(`{"action_proof":{"nonce":"12345678","action_data": `), body)
  const read = core.proofs(concat(proof, utf8(` ,${ACTION},"expected_points":1}}`)), RULES)
  if (read?.proofs[0].verdict !== 'ok') return undefined
  const text = decode(read.proofs[0].message)
  return text.slice(`{${ACTION},"action_data":`.length, -',"expected_points":1,"nonce":"12345678"}'.length)
}

export const suite = (test, assert, env) => {
  const isNode = env.runtime === 'node'
  const count = !isNode ? 1000 : process.env.COUNTERSIGN_LONG ? 1_000_000 : 20_000

  test('H38 R173 every document of JSONTestSuite is read or refused as the rules say', async () => {
    const core = await loadJsonCore()
    assert.ok(core instanceof JsonCore)
    const { cases } = await env.vectors('json-test-suite.json')
    assert.equal(cases.length, 340)
    for (const entry of cases) assert.equal(core.isJson(bodyOfCase(entry)), entry.strict, entry.name)
  })

  test(`H38 R173 R174 R175 ${count} bodies, half of them mutated, have one verdict, one text and their own bytes`, async () => {
    const core = await loadJsonCore()
    const random = randomOf('bodies for WebAssembly')
    let accepted = 0
    for (let at = 0; at < count; at++) {
      const whole = utf8(anyBody(random))
      const body = at % 2 ? mutated(whole, random) : whole
      const read = readStrict(body)
      if (core.isJson(body) !== (read !== undefined)) assert.equal(core.isJson(body), !!read, decode(body))
      if (!read) continue
      accepted++
      const canonical = canonicalOf(read.value)
      // An event may not have this name: JavaScript once gave it a meaning of its own.
      const expected = canonical.includes('"__proto__":') ? 'malformed' : canonical
      const made = canonicalBy(core, body)
      if (made !== expected) assert.equal(made, expected, decode(body))
      const slice = sliceBy(core, body)
      if (slice !== decode(body).trim()) assert.equal(slice, decode(body).trim())
    }
    assert.ok(accepted > 0.3 * count && accepted < 0.9 * count, `${accepted}`)
  })

  test('R173 64 levels and 16 MiB are read, and no more', async () => {
    const core = await loadJsonCore()
    const nested = (depth) => utf8('['.repeat(depth) + ']'.repeat(depth))
    assert.deepEqual([core.isJson(nested(64)), core.isJson(nested(65))], [true, false])
    const spaces = (size) => new Uint8Array(size).fill(0x20).fill(0x30, 0, 1)
    assert.deepEqual([core.isJson(spaces(2 ** 24)), core.isJson(spaces(2 ** 24 + 1))], [true, false])
    assert.equal(core.isJson(utf8('[]')), true)
  })

  test('R174 a number has no limit of digits, and is refused where its double would be infinite', async () => {
    const core = await loadJsonCore()
    const good = [
      '1e00001',
      '1e-99999',
      '0e99999',
      '9'.repeat(308),
      `0.${'3'.repeat(2000)}`,
      `1${'0'.repeat(400)}e-400`
    ]
    good.push('1.7976931348623158e308', `1e-${'9'.repeat(400)}`, `1e+${'0'.repeat(400)}1`)
    for (const text of good) {
      assert.equal(core.isJson(utf8(text)), true, text)
      assert.equal(canonicalBy(core, utf8(text)), JSON.stringify(Number(text)), text)
    }
    const bad = ['1e400', '-1e400', '1.7976931348623159e308', '9'.repeat(309), `1e${'9'.repeat(400)}`, '01', '1.', '.1']
    for (const text of bad) assert.equal(core.isJson(utf8(text)), false, text)
  })

  test('R175 a million doubles, or a part of them, are written as String(number) writes them', async () => {
    const core = await loadJsonCore()
    const random = randomOf('doubles for WebAssembly')
    const view = new DataView(new ArrayBuffer(8))
    for (let left = count; left > 0; left -= 100) {
      const numbers = Array.from({ length: 100 }, (_, at) => {
        view.setUint32(0, random.next())
        view.setUint32(4, random.next())
        const any = view.getFloat64(0)
        return at % 2 && Number.isFinite(any) ? any : random.below(10 ** 9) * 10 ** (random.below(40) - 20)
      })
      // 17 digits are enough to name a double, and more than the shortest text has.
      const text = numbers.map((number) => number.toExponential(16)).join(',')
      assert.equal(canonicalBy(core, utf8(text)), numbers.map(String).join(','))
    }
  })
}
