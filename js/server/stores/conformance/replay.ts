// SPDX-License-Identifier: MIT
// The suite of ReplayStore (R58 to R64).

import type { ReserveVerdict } from '../../../common/types.ts'
import type { ReplayStore } from '../../types.ts'
import {
  type ConformanceAssert,
  type ConformanceOptions,
  type ConformanceTest,
  createCheck,
  type MakeStores,
  randomKey,
  startMs
} from './kit.ts'
import { registerLimitTests } from './replay-limits.ts'
import { registerShareTests } from './replay-shares.ts'

type ReplayTry = { time?: number; expires?: number; now?: number; owner?: string }

const reserve = (
  replay: ReplayStore,
  id: Uint8Array,
  { time = startMs, expires = time + 67_000, now = startMs, owner = 's' }: ReplayTry = {}
): Promise<ReserveVerdict> => replay.reserve(id, time, expires, now, owner)

const isOneOf = (verdicts: string[], verdict: ReserveVerdict): boolean =>
  typeof verdict === 'string' && verdicts.includes(verdict)

/** Registers the tests of a ReplayStore of capacity 640: each request id once (R58 to R64). */
export function replayConformance(
  test: ConformanceTest,
  assert: ConformanceAssert,
  makeStores: MakeStores,
  options: ConformanceOptions = {}
): void {
  const check = createCheck(test, makeStores, 'replay', options)
  // With a clock of its own, a store makes the test wait. The others use the times that the test passes.
  const lifeMs = options.elapse ? 15_000 : 67_000
  const elapse = async (ms: number): Promise<void> => options.elapse?.(ms)

  check('an id is reserved once', async (replay) => {
    const id = randomKey()
    assert.equal(await reserve(replay, id), 'reserved')
    assert.equal(await reserve(replay, id), 'used')
    assert.equal(await reserve(replay, id, { owner: 'other', time: startMs + 1 }), 'used')
    assert.equal(await reserve(replay, randomKey()), 'reserved')
  })
  check('of many at once exactly one is reserved', async (replay) => {
    for (let round = 0; round < 50; round++) {
      const id = randomKey()
      const verdicts = await Promise.all(Array.from({ length: 16 }, () => reserve(replay, id, { owner: `s${round}` })))
      assert.equal(verdicts.filter((verdict) => verdict === 'reserved').length, 1)
      assert.equal(verdicts.filter((verdict) => verdict === 'used').length, 15)
    }
  })
  check("a caller's later change of the id does not reach the store", async (replay) => {
    const id = randomKey()
    const copy = id.slice()
    const reserving = reserve(replay, id)
    id.fill(0)
    assert.equal(await reserving, 'reserved')
    assert.equal(await reserve(replay, copy), 'used')
  })
  check('D4 a session holds at most its quota, and the others are not touched', async (replay) => {
    const mine = Array.from({ length: 10 }, randomKey)
    for (const id of mine) assert.equal(await reserve(replay, id), 'reserved')
    assert.equal(await reserve(replay, randomKey()), 'full')
    assert.equal(await reserve(replay, randomKey(), { owner: 'other' }), 'reserved')
    for (const id of mine) assert.equal(await reserve(replay, id), 'used')
  })
  check('D4 a full store refuses and keeps every live id', async (replay) => {
    const first = randomKey()
    const expires = startMs + lifeMs
    assert.equal(await reserve(replay, first, { owner: 's0', expires }), 'reserved')
    let reserved = 1
    for (let owner = 0; owner < 80; owner++) {
      const ids = Array.from({ length: 10 }, randomKey)
      const verdicts = await Promise.all(ids.map((id) => reserve(replay, id, { owner: `s${owner}`, expires })))
      reserved += verdicts.filter((verdict) => verdict === 'reserved').length
    }
    assert.equal(reserved, 640)
    assert.equal(await reserve(replay, randomKey(), { owner: 'new', expires }), 'full')
    assert.equal(await reserve(replay, first, { owner: 's0', expires }), 'used')
    if (replay.size) assert.equal(replay.size(), 640)
    // All ids have expired: there is room again, and the forgotten ids lie under the floor.
    await elapse(lifeMs)
    const later = startMs + 90_000
    assert.equal(await reserve(replay, randomKey(), { time: later, now: later, owner: 'new' }), 'reserved')
    assert.ok(isOneOf(['used', 'too-old'], await reserve(replay, first, { owner: 's0', now: later })))
  })
  check('D5 no id is forgotten before its expiry', async (replay) => {
    // A store with a clock of its own needs long times on a slow machine.
    const unitMs = options.elapse ? 10_000 : 1000
    const ids = Array.from({ length: 9 }, (_, index) => ({ id: randomKey(), expires: startMs + (index + 1) * unitMs }))
    for (const { id, expires } of ids) await reserve(replay, id, { expires })
    for (let now = startMs; now <= startMs + 9 * unitMs; now += unitMs / 4) {
      for (const { id, expires } of ids) {
        const verdict = await reserve(replay, id, { now })
        if (now < expires) assert.equal(verdict, 'used')
        else assert.notEqual(verdict, 'reserved')
      }
    }
  })
  check('R61 a forgotten id is refused by the floor', async (replay) => {
    const id = randomKey()
    const later = startMs + 60_000
    await reserve(replay, id, { expires: startMs + 1000 })
    await elapse(1000)
    for (let count = 0; count < 5; count++) await reserve(replay, randomKey(), { time: later, now: later })
    assert.ok(isOneOf(['too-old', 'used'], await reserve(replay, id, { now: later, expires: startMs + 120_000 })))
    if (replay.floorMs) assert.ok(replay.floorMs() >= startMs)
  })
  check('R60 an expiry in the past counts as now', async (replay) => {
    const id = randomKey()
    assert.equal(await reserve(replay, id, { expires: startMs - 5000 }), 'reserved')
    // A store with a clock of its own may have forgotten it by now, on a busy machine, and refuses it all the same.
    const refusals = options.elapse ? ['used', 'too-old'] : ['used']
    assert.equal(isOneOf(refusals, await reserve(replay, id)), true)
  })
  check('R62 a fence refuses up to its time, for good, and not above it', async (replay) => {
    if (!replay.fence) return
    await replay.fence(startMs + 10_000)
    assert.equal(replay.mayHaveForgotten, false)
    assert.equal(await reserve(replay, randomKey(), { time: startMs + 10_000 }), 'too-old')
    assert.equal(await reserve(replay, randomKey(), { time: startMs + 10_001 }), 'reserved')
    await replay.fence(0)
    assert.equal(await reserve(replay, randomKey(), { time: startMs + 10_000 }), 'too-old')
    assert.equal(replay.floorMs?.(), startMs + 10_000)
  })
  registerLimitTests(check, assert, { lifeMs, elapse })
  registerShareTests(check, assert, { lifeMs, elapse })
  check('after close it reserves nothing', async (replay) => {
    await replay.close()
    await assert.rejects(reserve(replay, randomKey()))
  })
}
