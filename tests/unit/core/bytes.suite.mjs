// SPDX-License-Identifier: MIT
// Canonical bytes and parsing through the JavaScript core: the rows A1 to A18 of the threats that concern them.

import { loadCore } from 'countersign/core'
import { concat, seeded, toHex, utf8 } from '../harness/bytes.mjs'
import {
  answerFrame,
  field,
  KINDS,
  makeServerKey,
  sampleFields,
  signingInputOf,
  TEXTS,
  uvarint,
  writeSigningInput
} from './reference.mjs'

const MAX_TIME = Number.MAX_SAFE_INTEGER
const ALPHABET = [
  'a',
  'b',
  '-',
  '.',
  '~',
  ' ',
  '=',
  'é',
  'e\u0301',
  'Å',
  'A\u030a',
  '漢',
  '👋',
  '\u0080',
  '\u009f',
  '\ufeff',
  '\u2028'
]

const randomText = (random) => {
  let text = ''
  const length = 1 + random.below(8)
  for (let index = 0; index < length; index++) text += random.pick(ALPHABET)
  return text
}

const randomFields = (random, kind) => {
  const fields = sampleFields(kind, {
    label: random.pick(['a', 'demo', 'a-request-v1', 'x.y-z', `z${'9'.repeat(31)}`])
  })
  for (const name of TEXTS[kind]) fields[name] = randomText(random)
  if ('timestampMs' in fields) fields.timestampMs = random.pick([0, 1, 2 ** 32, MAX_TIME, random.next()])
  if ('sequence' in fields) fields.sequence = random.pick([0, 1, 2 ** 32 - 1, MAX_TIME])
  if ('payloadHash' in fields) fields.payloadHash = random.bytes(32)
  if ('algorithm' in fields) fields.algorithm = random.pick(['ed25519', 'es256'])
  if ('publicKey' in fields) fields.publicKey = random.bytes(fields.algorithm === 'es256' ? 65 : 32)
  return fields
}

