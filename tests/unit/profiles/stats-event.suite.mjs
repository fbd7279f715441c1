// SPDX-License-Identifier: MIT
// StatsCode's signed events on its recorded vectors: keys, messages, signatures, verdicts, anomalies, the sync body.

import {
  canonicalJson,
  compatibleMessage,
  createDeviceKey,
  detectAnomalies,
  eventsToSync,
  importDeviceKey,
  phaseRules,
  readSyncAnswer,
  roundHours,
  signEvent,
  statsLimits,
  strictMessage,
  syncBody,
  verifyEvent
} from 'countersign/stats-event'
import { fromHex, toHex, utf8 } from '../harness/bytes.mjs'
import { numberOfBits, refusedByRule, statsVectors } from './stats-event-vectors.mjs'

const BLANK = { code: 'ERR_INVALID_ARGUMENT', category: 'usage' }
const COMPATIBLE = { mode: 'compatible' }

export const suite = (test, assert, env) => {
  const vectors = () => statsVectors(env)

  test('every recorded key file gives its device id, as text and as bytes; a blank one is refused', async () => {
    const { device } = await vectors()
    assert.equal(device.length, 9)
    for (const { name, key_file_hex, key_string_utf8_hex, device_id } of device) {
      const file = fromHex(key_file_hex)
      if (key_string_utf8_hex === '') {
        await assert.rejects(importDeviceKey(file), BLANK, name)
        continue
      }
      assert.equal((await importDeviceKey(file)).deviceId, device_id, name)
      const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(file)
      assert.equal((await importDeviceKey(text)).deviceId, device_id, name)
    }
    for (const blank of ['', ' ', '\n\t', '\ufeff', '\u2028\u00a0']) await assert.rejects(importDeviceKey(blank), BLANK)
    for (const wrong of [undefined, null, 7, {}, 'a\ud800']) await assert.rejects(importDeviceKey(wrong), BLANK)
  })

  test('a new key is 32 random bytes as 64 lower-case digits, and has the recorded id', async () => {
    const { device_generated: recorded } = await vectors()
    const random = (bytes) => {
      bytes.set(fromHex(recorded.random_32_bytes_hex))
      return bytes
    }
    const made = await createDeviceKey({ random })
    assert.deepEqual([made.text, made.key.deviceId], [recorded.file_text, recorded.device_id])
    const [one, other] = [await createDeviceKey(), await createDeviceKey()]
    assert.ok(/^[0-9a-f]{64}$/.test(one.text))
    assert.notEqual(one.text, other.text)
    assert.equal((await importDeviceKey(one.text)).deviceId, one.key.deviceId)
  })

  test('every recorded event gives its message and its signature, under both keys, or is refused by rule', async () => {
    const { sign_event: recorded } = await vectors()
    const keys = [await importDeviceKey(recorded.device_key), await importDeviceKey(recorded.device_key2)]
    let compared = 0
    for (const { name, input, signed, signature, signature_key2 } of recorded.cases) {
      if (refusedByRule[name]) {
        assert.throws(() => compatibleMessage(input()), { code: 'ERR_INVALID_ARGUMENT' }, name)
        assert.deepEqual(
          await verifyEvent({ ...input(), signature }, keys[0], COMPATIBLE),
          { ok: false, reason: 'malformed' },
          name
        )
        continue
      }
      assert.equal(compatibleMessage(input()), signed, name)
      assert.equal(compatibleMessage({ ...input(), signature: 'x' }), signed, `${name} with a signature`)
      for (const [at, tag] of [signature, signature_key2].entries()) {
        assert.deepEqual(await verifyEvent({ ...input(), signature: tag }, keys[at], COMPATIBLE), { ok: true }, name)
        const verdict = await verifyEvent({ ...input(), signature: tag }, keys[1 - at], COMPATIBLE)
        assert.deepEqual(verdict, { ok: false, reason: 'signature_mismatch' }, name)
      }
      compared += 1
    }
    assert.equal(compared, 31 - Object.keys(refusedByRule).length)
  })

  test('signEvent in compatible mode makes the recorded events, member for member', async () => {
    const { create_signed_event: recorded } = await vectors()
    const key = await importDeviceKey(recorded.device_key)
    for (const { args, event_json, signed } of recorded.cases) {
      const [type, data, timestamp] = args
      const { nonce } = JSON.parse(event_json)
      const event = await signEvent(key, { type, data, timestamp, nonce }, COMPATIBLE)
      assert.equal(JSON.stringify(event), event_json)
      assert.equal(compatibleMessage(event), signed)
    }
    const bare = await signEvent(key, { type: 'interaction', data: {} }, COMPATIBLE)
    assert.ok(/^[0-9a-f]{16}$/.test(bare.nonce))
    assert.ok(Math.abs(bare.timestamp - Date.now()) < 60_000)
  })

  test('the recorded verdicts', async () => {
    const { verify_event: recorded } = await vectors()
    const key = await importDeviceKey(recorded.device_key)
    for (const { name, event_json, valid } of recorded.cases) {
      const { ok } = await verifyEvent(JSON.parse(event_json), key, COMPATIBLE)
      assert.equal(ok, valid, name)
    }
  })

  test('the recorded anomalies, in their order, from the one table of thresholds', async () => {
    const { anomalies } = await vectors()
    for (const { name, event, anomalies: expected } of anomalies.cases) {
      assert.deepEqual(detectAnomalies(event(), anomalies.now_ms), expected, name)
    }
    assert.equal(anomalies.cases.length, 28)
    const { thresholds_exported_by_code: theirs } = anomalies
    assert.deepEqual(
      [statsLimits.dayMs / 3_600_000, statsLimits.sessionsPerHour, statsLimits.interactionsPerMinute],
      [theirs.maxHoursPerDay, theirs.maxSessionsPerHour, theirs.maxInteractionsPerMinute]
    )
    assert.deepEqual(
      [statsLimits.shortestSessionMs, statsLimits.longestSessionMs, statsLimits.futureMs],
      [theirs.minSessionDuration, theirs.maxSessionDuration, theirs.maxTimeDrift]
    )
    assert.deepEqual(
      detectAnomalies({ type: 'session', data: null, timestamp: anomalies.now_ms }, anomalies.now_ms),
      []
    )
  })

  test('the recorded sync bodies: hours rounded, an outer signature keyed by the public id', async () => {
    const { sync_payload_signature: recorded } = await vectors()
    for (const entry of recorded.cases) {
      const { total_hours_unrounded: totalHours, totalSessions, totalInteractions, deviceId, signature } = entry
      const event = { type: 'session', data: {}, timestamp: 1, deviceId, nonce: 'n', signature: 'x' }
      const totals = { totalHours, totalSessions, totalInteractions }
      const body = await syncBody(totals, [event], deviceId, entry.timestamp_not_sent)
      const { totalHours: rounded } = JSON.parse(entry.message)
      assert.deepEqual(body, { ...totals, totalHours: rounded, deviceId, signedEvents: [event], signature })
      assert.ok(!JSON.stringify(body).includes(String(entry.timestamp_not_sent)))
    }
    const totals = { totalHours: 1, totalSessions: 1, totalInteractions: 1 }
    for (const wrong of [{ ...totals, totalHours: Number.NaN }, { ...totals, totalSessions: '1' }, null]) {
      await assert.rejects(syncBody(wrong, [], 'a', 1), BLANK)
    }
    await assert.rejects(syncBody(totals, {}, 'a', 1), BLANK)
    await assert.rejects(syncBody(totals, [], '', 1), BLANK)
    await assert.rejects(syncBody(totals, [], 'a', -1), { code: 'ERR_INVALID_TIME' })
  })

  test('hours are rounded as toFixed does, ties away from zero', async () => {
    const { to_fixed: recorded } = await vectors()
    for (const { x, digits, toFixed, number_of_it } of recorded.cases) {
      assert.equal(Number(x).toFixed(digits), toFixed)
      if (digits === 2) assert.equal(String(roundHours(Number(x))), number_of_it, toFixed)
    }
    assert.throws(() => roundHours(Number.POSITIVE_INFINITY), BLANK)
  })

  test('numbers are printed as ECMAScript does, bit for bit', async () => {
    const { js_number_format: recorded } = await vectors()
    for (const [bits, text] of recorded.cases) assert.equal(canonicalJson(numberOfBits(bits)), text, bits)
    assert.equal(recorded.cases.length, 330)
  })

  test('canonical JSON has the bytes that RFC 8785 gives', async () => {
    for (const name of ['arrays', 'french', 'structures', 'unicode', 'values', 'weird']) {
      const [input, output] = await Promise.all(
        ['input', 'output'].map((folder) => env.vectors(`jcs/${folder}/${name}.json`, 'text'))
      )
      assert.equal(canonicalJson(JSON.parse(input)), output, name)
    }
  })

  test('the strict message is the label as a field, then canonical JSON without the two signatures', () => {
    const event = {
      type: 'session',
      data: { z: 1, a: [1.5, { b: null }], strict_signature: 'x' },
      timestamp: 1,
      deviceId: 'd',
      nonce: 'n',
      signature: 'y'
    }
    const text = '{"data":{"a":[1.5,{"b":null}],"z":1},"deviceId":"d","nonce":"n","timestamp":1,"type":"session"}'
    assert.equal(toHex(strictMessage(event)), toHex(Uint8Array.of(14, ...utf8(`stats-event-v2${text}`))))
  })

  test('a hundred events at most are picked for a sync, without the anomalous ones', () => {
    const now = 1_769_601_600_000
    const event = (nonce, timestamp = now) => ({ type: 'interaction', data: {}, timestamp, deviceId: 'd', nonce })
    const events = Array.from({ length: 130 }, (_, at) => event(`${at}`, at === 129 ? 1 : now))
    const picked = eventsToSync(events, now)
    assert.deepEqual([picked.length, picked[0].nonce, picked.at(-1).nonce], [99, '30', '128'])
  })

  test('an answer is read with its missing members, and what is unknown is never taken for trust', () => {
    const whole = { success: true, verified: true, trustLevel: 'verified', warnings: ['hours_spike'] }
    assert.deepEqual(readSyncAnswer(whole), whole)
    assert.deepEqual(readSyncAnswer(JSON.stringify(whole)), whole)
    const nothing = { success: false, verified: false, warnings: [] }
    assert.deepEqual(readSyncAnswer({}), nothing)
    const odd = { success: 1, verified: 'true', trustLevel: 'full', warnings: 'none', more: 1 }
    assert.deepEqual(readSyncAnswer(odd), nothing)
    assert.deepEqual(readSyncAnswer({ success: true, warnings: [1, 'a', null] }).warnings, ['a'])
    for (const wrong of ['', '<html>', '[]', null, undefined, 3]) {
      assert.throws(() => readSyncAnswer(wrong), { code: 'ERR_BAD_JSON' })
    }
  })

  test('the four phases take both, warn, rank signed ones only, take signed ones only', () => {
    const flags = [1, 2, 3, 4].map((phase) => Object.values(phaseRules[phase]))
    assert.deepEqual(flags, [
      [true, false, true],
      [true, true, true],
      [true, true, false],
      [false, true, false]
    ])
  })
}
