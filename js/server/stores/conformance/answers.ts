// SPDX-License-Identifier: MIT
// The suite of AnswerStore (R130 to R132).

import { DAY_MS } from '../../../common/protocol.ts'
import { randomId } from '../../support/encoding.ts'
import type { AnswerClaim, KeptAnswer } from '../../types.ts'
import {
  type ConformanceAssert,
  type ConformanceOptions,
  type ConformanceTest,
  createCheck,
  type MakeStores,
  plain,
  randomKey,
  startMs
} from './kit.ts'

const ANSWER: KeptAnswer = {
  resultCode: 'ok',
  status: 200,
  contentType: 'text/plain',
  payload: new Uint8Array([0, 255, 128])
}
const [ONE, OTHER] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)]

// With a clock of its own, a store makes the test wait. The others use the times that the test passes, to the
// millisecond.
function createClaims(options: ConformanceOptions) {
  const [holdMs, keepMs] = options.elapse ? [2000, 8000] : [30_000, DAY_MS]
  const claimOf = (changes: Partial<AnswerClaim> = {}): AnswerClaim => ({
    key32: randomKey(),
    fingerprint32: ONE,
    token: randomId(),
    owner: 'u1',
    holdMs,
    keepMs,
    nowMs: startMs,
    repeatable: false,
    ...changes
  })
  return {
    holdMs,
    keepMs,
    elapse: async (ms: number): Promise<void> => options.elapse?.(ms),
    justBefore: (ms: number): number | undefined => (options.elapse ? undefined : startMs + ms - 1),
    claimOf,
    again: (claim: AnswerClaim, changes: Partial<AnswerClaim> = {}): AnswerClaim =>
      claimOf({ ...claim, token: randomId(), ...changes }),
    times: (nowMs = startMs) => ({ keepMs, nowMs })
  }
}

type AnswerCheck = ReturnType<typeof createCheck<'answers'>>
type Claims = ReturnType<typeof createClaims>

/** Registers the tests of an AnswerStore: each key runs once (R130 to R132). */
export function answerConformance(
  test: ConformanceTest,
  assert: ConformanceAssert,
  makeStores: MakeStores,
  options: ConformanceOptions = {}
): void {
  const check = createCheck(test, makeStores, 'answers', options)
  const claims = createClaims(options)
  registerClaimTests(check, assert, claims)
  registerEndTests(check, assert, claims)
  registerBoundTests(check, assert, claims)
}

