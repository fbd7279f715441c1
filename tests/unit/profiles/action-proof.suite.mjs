// SPDX-License-Identifier: MIT
// ADR-005 action proofs on the recorded vectors: messages, signatures, wire variants in both modes, freshness, timestamps.

import {
  createBatch,
  createLimiter,
  createProof,
  createProofNow,
  importSecret,
  proofMessage,
  randomNonce,
  readAnswer,
  verifyProof
} from 'countersign/action-proof'
import { loadCore } from 'countersign/core'
import { utf8 } from '../harness/bytes.mjs'

const USAGE = { category: 'usage' }
const spelled = { NaN: Number.NaN }

/** The fields of a recorded case; what JSON cannot say is made here. */
const fieldsOf = (fixed, { name, action_type, action_data_json, expected_points_js, nonce }) => ({
  actionType: action_type,
  timestamp: fixed.timestamp,
  actionData:
    name === 'data_tojson'
      ? { toJSON: () => ({ swapped: 1 }) }
      : name === 'data_undefined'
        ? undefined
        : JSON.parse(action_data_json),
  expectedPoints: spelled[expected_points_js] ?? Number(expected_points_js),
  nonce
})

/** Recorded cases that are refused here by rule: the original sends null, drops a member or an empty nonce. */
const REFUSED = ['points_nan', 'data_undefined', 'nonce_empty']

