// SPDX-License-Identifier: MIT
// What moves a client's clock and what does not (R74 to R81): its samples one by one, over clocks that a test sets.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ServerClock } from '../../dist/client/server-clock.js'
import { loadClientCore } from '../../dist/core/client-core.js'

const HOUR = 3600_000
const DAY = 24 * HOUR
const server = 1_775_121_600_000
const core = await loadClientCore()

const createClock = (notes = {}) => {
  const it = { wallMs: server, monotonicMs: 1000, told: 0 }
  const settings = { now: () => it.wallMs, monotonicNow: () => it.monotonicMs, trustLocalClock: false }
  it.clock = new ServerClock(core, settings, notes, () => it.told++)
  it.pass = (ms) => {
    it.wallMs += ms
    it.monotonicMs += ms
  }
  /** An answer that took `tripMs` and was stamped half way, by a server whose clock is `aheadMs` ahead. */
  it.answer = (tripMs = 20, aheadMs = 0, more = {}) => {
    const sentMs = it.monotonicMs
    it.pass(tripMs)
    const serverMs = it.wallMs - tripMs / 2 + aheadMs
    return it.clock.sample({ sentMs, receivedMs: it.monotonicMs, serverMs, ...more })
  }
  it.event = (aheadMs = 0) => it.clock.event(it.monotonicMs, it.wallMs + aheadMs)
  return it
}

test('R76 an event that fits narrows the estimate from below, and one that was long on its way says nothing', () => {
  const it = createClock()
  it.answer(1000)
  const { errorMs } = it.clock.view()
  it.pass(1000)
  assert.equal(it.event(400), true)
  assert.ok(it.clock.view().errorMs < errorMs / 4)
  const narrowed = it.clock.view()
  assert.equal(it.event(-30_000), true)
  assert.ok(Math.abs(it.clock.view().offsetMs - narrowed.offsetMs) < 0.001)
  assert.equal(narrowed.source, 'round-trip')
  const { byMs, source } = narrowed.lastCorrection
  assert.ok(Math.abs(byMs - 450) < 1)
  assert.equal(source, 'event')
  assert.equal(it.told, 3)
})

test('R76 an event above all that is known leaves no bound: an answer is wanted, asked for once a minute', () => {
  const it = createClock()
  it.answer()
  assert.equal(it.clock.lacksAnswer, false)
  assert.equal(it.event(5000), true)
  const { source, errorMs, lastCorrection } = it.clock.view()
  assert.deepEqual([source, errorMs, lastCorrection.source], ['event', Number.POSITIVE_INFINITY, 'event'])
  assert.ok(Math.abs(lastCorrection.byMs - 5000) < 1)
  assert.equal(it.clock.notes().clock, undefined, 'no note of what has no bound')
  assert.ok(it.clock.stamp(false) >= it.wallMs + 4999, 'what the server has said is later than what was known')
  assert.deepEqual([it.clock.shouldAsk(), it.clock.shouldAsk()], [true, false])
  it.pass(60_000)
  assert.equal(it.clock.shouldAsk(), true)
  it.answer(20, 5000)
  assert.deepEqual([it.clock.lacksAnswer, it.clock.view().source], [false, 'round-trip'])
  assert.equal(it.clock.shouldAsk(), false)
})

test('R77 events before the first answer stamp nothing, and one below the floor is none', () => {
  const it = createClock()
  assert.equal(it.event(), true)
  assert.equal(it.clock.stamp(true), undefined)
  it.answer()
  assert.equal(it.event(-10 * 60_000), true, 'late, and no news')
  it.pass(11 * 60_000)
  it.answer()
  assert.ok(it.clock.floorMs > server, 'an estimate that stood for ten minutes')
  assert.equal(it.event(-10 * 60_000), false)
  assert.equal(it.clock.view().source, 'round-trip')
})

test('R79 a step of the wall clock leaves the middle where it was, and an event does not settle it', () => {
  const it = createClock()
  it.answer()
  it.pass(1000)
  it.wallMs += 2 * HOUR
  const truth = () => it.wallMs - 2 * HOUR
  assert.equal(it.clock.event(it.monotonicMs, truth() - 5), true)
  assert.ok(Math.abs(it.clock.view().now() - truth()) < 50)
  assert.ok(it.clock.view().errorMs >= 2 * HOUR)
  it.answer(20, -2 * HOUR)
  assert.ok(it.clock.view().errorMs < 50)
})

test('R79 after a sleep in which the monotonic clock stood still, an event brings the time back', () => {
  const it = createClock()
  it.answer()
  it.wallMs += 3 * HOUR
  it.event(-5)
  const { errorMs, lastCorrection } = it.clock.view()
  assert.ok(errorMs < 1200, 'the wall clock that counted the sleep may have drifted by 2 s')
  assert.ok(Math.abs(it.clock.view().now() - it.wallMs) <= errorMs)
  assert.ok(Math.abs(lastCorrection.byMs - 3 * HOUR) < 1200)
})

