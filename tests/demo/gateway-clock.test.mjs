// SPDX-License-Identifier: MIT
// The reference gateway and its command `clock`: the log warns, the command waits for the gateway to stop, and brings the
// clock back.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { lmdbStores } from 'countersign/server/lmdb'
import { until } from '../unit/harness/wait.mjs'
import { makeFolder, startGateway } from './harness.mjs'

const COMMAND = fileURLToPath(new URL('../../demo/gateway/clock.mjs', import.meta.url))
const YEAR_MS = 365 * 86_400_000

const clock = (folder, ...args) =>
  new Promise((resolve) => {
    const env = { ...process.env, DATA_DIR: folder }
    execFile(process.execPath, [COMMAND, ...args], { env }, (error, stdout, stderr) =>
      resolve({ status: error ? error.code : 0, said: stdout + stderr })
    )
  })

test('R148 clock says what is so, refuses while the gateway runs, and brings the clock back', async (t) => {
  const folder = await makeFolder(t)
  const none = await clock(folder, 'back')
  assert.deepEqual([none.status, /does not exist/.test(none.said)], [1, true])
  assert.match((await clock(folder, 'forth')).said, /usage/)
  const first = await startGateway(t, { DATA_DIR: folder })
  await first.stop()
  assert.match((await clock(folder)).said, /not ahead/)

  // What the gateway of a machine whose clock jumped leaves behind.
  const stores = lmdbStores({ path: join(folder, 'demo.lmdb') })
  const aheadMs = Date.now() + YEAR_MS
  await stores.replay.clock.note({ nowMs: aheadMs, systemMs: aheadMs, sinceMs: aheadMs, era: 0, burnt: [] })
  await stores.close()
  const second = await startGateway(t, { DATA_DIR: folder })
  await until(() => second.output().includes('"event":"clock_ahead"'), 'the warning in the log')
  const running = await clock(folder, 'back')
  assert.equal(running.status, 1)
  assert.match(running.said, /a gateway is running/)
  await second.stop()

  const dry = await clock(folder, 'back', '--dry-run')
  assert.match(dry.said, /would: the clock/)
  const back = await clock(folder, 'back')
  assert.deepEqual([back.status, /no session ends/.test(back.said)], [0, true], back.said)
  assert.match((await clock(folder)).said, /not ahead/)
})
