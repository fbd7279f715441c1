// SPDX-License-Identifier: MIT
// The three modes against each other: what each one protects, what it refuses, and the hole of the compatible one.

import { proofMessage } from 'countersign/action-proof'
import { loadCore } from 'countersign/core'
import {
  compatibleMessage,
  createDeviceKey,
  createEventBuilder,
  importDeviceKey,
  signEvent,
  statsCodeMembers,
  strictMessage,
  verifyEvent
} from 'countersign/stats-event'
import { toHex, utf8 } from '../harness/bytes.mjs'

const KEY = '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f'
const MODES = ['compatible', 'covered', 'strict']
const MISMATCH = { ok: false, reason: 'signature_mismatch' }
const REFUSED = { code: 'ERR_INVALID_ARGUMENT', category: 'usage' }

const session = {
  type: 'session',
  data: { id: 's1', hours: 2, duration_ms: 7_200_000, tags: ['a', { deep: [1, null, true] }] },
  timestamp: 1_769_598_000_000,
  nonce: 'a0a1a2a3a4a5a600'
}

/** Every way to change one leaf of a value, each as a fresh whole. */
const leafChanges = (value) => {
  if (Array.isArray(value)) {
    const longer = [[...value, 0], value.slice(1)]
    return [...longer, ...value.flatMap((item, at) => leafChanges(item).map((other) => value.with(at, other)))]
  }
  if (typeof value !== 'object' || value === null) return [value === 'changed' ? 'again' : 'changed']
  const changed = Object.entries(value).flatMap(([name, member]) => {
    const { [name]: _, ...without } = value
    return [without, ...leafChanges(member).map((other) => ({ ...value, [name]: other }))]
  })
  return [{ ...value, added: 1 }, ...changed]
}

