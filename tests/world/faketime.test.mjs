// SPDX-License-Identifier: MIT
// Row C3 with the real clocks of a process: libfaketime (Debian's faketime) moves them while it runs.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { startGateway } from '../runners/suites.mjs'
import { HUNG_MS } from '../unit/harness/wait.mjs'

const library = readdirSync('/usr/lib')
  .map((folder) => `/usr/lib/${folder}/faketime`)
  .flatMap((folder) => {
    try {
      return readdirSync(folder).map((name) => join(folder, name))
    } catch {
      return []
    }
  })
  .find((path) => path.endsWith('/libfaketime.so.1'))

const gateway = await startGateway()
const folder = mkdtempSync(join(tmpdir(), 'countersign-faketime-'))
after(async () => {
  await gateway.stop()
  rmSync(folder, { recursive: true, force: true })
})

const child = fileURLToPath(new URL('faketime-child.mjs', import.meta.url))

/** Runs the child from `start` on, moving its clock to each of the offsets; gives its reports. */
const runUnder = async (start, offsets, env = {}) => {
  assert.ok(library, 'tools/setup test installs faketime')
  const file = join(folder, `${Math.random().toString(36).slice(2)}`)
  writeFileSync(file, `${start}\n`)
  const { stdout } = await promisify(execFile)(process.execPath, [child, gateway.url, file, ...offsets], {
    timeout: HUNG_MS,
    env: { ...process.env, LD_PRELOAD: library, FAKETIME_TIMESTAMP_FILE: file, FAKETIME_NO_CACHE: '1', ...env }
  })
  const reports = stdout.trim().split('\n').map(JSON.parse)
  assert.equal(reports.length, offsets.length + 1)
  return reports
}

const milliseconds = (offset) => {
  const unit = { s: 1000, h: 3600_000, d: 24 * 3600_000 }[offset.at(-1)]
  return Number(offset.slice(0, -1)) * unit
}

const holds = ({ offset, wallMs, tries, behindMs, tripMs, errorMs, offsetMs }) => {
  const skewMs = milliseconds(offset)
  assert.ok(Math.abs(wallMs - Date.now() - skewMs) < 180_000, `${offset}: the clock was not moved`)
  assert.equal(tries, 1, offset)
  assert.ok(behindMs >= -errorMs && behindMs <= tripMs + errorMs, `${offset}: ${behindMs} ms, ± ${errorMs} ms stated`)
  assert.ok(Math.abs(offsetMs + skewMs) <= errorMs + 60, `${offset}: ${offsetMs}`)
}

for (const start of ['-3652d', '+3652d']) {
  test(`C3 a process whose wall clock starts at ${start} and jumps while it runs: every request succeeds at once`, async () => {
    const offsets = ['-7h', '-31s', '+31s', '+7h', '-2h', '+2h', '+0s', '-3652d']
    const reports = await runUnder(start, offsets, { FAKETIME_DONT_FAKE_MONOTONIC: '1' })
    for (const report of reports) holds(report)
    for (const { offset, statedBeforeMs } of reports.slice(1)) {
      assert.ok(statedBeforeMs > 25_000, `${offset}: the jump shows in the error that is stated`)
    }
  })
}

test('C4 a process that sleeps for three hours by both of its clocks asks the server and goes on', async () => {
  // Both clocks run on by 3 h and the server's does not: to the process, the server is 3 h behind.
  const [before, after] = await runUnder('+0s', ['+3h'])
  holds(before)
  assert.equal(after.tries, 2, 'one correction')
  assert.ok(after.behindMs >= -after.errorMs && after.behindMs <= after.tripMs + after.errorMs)
})
