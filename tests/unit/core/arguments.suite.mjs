// SPDX-License-Identifier: MIT
// What callers may hand in, and what happens with everything else (threats A10, F-17, F-18).

import { isCountersignError, loadCore } from 'countersign/core'
import { utf8 } from '../harness/bytes.mjs'
import { goodCalls, plain } from './calls.mjs'
import { sampleFields } from './reference.mjs'

const USUAL = new Set(['usage', 'malformed', 'rejected', 'time', 'key'])

const garbage = () => [
  ...[undefined, null, true, false, 0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 32, 2 ** 53, 5n],
  ...['', 'x', '\ud800', 'x'.repeat(1000), Symbol('s'), () => 1, {}, [], [[]], Object.create(null), new Map()],
  ...[new Date(0), /x/, new Error('x'), { length: 3 }, { byteLength: 3, buffer: {} }, Promise.resolve()],
  ...[
    new Proxy({}, {}),
    new Proxy(new Uint8Array(32), {}),
    new Uint8Array(),
    new Uint8Array(5000),
    new Float64Array(3)
  ],
  ...[new DataView(new ArrayBuffer(8)), new String('demo'), new Number(5), globalThis]
]

/** otherRealm gives the constructors of another realm: a frame in pages, a context in Node. */
const otherRealm = async (env) => {
  if (env.runtime !== 'node') {
    const frame = document.createElement('iframe')
    document.documentElement.append(frame)
    return frame.contentWindow
  }
  const { runInNewContext } = await import(`node:${'vm'}`)
  return runInNewContext('({ ArrayBuffer, Uint8Array, DataView, Uint16Array })')
}