function registerClaimTests(check: AnswerCheck, assert: ConformanceAssert, claims: Claims): void {
  const { holdMs, keepMs, elapse, justBefore, claimOf, again, times } = claims

  check('all keys of an owner are forgotten, whatever their state, and nobody else’s', async (answers) => {
    if (!answers.forgetUser) return
    const [kept, open, other] = [claimOf(), claimOf(), claimOf({ owner: 'u2' })]
    for (const claim of [kept, open, other]) assert.equal((await answers.claim(claim)).state, 'claimed')
    const times = { keepMs: kept.keepMs, nowMs: startMs }
    for (const claim of [kept, other]) assert.equal(await answers.finish(claim.key32, claim.token, ANSWER, times), true)
    await answers.forgetUser('u1')
    assert.equal(await answers.finish(open.key32, open.token, ANSWER, times), false)
    assert.equal((await answers.claim(other)).state, 'kept')
    // Their room is free again: the owner's quota is 10.
    for (let count = 0; count < 10; count++) assert.equal((await answers.claim(claimOf())).state, 'claimed')
    assert.equal((await answers.claim(claimOf())).state, 'full')
  })
  check('R130 a key is claimed once, then held, then kept with its answer', async (answers) => {
    const claim = claimOf()
    assert.deepEqual(await answers.claim(claim), { state: 'claimed' })
    const held = await answers.claim(again(claim))
    assert.equal(held.state, 'held')
    const { retryAfterMs } = held as { retryAfterMs: number }
    assert.ok(retryAfterMs > 0 && retryAfterMs <= holdMs)
    assert.equal(await answers.finish(claim.key32, claim.token, ANSWER, times()), true)
    assert.deepEqual(plain(await answers.claim(again(claim))), plain({ state: 'kept', answer: ANSWER }))
    assert.equal((await answers.claim(again(claim))).state, 'kept')
  })
  check('R130 of many claims at once exactly one is taken', async (answers) => {
    for (let round = 0; round < 20; round++) {
      const claim = claimOf({ owner: `u${round}` })
      const verdicts = await Promise.all(Array.from({ length: 16 }, () => answers.claim(again(claim))))
      const count = (wanted: string) => verdicts.filter(({ state }) => state === wanted).length
      assert.deepEqual([count('claimed'), count('held')], [1, 15])
    }
  })
  check('R131 the same key with another fingerprint is a conflict, whatever became of it', async (answers) => {
    const claim = claimOf()
    const other = () => again(claim, { fingerprint32: OTHER, repeatable: true })
    await answers.claim(claim)
    assert.deepEqual(await answers.claim(other()), { state: 'conflict' })
    await answers.finish(claim.key32, claim.token, ANSWER, times())
    assert.deepEqual(await answers.claim(other()), { state: 'conflict' })
    assert.equal((await answers.claim(again(claim))).state, 'kept')
  })
  check('R132 a claim without an end is unknown once its hold is over, until its key is forgotten', async (answers) => {
    const claim = claimOf()
    const stateAt = async (nowMs: number) => (await answers.claim(again(claim, { nowMs }))).state
    await answers.claim(claim)
    const [held, kept] = [justBefore(holdMs), justBefore(keepMs)]
    if (held !== undefined) assert.equal(await stateAt(held), 'held')
    await elapse(holdMs)
    assert.equal(await stateAt(startMs + holdMs), 'unknown')
    if (kept !== undefined) assert.equal(await stateAt(kept), 'unknown')
    await elapse(keepMs - holdMs)
    assert.equal(await stateAt(startMs + keepMs), 'claimed')
  })
  check(
    'R132 a repeatable claim takes over one that lost its hold; the first can no longer end it',
    async (answers) => {
      const claim = claimOf()
      const nowMs = startMs + holdMs
      await answers.claim(claim)
      assert.equal((await answers.claim(again(claim, { repeatable: true }))).state, 'held')
      await elapse(holdMs)
      const second = again(claim, { nowMs, repeatable: true })
      assert.equal((await answers.claim(second)).state, 'claimed')
      assert.equal((await answers.claim(again(second))).state, 'held')
      assert.equal(await answers.finish(claim.key32, claim.token, ANSWER, times(nowMs)), false)
      assert.equal(await answers.release(claim.key32, claim.token), false)
      assert.equal(await answers.finish(second.key32, second.token, ANSWER, times(nowMs)), true)
      assert.equal((await answers.claim(again(second))).state, 'kept')
    }
  )
  check('R132 an end without an answer is unknown at once; a late end with one is an answer', async (answers) => {
    const [over, late] = [claimOf(), claimOf()]
    await answers.claim(over)
    assert.equal(await answers.finish(over.key32, over.token, null, times()), true)
    assert.deepEqual(await answers.claim(again(over)), { state: 'unknown' })
    await answers.claim(late)
    await elapse(holdMs)
    const nowMs = startMs + holdMs
    assert.equal((await answers.claim(again(late, { nowMs }))).state, 'unknown')
    assert.equal(await answers.finish(late.key32, late.token, ANSWER, times(nowMs)), true)
    assert.equal((await answers.claim(again(late, { nowMs }))).state, 'kept')
  })
}