export const suite = (test, assert) => {
  test('A1 writing and parsing are inverse, and different fields never make the same bytes', async () => {
    const core = await loadCore()
    const random = seeded(0xa1)
    const seen = new Map()
    for (let round = 0; round < 3000; round++) {
      const kind = random.pick(KINDS)
      const fields = randomFields(random, kind)
      const input = writeSigningInput(core, kind, fields)
      assert.deepEqual(input, signingInputOf(kind, fields))
      assert.deepEqual(core.parseSigningInput(input), { kind, ...fields })
      const [bytes, values] = [
        toHex(input),
        JSON.stringify({ kind, ...fields }, (_, v) => (v instanceof Uint8Array ? toHex(v) : v))
      ]
      assert.equal(seen.get(bytes) ?? values, values, 'two sets of fields with one encoding')
      seen.set(bytes, values)
    }
  })

  test('A1 moving a boundary between two neighbouring fields changes the bytes', async () => {
    const core = await loadCore()
    for (const kind of KINDS) {
      for (let index = 1; index < TEXTS[kind].length; index++) {
        const [left, right] = [TEXTS[kind][index - 1], TEXTS[kind][index]]
        const one = writeSigningInput(core, kind, sampleFields(kind, { [left]: 'a', [right]: 'bc' }))
        const other = writeSigningInput(core, kind, sampleFields(kind, { [left]: 'ab', [right]: 'c' }))
        assert.notDeepEqual(one, other, `${kind}: ${left}, ${right}`)
      }
    }
  })

  test('A6 forged lengths (past the end, 2^31, 2^32 - 1, 2^64 - 1, not shortest) are refused at parse', async () => {
    const core = await loadCore()
    const input = signingInputOf('request', sampleFields('request'))
    const lengths = [
      127,
      128,
      16_384,
      2 ** 16,
      2 ** 31 - 1,
      2 ** 31,
      2 ** 32 - 1,
      2 ** 32,
      2 ** 53,
      (1n << 63n) - 1n,
      (1n << 64n) - 1n
    ]
    const forged = [
      ...lengths.map((length) => uvarint(length)),
      [0x8f, 0x00],
      [0x80, 0x80, 0x00],
      Array(12).fill(0x80),
      Array(12).fill(0xff)
    ]
    for (const prefix of forged) {
      const refused = { category: 'malformed', stage: 'parse' }
      const note = toHex(Uint8Array.from(prefix))
      assert.throws(() => core.parseSigningInput(concat(prefix, input.slice(1))), refused, note)
      assert.throws(() => core.parseFrame(concat([0x43, 0x53, 1], prefix, input)), refused, note)
      assert.throws(() => core.openRequest(concat([0x43, 0x53, 1], prefix, input), { label: 'demo' }), refused, note)
    }
  })

  test('A6 an envelope has at most 1 KiB, whatever its payload', async () => {
    const core = await loadCore()
    const signature = new Uint8Array(64)
    // 3 + 2 + length + 1 + 1 + 64
    const atLimit = new Uint8Array(1024 - 71)
    for (const payload of [new Uint8Array(), new Uint8Array(5000)]) {
      const frame = core.buildFrame({ signingInput: atLimit, keyId: '', signature, payload })
      assert.deepEqual(core.parseFrame(frame), { signingInput: atLimit, keyId: '', signature, payload })
      for (const size of [1024 - 70, 1024, 2000, 70_000]) {
        const signingInput = new Uint8Array(size)
        const refused = { code: 'ERR_ENVELOPE_TOO_LARGE' }
        assert.throws(() => core.buildFrame({ signingInput, keyId: '', signature, payload }), refused, `${size}`)
        const forged = concat([0x43, 0x53, 1], field(signingInput), [0], field(signature), payload)
        assert.throws(() => core.parseFrame(forged), refused, `${size}`)
      }
    }
  })

  test('A7 A9 times and sequences to 2^53 - 1 are exact; anything else is refused', async () => {
    const core = await loadCore()
    for (const value of [
      0,
      1,
      255,
      256,
      2 ** 31,
      2 ** 32 - 1,
      2 ** 32,
      2 ** 32 + 1,
      2 ** 52 + 1,
      MAX_TIME - 1,
      MAX_TIME
    ]) {
      for (const kind of ['request', 'response', 'event']) {
        const fields = sampleFields(kind, { timestampMs: value, ...(kind === 'event' && { sequence: value }) })
        const input = writeSigningInput(core, kind, fields)
        assert.deepEqual(input, signingInputOf(kind, fields))
        assert.deepEqual(core.parseSigningInput(input), { kind, ...fields })
      }
    }
    const bad = [
      -1,
      -0.5,
      0.5,
      1.1,
      2 ** 53,
      2 ** 64,
      Number('1e400'),
      -Infinity,
      NaN,
      '0',
      5n,
      null,
      undefined,
      {},
      [5],
      true
    ]
    for (const value of bad) {
      const invalid = { code: 'ERR_INVALID_TIME' }
      assert.throws(
        () => core.requestSigningInput(sampleFields('request', { timestampMs: value })),
        invalid,
        String(value)
      )
      assert.throws(() => core.eventSigningInput(sampleFields('event', { timestampMs: value })), invalid, String(value))
      const sequence = { code: 'ERR_INVALID_ARGUMENT' }
      assert.throws(() => core.eventSigningInput(sampleFields('event', { sequence: value })), sequence, String(value))
    }
  })

  test('A9 a signed time or sequence of 2^53 and above is malformed', async () => {
    const core = await loadCore()
    for (const kind of ['request', 'response', 'event']) {
      for (const name of kind === 'event' ? ['timestampMs', 'sequence'] : ['timestampMs']) {
        for (const value of [1n << 53n, (1n << 53n) + 1n, 1n << 63n, (1n << 64n) - 1n]) {
          const input = signingInputOf(kind, sampleFields(kind, { [name]: value }))
          assert.throws(
            () => core.parseSigningInput(input),
            { code: 'ERR_BAD_TIMESTAMP', stage: 'parse' },
            `${kind}.${name} ${value}`
          )
        }
      }
    }
  })

  test('A12 a byte more or less, anywhere behind the last field, is refused', async () => {
    const core = await loadCore()
    for (const kind of KINDS) {
      const input = writeSigningInput(core, kind, sampleFields(kind))
      const refused = { category: 'malformed', stage: 'parse' }
      for (const extra of [[0], [1], [0xef, 0xbb, 0xbf], input]) {
        assert.throws(
          () => core.parseSigningInput(concat(input, extra)),
          { code: 'ERR_TRAILING_BYTES', ...refused },
          kind
        )
      }
      for (let size = 0; size < input.length; size++)
        assert.throws(() => core.parseSigningInput(input.slice(0, size)), refused, `${kind} cut to ${size}`)
    }
  })

  test('A16 a message of one kind, signed by the server, is no answer: all pairs of kinds', async () => {
    const core = await loadCore()
    const key = await makeServerKey('k')
    const payload = utf8('payload')
    const options = { label: 'demo', keys: [key], requestId: 'request' }
    const payloadHash = core.sha256(payload)
    for (const kind of KINDS) {
      const changes = kind === 'enroll' || kind === 'rotate' ? {} : { payloadHash }
      const signingInput = writeSigningInput(core, kind, sampleFields(kind, changes))
      const frame = core.buildFrame({ signingInput, keyId: 'k', signature: await key.sign(signingInput), payload })
      if (kind === 'response') assert.equal(core.openResponse(frame, options).resultCode, 'ok')
      else assert.throws(() => core.openResponse(frame, options), { code: 'ERR_WRONG_DOMAIN', stage: 'parse' }, kind)
      const unnamed = core.buildFrame({ signingInput, keyId: '', signature: new Uint8Array(64) })
      const request = () => core.openRequest(unnamed, { label: 'demo', compatible: true })
      if (kind === 'request') assert.equal(request().requestId, 'request')
      else assert.throws(request, { code: 'ERR_WRONG_DOMAIN', stage: 'parse' }, kind)
      for (const other of KINDS) {
        const parsed = core.parseSigningInput(signingInput).kind
        assert.equal(parsed === other, kind === other, `${kind} read as ${other}`)
      }
    }
  })

  test('A16 a label is part of every message: another label, longer or shorter, is refused', async () => {
    const core = await loadCore()
    const key = await makeServerKey('k')
    const frame = await answerFrame(core, key)
    for (const label of ['dem', 'demo1', 'demo-request-v1', 'other']) {
      const options = { label, keys: [key], requestId: 'request' }
      assert.throws(() => core.openResponse(frame, options), { code: 'ERR_WRONG_DOMAIN', stage: 'parse' }, label)
    }
    for (const label of ['', 'Demo', '1demo', '-demo', 'dem o', 'dém', 'a'.repeat(33), 'demo\n', 'demo\0']) {
      const invalid = { code: 'ERR_INVALID_LABEL' }
      for (const kind of KINDS)
        assert.throws(() => writeSigningInput(core, kind, sampleFields(kind, { label })), invalid, label)
      assert.throws(() => core.openResponse(frame, { label, keys: [key], requestId: 'request' }), invalid, label)
      assert.throws(() => core.openRequest(frame, { label }), invalid, label)
      assert.throws(() => core.replayKey(label, 's', 'r'), invalid, label)
    }
  })

  test('A18 other protocol versions and unknown members of a message are refused', async () => {
    const core = await loadCore()
    const key = await makeServerKey('k')
    for (const protocolVersion of ['v2', 'v0', 'V1', 'v1 ', '1', 'v1.0']) {
      const frame = await answerFrame(core, key, { protocolVersion })
      const options = { label: 'demo', keys: [key], requestId: 'request' }
      assert.throws(() => core.openResponse(frame, options), { category: 'malformed', stage: 'parse' }, protocolVersion)
    }
    // A field more between the last two, well-formed in itself.
    const [hash, fields] = [field(new Uint8Array(32)), sampleFields('request')]
    const known = signingInputOf('request', { ...fields, payloadHash: new Uint8Array(32) })
    const forged = concat(known.slice(0, -hash.length), field('extra'), hash)
    assert.throws(() => core.parseSigningInput(forged), { category: 'malformed', stage: 'parse' })
    for (const magic of [
      [0x43, 0x53, 0],
      [0x43, 0x53, 2],
      [0x63, 0x53, 1],
      [0, 0x53, 1]
    ]) {
      const frame = concat(magic, field(known), [0], field(new Uint8Array(64)))
      assert.throws(() => core.parseFrame(frame), { code: 'ERR_BAD_MAGIC', stage: 'parse' })
    }
  })
}
