// SPDX-License-Identifier: MIT
// The suite of ReplayStore's limit (R142): a refused id is forgotten, and its session's floor stands in its place.

import type { ReserveVerdict } from '../../../common/types.ts'
import type { ReplayStore } from '../../types.ts'
import { type ConformanceAssert, randomKey, startMs } from './kit.ts'

type Check = (rule: string, run: (replay: ReplayStore) => Promise<void>) => unknown
type LimitTry = { time?: number; now?: number; owner?: string; isReserved?: boolean }

/** How the stores under test take time: how long an id lives in these tests, and how they wait for its end. */
type StoreTime = { lifeMs: number; elapse(ms: number): Promise<void> }

const waitOf = (verdict: ReserveVerdict | undefined): number | string | undefined =>
  typeof verdict === 'object' ? verdict.retryAfterMs : verdict

// xorshift32: the same numbers in every run.
function createRandom(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

/** Registers the tests of `limit`. A store without it passes them. */
export function registerLimitTests(check: Check, assert: ConformanceAssert, { lifeMs, elapse }: StoreTime): void {
  const reserve = (
    replay: ReplayStore,
    id: Uint8Array,
    { time = startMs, now = startMs, owner = 's' }: LimitTry = {}
  ): Promise<ReserveVerdict> => replay.reserve(id, time, time + lifeMs, now, owner)
  const limit = async (
    replay: ReplayStore,
    key32: Uint8Array,
    { time = startMs, now = startMs, owner = 's', isReserved = true }: LimitTry = {}
  ): Promise<ReserveVerdict | undefined> =>
    replay.limit?.({ key32, timestampMs: time, expiresMs: time + lifeMs, nowMs: now, session: owner, isReserved })

  check("R142 a limited id is forgotten, and its session's floor refuses it and what is as old", async (replay) => {
    if (!replay.limit) return
    const id = randomKey()
    assert.equal(await reserve(replay, id, { time: startMs + 5 }), 'reserved')
    assert.equal(waitOf(await limit(replay, id, { time: startMs + 5 })), 6)
    assert.equal(waitOf(await reserve(replay, id, { time: startMs + 5 })), 6)
    assert.equal(waitOf(await reserve(replay, randomKey(), { time: startMs + 4, now: startMs + 9 })), 0)
    assert.equal(await reserve(replay, randomKey(), { time: startMs + 6 }), 'reserved')
    assert.equal(await reserve(replay, randomKey(), { owner: 'other' }), 'reserved')
    if (replay.size) assert.equal(replay.size(), 3)
  })

  check('R142 an id that was reserved before its session got a floor stays used', async (replay) => {
    if (!replay.limit) return
    const [early, late] = [randomKey(), randomKey()]
    await reserve(replay, early)
    await reserve(replay, late, { time: startMs + 1 })
    await limit(replay, late, { time: startMs + 1 })
    assert.equal(await reserve(replay, early), 'used')
  })

  check('R142 a full quota refuses for good what it did not keep, and says how long it stays full', async (replay) => {
    if (!replay.limit) return
    const mine = Array.from({ length: 10 }, randomKey)
    for (const id of mine) assert.equal(await reserve(replay, id), 'reserved')
    const eleventh = randomKey()
    assert.equal(await reserve(replay, eleventh, { time: startMs + 1 }), 'full')
    const wait = waitOf(await limit(replay, eleventh, { time: startMs + 1, isReserved: false }))
    assert.ok(Number(wait) > 0)
    assert.ok(Number(wait) <= lifeMs + 5000)
    assert.notEqual(waitOf(await reserve(replay, eleventh, { time: startMs + 1 })), 'reserved')
    assert.equal(await reserve(replay, randomKey(), { time: startMs + 2 }), 'full')
    for (const id of mine) assert.equal(await reserve(replay, id), 'used')
    await elapse(lifeMs)
    // As long as the store has said: there is room again, and what was refused stays refused.
    const later = startMs + Number(wait)
    assert.equal(await reserve(replay, randomKey(), { time: later, now: later }), 'reserved')
    assert.notEqual(await reserve(replay, eleventh, { time: startMs + 1, now: later }), 'reserved')
  })

  check('R142 an id that another request has reserved is used, and stays so', async (replay) => {
    if (!replay.limit) return
    const id = randomKey()
    await reserve(replay, id)
    assert.equal(await limit(replay, id, { isReserved: false }), 'used')
    assert.equal(await limit(replay, id, { owner: 'other' }), 'used')
    assert.equal(await reserve(replay, id), 'used')
    assert.equal(await reserve(replay, randomKey()), 'reserved', 'no floor was made')
  })

  check('R142 a floor lives as long as its id would have, and then raises the floor of all', async (replay) => {
    if (!replay.limit) return
    const [first, second] = [randomKey(), randomKey()]
    await reserve(replay, first)
    await limit(replay, first)
    await reserve(replay, second, { time: startMs + 20 })
    await limit(replay, second, { time: startMs + 20 })
    if (replay.size) assert.equal(replay.size(), 1)
    await elapse(lifeMs)
    // To the millisecond for a store that takes the times of the test, where the last one is still the floor's.
    const end = startMs + 20 + lifeMs
    assert.equal(await reserve(replay, randomKey(), { time: end + 90_000, now: end + 90_000 }), 'reserved')
    for (const [id, time] of [
      [first, startMs],
      [second, startMs + 20]
    ] as const)
      assert.equal(await reserve(replay, id, { time, now: end + 90_000, owner: 'other' }), 'too-old')
    if (replay.floorMs) assert.equal(replay.floorMs(), startMs + 20)
    if (replay.size) assert.equal(replay.size(), 1)
  })

  check('D4 requests that a rate refuses leave their room to others', async (replay) => {
    if (!replay.limit) return
    for (let count = 0; count < 100; count++) {
      const [id, owner, time] = [randomKey(), `s${count % 4}`, startMs + count]
      assert.equal(await reserve(replay, id, { time, owner }), 'reserved')
      assert.equal(typeof (await limit(replay, id, { time, owner })), 'object')
    }
    if (replay.size) assert.equal(replay.size(), 4)
  })

  check('D1 R142 whatever is limited in between, no id is reserved twice, nor once it was limited', async (replay) => {
    if (!replay.limit) return
    const random = createRandom(142)
    const ids = Array.from({ length: 60 }, () => ({
      key: randomKey(),
      owner: `s${random(3)}`,
      time: startMs + random(50)
    }))
    const gone = new Set<Uint8Array>()
    const held = new Set<Uint8Array>()
    let limited = 0
    for (let step = 0; step < 400; step++) {
      const { key, owner, time } = ids[random(ids.length)] as (typeof ids)[number]
      const isReserved = held.has(key)
      if (random(3) > 0) {
        const verdict = await reserve(replay, key, { owner, time })
        assert.equal(verdict === 'reserved' && gone.has(key), false)
        if (verdict === 'reserved') held.add(key)
        if (verdict === 'reserved' || typeof verdict === 'object') gone.add(key)
      } else if (typeof (await limit(replay, key, { owner, time, isReserved })) === 'object') {
        held.delete(key)
        gone.add(key)
        limited += 1
      }
    }
    assert.ok(held.size > 0)
    assert.ok(limited > 0)
  })
}
