// SPDX-License-Identifier: MIT
// `npm run bench:clock`: how wrong a client's estimate of the server's time is, against the error it states, over simulated
// visits of devices with wrong, jumping and sleeping clocks: delays up to 2 s each way, 20 % loss on one way, drift up to
// 200 ppm. Exit code 1 when one stated error did not hold, or one request failed or needed two corrections.
import { parseArgs } from 'node:util'
import { campaign } from '../tests/world/clock-runs.mjs'

const { values: options } = parseArgs({
  options: { runs: { type: 'string', default: '1000' }, json: { type: 'boolean', default: false } }
})
const runs = Number(options.runs)
if (!Number.isInteger(runs) || runs < 1) {
  console.error('bench:clock: --runs takes a positive whole number')
  process.exit(2)
}

const percentile = (sorted, part) => sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))]

/** The distribution of some figures: median, 90th and 99th percentile, largest. */
const distributionOf = (figures) => {
  const sorted = figures.toSorted((one, other) => one - other)
  return [0.5, 0.9, 0.99, 1].map((part) => percentile(sorted, part))
}

const onRun = (run) => {
  if (process.stderr.isTTY) process.stderr.write(`\r${run} of ${runs}`)
}

const { results, violations } = await campaign(runs, onRun)
if (process.stderr.isTTY) process.stderr.write('\r')

const rows = Object.entries(results).filter(([, { samples }]) => samples.length > 0)
const all = {
  samples: rows.flatMap(([, { samples }]) => samples),
  corrections: rows.flatMap(([, { corrections }]) => corrections)
}
const figures = [...rows, ['all', all]].map(([name, { samples, corrections }]) => ({
  name,
  requests: corrections.length,
  corrected: corrections.filter((count) => count > 0).length,
  trueMs: distributionOf(samples.map(({ trueMs }) => trueMs)),
  statedMs: distributionOf(samples.map(({ statedMs }) => statedMs)),
  ratio: distributionOf(samples.map(({ trueMs, statedMs }) => trueMs / statedMs))
}))

if (options.json) {
  console.log(JSON.stringify({ node: process.version, runs, samples: all.samples.length, figures, violations }))
} else {
  const cell = (value, digits) => value.toFixed(digits).padStart(11)
  const heads = ['true, ms', 'stated, ms', 'true/stated'].map((head) => head.padEnd(44)).join('')
  console.log(`${runs} runs, ${all.samples.length} looks at the clock; median, 90 %, 99 % and largest\n`)
  console.log(`${'device clock'.padEnd(36)}${'requests'.padStart(9)}${'corrected'.padStart(10)}   ${heads}`)
  for (const { name, requests, corrected, trueMs, statedMs, ratio } of figures) {
    const cells = [
      ...trueMs.map((ms) => cell(ms, 0)),
      ...statedMs.map((ms) => cell(ms, 0)),
      ...ratio.map((part) => cell(part, 3))
    ]
    console.log(`${name.padEnd(36)}${String(requests).padStart(9)}${String(corrected).padStart(10)}${cells.join('')}`)
  }
  for (const violation of violations.slice(0, 20)) console.error(violation)
  console.log(`\nstated errors that did not hold, failed requests, second corrections: ${violations.length}`)
}
process.exitCode = violations.length > 0 ? 1 : 0