function registerEndTests(check: AnswerCheck, assert: ConformanceAssert, claims: Claims): void {
  const { holdMs, keepMs, elapse, justBefore, claimOf, again, times } = claims

  check('an end ends once, and only its own claim', async (answers) => {
    const claim = claimOf()
    const { key32, token } = claim
    await answers.claim(claim)
    assert.equal(await answers.finish(key32, randomId(), ANSWER, times()), false)
    assert.equal(await answers.release(key32, randomId()), false)
    assert.equal(await answers.finish(randomKey(), token, ANSWER, times()), false)
    assert.equal(await answers.finish(key32, token, ANSWER, times()), true)
    assert.equal(await answers.finish(key32, token, null, times()), false)
    assert.equal(await answers.release(key32, token), false)
    assert.equal((await answers.claim(again(claim))).state, 'kept')
  })
  check('R153 an answer keeps the headers of its handler, and one without has none', async (answers) => {
    const headers = { etag: '"1"', location: '/a?b=c', link: '</2>; rel="next"' }
    for (const kept of [{ ...ANSWER, headers }, { ...ANSWER, headers: {} }, ANSWER]) {
      const claim = claimOf()
      await answers.claim(claim)
      assert.equal(await answers.finish(claim.key32, claim.token, kept, times()), true)
      const verdict = await answers.claim(again(claim))
      const { answer } = verdict as { answer: KeptAnswer }
      assert.deepEqual(plain(answer.headers ?? {}), plain('headers' in kept ? kept.headers : {}))
    }
  })
  check('a released key is free, for any request', async (answers) => {
    const claim = claimOf()
    await answers.claim(claim)
    assert.equal(await answers.release(claim.key32, claim.token), true)
    assert.equal((await answers.claim(again(claim, { fingerprint32: OTHER }))).state, 'claimed')
  })
  check('an answer is kept from its end on, and not longer', async (answers) => {
    const claim = claimOf()
    const stateAt = async (nowMs: number) => (await answers.claim(again(claim, { nowMs }))).state
    await answers.claim(claim)
    await elapse(holdMs)
    await answers.finish(claim.key32, claim.token, ANSWER, times(startMs + holdMs))
    const kept = justBefore(holdMs + keepMs)
    if (kept !== undefined) assert.equal(await stateAt(kept), 'kept')
    await elapse(keepMs - holdMs)
    if (kept === undefined) assert.equal(await stateAt(startMs + keepMs), 'kept')
    await elapse(holdMs)
    assert.equal(await stateAt(startMs + holdMs + keepMs), 'claimed')
  })
}

function registerBoundTests(check: AnswerCheck, assert: ConformanceAssert, claims: Claims): void {
  const { keepMs, elapse, claimOf, again } = claims

  check('D4 an owner has a share, and nothing alive is evicted', async (answers) => {
    // Longer than the test takes by any clock.
    const lasting = { holdMs: DAY_MS, keepMs: DAY_MS }
    const mine = Array.from({ length: 10 }, () => claimOf({ ...lasting, owner: 'flood' }))
    for (const claim of mine) assert.equal((await answers.claim(claim)).state, 'claimed')
    assert.deepEqual(await answers.claim(claimOf({ owner: 'flood' })), { state: 'full' })
    let claimed = 0
    for (let owner = 0; owner < 80; owner++) {
      const claims = Array.from({ length: 10 }, () => answers.claim(claimOf({ ...lasting, owner: `o${owner}` })))
      claimed += (await Promise.all(claims)).filter(({ state }) => state === 'claimed').length
    }
    assert.ok(claimed >= 300 && claimed <= 640, `${claimed} claimed`)
    for (const claim of mine) assert.equal((await answers.claim(again(claim))).state, 'held')
    const [first] = mine as [AnswerClaim]
    assert.equal(await answers.release(first.key32, first.token), true)
  })
  check('expired keys make room', async (answers) => {
    const mine = Array.from({ length: 10 }, () => claimOf())
    for (const claim of mine) assert.equal((await answers.claim(claim)).state, 'claimed')
    assert.equal((await answers.claim(claimOf())).state, 'full')
    await elapse(keepMs)
    let claimed = 0
    for (let count = 0; count < 11; count++)
      if ((await answers.claim(claimOf({ nowMs: startMs + keepMs }))).state === 'claimed') claimed += 1
    assert.ok(claimed >= 9 && claimed <= 10, `${claimed} claimed`)
  })
  check('after close it takes nothing', async (answers) => {
    await answers.close()
    await assert.rejects(answers.claim(claimOf()))
  })
}
