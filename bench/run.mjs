// SPDX-License-Identifier: MIT
// `npm run bench`: one signed request and one verified response, ours beside jose and dpop, in one process and one run.
//
// Each round times one batch of every row, in an order shuffled per round, so that a busy machine slows all rows alike;
// the table shows the median over rounds and the ratio to the first row of its group. Compare ratios, never absolute
// times between runs. Exit code 1 when our own share of a request exceeds its budget.

import { webcrypto } from 'node:crypto'
import { parseArgs } from 'node:util'
import { groups } from './rows.mjs'

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '60' },
    batch: { type: 'string', default: '100' },
    json: { type: 'boolean', default: false }
  }
})
const rounds = positive(options.rounds, '--rounds')
const batch = positive(options.batch, '--batch')

/** Our share of a request without the key's signature, as a part of the signature's own median. */
const SHARE_BUDGET = 0.12

function positive(text, name) {
  const number = Number(text)
  if (Number.isInteger(number) && number > 0) return number
  console.error(`bench: ${name} takes a positive whole number`)
  process.exit(2)
}

const median = (numbers) => {
  const sorted = [...numbers].sort((a, b) => a - b)
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2
}

function shuffled(items) {
  const random = webcrypto.getRandomValues(new Uint32Array(items.length))
  return items
    .map((item, i) => [random[i], item])
    .sort((a, b) => a[0] - b[0])
    .map(([, item]) => item)
}

/** Microseconds for one call of `row`, averaged over a batch; synchronous rows are not slowed by an await. */
async function microsecondsPerCall(row) {
  const start = performance.now()
  if (row.sync) for (let i = 0; i < batch; i++) row.run()
  else for (let i = 0; i < batch; i++) await row.run()
  return ((performance.now() - start) * 1000) / batch
}

const all = await groups()
const rows = all.flatMap((group) => group.rows)
for (const row of rows) {
  row.samples = []
  for (let i = 0; i < 3; i++) await microsecondsPerCall(row)
}
for (let round = 0; round < rounds; round++) {
  for (const row of shuffled(rows)) row.samples.push(await microsecondsPerCall(row))
}
for (const row of rows) row.median = median(row.samples)

const share = rows.find((row) => row.id === 'share').median / rows.find((row) => row.id === 'signature').median
if (options.json) {
  const figures = Object.fromEntries(rows.map((row) => [row.id, row.median]))
  console.log(JSON.stringify({ unit: 'us', node: process.version, rounds, batch, figures, share }))
} else {
  console.log(`Node ${process.version}, 1 KiB payload, median of ${rounds} rounds of ${batch}, microseconds\n`)
  for (const group of all) {
    console.log(group.name)
    for (const row of group.rows) {
      const ratio = (row.median / group.rows[0].median).toFixed(2)
      const note = row.lacks ? `  not equivalent: ${row.lacks}` : ''
      console.log(`  ${row.name.padEnd(52)}${row.median.toFixed(2).padStart(9)}${ratio.padStart(7)}x${note}`)
    }
    console.log()
  }
  const verdict = share <= SHARE_BUDGET ? 'within' : 'OVER'
  console.log(
    `our share of a request: ${(share * 100).toFixed(1)} % of the key's signature (${verdict} its budget of ${SHARE_BUDGET * 100} %)`
  )
}
process.exitCode = share <= SHARE_BUDGET ? 0 : 1
