// SPDX-License-Identifier: MIT
// Text fields, names and spellings through the JavaScript core: rows A2 to A5, A10, A13, A14 and A17 of the threats.

import { loadCore } from 'countersign/core'
import { concat, toHex, utf8 } from '../harness/bytes.mjs'
import {
  answerFrame,
  KINDS,
  makeServerKey,
  sampleFields,
  signingInputOf,
  TEXTS,
  writeSigningInput
} from './reference.mjs'

export const suite = (test, assert) => {
  test('A2 each of the 256 bytes in each text field, first, middle and last: legal and unambiguous, or refused', async () => {
    const core = await loadCore()
    for (const kind of KINDS) {
      for (const name of TEXTS[kind]) {
        for (let code = 0; code < 256; code++) {
          const character = String.fromCharCode(code)
          for (const text of [`${character}ab`, `a${character}b`, `ab${character}`]) {
            const note = `${kind}.${name} U+${code.toString(16)}`
            const write = () => writeSigningInput(core, kind, sampleFields(kind, { [name]: text }))
            if (code < 0x20 || code === 0x7f) assert.throws(write, { code: 'ERR_INVALID_TEXT' }, note)
            else assert.equal(core.parseSigningInput(write())[name], text, note)
          }
        }
      }
    }
  })

  test('A2 A5 bytes that are no text, in each text field of a message: refused at parse', async () => {
    const core = await loadCore()
    const bad = [
      ...Array.from({ length: 32 }, (_, code) => [code]),
      ...[
        [0x7f],
        [0x80],
        [0xbf],
        [0xc0, 0x80],
        [0xc1, 0xbf],
        [0xe0, 0x80, 0x80],
        [0xe0, 0x9f, 0xbf],
        [0xed, 0xa0, 0x80]
      ],
      ...[
        [0xed, 0xbf, 0xbf],
        [0xf0, 0x80, 0x80, 0x80],
        [0xf0, 0x8f, 0xbf, 0xbf],
        [0xf4, 0x90, 0x80, 0x80],
        [0xf5, 0x80]
      ],
      ...[
        [0xff],
        [0xfe],
        [0xc3],
        [0xe2, 0x82],
        [0xf0, 0x9f, 0x91],
        [0xc3, 0x28],
        [0xe2, 0x28, 0xa1],
        [0xf0, 0x28, 0x8c, 0xbc]
      ]
    ]
    for (const kind of KINDS) {
      for (const name of TEXTS[kind]) {
        for (const bytes of bad) {
          const fields = sampleFields(kind, { [name]: concat(utf8('a'), bytes) })
          const note = `${kind}.${name} ${toHex(Uint8Array.from(bytes))}`
          assert.throws(
            () => core.parseSigningInput(signingInputOf(kind, fields)),
            { code: 'ERR_BAD_TEXT', stage: 'parse' },
            note
          )
        }
      }
    }
  })

  test('A3 one text in two normal forms is two texts', async () => {
    const core = await loadCore()
    for (const text of ['é', 'Å', 'ñ', '가', 'ﬁ', 'Ω', '①', 'ẛ̣', '\u1e9b\u0323', 'K']) {
      const forms = ['NFC', 'NFD', 'NFKC', 'NFKD'].map((form) => text.normalize(form))
      const inputs = forms.map((form) =>
        toHex(core.requestSigningInput(sampleFields('request', { messageType: form })))
      )
      assert.equal(new Set(inputs).size, new Set(forms).size, text)
    }
  })

  test('A4 lone surrogates are refused before the core sees them, wherever they stand', async () => {
    const core = await loadCore()
    const lone = [
      '\ud800',
      '\udc00',
      '\udbff',
      '\udfff',
      '\udc00\ud800',
      'a\ud800',
      '\ud800a',
      '\ud83d\ud83d\udc4b',
      '\ud83d\udc4b\udc4b'
    ]
    for (const kind of KINDS) {
      for (const name of TEXTS[kind]) {
        for (const text of lone) {
          const write = () => writeSigningInput(core, kind, sampleFields(kind, { [name]: text }))
          assert.throws(write, { code: 'ERR_INVALID_TEXT' }, `${kind}.${name}`)
        }
      }
    }
    const request = sampleFields('request')
    assert.throws(() => core.replayKey('demo', '\ud800', 'id'), { code: 'ERR_INVALID_TEXT' })
    assert.throws(() => core.bindRequestId({ ...request, messageType: '\udc00' }), { code: 'ERR_INVALID_TEXT' })
    const parts = { signingInput: new Uint8Array(1), signature: new Uint8Array(64) }
    assert.throws(() => core.buildFrame({ ...parts, keyId: '\ud800' }), { code: 'ERR_INVALID_TEXT' })
  })

  test('A4 well-formed text of every plane is written as TextEncoder writes it', async () => {
    const core = await loadCore()
    for (const point of [
      0x20, 0x7e, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xfeff, 0xfffd, 0xffff, 0x10000, 0x1f44b, 0x10ffff
    ]) {
      const text = `x${String.fromCodePoint(point)}`
      const input = core.requestSigningInput(sampleFields('request', { messageType: text }))
      assert.deepEqual(input, signingInputOf('request', sampleFields('request', { messageType: text })))
      assert.equal(core.parseSigningInput(input).messageType, text)
    }
  })

  test('A6 text of 1 to 128 bytes, counted in UTF-8: 0, 129, 2^16 are refused', async () => {
    const core = await loadCore()
    const write = (text) => core.requestSigningInput(sampleFields('request', { messageType: text }))
    for (const text of ['a', 'a'.repeat(127), 'a'.repeat(128), 'é'.repeat(64), '漢'.repeat(42), '👋'.repeat(32)]) {
      assert.equal(core.parseSigningInput(write(text)).messageType, text)
    }
    for (const text of [
      '',
      'a'.repeat(129),
      'é'.repeat(65),
      `a${'é'.repeat(64)}`,
      '漢'.repeat(43),
      '👋'.repeat(33),
      'a'.repeat(65_536)
    ]) {
      assert.throws(() => write(text), { code: 'ERR_INVALID_TEXT' }, `${text.length}`)
    }
  })

  test('A10 fields named like parts of Object.prototype are text like any other, and nothing is added to it', async () => {
    const core = await loadCore()
    const before = Reflect.ownKeys(Object.prototype).join()
    for (const name of ['__proto__', 'constructor', 'hasOwnProperty', 'toString', 'prototype', '__defineGetter__']) {
      for (const kind of KINDS) {
        for (const text of TEXTS[kind]) {
          const fields = sampleFields(kind, { [text]: name })
          assert.deepEqual(core.parseSigningInput(writeSigningInput(core, kind, fields)), { kind, ...fields })
        }
      }
      const own = JSON.parse(`{"${name}":1}`)
      assert.throws(() => core.requestSigningInput(own), { category: 'usage' }, name)
      assert.throws(() => core.openResponse(new Uint8Array(), own), { category: 'usage' }, name)
    }
    assert.equal(Reflect.ownKeys(Object.prototype).join(), before)
  })

  test('A13 a key in base64 has one spelling: standard alphabet, padded, zero tail bits, nothing around it', async () => {
    const core = await loadCore()
    const key = await makeServerKey('k')
    const frame = await answerFrame(core, key)
    const open = (publicKey) =>
      core.openResponse(frame, { label: 'demo', keys: [{ id: 'k', publicKey }], requestId: 'request' })
    const text = btoa(String.fromCharCode(...key.publicKey))
    assert.equal(open(text).resultCode, 'ok')
    const invalid = { code: 'ERR_INVALID_ARGUMENT' }
    const bare = text.slice(0, 43)
    const wrong = [
      '',
      bare,
      `${bare}==`,
      `${text}=`,
      ` ${text}`,
      `${text} `,
      `${text}\n`,
      `${text.slice(0, 9)}\n${text.slice(9)}`
    ]
    for (const spelling of wrong) assert.throws(() => open(spelling), invalid, JSON.stringify(spelling))
    // 32 bytes leave two bits of the last character unused.
    const characters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
    for (const last of characters) {
      if (characters.indexOf(last) % 4 === 0) continue
      assert.throws(() => open(`${text.slice(0, 42)}${last}=`), invalid, last)
    }
    const withBoth = btoa(String.fromCharCode(...new Uint8Array(32).fill(0xfb)))
    assert.ok(withBoth.includes('+'))
    assert.throws(() => open(withBoth.replaceAll('+', '-').replaceAll('/', '_')), invalid)
  })

  test('A14 a hash is 32 raw bytes: its hexadecimal text, and every other size, is refused', async () => {
    const core = await loadCore()
    const hash = core.sha256(new Uint8Array())
    for (const payloadHash of [
      toHex(hash),
      utf8(toHex(hash)),
      hash.slice(1),
      concat(hash, [0]),
      new Uint8Array(),
      null
    ]) {
      const invalid = { code: 'ERR_INVALID_ARGUMENT' }
      assert.throws(() => core.requestSigningInput(sampleFields('request', { payloadHash })), invalid)
      assert.throws(() => core.responseSigningInput(sampleFields('response', { payloadHash })), invalid)
    }
    for (const size of [0, 31, 33, 64]) {
      const input = signingInputOf('request', sampleFields('request', { payloadHash: new Uint8Array(size) }))
      assert.throws(() => core.parseSigningInput(input), { code: 'ERR_BAD_FIELD_SIZE', stage: 'parse' }, `${size}`)
    }
  })

  test('A17 an absent idempotency key and an empty one are different; an empty one is refused', async () => {
    const core = await loadCore()
    const head = 'USLPqssiicgkgzjaWf3CGQ'
    const begin = (requestId) => core.beginRequest(sampleFields('request', { requestId }))
    assert.notDeepEqual(begin(head).signingInput, begin(`${head}~k`).signingInput)
    for (const bad of [
      `${head}~`,
      `${head}~a~b`,
      `${head}~a.b`,
      `${head}~${'k'.repeat(65)}`,
      head.slice(1),
      `${head}A`,
      `${head}.`,
      '~k'
    ]) {
      assert.throws(() => begin(bad), { category: 'usage' }, bad)
    }
  })
}
