// SPDX-License-Identifier: MIT
// A few of the runs of `npm run bench:clock`, or all of them in a long run; and that the campaign would notice.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { campaign, simulate, troubles } from './clock-runs.mjs'

const runs = process.env.COUNTERSIGN_LONG ? 1000 : 54

test(`C3 C4 C7 over ${runs} runs the next request succeeds after one correction at most, and the stated error holds`, async () => {
  const { results, violations } = await campaign(runs)
  assert.deepEqual(violations, [])
  for (const [name, { runs: made, samples, corrections }] of Object.entries(results)) {
    assert.ok(made >= runs / Object.keys(troubles).length - 1, name)
    assert.ok(samples.length > 10 * made && corrections.length === 8 * made, name)
  }
  const asleep = results['asleep 3 h, monotonic clock stands'].corrections
  assert.ok(asleep.includes(1), 'a sleep that the monotonic clock did not count is what a correction is for')
  assert.ok(
    results['+7 h'].corrections.every((count) => count === 0),
    'a wrong clock from the start costs none'
  )
})

test('a run notices an error that does not hold: a clock that drifts ten times as fast as allowed', async () => {
  const happens = async ({ clock, world }) => {
    clock.driftPpm = 20_000
    await world.advance(3600_000)
  }
  const { samples } = await simulate(1, { happens })
  assert.ok(samples.some(({ trueMs, statedMs }) => trueMs > statedMs))
})
