// SPDX-License-Identifier: MIT
// What a store of idempotent answers has to do, as tests: run them on one of your own. `create` gives fresh stores each time,
// their `answers` with a capacity of 640 and so of 10 keys an owner.
//
//   answerConformance(test, { name: 'mine', create: async () => ({ answers, close }) })
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'

const startMs = 1_775_000_000_000
const bytes32 = () => new Uint8Array(randomBytes(32))
const fingerprint32 = new Uint8Array(32).fill(1)
const answer = { resultCode: 'ok', status: 200, contentType: 'text/plain', payload: new Uint8Array([0, 255, 128]) }

/** claimOf makes a claim of its own key and token unless told. */
export const claimOf = (changes = {}) => ({
  key32: bytes32(),
  fingerprint32,
  token: randomBytes(16).toString('base64url'),
  owner: 'u1',
  holdMs: 30_000,
  keepMs: 86_400_000,
  nowMs: startMs,
  repeatable: false,
  ...changes
})

const again = (claim, changes = {}) => claimOf({ ...claim, token: randomBytes(16).toString('base64url'), ...changes })
const times = (nowMs = startMs) => ({ keepMs: 86_400_000, nowMs })

/** answerConformance: R130 to R132. */
export const answerConformance = (test, { name, create }) => {
  const check = (rule, run) =>
    test(`${name} answers: ${rule}`, async () => {
      const stores = await create()
      try {
        await run(stores.answers)
      } finally {
        await stores.close?.()
      }
    })

  check('R130 a key is claimed once, then held, then kept with its answer', async (answers) => {
    const claim = claimOf()
    assert.deepEqual(await answers.claim(claim), { state: 'claimed' })
    const held = await answers.claim(again(claim, { nowMs: startMs + 10 }))
    assert.equal(held.state, 'held')
    assert.ok(held.retryAfterMs > 0 && held.retryAfterMs <= 30_000)
    assert.equal(await answers.finish(claim.key32, claim.token, answer, times()), true)
    const kept = await answers.claim(again(claim))
    assert.equal(kept.state, 'kept')
    assert.deepEqual({ ...kept.answer, payload: [...kept.answer.payload] }, { ...answer, payload: [0, 255, 128] })
    assert.equal((await answers.claim(again(claim))).state, 'kept')
  })
  check('R130 of many claims at once exactly one is taken', async (answers) => {
    for (let round = 0; round < 20; round++) {
      const claim = claimOf({ owner: `u${round}` })
      const verdicts = await Promise.all(Array.from({ length: 16 }, () => answers.claim(again(claim))))
      const states = verdicts.map(({ state }) => state)
      assert.deepEqual([states.filter((state) => state === 'claimed').length, new Set(states).size], [1, 2])
      assert.ok(states.includes('held'))
    }
  })
  check('R131 the same key with another fingerprint is a conflict, whatever became of it', async (answers) => {
    const claim = claimOf()
    const other = () => again(claim, { fingerprint32: new Uint8Array(32).fill(2), repeatable: true })
    await answers.claim(claim)
    assert.deepEqual(await answers.claim(other()), { state: 'conflict' })
    await answers.finish(claim.key32, claim.token, answer, times())
    assert.deepEqual(await answers.claim(other()), { state: 'conflict' })
    assert.equal((await answers.claim(again(claim))).state, 'kept')
  })
  check('R132 a claim without an end is unknown once its hold is over, to the millisecond', async (answers) => {
    const claim = claimOf()
    await answers.claim(claim)
    assert.equal((await answers.claim(again(claim, { nowMs: startMs + 29_999 }))).state, 'held')
    assert.deepEqual(await answers.claim(again(claim, { nowMs: startMs + 30_000 })), { state: 'unknown' })
    assert.deepEqual(await answers.claim(again(claim, { nowMs: startMs + 86_399_999 })), { state: 'unknown' })
    assert.equal((await answers.claim(again(claim, { nowMs: startMs + 86_400_000 }))).state, 'claimed')
  })
  check(
    'R132 a repeatable claim takes over what has lost its hold, and the first one can end nothing',
    async (answers) => {
      const claim = claimOf()
      await answers.claim(claim)
      const second = again(claim, { nowMs: startMs + 30_000, repeatable: true })
      assert.equal((await answers.claim(again(claim, { repeatable: true }))).state, 'held')
      assert.equal((await answers.claim(second)).state, 'claimed')
      assert.equal((await answers.claim(again(second))).state, 'held')
      assert.equal(await answers.finish(claim.key32, claim.token, answer, times(startMs + 30_001)), false)
      assert.equal(await answers.release(claim.key32, claim.token), false)
      assert.equal(await answers.finish(second.key32, second.token, answer, times(startMs + 30_001)), true)
      assert.equal((await answers.claim(again(second))).state, 'kept')
    }
  )
  check('R132 an end without an answer is unknown at once; a late end with one is still an answer', async (answers) => {
    const [over, late] = [claimOf(), claimOf()]
    await answers.claim(over)
    assert.equal(await answers.finish(over.key32, over.token, null, times()), true)
    assert.deepEqual(await answers.claim(again(over)), { state: 'unknown' })
    await answers.claim(late)
    assert.equal((await answers.claim(again(late, { nowMs: startMs + 40_000 }))).state, 'unknown')
    assert.equal(await answers.finish(late.key32, late.token, answer, times(startMs + 50_000)), true)
    assert.equal((await answers.claim(again(late, { nowMs: startMs + 50_001 }))).state, 'kept')
  })
  check('an end ends once, and only its own claim', async (answers) => {
    const claim = claimOf()
    await answers.claim(claim)
    assert.equal(await answers.finish(claim.key32, claimOf().token, answer, times()), false)
    assert.equal(await answers.release(claim.key32, claimOf().token), false)
    assert.equal(await answers.finish(bytes32(), claim.token, answer, times()), false)
    assert.equal(await answers.finish(claim.key32, claim.token, answer, times()), true)
    assert.equal(await answers.finish(claim.key32, claim.token, null, times()), false)
    assert.equal(await answers.release(claim.key32, claim.token), false)
    assert.equal((await answers.claim(again(claim))).state, 'kept')
  })
  check('what was released is free, for whatever request', async (answers) => {
    const claim = claimOf()
    await answers.claim(claim)
    assert.equal(await answers.release(claim.key32, claim.token), true)
    const other = again(claim, { fingerprint32: new Uint8Array(32).fill(2) })
    assert.equal((await answers.claim(other)).state, 'claimed')
  })
  check('an answer is kept from its end on, and not longer', async (answers) => {
    const claim = claimOf({ keepMs: 60_000 })
    await answers.claim(claim)
    await answers.finish(claim.key32, claim.token, answer, { keepMs: 60_000, nowMs: startMs + 20_000 })
    const at = (nowMs) => answers.claim(again(claim, { keepMs: 60_000, nowMs }))
    assert.equal((await at(startMs + 79_999)).state, 'kept')
    assert.equal((await at(startMs + 80_000)).state, 'claimed')
  })
  check('D4 an owner has a share, what is alive is never evicted, and what has expired makes room', async (answers) => {
    const mine = Array.from({ length: 10 }, () => claimOf({ owner: 'flood' }))
    for (const claim of mine) assert.equal((await answers.claim(claim)).state, 'claimed')
    assert.deepEqual(await answers.claim(claimOf({ owner: 'flood' })), { state: 'full' })
    assert.equal((await answers.claim(claimOf({ owner: 'other' }))).state, 'claimed')
    let claimed = 0
    for (let owner = 0; owner < 100; owner++) {
      const claims = Array.from({ length: 10 }, () => answers.claim(claimOf({ owner: `o${owner}` })))
      claimed += (await Promise.all(claims)).filter(({ state }) => state === 'claimed').length
    }
    assert.ok(claimed > 100 && claimed < 640, `${claimed} claimed`)
    for (const claim of mine) assert.equal((await answers.claim(again(claim))).state, 'held')
    assert.equal(await answers.release(mine[0].key32, mine[0].token), true)
    const later = startMs + 86_400_000
    for (let count = 0; count < 60; count++) {
      const { state } = await answers.claim(claimOf({ owner: `late${count}`, nowMs: later }))
      assert.ok(state === 'claimed' || count < 2, `${count}: ${state}`)
    }
  })
  check('after close it takes nothing', async (answers) => {
    await answers.close()
    await assert.rejects(answers.claim(claimOf()))
  })
}
