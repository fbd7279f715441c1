// SPDX-License-Identifier: MIT
// The suite of the time that a store's gateways share (R147, R148). A store without it passes.

import { DAY_MS } from '../../../common/protocol.ts'
import type { ReplayStore, SharedClock } from '../../types.ts'
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

const YEAR_MS = 365 * DAY_MS

const reading = (nowMs: number, more: { sinceMs?: number; era?: number; systemMs?: number } = {}) => ({
  ...{ nowMs, sinceMs: nowMs, era: 0, systemMs: nowMs, burnt: [] },
  ...more
})

const reserve = (replay: ReplayStore, id: Uint8Array, time: number, now = startMs) =>
  replay.reserve(id, time, time + 67_000, now, 's')

/** Registers the tests of a ReplayStore's shared clock. */
export function clockConformance(
  test: ConformanceTest,
  assert: ConformanceAssert,
  makeStores: MakeStores,
  options: ConformanceOptions = {}
): void {
  const register = createCheck(test, makeStores, 'replay', options)
  const check = (rule: string, run: (clock: SharedClock, replay: ReplayStore) => Promise<void>): unknown =>
    register(rule, async (replay) => {
      if (replay.clock) await run(replay.clock, replay)
    })

  check('R147 without a note there is no shared time', async (clock) => {
    const { readingMs, nowMs, era, runs, burnt } = await clock.read(startMs)
    assert.deepEqual({ readingMs, nowMs, era, runs, burnt }, { readingMs: 0, nowMs: 0, era: 0, runs: [], burnt: [] })
  })
  check('R147 the greatest reading is kept, whatever comes later', async (clock) => {
    await clock.note(reading(startMs))
    const times = await Promise.all([5000, 9000, 1000].map((ms) => clock.note(reading(startMs + ms))))
    assert.ok(times.every(({ readingMs, nowMs }) => readingMs >= startMs + 5000 && nowMs >= readingMs))
    const { readingMs, runs } = await clock.read(startMs)
    assert.equal(readingMs, startMs + 9000)
    assert.deepEqual(plain(runs), [{ fromMs: startMs, toMs: startMs + 9000 }])
  })
  check('R147 the time runs on while no gateway notes it', async (clock) => {
    const aheadMs = startMs + YEAR_MS
    await clock.note(reading(aheadMs, { systemMs: startMs }))
    await options.elapse?.(1000)
    const { readingMs, nowMs } = await clock.read(startMs + 1000)
    assert.equal(readingMs, aheadMs)
    assert.ok(nowMs >= aheadMs + 1000)
  })
  check('R147 a jump begins a run of readings, and of too many the nearest become one', async (clock) => {
    await clock.note(reading(startMs))
    for (let day = 1; day <= 9; day++) await clock.note(reading(startMs + YEAR_MS + day * DAY_MS))
    const { runs } = await clock.read(startMs)
    assert.equal(runs.length, 8)
    assert.deepEqual(plain(runs[0]), { fromMs: startMs, toMs: startMs })
    assert.equal(runs[1]?.fromMs, startMs + YEAR_MS + DAY_MS)
    assert.equal(runs.at(-1)?.toMs, startMs + YEAR_MS + 9 * DAY_MS)
  })
  check('R148 an id in a burnt span is refused for ever, and the ids of that time are gone', async (clock, replay) => {
    const [early, late] = [randomKey(), randomKey()]
    await clock.note(reading(startMs))
    assert.equal(await reserve(replay, early, startMs + 20_000), 'reserved')
    const jumpMs = startMs + YEAR_MS
    await clock.note(reading(jumpMs))
    assert.equal(await reserve(replay, late, jumpMs, jumpMs), 'reserved')
    const burnt = [{ fromMs: jumpMs - 100_000, toMs: jumpMs + DAY_MS }]
    const expected = { readingMs: jumpMs, era: 0 }
    const change = { expected, nowMs: startMs, systemMs: startMs, fenceMs: startMs + 15_000, burnt }
    assert.equal(await clock.bringBack({ ...change, expected: { readingMs: startMs, era: 0 } }), false)
    assert.equal(clock.isBurnt(jumpMs), false)
    assert.equal(await clock.bringBack(change), true)
    assert.equal(clock.isBurnt(jumpMs - 100_000), true)
    assert.equal(clock.isBurnt(jumpMs + DAY_MS + 1), false)
    assert.equal(await reserve(replay, late, jumpMs, jumpMs), 'too-old')
    assert.equal(await reserve(replay, randomKey(), jumpMs + DAY_MS, jumpMs), 'too-old')
    assert.equal(await reserve(replay, randomKey(), startMs + 15_000), 'too-old')
    assert.equal(await reserve(replay, randomKey(), startMs + 15_001), 'reserved')
    assert.ok((replay.storedFloorMs?.() ?? 0) <= startMs)
    const { readingMs, nowMs, era, runs } = await clock.read(startMs)
    assert.deepEqual(
      { readingMs, era, runs: plain(runs) },
      { readingMs: startMs, era: 1, runs: [{ fromMs: startMs, toMs: startMs }] }
    )
    assert.ok(nowMs < startMs + DAY_MS)
  })
  check('R148 a gateway that knew the clock ahead cannot note it any more', async (clock) => {
    await clock.note(reading(startMs))
    const expected = { readingMs: startMs, era: 0 }
    await clock.bringBack({ expected, nowMs: startMs, systemMs: startMs, fenceMs: startMs, burnt: [] })
    assert.equal((await clock.note(reading(startMs + YEAR_MS))).era, 1)
    assert.equal((await clock.read(startMs)).readingMs, startMs)
    assert.equal((await clock.note(reading(startMs + 1, { era: 1 }))).readingMs, startMs + 1)
  })
  check('R148 a store that lost its record learns era and burnt spans from a gateway', async (clock, replay) => {
    const burnt = [{ fromMs: startMs + YEAR_MS, toMs: startMs + YEAR_MS + DAY_MS }]
    const { era } = await clock.note({ ...reading(startMs, { era: 3 }), burnt })
    assert.equal(era, 3)
    assert.equal(await reserve(replay, randomKey(), startMs + YEAR_MS), 'too-old')
  })
  check(
    'R63 sessions with requests dated ahead are listed until the clock has walked past, up to 1024',
    async (clock) => {
      await clock.note(reading(startMs))
      assert.equal(await clock.noteAhead('a', startMs + 60_000), true)
      assert.equal(await clock.noteAhead('a', startMs + 50_000), true)
      assert.equal(await clock.noteAhead('b', startMs + 120_000), true)
      assert.deepEqual(plain((await clock.note(reading(startMs + 60_001))).ahead), { b: startMs + 120_000 })
      await clock.note(reading(startMs + YEAR_MS))
      assert.deepEqual(plain((await clock.read(startMs)).ahead), { b: startMs + 120_000 })
      for (let count = 0; count < 1023; count++)
        assert.equal(await clock.noteAhead(`s${count}`, startMs + 90_000), true)
      assert.equal(await clock.noteAhead('c', startMs + 90_000), false)
      assert.equal(await clock.noteAhead('b', startMs + 130_000), true)
    }
  )
  check('after close the clock answers nothing', async (clock, replay) => {
    await replay.close()
    await assert.rejects(clock.note(reading(startMs)))
    await assert.rejects(clock.read(startMs))
  })
}
