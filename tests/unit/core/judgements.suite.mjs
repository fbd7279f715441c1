// SPDX-License-Identifier: MIT
// The judgements of requests through the JavaScript core.

import { loadCore } from 'countersign/core'
import { fromHex } from '../harness/bytes.mjs'

const keyOf = ({ algorithm, public_key, replaced_ms }) => ({
  algorithm,
  publicKey: fromHex(public_key),
  ...(replaced_ms === undefined ? {} : { replacedMs: replaced_ms })
})

const sessionOf = (row) =>
  row && { status: row.status, ...keyOf(row), ...(row.previous ? { previous: keyOf(row.previous) } : {}) }

const timeOf = ({ now_ms, past_ms, future_ms, is_burnt }) => ({
  nowMs: now_ms,
  pastMs: past_ms,
  futureMs: future_ms,
  isBurnt: is_burnt
})

const refusalOf = ([stage, code, retryAfterMs]) => ({
  stage,
  code,
  ...(typeof retryAfterMs === 'number' ? { retryAfterMs } : {})
})

const judgementOf = ({ next, signer, side, expires_ms, refusal }) => ({
  next,
  signer,
  side,
  expiresMs: expires_ms,
  ...(refusal ? { refusal: refusalOf(refusal) } : {})
})

const requestOf = ({ signing_input, signature }) => ({
  signingInput: fromHex(signing_input),
  signature: fromHex(signature)
})

export const suite = (test, assert, env) => {
  const load = async () => ({ core: await loadCore(), vectors: await env.vectors('judgements.json') })

  test('R46 R49 R50 R60 R63 R122 R148 R151 the judgements of the vectors', async () => {
    const { core, vectors } = await load()
    assert.equal(vectors.requests.length, 153)
    for (const row of vectors.requests) {
      const judged = core.judgeRequest(requestOf(row), sessionOf(row.session), row.es256, timeOf(row.time))
      assert.deepEqual(judged, judgementOf(row.judgement), row.name)
    }
  })

  test('R59 R62 R63 R64 R142 the reservations of the vectors', async () => {
    const { core, vectors } = await load()
    assert.equal(vectors.reservations.length, 225)
    for (const { judgement, time, reservation, refusal } of vectors.reservations) {
      const { verdict, wait_ms, floor_ms, done_ms } = reservation
      const ended = { verdict, waitMs: wait_ms, floorMs: floor_ms, doneMs: done_ms }
      const judged = core.judgeReservation(judgementOf(judgement), timeOf(time), ended)
      assert.deepEqual(judged, refusal ? refusalOf(refusal) : undefined, JSON.stringify({ time, reservation }))
    }
  })

  test('R89 the last look at a session; only `active` is active', async () => {
    const { core } = await load()
    assert.equal(core.judgeAgain({ status: 'active' }), undefined)
    for (const status of ['revoked', 'Active', undefined, 1]) {
      assert.deepEqual(core.judgeAgain({ status }), { stage: 'session', code: 'cs.session_revoked' })
    }
    assert.deepEqual(core.judgeAgain(null), { stage: 'session', code: 'cs.unauthenticated' })
  })

  test('a bad argument is an error, and what no store may say accepts nothing', async () => {
    const { core, vectors } = await load()
    const row = vectors.requests.find(({ judgement: { refusal, next } }) => !refusal && next === 'reserve-or-limit')
    const request = requestOf(row)
    const session = sessionOf(row.session)
    const time = timeOf(row.time)
    const judge = (changes = {}) =>
      core.judgeRequest({ ...request, ...changes.request }, changes.session ?? session, changes.es256 ?? {}, {
        ...time,
        ...changes.time
      })
    const judged = judge()
    assert.equal(judged.refusal, undefined)
    for (const nowMs of [-1, 0.5, Number.NaN, 2 ** 53, '1', undefined]) {
      assert.throws(() => judge({ time: { nowMs } }), { code: 'ERR_INVALID_TIME' })
    }
    assert.throws(() => judge({ request: { signature: new Uint8Array(63) } }), { code: 'ERR_INVALID_ARGUMENT' })
    assert.throws(() => judge({ request: { signingInput: new Uint8Array(3) } }), {
      category: 'malformed',
      stage: 'parse'
    })
    // A record that names no algorithm of ours verifies nothing.
    for (const change of [{ algorithm: 'rsa' }, { publicKey: new Uint8Array(66) }, { publicKey: new Uint8Array() }]) {
      const { refusal } = judge({ session: { ...session, ...change }, es256: { key: true } })
      assert.deepEqual(refusal, { stage: 'signature', code: 'cs.unauthenticated' })
    }
    const ended = { verdict: 'reserved', floorMs: 0, doneMs: time.nowMs }
    assert.equal(core.judgeReservation(judged, time, ended), undefined)
    for (const verdict of ['yes', undefined, 0, 'RESERVED']) {
      assert.throws(() => core.judgeReservation(judged, time, { ...ended, verdict }), { code: 'ERR_INVALID_ARGUMENT' })
    }
    for (const next of ['refuse', 'verify-key', 'verify-previous', 'end-session']) {
      assert.ok(core.judgeReservation({ ...judged, next }, time, ended).code.startsWith('cs.'), next)
    }
  })
}