export const suite = (test, assert, env) => {
  test('bytes are taken from every view and buffer, of other realms too', async () => {
    const core = await loadCore()
    const whole = Uint8Array.from({ length: 64 }, (_, index) => index)
    const expected = core.sha256(whole.slice(8, 40))
    const { buffer } = whole
    const realm = await otherRealm(env)
    const foreign = new realm.Uint8Array(32)
    foreign.set(whole.subarray(8, 40))
    const own = new Uint8Array(32)
    own.set(foreign)
    class Sub extends Uint8Array {
      get length() {
        return 1
      }
      get byteLength() {
        return 1
      }
      set() {
        throw new Error('called')
      }
    }
    const named = whole.slice(8, 40)
    for (const name of ['length', 'byteLength', 'byteOffset', 'buffer'])
      Object.defineProperty(named, name, { value: 3 })
    const views = [
      whole.subarray(8, 40),
      new DataView(buffer, 8, 32),
      new Uint16Array(buffer, 8, 16),
      new Float64Array(buffer, 8, 4)
    ]
    const others = [
      new Int8Array(buffer, 8, 32),
      new Uint8ClampedArray(buffer, 8, 32),
      new BigInt64Array(buffer, 8, 4),
      own.buffer
    ]
    const foreigners = [
      foreign,
      foreign.buffer,
      new realm.DataView(foreign.buffer),
      new realm.Uint16Array(foreign.buffer)
    ]
    const strange = [Sub.from(whole.subarray(8, 40)), named, new Sub(buffer, 8, 32)]
    for (const [index, value] of [...views, ...others, ...foreigners, ...strange].entries()) {
      assert.deepEqual(core.sha256(value), expected, `number ${index}`)
    }
    if (env.runtime === 'node') assert.deepEqual(core.sha256(Buffer.from(buffer, 8, 32)), expected)
  })

  test('detached, shared and resizable memory is refused with the reason', async () => {
    const core = await loadCore()
    const refused = (value, reason) => {
      const { message } = assert.throws(() => core.sha256(value), { code: 'ERR_INVALID_ARGUMENT' })
      assert.ok(message.includes(reason), message)
    }
    const detached = new Uint8Array(8)
    structuredClone(detached, { transfer: [detached.buffer] })
    refused(detached, 'detached')
    refused(detached.buffer, 'detached')
    const shared = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer
    refused(shared, 'shared')
    refused(new Uint8Array(shared), 'shared')
    refused(new DataView(shared), 'shared')
    if (!('resizable' in ArrayBuffer.prototype)) return
    const resizable = new ArrayBuffer(8, { maxByteLength: 16 })
    refused(resizable, 'resizable')
    refused(new Uint8Array(resizable), 'resizable')
    refused(new Uint8Array(resizable, 2, 2), 'resizable')
  })

  test('everything else is refused with a CountersignError, argument by argument, and the core lives on', async () => {
    const core = await loadCore()
    const spoil = (name, run, good) => {
      for (const [index, bad] of garbage().entries()) {
        const note = `${name}, garbage ${index}`
        try {
          run(bad)
        } catch (error) {
          assert.ok(isCountersignError(error), `${note}: ${error?.stack}`)
          assert.ok(USUAL.has(error.category), `${note}: ${error.code}`)
        }
      }
      good()
    }
    for (const { name, args, run } of await goodCalls(core)) {
      for (const [index, argument] of args.entries()) {
        const call = (bad) => run(...args.map((value, at) => (at === index ? bad : value)))
        spoil(`${name} argument ${index}`, call, () => run(...args))
        if (Object.getPrototypeOf(argument) !== Object.prototype) continue
        for (const member of Object.keys(argument)) {
          spoil(
            `${name} ${member}`,
            (bad) => call({ ...argument, [member]: bad }),
            () => run(...args)
          )
        }
      }
    }
    assert.equal(await loadCore(), core, 'no call has stopped the core')
  })

  test('each key of openResponse is judged like an argument', async () => {
    const core = await loadCore()
    const { args } = (await goodCalls(core)).find(({ name }) => name === 'openResponse')
    const [frame, options] = args
    const open = (...keys) => core.openResponse(frame, { ...options, keys })
    const [key] = options.keys
    const others = Array.from({ length: 63 }, (_, index) => ({ ...key, id: `other ${index}` }))
    assert.equal(open(...others, key).resultCode, 'ok', '64 keys')
    const invalid = { code: 'ERR_INVALID_ARGUMENT' }
    assert.throws(() => open(...others, key, { ...key, id: 'one more' }), invalid)
    assert.throws(() => open(key, { ...key, publicKey: new Uint8Array(32) }), invalid, 'one id twice')
    for (const bad of garbage()) {
      if (bad === undefined) continue
      for (const member of ['notBefore', 'notAfter']) {
        if (Number.isSafeInteger(bad) && bad >= 0) continue
        assert.throws(() => open({ ...key, [member]: bad }), { code: 'ERR_INVALID_TIME' }, member)
      }
    }
    assert.throws(() => core.openResponse(frame, { ...options, keys: { 0: key, length: 1 } }), invalid)
  })

  test('F-18 every member of an options object is read once, and nothing else of it', async () => {
    const core = await loadCore()
    for (const { name, args, run } of await goodCalls(core)) {
      const reads = new Map()
      const count = (target) =>
        new Proxy(target, {
          get: (of, member) => {
            reads.set(member, (reads.get(member) ?? 0) + 1)
            return of[member]
          },
          has: () => assert.fail(`${name} asks for members`),
          ownKeys: () => assert.fail(`${name} lists members`),
          getOwnPropertyDescriptor: () => assert.fail(`${name} looks at descriptors`)
        })
      const counted = args.map((value) => (Object.getPrototypeOf(value) === Object.prototype ? count(value) : value))
      assert.deepEqual(plain(run(...counted)), plain(run(...args)), name)
      for (const [member, times] of reads) assert.equal(times, 1, `${name} ${String(member)}`)
    }
  })

  test('F-18 a getter may call the core, and its own error comes through', async () => {
    const core = await loadCore()
    for (const { name, args, run } of await goodCalls(core)) {
      const busy = args.map((value) => {
        if (Object.getPrototypeOf(value) !== Object.prototype) return value
        const members = Object.entries(value).map(([member, inner]) => {
          const get = () => {
            core.requestSigningInput(sampleFields('request', { messageType: 'x'.repeat(100) }))
            core.sha256(new Uint8Array(3000).fill(255))
            return inner
          }
          return [member, { get, enumerable: true }]
        })
        return Object.defineProperties({}, Object.fromEntries(members))
      })
      assert.deepEqual(plain(run(...busy)), plain(run(...args)), name)
    }
    const own = new Error('my own')
    const fields = Object.defineProperty(sampleFields('request'), 'requestId', {
      get: () => {
        throw own
      }
    })
    assert.throws(() => core.requestSigningInput(fields), { message: 'my own' })
    assert.equal(core.sha256(new Uint8Array()).length, 32)
  })

  test('F-17 results are copies: neither later calls nor changes of the input change them', async () => {
    const core = await loadCore()
    const payload = utf8('payload')
    const hash = core.sha256(payload)
    const fields = sampleFields('request', { payloadHash: hash })
    const input = core.requestSigningInput(fields)
    const frame = core.buildFrame({ signingInput: input, keyId: '', signature: new Uint8Array(64), payload })
    const parts = core.parseFrame(frame)
    const parsed = core.parseSigningInput(input)
    const opened = core.openRequest(frame, { label: 'demo', compatible: true })
    const results = [hash, input, frame, parts.signingInput, parts.payload, parsed.payloadHash, opened.signingInput]
    const copies = results.map((bytes) => bytes.slice())
    payload.fill(0)
    frame.fill(0)
    copies[2].fill(0)
    for (let round = 0; round < 50; round++) core.sha256(new Uint8Array(60_000).fill(round))
    assert.deepEqual(results, copies)
    const buffers = results.map(({ buffer }) => buffer)
    assert.equal(new Set(buffers).size, buffers.length, 'no two share memory')
    for (const [index, { buffer, length }] of results.entries()) assert.equal(buffer.byteLength, length, `${index}`)
  })
}
