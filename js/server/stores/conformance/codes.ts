// SPDX-License-Identifier: MIT
// The suite of CodeStore (R82 to R86).

import type { Challenge } from '../../types.ts'
import {
  type ConformanceAssert,
  type ConformanceOptions,
  type ConformanceTest,
  createCheck,
  type MakeStores,
  plain,
  startMs
} from './kit.ts'

const challenge = (id: string, changes: Partial<Challenge> = {}): Challenge => ({
  id,
  email: 'a@b',
  codeHash: new Uint8Array(32).fill(3),
  createdMs: startMs,
  expiresMs: startMs + 600_000,
  ...changes
})

/** Registers the tests of a CodeStore (R82 to R86). */
export function codeConformance(
  test: ConformanceTest,
  assert: ConformanceAssert,
  makeStores: MakeStores,
  options: ConformanceOptions = {}
): void {
  const check = createCheck(test, makeStores, 'codes', options)

  check('a challenge is there until it expires', async (codes) => {
    assert.equal(await codes.create(challenge('c')), true)
    assert.equal(await codes.create(challenge('c', { email: 'other' })), false)
    const found = await codes.get('c', startMs + 599_999)
    assert.deepEqual(plain(found), plain(challenge('c')))
    assert.equal(await codes.get('c', startMs + 600_000), null)
    assert.equal(await codes.get('none', startMs), null)
    assert.equal(await codes.get('__proto__', startMs), null)
  })
  check('R168 a challenge of a page without an origin stays one', async (codes) => {
    const { codeHash: _, ...bare } = challenge('o', { isOpaque: true })
    await codes.create(bare)
    assert.deepEqual(plain(await codes.get('o', startMs)), bare)
  })

  check('a challenge without a code keeps none', async (codes) => {
    const { codeHash: _, ...bare } = challenge('c')
    await codes.create(bare)
    assert.equal((await codes.get('c', startMs))?.codeHash, undefined)
  })
  check('an allowance is exact within any window', async (codes) => {
    const take = (nowMs: number) => codes.take('k', { limit: 3, windowMs: 1000, nowMs })
    for (const offset of [0, 100, 900]) assert.equal(await take(startMs + offset), 0)
    assert.equal(await take(startMs + 950), 50)
    assert.equal(await take(startMs + 999), 1)
    assert.equal(await take(startMs + 1000), 0)
    assert.equal(await take(startMs + 1000), 100)
    assert.equal(await codes.take('other', { limit: 3, windowMs: 1000, nowMs: startMs }), 0)
  })
  check('a probe says what taking would, and takes nothing', async (codes) => {
    const take = (isProbe: boolean) => codes.take('k', { limit: 2, windowMs: 1000, nowMs: startMs, isProbe })
    for (let count = 0; count < 5; count++) assert.equal(await take(true), 0)
    assert.equal(await take(false), 0)
    assert.equal(await take(true), 0)
    assert.equal(await take(false), 0)
    assert.equal(await take(true), 1000)
    await codes.giveBack('k')
    assert.equal(await take(true), 0)
  })
  check('of many at once only the allowance is taken', async (codes) => {
    const waits = await Promise.all(
      Array.from({ length: 40 }, () => codes.take('k', { limit: 5, windowMs: 1000, nowMs: startMs }))
    )
    assert.equal(waits.filter((wait) => wait === 0).length, 5)
  })
  check('an event that is given back can be taken again', async (codes) => {
    const take = () => codes.take('k', { limit: 1, windowMs: 1000, nowMs: startMs })
    assert.equal(await take(), 0)
    assert.ok((await take()) > 0)
    await codes.giveBack('k')
    await codes.giveBack('none')
    assert.equal(await take(), 0)
  })
  check('what was given back never stands in the way, however much of it there was', async (codes) => {
    for (let round = 0; round < 300; round++) {
      const key = `k${round}`
      assert.equal(await codes.take(key, { limit: 1, windowMs: 3_600_000, nowMs: startMs }), 0)
      await codes.giveBack(key)
    }
    assert.equal(await codes.create(challenge('c')), true)
  })
  check('a challenge is bound to one key; the same again gives the same session', async (codes) => {
    await codes.create(challenge('c'))
    assert.equal(await codes.redeem('c', 'key1', 's1', startMs), 's1')
    assert.equal(await codes.redeem('c', 'key1', 's2', startMs), 's1')
    assert.equal(await codes.redeem('c', 'key2', 's3', startMs), null)
    assert.equal(await codes.redeem('none', 'key1', 's1', startMs), null)
    assert.equal(await codes.redeem('c', 'key1', 's1', startMs + 600_000), null)
  })
  check('of many at once one binding wins', async (codes) => {
    await codes.create(challenge('c'))
    const given = await Promise.all(
      Array.from({ length: 20 }, (_, index) => codes.redeem('c', `key${index}`, `s${index}`, startMs))
    )
    assert.equal(given.filter((id) => id !== null).length, 1)
  })
  check('expired records make room', async (codes) => {
    for (let round = 0; round < 30; round++) {
      const createdMs = startMs + round * 700_000
      for (let index = 0; index < 10; index++) {
        const id = `${round}-${index}`
        assert.equal(await codes.create(challenge(id, { createdMs, expiresMs: createdMs + 600_000 })), true)
        assert.equal(await codes.take(`k${id}`, { limit: 1, windowMs: 1000, nowMs: createdMs }), 0)
      }
    }
  })
}
