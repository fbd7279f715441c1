// SPDX-License-Identifier: MIT
// The client's clock and a reader's place in its stream: each run of the vectors through the whole core, and through
// the part of it that a page downloads.

import { loadCore } from 'countersign/core'
import { ClientClock, loadClientCore } from '../../../dist/core/client-core.js'
import { EventPlace } from '../../../dist/core/event-check.js'

// The order of the C++ enum.
const OPERATIONS = ['look', 'answer', 'stale', 'event', 'stamp', 'probe', 'ask', 'note', 'recall']

const numbersOf = (operation, given) => {
  if (operation === 'stamp') return given.map(Number)
  if (operation !== 'recall') return given
  const [floor, note] = given
  return [floor, note?.offset_ms, note?.error_ms, note?.wall_ms].map((value) => value ?? Number.NaN)
}

const NO_CORRECTION = { by_ms: 0, at_ms: 0, source: 'none' }

const asVector = (state) => ({
  is_done: state.isDone,
  has_changed: state.hasChanged,
  lacks_answer: state.lacksAnswer,
  has_note: state.hasNote,
  shift_ms: state.shiftMs,
  offset_ms: state.offsetMs,
  error_ms: state.errorMs,
  age_ms: state.ageMs,
  source: state.source,
  floor_ms: state.floorMs
})

/** outcomeOf gives what a call returned, or the code of its error. */
const outcomeOf = (call) => {
  try {
    return call()
  } catch (error) {
    return { error: error.code }
  }
}

const positionOf = ([next, oldest, isSameStream]) => [next, oldest, Number(isSameStream)]

const placeOf = ({ last, isGapDue, hasMore }) => ({ last, is_gap_due: isGapDue, has_more: hasMore })

/** checkClocks runs the clocks of the vectors, and gives the number of its steps. */
const checkClocks = (assert, core, { clocks, tolerance_ms }) => {
  const near = (actual, expected, name) => {
    const bound = expected ?? Number.POSITIVE_INFINITY
    assert.ok(actual === bound || Math.abs(actual - bound) <= tolerance_ms, `${name}: ${actual}, not ${bound}`)
  }
  const checkState = (state, { stamp_ms = 0, correction = NO_CORRECTION, ...known }, where) => {
    for (const [member, value] of Object.entries(asVector(state))) {
      if (member.endsWith('_ms')) near(value, known[member], `${where}, ${member}`)
      else assert.equal(value, known[member] ?? false, `${where}, ${member}`)
    }
    assert.equal(state.stampMs, stamp_ms, where)
    near(state.correction.byMs, correction.by_ms, where)
    assert.equal(state.correction.atMs, correction.at_ms, where)
    assert.equal(state.correction.source, correction.source, where)
  }
  let seen = 0
  for (const { name, build_ms, trusts_local, steps } of clocks) {
    const clock = new ClientClock(core, build_ms, trusts_local)
    for (const [index, { at, op, given, then }] of steps.entries()) {
      const where = `${name}, step ${index} (${op})`
      const state = outcomeOf(() => clock.run(OPERATIONS.indexOf(op), ...at, numbersOf(op, given)))
      assert.equal(state.error, then.error, where)
      if (!then.error) checkState(state, then, where)
      seen++
    }
    clock.free()
  }
  return seen
}

/** checkPlaces runs the places of the vectors, and gives the number of their events. */
const checkPlaces = (assert, { wasm }, { places }) => {
  let seen = 0
  for (const { name, begin, steps, then } of places) {
    const { after, position, answered_ms } = begin
    const place = outcomeOf(() => new EventPlace(wasm, after ?? undefined, positionOf(position), answered_ms))
    assert.deepEqual(place.error ? place : placeOf(place), then, name)
    for (const [index, { type, sequence, timestamp_ms, is_relayed = false, gap, then }] of steps.entries()) {
      const event = { eventType: type, sequence, timestampMs: timestamp_ms }
      const turn = outcomeOf(() => ({ turn: place.take(event, is_relayed, gap && positionOf(gap)) }))
      assert.deepEqual({ ...turn, ...placeOf(place) }, then, `${name}, event ${index} (${type})`)
      seen++
    }
  }
  return seen
}

export const suite = (test, assert, env) => {
  for (const load of [loadCore, loadClientCore]) {
    test(`R27 R74 R75 R76 R77 R78 R79 R80 R81 the clocks of the vectors, ${load.name}`, async () => {
      const vectors = await env.vectors('client.json')
      assert.equal(checkClocks(assert, await load(), vectors), 431)
      assert.equal(vectors.clocks.length, 115)
    })

    test(`R101 R102 R103 R104 R107 R112 R114 the places of the vectors, ${load.name}`, async () => {
      const vectors = await env.vectors('client.json')
      assert.equal(checkPlaces(assert, await load(), vectors), 155)
      assert.equal(vectors.places.length, 47)
    })
  }
}
