// SPDX-License-Identifier: MIT
// The suite of ReplayStore's shares (R163): what a group of sessions holds is bounded, and leaves room for all others.

import type { ReserveVerdict } from '../../../common/types.ts'
import type { ReplayShare, ReplayStore } from '../../types.ts'
import { type ConformanceAssert, randomKey, startMs } from './kit.ts'

type Check = (rule: string, run: (replay: ReplayStore) => Promise<void>) => unknown
/** How the stores under test take time, as in the tests of `limit`. */
type StoreTime = { lifeMs: number; elapse(ms: number): Promise<void> }
type ShareTry = { id?: Uint8Array; time?: number; owner?: string; shares?: readonly ReplayShare[] }

// Of the capacity of 640: 20 entries, of which 18 may be ids. A session's quota is 10.
const SHARE: ReplayShare = { name: 'some', part: 32 }
const OTHER: ReplayShare = { name: 'others', part: 32 }
/** 160 entries, of which 140 may be ids. */
const LARGE: ReplayShare = { name: 'many', part: 4 }

/** Registers the tests of shares. A store without them passes. */
export function registerShareTests(check: Check, assert: ConformanceAssert, { lifeMs, elapse }: StoreTime): void {
  const reserve = (
    replay: ReplayStore,
    { id = randomKey(), time = startMs, owner = 's', shares = [SHARE] }: ShareTry = {}
  ): Promise<ReserveVerdict> => replay.reserve(id, time, time + lifeMs, time, owner, shares)
  const limit = async (
    replay: ReplayStore,
    { id = randomKey(), owner = 's', shares = [SHARE], isReserved = false }: ShareTry & { isReserved?: boolean }
  ): Promise<string> => {
    const times = { timestampMs: startMs, expiresMs: startMs + lifeMs, nowMs: startMs }
    const verdict = await replay.limit?.({ key32: id, ...times, session: owner, isReserved, shares })
    return typeof verdict === 'object' ? verdict.verdict : String(verdict)
  }
  /** Reserves so many ids, by sessions of nine each. Returns them. */
  const fill = async (replay: ReplayStore, count: number, shares: readonly ReplayShare[]): Promise<Uint8Array[]> => {
    const ids = Array.from({ length: count }, randomKey)
    for (const [at, id] of ids.entries())
      assert.equal(await reserve(replay, { id, owner: `f${Math.floor(at / 9)}`, shares }), 'reserved')
    return ids
  }

  check('R163 a share is bounded, whatever its sessions; others have room', async (replay) => {
    if (!replay.shares) return
    const [first] = await fill(replay, 18, [SHARE])
    assert.equal(await reserve(replay, { owner: 'new' }), 'full')
    assert.equal(await reserve(replay, { owner: 'new', shares: [OTHER, SHARE] }), 'full')
    assert.equal(await reserve(replay, { owner: 'new', shares: [OTHER] }), 'reserved')
    assert.equal(await reserve(replay, { owner: 'new', shares: [] }), 'reserved')
    if (first) assert.equal(await limit(replay, { id: first, owner: 'f0' }), 'used')
  })

  check('R163 an id counts for each of its shares', async (replay) => {
    if (!replay.shares) return
    for (let at = 0; at < 7; at++)
      for (let count = 0; count < 18; count++) {
        const shares = [LARGE, { name: `source ${at}`, part: 32 }]
        assert.equal(await reserve(replay, { owner: `${at} ${count % 2}`, shares }), 'reserved')
      }
    await fill(replay, 14, [LARGE])
    assert.equal(await reserve(replay, { owner: 'new', shares: [LARGE, OTHER] }), 'full')
    assert.equal(await reserve(replay, { owner: 'new', shares: [OTHER] }), 'reserved')
  })

  check('R168 an id may count for three shares, and leaves all of them', async (replay) => {
    if (!replay.shares) return
    await fill(replay, 18, [LARGE, OTHER, SHARE])
    for (const share of [OTHER, SHARE])
      assert.equal(await reserve(replay, { owner: 'new', shares: [LARGE, share] }), 'full')
    assert.equal(await reserve(replay, { owner: 'new', shares: [LARGE] }), 'reserved')
    await elapse(lifeMs)
    const time = startMs + lifeMs + 2000
    for (const share of [OTHER, SHARE])
      assert.equal(await reserve(replay, { owner: 'late', shares: [LARGE, share], time }), 'reserved')
  })

  check(
    'R163 R142 session floors have the rest of a share, and a session with a floor needs no more room',
    async (replay) => {
      if (!replay.shares || !replay.limit) return
      await fill(replay, 18, [SHARE])
      for (const owner of ['a', 'b']) assert.equal(await limit(replay, { owner }), 'limited')
      assert.equal(await limit(replay, { owner: 'c' }), 'full')
      assert.equal(await limit(replay, { owner: 'a' }), 'limited')
      assert.equal(await limit(replay, { owner: 'c', shares: [] }), 'limited')
      if (replay.size) assert.equal(replay.size(), 21)
    }
  )

  check('R163 a floor that takes the place of an id takes no more room', async (replay) => {
    if (!replay.shares || !replay.limit) return
    const ids = await fill(replay, 17, [SHARE])
    for (const [at, id] of ids.entries())
      assert.equal(await limit(replay, { id, owner: `f${Math.floor(at / 9)}`, isReserved: true }), 'limited')
    assert.equal(await reserve(replay, { owner: 'new' }), 'reserved')
    // At least the two floors are left, and at most what was there before.
    if (replay.size) assert.equal(replay.size(), 3)
  })

  check('R163 what has expired leaves the share', async (replay) => {
    if (!replay.shares) return
    await fill(replay, 18, [SHARE])
    if (replay.limit) await limit(replay, { owner: 'a' })
    assert.equal(await reserve(replay, { owner: 'new' }), 'full')
    await elapse(lifeMs)
    const time = startMs + lifeMs + 2000
    for (let count = 0; count < 18; count++)
      assert.equal(await reserve(replay, { owner: `n${count % 2}`, time: time + count }), 'reserved')
    assert.equal(await reserve(replay, { owner: 'last', time: time + 99 }), 'full')
  })

  check('R163 of many at once no more than the share get in', async (replay) => {
    if (!replay.shares) return
    const tries = Array.from({ length: 60 }, (_, at) => reserve(replay, { owner: `s${at}` }))
    const verdicts = await Promise.all(tries)
    assert.equal(verdicts.filter((verdict) => verdict === 'reserved').length, 18)
    assert.equal(verdicts.filter((verdict) => verdict === 'full').length, 42)
  })
}
