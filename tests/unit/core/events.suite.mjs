// SPDX-License-Identifier: MIT
// The client's checks of an event (E12): one order of checks, its session, its stream, its place; nothing released before
// the last of them.

import { loadCore } from 'countersign/core'
import { concat, fromHex, utf8 } from '../harness/bytes.mjs'
import { eventFrame, field, makeServerKey, u64 } from './reference.mjs'

const NOW = 1_775_121_600_000

export const suite = (test, assert, env) => {
  const base = (keys) => ({ label: 'demo', keys, deviceSessionId: 'session', stream: 'stream', lastSequence: 6 })

  test('an event id is the hash of its stream, number and type, cut to 22 characters of base64url', async () => {
    const core = await loadCore()
    for (const [stream, sequence, type] of [
      ['stream', 7, 'e'],
      ['日本語', 2 ** 53 - 1, 'fleet.moved'],
      ['s', 0, 'cs.time']
    ]) {
      const hash = core.sha256(concat(field(stream), u64(sequence), field(type)))
      const text = btoa(String.fromCharCode(...hash))
        .replaceAll('+', '-')
        .replaceAll('/', '_')
      assert.equal(core.eventId(stream, sequence, type), text.slice(0, 22))
    }
    assert.throws(() => core.eventId('s', -1, 't'), { code: 'ERR_INVALID_ARGUMENT' })
    assert.throws(() => core.eventId('', 1, 't'), { code: 'ERR_INVALID_TEXT' })
  })

  test('E12 an event at its place is released whole', async () => {
    const core = await loadCore()
    const key = await makeServerKey('k')
    for (const size of [0, 1, 1023, 65_537, 300_000]) {
      const payload = new Uint8Array(size).fill(size)
      const opened = core.openEvent(await eventFrame(core, key, { payload }), base([key]))
      const eventId = core.eventId('stream', 7, 'e')
      assert.deepEqual(opened, { eventType: 'e', sequence: 7, timestampMs: NOW, eventId, payload })
    }
  })

  test('E12 the golden events pass up to the stream, which their random ids name none of', async () => {
    const core = await loadCore()
    const { keys, cases } = await env.vectors('exchange.json')
    const server = { id: keys.server_key_id, publicKey: fromHex(keys.server_public) }
    const events = cases.filter(({ kind }) => kind === 'event')
    assert.equal(events.length, 24)
    for (const { name, fields, frame } of events) {
      const options = { label: fields.label, keys: [server], stream: 'any' }
      const open = (deviceSessionId) => core.openEvent(fromHex(frame), { ...options, deviceSessionId })
      assert.throws(() => open(fields.device_session_id), { code: 'ERR_WRONG_STREAM', stage: 'sequence' }, name)
      assert.throws(() => open('another'), { code: 'ERR_WRONG_SESSION', stage: 'session' }, name)
    }
  })

  test('E12 checks of an event are made in their order: of several faults the first is named', async () => {
    const core = await loadCore()
    const [key, stranger] = await Promise.all(['k', 'k'].map(makeServerKey))
    const faults = [
      ['ERR_WRONG_DOMAIN', 'parse', (o) => ({ ...o, label: 'other' })],
      ['ERR_BAD_SIGNATURE', 'signature', (o) => ({ ...o, keys: [stranger] })],
      ['ERR_WRONG_SESSION', 'session', (o) => ({ ...o, deviceSessionId: 'another' })],
      ['ERR_WRONG_STREAM', 'sequence', (o) => ({ ...o, stream: 'another' })],
      ['ERR_PAYLOAD_MISMATCH', 'payload_hash', (o) => ({ ...o, cut: 1 })],
      ['ERR_STALE', 'freshness', (o) => ({ ...o, nowMs: 5 })],
      ['ERR_BAD_SEQUENCE', 'sequence', (o) => ({ ...o, lastSequence: 7 })]
    ]
    const frame = await eventFrame(core, key)
    for (let set = 1; set < 1 << faults.length; set++) {
      const chosen = faults.filter((_, index) => set & (1 << index))
      const { cut, ...options } = chosen.reduce((o, [, , spoil]) => spoil(o), base([key]))
      const bytes = cut ? frame.slice(0, -cut) : frame
      const [code, stage] = chosen[0]
      assert.throws(() => core.openEvent(bytes, options), { code, stage }, chosen.map(([name]) => name).join(' and '))
    }
  })

  test('E12 a numbered event is the next one, an unnumbered one repeats the last number and is not old', async () => {
    const core = await loadCore()
    const key = await makeServerKey('k')
    const bad = { code: 'ERR_BAD_SEQUENCE', stage: 'sequence' }
    const numbered = await eventFrame(core, key)
    for (const lastSequence of [0, 5, 7, 8]) {
      assert.throws(() => core.openEvent(numbered, { ...base([key]), lastSequence }), bad, `last ${lastSequence}`)
    }
    const { lastSequence: _, ...anywhere } = base([key])
    assert.equal(core.openEvent(numbered, anywhere).sequence, 7, 'not judged where nobody says what was last')
    for (const eventType of ['cs.time', 'cs.gap', 'cs.revoked']) {
      const frame = await eventFrame(core, key, { eventType })
      const open = (changes) => core.openEvent(frame, { ...base([key]), ...changes }).sequence
      assert.equal(open({ lastSequence: 7, sinceMs: NOW }), 7)
      assert.throws(() => open({ lastSequence: 6 }), bad, `${eventType} at the next place`)
      assert.throws(() => open({ lastSequence: 8 }), bad, `${eventType} before events that came`)
      assert.throws(() => open({ lastSequence: 7, sinceMs: NOW + 1 }), bad, `${eventType} of an earlier connection`)
    }
  })

  test('every bit of an event counts: none of its one-bit neighbours is released', async () => {
    const core = await loadCore()
    const key = await makeServerKey('k')
    const frame = await eventFrame(core, key, { payload: utf8('pay') })
    for (let bit = 0; bit < frame.length * 8; bit++) {
      const changed = frame.slice()
      changed[bit >> 3] ^= 1 << (bit & 7)
      const { stage } = assert.throws(() => core.openEvent(changed, base([key])), {}, `bit ${bit}`)
      assert.ok(['parse', 'signature', 'payload_hash'].includes(stage), `bit ${bit}: ${stage}`)
    }
  })
}