test('R79 C4 a sleep within a round trip makes it no sample, for whatever else is in flight too', () => {
  const it = createClock()
  it.answer()
  const { offsetMs } = it.clock.view()
  const first = it.monotonicMs
  const stampedMs = it.wallMs
  it.pass(10)
  it.wallMs += 3 * HOUR
  it.clock.stamp(true)
  const second = it.monotonicMs
  it.pass(10)
  assert.equal(it.clock.sample({ sentMs: first, receivedMs: it.monotonicMs, serverMs: stampedMs }), false)
  assert.equal(it.clock.sample({ sentMs: second, receivedMs: it.monotonicMs, serverMs: it.wallMs - 5 }), true)
  assert.ok(Math.abs(it.clock.view().offsetMs - offsetMs) < 50)
})

test('R81 a signed cs.stale that cannot serve as a sample still ends what it refused', () => {
  const it = createClock()
  it.answer()
  assert.equal(it.answer(6000, HOUR, { replace: true }), false, 'over 5 s')
  assert.deepEqual([it.clock.stamp(true), it.clock.lacksAnswer], [undefined, true])
  it.answer(20, HOUR)
  assert.ok(it.clock.stamp(false) >= it.wallMs + HOUR - 20)
})

test('R76 R27 the floor follows an estimate that stands, and none that has just been moved', () => {
  const it = createClock()
  const floorMs = it.clock.floorMs
  for (let minute = 0; minute < 9; minute++) {
    it.answer()
    it.pass(60_000)
  }
  it.answer(20, HOUR)
  it.answer(20, HOUR)
  assert.equal(it.clock.floorMs, floorMs)
  it.answer()
  assert.ok(Math.abs(it.clock.view().offsetMs) < 50, 'the right ones are heard again')
  it.pass(10 * 60_000)
  it.answer()
  assert.equal(it.clock.floorMs, it.wallMs - 10)
  const later = createClock({ clock: { offsetMs: 0, errorMs: 20, wallMs: server - HOUR } })
  later.answer()
  assert.equal(later.clock.floorMs, later.wallMs - 10, 'what an earlier visit knew has stood long enough')
})

test('R76 C8 a claim of a day ahead stands or falls with the next answer', () => {
  const it = createClock()
  it.answer()
  assert.equal(it.answer(20, DAY - 1000), true, 'less than a day is taken')
  it.answer(20, 0, { replace: true })
  assert.equal(it.answer(20, 25 * HOUR), false)
  assert.deepEqual([it.clock.stamp(true), it.clock.lacksAnswer], [undefined, true])
  assert.equal(it.answer(20, 50 * HOUR, { replace: true }), false, 'another claim confirms none')
  assert.equal(it.answer(20), true)
  assert.equal(it.clock.stamp(true), it.wallMs)
  assert.equal(it.answer(20, 25 * HOUR), false)
  assert.equal(it.answer(20, 25 * HOUR), true, 'the same again')
  assert.ok(it.clock.floorMs < it.wallMs + HOUR)
})

test('R76 C8 an event a day ahead is no more than a reason to ask', () => {
  const it = createClock()
  it.answer()
  assert.equal(it.event(25 * HOUR), false)
  assert.equal(it.event(25 * HOUR), false, 'a second one confirms nothing')
  assert.deepEqual([it.clock.stamp(true), it.clock.shouldAsk()], [undefined, true])
  it.answer()
  assert.equal(it.clock.stamp(true), it.wallMs)
  it.event(25 * HOUR)
  it.answer(20, 25 * HOUR)
  assert.ok(it.clock.stamp(true) > it.wallMs + 24 * HOUR, 'the answer says the same')
})

test('R78 the note of an earlier visit is corrected by the first answer, and says so', () => {
  const it = createClock({ clock: { offsetMs: 400, errorMs: 20, wallMs: server - HOUR } })
  assert.equal(it.clock.view().source, 'stored')
  it.answer()
  const { byMs, atMs, source } = it.clock.view().lastCorrection
  assert.ok(Math.abs(byMs + 400) < 1)
  assert.deepEqual([atMs, source], [it.wallMs - 10, 'round-trip'])
})

test('R27 R78 a store that holds no times recalls nothing, and a fraction of a floor is a floor', () => {
  for (const clock of [7, 'note', {}, { offsetMs: '400', errorMs: 20, wallMs: server }, { wallMs: 1n }])
    assert.equal(createClock({ clock }).clock.view().source, 'none')
  const { floorMs } = createClock().clock
  for (const timeFloorMs of [String(server), 1n, Number.NaN, Number.POSITIVE_INFINITY, {}])
    assert.equal(createClock({ timeFloorMs }).clock.floorMs, floorMs)
  assert.equal(createClock({ timeFloorMs: server + 0.5 }).clock.floorMs, server)
})
