// SPDX-License-Identifier: MIT
// The explainer: the first field and byte that differ, and each cause of its table on a pair that was made by it.

import { loadCore } from 'countersign/core'
import { causes, explain, explainKey, keyReadings } from 'countersign/explain'
import { utf8 } from '../harness/bytes.mjs'

export const suite = (test, assert) => {
  const core = () => loadCore()
  const pairs = [
    ['bom', '{"a":1}', '\ufeff{"a":1}'],
    ['crlf', 'a\nb', 'a\r\nb'],
    ['trailing_space', '{"a":1}', '{"a":1}\n'],
    ['white_space', '{"a":[1,"b c"]}', '{ "a": [1, "b c"] }'],
    ['float_spelling', '{"a":45.2,"b":100}', '{"a":45.20,"b":1e2}'],
    ['escaped_unicode', '{"a":"é"}', '{"a":"\\u00e9"}'],
    ['escaped_slash', '{"a":"x/y"}', '{"a":"x\\/y"}'],
    ['member_order', '{"a":1,"b":2}', '{"b":2,"a":1}'],
    ['re_serialised', '{"a":45.0,"b":1}', '{"a": 45,"b":1}'],
    ['base64_alphabet', '-_-_AA', '+/+/AA=='],
    ['hex_case', 'deadbeef01', 'DEADBEEF01'],
    ['seconds', '1700000000123', '1700000000'],
    ['unicode_form', 'caf\u00e9', 'cafe\u0301'],
    ['mojibake', 'é✓', 'Ã©â\u009c\u0093'],
    ['percent_encoding', '/a%20b?c=%C3%A9', '/a b?c=é'],
    ['trailing_slash', '/orders', '/orders/'],
    ['cut_off', 'abcdef', 'abc'],
    ['longer', 'abc', 'abcdef']
  ]

  test('M3 each cause is found on a pair it made, either way round', async () => {
    const found = new Set()
    for (const [name, signed, received] of pairs) {
      for (const [left, right] of [
        [signed, received],
        [received, signed]
      ]) {
        const { isSame, part, cause } = explain(await core(), utf8(left), utf8(right))
        const wanted = { cut_off: 'longer', longer: 'cut_off' }[name]
        const isTurned = left === received && wanted !== undefined
        assert.deepEqual([isSame, part, cause?.name], [false, 'bytes', isTurned ? wanted : name], name)
        assert.equal(cause.text, causes[cause.name])
      }
      found.add(name)
    }
    // The others are of fields and keys, below.
    const rest = Object.keys(causes).filter((name) => !found.has(name))
    assert.deepEqual(rest.sort(), ['key_text', 'wrong_kind', 'wrong_label'])
  })

  test('the same is the same; other bytes have a place and no cause', async () => {
    assert.deepEqual(explain(await core(), utf8('x'), utf8('x')), { isSame: true })
    const { part, offset, cause } = explain(await core(), utf8('abcdef'), utf8('abXdef'))
    assert.deepEqual([part, offset, cause], ['bytes', 2, undefined])
    // Deeper than a stack is, and longer than one, and the same all the same.
    const deep = (space) => utf8(`${'['.repeat(100_000)}${space}${']'.repeat(100_000)}`)
    assert.equal(explain(await core(), deep(''), deep(' ')).offset, 100_000)
    const long = (space) => utf8(`["${'a'.repeat(1_000_000)}\\u00e9"${space}]`)
    assert.equal(explain(await core(), long(''), long(' ')).cause.name, 'white_space')
    assert.throws(() => explain(null, utf8('x'), utf8('x')), { category: 'usage' })
    for (const wrong of [undefined, 'text', 7])
      assert.throws(() => explain({}, wrong, utf8('x')), { category: 'usage' })
  })

  test('frames are compared field by field: label, time, type, payload before its hash', async () => {
    const made = await core()
    const frameOf = (changes = {}, payload = '{"amount":45.0}') => {
      const fields = {
        label: 'shop',
        deviceSessionId: 's'.repeat(22),
        messageType: 'cart.add',
        timestampMs: 1_700_000_000_000,
        requestId: 'r'.repeat(22),
        payloadHash: made.sha256(utf8(payload)),
        ...changes
      }
      const signingInput = made.requestSigningInput(fields)
      return made.buildFrame({ signingInput, keyId: '', signature: new Uint8Array(64), payload: utf8(payload) })
    }
    const differ = (changes, payload) => {
      const { part, cause } = explain(made, frameOf(), frameOf(changes, payload))
      return [part, cause?.name]
    }
    assert.deepEqual(differ({ label: 'shop-staging' }), ['label', 'wrong_label'])
    assert.deepEqual(differ({ timestampMs: 1_700_000_000 }), ['timestampMs', 'seconds'])
    assert.deepEqual(differ({ messageType: 'cart.add/' }), ['messageType', 'trailing_slash'])
    assert.deepEqual(differ({}, '{"amount":45}'), ['payload', 'float_spelling'])
    assert.deepEqual(differ({ payloadHash: new Uint8Array(32) }), ['payloadHash', undefined])
    const answer = made.responseSigningInput({
      label: 'shop',
      requestId: 'r',
      timestampMs: 1,
      resultCode: 'ok',
      payloadHash: new Uint8Array(32)
    })
    const other = made.parseFrame(frameOf()).signingInput
    assert.equal(explain(made, other, answer).isSame, false)
  })

  test('M3 a tag that does not fit is traced to another reading of the key', async () => {
    const made = await core()
    const message = utf8('message')
    const text = ` ${'0123456789abcdef'.repeat(4)}\n`
    const hmac = (key) => made.hmacSha256(key, message)
    const seen = new Set()
    for (const [name, key] of keyReadings(text)) {
      const cause = await explainKey(text, hmac(key), hmac)
      if (name === 'the text itself') assert.equal(cause, undefined)
      else {
        assert.equal(cause.name, 'key_text')
        seen.add(cause.text)
      }
    }
    assert.equal(seen.size >= 4, true)
    assert.equal(await explainKey(text, new Uint8Array(32), hmac), undefined)
  })
}