export const suite = (test, assert, env) => {
  let loaded
  const load = async () => {
    const recorded = await env.vectors('action-proof.json')
    return { ...recorded, secret: await importSecret(recorded.fixed.client_secret) }
  }
  const vectors = () => {
    loaded ??= load()
    return loaded
  }
  const good = {
    actionType: 'puzzle_complete',
    timestamp: 1_752_748_200_000,
    actionData: { a: 1 },
    expectedPoints: 1,
    nonce: 'n'.repeat(8)
  }

  test('every recorded case is signed byte for byte, or refused by rule', async () => {
    const { cases, fixed, secret } = await vectors()
    assert.equal(cases.length, 28)
    for (const entry of cases) {
      const fields = fieldsOf(fixed, entry)
      if (REFUSED.includes(entry.name)) {
        assert.throws(() => proofMessage(fields), USAGE, entry.name)
        continue
      }
      assert.equal(proofMessage(fields), entry.signed, entry.name)
      const { text, proof } = await createProof(secret, fields)
      assert.equal(text, entry.wire_body, entry.name)
      assert.equal(proof.client_signature, entry.client_signature, entry.name)
      const verdict = await verifyProof(utf8(text), { secret, nowMs: fixed.timestamp_ms + 29_999 })
      assert.equal(verdict.ok, true, entry.name)
      assert.equal(verdict.proof.actionType, entry.action_type)
      assert.deepEqual(verdict.proof.actionData, JSON.parse(text).action_proof.action_data)
    }
  })

  test('a proof that was parsed and written again verifies only where that made the same bytes', async () => {
    const { cases, fixed, secret } = await vectors()
    let [same, other] = [0, 0]
    for (const entry of cases) {
      if (REFUSED.includes(entry.name)) continue
      for (const { text, same_bytes: isSame, sig_ok: isOk } of Object.values(entry.reencoded)) {
        if (text === undefined || isSame) {
          same++
          continue
        }
        const members = text.trimEnd().replace(/\}$/, '')
        const body = `{"action_proof":${members},"client_signature":"${entry.client_signature}"}}`
        const { ok } = await verifyProof(body, { secret, nowMs: fixed.timestamp_ms, mode: 'excise' })
        assert.equal(ok, isOk === true, entry.name)
        other++
      }
    }
    assert.equal(same > 50 && other > 50, true, `${same} ${other}`)
  })

  test('wire variants: both raw modes say what was recorded; duplicate, unknown and missing members are malformed first', async () => {
    const { wire_variants: variants, fixed, secret } = await vectors()
    assert.equal(variants.cases.length, 17)
    for (const { name, body, result } of variants.cases) {
      const verdictOf = (mode) => verifyProof(utf8(body), { secret, nowMs: fixed.timestamp_ms, mode })
      const slices = await verdictOf('slices')
      assert.equal(slices.ok, result.raw_slices_fixed_order === true, name)
      if (result.raw_slices_fixed_order === 'malformed') assert.equal(slices.reason, 'malformed', name)
      else if (!slices.ok) assert.equal(slices.reason, 'signature', name)
      const excised = await verdictOf('excise')
      assert.equal(excised.ok, result.raw_excise === true, name)
    }
  })

  test('freshness is -skew <= age < 30 s, as recorded, to the millisecond', async () => {
    const { freshness, fixed, secret } = await vectors()
    const { text } = await createProof(secret, { ...good, timestamp: fixed.timestamp_ms })
    for (const { age_s: age, recommended } of freshness.cases) {
      const verdict = await verifyProof(text, { secret, nowMs: fixed.timestamp_ms + Math.round(age * 1000) })
      assert.equal(verdict.ok, recommended, `${age} s`)
      if (!recommended) assert.equal(verdict.reason, 'stale')
    }
    const at = (ms, options) => verifyProof(text, { secret, nowMs: fixed.timestamp_ms + ms, ...options })
    assert.equal((await at(-5000)).ok, true)
    assert.equal((await at(-5001)).ok, false)
    assert.equal((await at(29_999)).ok, true)
    assert.equal((await at(59_999, { maxAgeMs: 60_000 })).ok, true)
    for (const mode of ['strict', '', null]) await assert.rejects(at(0, { mode }), USAGE)
  })

  test('C11 timestamps: UTC of days that exist, with milliseconds or without, and no other spelling', async () => {
    const { sample_timestamp_without_ms: sample, fixed, secret, to_iso_string: recorded } = await vectors()
    assert.equal(
      proofMessage(JSON.parse(`{"x":${sample.signed}}`, (key, value) => (key === 'x' ? toFields(value) : value)).x),
      sample.signed
    )
    const { text } = await createProof(secret, { ...good, timestamp: '2025-07-17T10:30:00Z' })
    assert.equal((await verifyProof(text, { secret, nowMs: fixed.timestamp_ms })).proof.timestampMs, fixed.timestamp_ms)
    for (const [ms, iso] of recorded) {
      if (ms < 0 || ms > 253_402_300_799_999) assert.throws(() => proofMessage({ ...good, timestamp: ms }), USAGE)
      else assert.equal(JSON.parse(proofMessage({ ...good, timestamp: ms })).timestamp, iso)
    }
    for (const wrong of [
      '1969-12-31T23:59:59Z',
      '2025-02-30T00:00:00Z',
      '2025-07-17T24:00:00Z',
      '2025-07-17T10:30:60Z',
      '2025-07-17t10:30:00z',
      '2025-07-17 10:30:00Z',
      '2025-07-17T10:30:00+00:00',
      '2025-07-17T10:30:00.1Z',
      '2025-07-17T10:30:00.0000Z',
      '2025-7-17T10:30:00Z',
      '2025-07-17T10:30:00',
      '',
      Number.NaN,
      Number.POSITIVE_INFINITY,
      new Date(Number.NaN),
      null
    ])
      assert.throws(() => proofMessage({ ...good, timestamp: wrong }), USAGE, String(wrong))
  })

  test('the secret is its text, whatever its length; an empty one is refused', async () => {
    const { hmac_key_lengths: lengths, key_interpretation: key, cases, fixed } = await vectors()
    const sample = cases.find(({ name }) => name === key.signed_of)
    const { proof } = await createProof(await importSecret(key.secret_text), fieldsOf(fixed, sample))
    assert.equal(proof.client_signature, key.as_utf8_text__ADR_behaviour)
    assert.equal(lengths.length, 7)
    for (const wrong of ['', undefined, 7, 'a\ud800']) await assert.rejects(importSecret(wrong), USAGE)
    await assert.rejects(importSecret('x', { id: 'no spaces' }), USAGE)
    assert.equal((await importSecret('x', { id: 'p1' })).id, 'p1')
  })

  test('what JSON would change or lose is refused, with the path', () => {
    const cyclic = {}
    cyclic.self = cyclic
    for (const actionData of [
      1n,
      Number.NaN,
      { a: [Number.POSITIVE_INFINITY] },
      cyclic,
      { a: '\ud800' },
      undefined,
      () => 1
    ])
      assert.throws(() => proofMessage({ ...good, actionData }), USAGE)
    for (const wrong of [
      { actionType: '' },
      { actionType: 'a\n' },
      { actionType: 7 },
      { expectedPoints: '1' },
      { nonce: 'short' }
    ])
      assert.throws(() => proofMessage({ ...good, ...wrong }), USAGE)
    for (const nonce of ['n'.repeat(129), 'with space', 'é'.repeat(8), `${'n'.repeat(8)}\u0000`])
      assert.throws(() => proofMessage({ ...good, nonce }), USAGE)
    assert.throws(() => proofMessage(null), USAGE)
    assert.equal(randomNonce().length, 32)
    for (const given of [new Uint8Array(15), 'x'.repeat(16), undefined, 16]) {
      assert.throws(() => randomNonce(() => given), { code: 'ERR_INVALID_ARGUMENT' })
    }
    assert.equal(new Set(Array.from({ length: 50 }, () => randomNonce())).size, 50)
  })

  test('B5 a proof made at once by the core is the one WebCrypto makes; a batch is its proofs in order', async () => {
    const { secret, fixed } = await vectors()
    const core = await loadCore()
    const now = createProofNow(core, fixed.client_secret, good)
    assert.equal(now.text, (await createProof(secret, good)).text)
    for (const wrong of [
      [null, 'x', good],
      [core, '', good],
      [core, 'x', {}]
    ])
      assert.throws(() => createProofNow(...wrong), USAGE)
    const { text } = await createBatch(secret, [good, { ...good, nonce: 'm'.repeat(8) }])
    const { action_proofs: proofs } = JSON.parse(text)
    assert.deepEqual(
      proofs.map(({ nonce }) => nonce[0]),
      ['n', 'm']
    )
    assert.equal(text.includes(now.text.slice('{"action_proof":'.length, -1)), true)
    for (const wrong of [[], undefined, new Array(51).fill(good)])
      await assert.rejects(createBatch(secret, wrong), USAGE)
    const clock = { now: () => 1_752_748_200_000.9 }
    const { proof } = await createProof(secret, { actionType: 'a', actionData: 1, expectedPoints: 1 }, { clock })
    assert.equal(proof.timestamp, fixed.timestamp)
  })

  test('the limiter keeps the rules in sliding windows and follows retry_after', () => {
    let ms = 0
    const limiter = createLimiter({ monotonicNow: () => ms })
    const sent = []
    while (ms < 60_000) {
      if (limiter.waitMs('x') === 0) {
        limiter.note('x')
        sent.push(ms)
      }
      ms += 500
    }
    assert.equal(sent.length, 10)
    assert.equal(
      sent.every((time, at) => at === 0 || time - sent[at - 1] >= 3000),
      true
    )
    ms = 120_000
    limiter.follow(7000)
    assert.equal(limiter.waitMs('x'), 7000)
    limiter.follow(undefined)
    assert.equal(readAnswer('rate_limited', utf8('{"retry_after":3}')).retryAfterMs, 3000)
    assert.deepEqual(readAnswer('ok', utf8('nonsense')), { status: 'ok' })
  })
}

const toFields = ({ action_type, timestamp, action_data, expected_points, nonce }) => ({
  actionType: action_type,
  timestamp,
  actionData: action_data,
  expectedPoints: expected_points,
  nonce
})
