// SPDX-License-Identifier: MIT
// The plan by which a clock is brought back: every time that a request may have been accepted at is burnt, under the fence,
// or of a session that ends. Otherwise there is no plan, and a reason.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { noteReading, parseClock, planReturn, timeOf } from '../../../dist/server/stores/shared-clock.js'
import { startMs } from '../kit.mjs'

const DAY = 86_400_000
const YEAR = 365 * DAY
const window = { pastMs: 60_000, futureMs: 10_000 }
const beforeMs = 60_000 + 20_000 + 2000

/** The shared time after these readings, each from `[since, now]` or from one moment. */
const timeAfter = (readings, more = {}) => {
  const record = readings.reduce((kept, given) => {
    const [sinceMs, nowMs] = [given].flat().length === 2 ? given : [given, given]
    return noteReading(kept, { sinceMs, nowMs, era: 0, burnt: [] }, startMs)
  }, parseClock(''))
  return { ...timeOf(record, startMs), ...more }
}
const plan = (time, floorMs = 0, nowMs = startMs) => planReturn(time, floorMs, { nowMs, ...window })

test('R148 each jump gives a span of its own, from before the jump to a day past the last reading of its run', () => {
  const [one, two] = [startMs + YEAR, startMs + 3 * YEAR]
  const { change, ends } = plan(timeAfter([startMs, one, one + 1000, two]))
  assert.deepEqual(change.burnt, [
    { fromMs: one - beforeMs, toMs: one + 1000 + DAY },
    { fromMs: two - beforeMs, toMs: two + DAY }
  ])
  assert.deepEqual([change.nowMs, change.fenceMs, ends], [startMs, startMs + 15_000, []])
})

test('R148 spans that meet become one, and those that lie under the fence are forgotten', () => {
  const jumpMs = startMs + YEAR
  const burnt = [
    { fromMs: startMs - YEAR, toMs: startMs },
    { fromMs: jumpMs - DAY, toMs: jumpMs }
  ]
  const { change } = plan(timeAfter([startMs, jumpMs], { burnt }))
  assert.deepEqual(change.burnt, [{ fromMs: jumpMs - DAY, toMs: jumpMs + DAY }])
})

test('R148 no ninth span is burnt', () => {
  const burnt = Array.from({ length: 7 }, (_, index) => ({
    fromMs: startMs + (index + 2) * YEAR,
    toMs: startMs + (index + 2) * YEAR + DAY
  }))
  const time = (more) => timeAfter([startMs, startMs + YEAR], { burnt: [...burnt, ...more] })
  assert.equal(plan(time([])).change.burnt.length, 8)
  const ninth = { fromMs: startMs + 20 * YEAR, toMs: startMs + 20 * YEAR }
  assert.match(plan(time([ninth])).reason, /8 spans/)
})

test('R148 a floor that no reading explains is burnt with a day before it and after it', () => {
  const [jumpMs, floorMs] = [startMs + YEAR, startMs + 2 * YEAR]
  const { change } = plan(timeAfter([startMs, jumpMs]), floorMs)
  assert.deepEqual(change.burnt[1], { fromMs: floorMs - DAY - beforeMs, toMs: floorMs + DAY })
})

test('R148 without a known beginning of the jump there is no way back', () => {
  assert.match(plan(timeAfter([[startMs - 1000, startMs + YEAR]])).reason, /has been at/)
  assert.match(plan(timeAfter([startMs + 90_000])).reason, /begins at .* which is now/)
})

test('R63 R148 a session ends whose dated request lies neither under the fence nor in a span', () => {
  const jumpMs = startMs + YEAR
  const ahead = { fenced: startMs + 15_000, lost: startMs + 15_001, early: jumpMs - beforeMs - 1, burnt: jumpMs + DAY }
  assert.deepEqual(plan(timeAfter([startMs, jumpMs], { ahead })).ends, ['lost', 'early'])
})
