// SPDX-License-Identifier: MIT
// The client's checks of an answer: which keys are trusted when (B15), freshness to the millisecond (C1), one order of
// checks, and nothing released before the last of them.

import { loadCore } from 'countersign/core'
import { concat, utf8 } from '../harness/bytes.mjs'
import { answerFrame, makeServerKey } from './reference.mjs'

const NOW = 1_775_121_600_000

export const suite = (test, assert) => {
  const base = (keys) => ({ label: 'demo', keys, requestId: 'request' })

  test('C1 freshness is inclusive at both edges and refuses one millisecond beyond', async () => {
    const core = await loadCore()
    const key = await makeServerKey('k')
    const frame = await answerFrame(core, key, { timestampMs: NOW })
    const open = (nowMs, pastMs, futureMs) => core.openResponse(frame, { ...base([key]), nowMs, pastMs, futureMs })
    const stale = { code: 'ERR_STALE', category: 'time', stage: 'freshness' }
    for (const [past, future] of [
      [60_000, 10_000],
      [undefined, undefined],
      [0, 0],
      [1, 0]
    ]) {
      const [earliest, latest] = [NOW - (future ?? 10_000), NOW + (past ?? 60_000)]
      assert.equal(open(earliest, past, future).timestampMs, NOW)
      assert.equal(open(latest, past, future).timestampMs, NOW)
      assert.throws(() => open(earliest - 1, past, future), stale)
      assert.throws(() => open(latest + 1, past, future), stale)
    }
    assert.equal(core.openResponse(frame, base([key])).timestampMs, NOW, 'no window without nowMs')
  })

  test('C1 C2 windows at the ends of time do not wrap around', async () => {
    const core = await loadCore()
    const key = await makeServerKey('k')
    const max = Number.MAX_SAFE_INTEGER
    for (const timestampMs of [0, max]) {
      const frame = await answerFrame(core, key, { timestampMs })
      const open = (nowMs, pastMs, futureMs) => core.openResponse(frame, { ...base([key]), nowMs, pastMs, futureMs })
      assert.equal(open(timestampMs, 0, 0).timestampMs, timestampMs)
      assert.equal(open(timestampMs, max, max).timestampMs, timestampMs)
      assert.equal(open(max - timestampMs, max, max).timestampMs, timestampMs)
      assert.throws(() => open(max - timestampMs, 1, 1), { stage: 'freshness' })
    }
  })

  test('C2 a time that is none is a usage error, never a window that lets everything pass', async () => {
    const core = await loadCore()
    const key = await makeServerKey('k')
    const frame = await answerFrame(core, key, { timestampMs: NOW })
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, -1, 0.5, 2 ** 53, '5', null, 5n]) {
      for (const member of ['nowMs', 'pastMs', 'futureMs', 'timeFloorMs']) {
        const options = { ...base([key]), nowMs: NOW, [member]: bad }
        assert.throws(() => core.openResponse(frame, options), { code: 'ERR_INVALID_TIME' }, `${member} ${bad}`)
      }
    }
    const seconds = { ...base([key]), nowMs: NOW / 1000 }
    const wordy = { ...base([key]), anyKey: 'false' }
    assert.throws(() => core.openResponse(frame, wordy), { code: 'ERR_INVALID_ARGUMENT' }, 'a word is no boolean')
    assert.throws(() => core.openResponse(frame, seconds), { stage: 'freshness' }, 'seconds for milliseconds')
  })

  test('B15 rotation: both keys while they overlap, the new one alone after, an unknown one never', async () => {
    const core = await loadCore()
    const [old, next, stranger] = await Promise.all(['old', 'next', 'old'].map(makeServerKey))
    const keys = [
      { ...old, notAfter: NOW },
      { ...next, notBefore: NOW - 1000 }
    ]
    const open = async (key, timestampMs) => {
      const frame = await answerFrame(core, key, { timestampMs })
      return core.openResponse(frame, base(keys)).resultCode
    }
    const expired = { code: 'ERR_KEY_NOT_VALID', stage: 'signature' }
    assert.equal(await open(old, 0), 'ok')
    assert.equal(await open(old, NOW), 'ok')
    await assert.rejects(open(old, NOW + 1), expired)
    await assert.rejects(open(next, NOW - 1001), expired)
    assert.equal(await open(next, NOW - 1000), 'ok')
    assert.equal(await open(next, Number.MAX_SAFE_INTEGER), 'ok')
    await assert.rejects(open(stranger, NOW), { code: 'ERR_BAD_SIGNATURE', stage: 'signature' })
    await assert.rejects(open({ ...next, id: 'third' }, NOW), { code: 'ERR_UNKNOWN_KEY', stage: 'signature' })
    await assert.rejects(open({ ...next, id: 'old' }, NOW), { code: 'ERR_BAD_SIGNATURE' }, 'one key under another id')
    await assert.rejects(open({ ...next, id: '' }, NOW), { code: 'ERR_UNKNOWN_KEY', stage: 'signature' })
  })

  test('B15 a key that ended before the time floor verifies nothing, whatever the message says', async () => {
    const core = await loadCore()
    const key = await makeServerKey('k')
    const frame = await answerFrame(core, key, { timestampMs: NOW - 5000 })
    const open = (timeFloorMs) => core.openResponse(frame, { ...base([{ ...key, notAfter: NOW }]), timeFloorMs })
    assert.equal(open(NOW).resultCode, 'ok')
    assert.throws(() => open(NOW + 1), { code: 'ERR_KEY_NOT_VALID', stage: 'signature' })
  })

  test('anyKey tries every trusted key, and only those', async () => {
    const core = await loadCore()
    const [one, two, stranger] = await Promise.all(['one', 'two', 'three'].map(makeServerKey))
    for (const [key, isTrusted] of [
      [one, true],
      [two, true],
      [stranger, false]
    ]) {
      const frame = await answerFrame(core, key, { keyId: '' })
      const open = () => core.openResponse(frame, { ...base([one, two]), anyKey: true })
      if (isTrusted) assert.equal(open().resultCode, 'ok')
      else assert.throws(open, { code: 'ERR_BAD_SIGNATURE', stage: 'signature' })
    }
    const frame = await answerFrame(core, one, { keyId: '' })
    assert.throws(() => core.openResponse(frame, base([one])), { code: 'ERR_UNKNOWN_KEY' })
    assert.throws(() => core.openResponse(frame, { ...base([]), anyKey: true }), { stage: 'signature' })
  })

  test('keys of one call are not trusted in the next', async () => {
    const core = await loadCore()
    const [one, two] = await Promise.all(['k', 'k'].map(makeServerKey))
    const frame = await answerFrame(core, one)
    assert.equal(core.openResponse(frame, base([one])).resultCode, 'ok')
    assert.throws(() => core.openResponse(new Uint8Array(9), base([one])), { stage: 'parse' })
    assert.throws(() => core.openResponse(frame, base([two])), { code: 'ERR_BAD_SIGNATURE' })
    assert.throws(() => core.openResponse(frame, base([])), { code: 'ERR_UNKNOWN_KEY' })
  })

  test('checks are made in their order: of several faults the first is named', async () => {
    const core = await loadCore()
    const [key, stranger] = await Promise.all(['k', 'k'].map(makeServerKey))
    const faults = [
      ['parse', (o) => ({ ...o, label: 'other' })],
      ['signature', (o) => ({ ...o, keys: [stranger] })],
      ['request_id', (o) => ({ ...o, requestId: 'another' })],
      ['payload_hash', (o) => ({ ...o, cut: 1 })],
      ['freshness', (o) => ({ ...o, nowMs: 5 })]
    ]
    const frame = await answerFrame(core, key)
    for (let set = 1; set < 1 << faults.length; set++) {
      const chosen = faults.filter((_, index) => set & (1 << index))
      const { cut, ...options } = chosen.reduce((o, [, spoil]) => spoil(o), base([key]))
      const bytes = cut ? frame.slice(0, -cut) : frame
      const [stage] = chosen[0]
      assert.throws(() => core.openResponse(bytes, options), { stage }, chosen.map(([name]) => name).join(' and '))
    }
  })

  test('payloads of every size are released whole, and none with a byte flipped', async () => {
    const core = await loadCore()
    const key = await makeServerKey('k')
    for (const size of [0, 1, 1023, 65_536, 65_537, 300_000]) {
      const payload = new Uint8Array(size).fill(size)
      const frame = await answerFrame(core, key, { payload })
      assert.deepEqual(core.openResponse(frame, base([key])).payload, payload)
      const bad = { code: 'ERR_PAYLOAD_MISMATCH', stage: 'payload_hash' }
      if (size > 0) {
        for (const at of [0, size >> 1, size - 1]) {
          const changed = frame.slice()
          changed[frame.length - size + at] ^= 1
          assert.throws(() => core.openResponse(changed, base([key])), bad, `${size}, byte ${at}`)
        }
      }
      assert.throws(() => core.openResponse(concat(frame, [0]), base([key])), bad, `${size} and one`)
    }
  })

  test('openEnvelope judges as openResponse does, with the hash that the caller made', async () => {
    const core = await loadCore()
    const key = await makeServerKey('k')
    const payload = utf8('elsewhere')
    const frame = await answerFrame(core, key, { payload })
    const envelope = frame.slice(0, -payload.length)
    const opened = core.openEnvelope(envelope, core.sha256(payload), base([key]))
    assert.deepEqual(opened, { resultCode: 'ok', timestampMs: NOW })
    const other = core.sha256(utf8('else'))
    assert.throws(() => core.openEnvelope(envelope, other, base([key])), { stage: 'payload_hash' })
    const late = { ...base([key]), nowMs: NOW + 60_001 }
    assert.throws(() => core.openEnvelope(envelope, core.sha256(payload), late), { stage: 'freshness' })
  })

  test('every bit of an answer counts: none of its one-bit neighbours is released', async () => {
    const core = await loadCore()
    const key = await makeServerKey('k')
    const frame = await answerFrame(core, key, { payload: utf8('pay') })
    for (let bit = 0; bit < frame.length * 8; bit++) {
      const changed = frame.slice()
      changed[bit >> 3] ^= 1 << (bit & 7)
      const { stage } = assert.throws(() => core.openResponse(changed, base([key])), {}, `bit ${bit}`)
      assert.ok(['parse', 'signature', 'payload_hash'].includes(stage), `bit ${bit}: ${stage}`)
    }
  })

  test('A12 an envelope that brings a payload, or whose payload grew, is refused', async () => {
    const core = await loadCore()
    const key = await makeServerKey('k')
    const frame = await answerFrame(core, key, { payload: new Uint8Array() })
    const options = { label: 'demo', keys: [key], requestId: 'request' }
    const hash = core.sha256(new Uint8Array())
    assert.equal(core.openEnvelope(frame, hash, options).resultCode, 'ok')
    const longer = concat(frame, [0])
    assert.throws(() => core.openEnvelope(longer, hash, options), { code: 'ERR_TRAILING_BYTES', stage: 'parse' })
    assert.throws(() => core.openResponse(longer, options), { code: 'ERR_PAYLOAD_MISMATCH', stage: 'payload_hash' })
  })
}