export const suite = (test, assert) => {
  const made = async (mode, fields = session) => {
    const key = await importDeviceKey(KEY)
    return { key, event: await signEvent(key, fields, { mode }) }
  }

  for (const mode of MODES) {
    test(`an event signed in ${mode} mode verifies in that mode, after JSON too`, async () => {
      const { key, event } = await made(mode)
      assert.deepEqual(Object.keys(event).sort(), ['data', 'deviceId', 'nonce', 'signature', 'timestamp', 'type'])
      assert.deepEqual(await verifyEvent(event, key, { mode }), { ok: true })
      assert.deepEqual(await verifyEvent(JSON.parse(JSON.stringify(event)), key, { mode }), { ok: true })
    })
  }

  test('strict is the default of both sides', async () => {
    const { key } = await made('strict')
    const event = await signEvent(key, session)
    assert.deepEqual(await verifyEvent(event, key), { ok: true })
    assert.deepEqual(await verifyEvent(event, key, { mode: 'strict' }), { ok: true })
    assert.equal(event.data.strict_signature, undefined)
  })

  test('the strict key is HKDF-SHA256 of the key text: empty salt, the label as info, 32 bytes', async () => {
    const core = await loadCore()
    const { event } = await made('strict')
    const extracted = core.hmacSha256(new Uint8Array(32), utf8(KEY))
    const derived = core.hmacSha256(extracted, Uint8Array.of(...utf8('stats-event-v2'), 1))
    assert.equal(event.signature, toHex(core.hmacSha256(derived, strictMessage(event))))
  })

  test('no mode takes the event of another, but the covered one, which is a compatible one too', async () => {
    for (const signed of MODES) {
      const { key, event } = await made(signed)
      for (const mode of MODES) {
        const isGood = mode === signed || (signed === 'covered' && mode === 'compatible')
        assert.deepEqual(await verifyEvent(event, key, { mode }), isGood ? { ok: true } : MISMATCH, `${signed} ${mode}`)
      }
    }
  })

  test('A15 the hole: in compatible mode data.hours can be changed and everything stays green', async () => {
    const { key, event } = await made('compatible')
    const forged = { ...event, data: { ...event.data, hours: 9999 } }
    assert.deepEqual(await verifyEvent(forged, key, { mode: 'compatible' }), { ok: true })
    assert.deepEqual(await verifyEvent({ ...event, data: {} }, key, { mode: 'compatible' }), { ok: true })
    assert.equal(compatibleMessage(forged), compatibleMessage(event))
  })

  test('A15 in covered and strict mode a change of any leaf of a nested event is a signature_mismatch', async () => {
    for (const mode of ['covered', 'strict']) {
      const { key, event } = await made(mode)
      const hours = { ...event, data: { ...event.data, hours: 9999 } }
      assert.deepEqual(await verifyEvent(hours, key, { mode }), MISMATCH, mode)
      const changes = leafChanges(event)
      assert.ok(changes.length > 20)
      for (const changed of changes) {
        const { ok, reason } = await verifyEvent(changed, key, { mode })
        assert.equal(ok, false, `${mode} ${JSON.stringify(changed)}`)
        assert.ok(reason === 'signature_mismatch' || reason === 'device_mismatch', reason)
      }
    }
  })

  test('a covered event without its inner signature is a signature_mismatch, never a compatible one', async () => {
    const { key, event } = await made('covered')
    const { strict_signature: inner, ...data } = event.data
    assert.ok(/^[0-9a-f]{64}$/.test(inner))
    assert.deepEqual(await verifyEvent({ ...event, data }, key, { mode: 'covered' }), MISMATCH)
    for (const other of [inner.toUpperCase(), inner.slice(1), `${inner}0`, '', null, [inner]]) {
      const changed = { ...event, data: { ...data, strict_signature: other } }
      assert.deepEqual(await verifyEvent(changed, key, { mode: 'covered' }), MISMATCH)
    }
    const outer = { ...event, signature: event.signature.replace(/^./, (digit) => (digit === '0' ? '1' : '0')) }
    assert.deepEqual(await verifyEvent(outer, key, { mode: 'covered' }), MISMATCH)
  })

  test('a strict event with a member where the inner signature goes has a part nobody signed: refused', async () => {
    const { key, event } = await made('strict')
    const padded = { ...event, data: { ...event.data, strict_signature: 'anything' } }
    assert.deepEqual(strictMessage(padded), strictMessage(event))
    assert.deepEqual(await verifyEvent(padded, key), MISMATCH)
  })

  test('A16 no signature of one domain is one of another: events of each mode, action proofs, exchange messages', async () => {
    const core = await loadCore()
    const [one, other] = ['AAAAAAAAAAAAAAAAAAAAAA', 'BBBBBBBBBBBBBBBBBBBBBB']
    const { event } = await made('strict')
    const secret = utf8(KEY)
    const hash = core.sha256(utf8('x'))
    const time = '2026-01-28T12:00:00.000Z'
    const common = { label: 'stats-event-v2', deviceSessionId: one, timestampMs: 1, payloadHash: hash }
    const requestId = core.bindRequestId({ ...common, messageType: 'x', requestId: other })
    const messages = [
      utf8(compatibleMessage(event)),
      strictMessage(event),
      core.requestSigningInput({ ...common, messageType: 'x', requestId }),
      core.eventSigningInput({ ...common, eventType: 'x', sequence: 1, eventId: one }),
      utf8(proofMessage({ actionType: 'session', timestamp: time, actionData: {}, expectedPoints: 1, nonce: one })),
      core.responseSigningInput({ label: common.label, requestId, timestampMs: 1, resultCode: 'ok', payloadHash: hash })
    ]
    for (const mode of MODES) {
      const { key, event: signed } = await made(mode)
      const own = mode === 'strict' ? undefined : 0
      for (const [at, message] of messages.entries()) {
        // The text key itself signs every kind of message here: only the message StatsCode signs is taken for it.
        const signature = toHex(core.hmacSha256(secret, message))
        const { ok } = await verifyEvent({ ...signed, signature }, key, { mode })
        assert.equal(ok, at === own, `${mode} ${at}`)
      }
    }
  })

  test('B14 a key under 32 bytes, the device id as a key too, signs and verifies in compatible mode only', async () => {
    const { key: strong } = await made('strict')
    for (const text of [strong.deviceId, 'short', 'x'.repeat(31)]) {
      const weak = await importDeviceKey(text)
      const event = await signEvent(weak, session, { mode: 'compatible' })
      assert.deepEqual(await verifyEvent(event, weak, { mode: 'compatible' }), { ok: true })
      for (const mode of ['covered', 'strict']) {
        await assert.rejects(signEvent(weak, session, { mode }), REFUSED)
        assert.deepEqual(await verifyEvent(event, weak, { mode }), { ok: false, reason: 'weak_key' })
      }
    }
    assert.ok((await importDeviceKey('x'.repeat(32))).isStrong)
  })

  test('an event of another device is a device_mismatch, and under another key a signature_mismatch', async () => {
    const { key, event } = await made('strict')
    const { key: other } = await createDeviceKey()
    assert.deepEqual(await verifyEvent(event, other), { ok: false, reason: 'device_mismatch' })
    assert.deepEqual(await verifyEvent({ ...event, deviceId: other.deviceId }, other), MISMATCH)
    assert.deepEqual(await verifyEvent({ ...event, deviceId: undefined }, key), {
      ok: false,
      reason: 'device_mismatch'
    })
  })

  test('what JSON would change or lose is refused with its path, before anything is signed', async () => {
    const { key } = await made('strict')
    const cyclic = { a: [] }
    cyclic.a.push({ again: cyclic })
    const cases = [
      [{ a: Number.NaN }, 'event.data.a is NaN'],
      [{ a: [1, Number.POSITIVE_INFINITY] }, 'event.data.a[1] is NaN or infinite'],
      [{ a: Object(Number.NEGATIVE_INFINITY) }, 'event.data.a is NaN or infinite'],
      [{ a: { b: 1n } }, 'event.data.a.b is a BigInt'],
      [JSON.parse('{"x":{"__proto__":1}}'), 'event.data.x.__proto__ is a reserved name'],
      [{ 'not a name': '\ud800' }, 'event.data["not a name"] has a lone surrogate'],
      [{ '\udc00': 1 }, 'has a lone surrogate in its name'],
      [cyclic, 'event.data.a[0].again contains itself'],
      [JSON.parse(`${'['.repeat(5000)}${']'.repeat(5000)}`), 'nested more than 64 levels deep'],
      [undefined, 'event.data has no JSON form'],
      [() => 1, 'event.data has no JSON form'],
      [
        {
          get a() {
            throw new Error('no')
          }
        },
        'event cannot be read'
      ]
    ]
    for (const mode of MODES) {
      for (const [data, says] of cases) {
        const error = await assert.rejects(signEvent(key, { ...session, data }, { mode }), REFUSED, says)
        assert.ok(error.message.includes(says), `${error.message} says ${says}`)
      }
    }
    assert.equal(Object.prototype.x, undefined)
  })

  test('what comes back from JSON another way is sent as it was signed', async () => {
    const { key } = await made('strict')
    let reads = 0
    const data = {
      at: new Date(0),
      gone: undefined,
      list: [undefined, Object('text')],
      zero: -0,
      get fresh() {
        reads += 1
        return reads
      }
    }
    for (const mode of MODES) {
      reads = 0
      const event = await signEvent(key, { ...session, data }, { mode })
      const { strict_signature: _, ...sent } = event.data
      assert.equal(JSON.stringify(sent), '{"at":"1970-01-01T00:00:00.000Z","list":[null,"text"],"zero":0,"fresh":1}')
      assert.deepEqual(await verifyEvent(JSON.parse(JSON.stringify(event)), key, { mode }), { ok: true })
    }
  })

  test('fields and options of another shape are refused', async () => {
    const { key } = await made('strict')
    for (const fields of [null, { ...session, type: '' }, { ...session, type: 7 }, { ...session, nonce: '' }]) {
      await assert.rejects(signEvent(key, fields), REFUSED)
    }
    for (const timestamp of [1.5, -1, '1', Number.NaN, 2 ** 53]) {
      await assert.rejects(signEvent(key, { ...session, timestamp }), { code: 'ERR_INVALID_TIME' })
    }
    await assert.rejects(signEvent(key, { ...session, data: 'text' }, { mode: 'covered' }), REFUSED)
    for (const mode of ['covered', 'strict']) {
      const data = { strict_signature: 'mine' }
      await assert.rejects(signEvent(key, { ...session, data }, { mode }), REFUSED)
    }
    const { event } = await made('strict')
    for (const wrong of [undefined, {}, KEY]) {
      await assert.rejects(signEvent(wrong, session), REFUSED)
      await assert.rejects(verifyEvent(event, wrong), REFUSED)
    }
    await assert.rejects(verifyEvent(event, key, { mode: 'any' }), REFUSED)
    for (const wrong of [undefined, null, 'text', 7, [], [event]]) {
      assert.deepEqual(await verifyEvent(wrong, key), { ok: false, reason: 'malformed' })
    }
  })

  test('a builder signs listed types with listed members, and names what is not on its list', async () => {
    const { key } = await made('strict')
    const build = createEventBuilder(key, { mode: 'covered', allow: statsCodeMembers })
    const event = await build('session', { id: 's', duration_ms: 6000 }, 5)
    assert.deepEqual(await verifyEvent(event, key, { mode: 'covered' }), { ok: true })
    const error = await assert.rejects(build('session', { id: 's', project_path: 'private' }), REFUSED)
    assert.ok(error.message.includes('event.data["project_path"]') && !error.message.includes('private'))
    await assert.rejects(build('login', {}), REFUSED)
    await assert.rejects(build('session', ['a']), REFUSED)
    assert.throws(() => createEventBuilder(key, { mode: 'covered' }), REFUSED)
  })

  test('no property of a key leads to its text or to a CryptoKey', async () => {
    const { key, text } = await createDeviceKey()
    assert.deepEqual(Object.keys(key), ['deviceId'])
    assert.equal(JSON.stringify(key), `{"deviceId":"${key.deviceId}"}`)
    for (const name of Reflect.ownKeys(key)) {
      assert.ok(Object.prototype.toString.call(key[name]) !== '[object CryptoKey]' && key[name] !== text, String(name))
    }
  })
}
