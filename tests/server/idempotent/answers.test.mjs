// SPDX-License-Identifier: MIT
// Stores of idempotent answers with several processes, and ones that die. What every such store does is in the conformance
// suite that stores.test.mjs runs.
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { lmdbStores } from 'countersign/server/lmdb'
import { startMs } from '../kit.mjs'
import { claimOf } from './claim.mjs'

const child = fileURLToPath(new URL('./answers-child.mjs', import.meta.url))

const folder = (t) => {
  const path = mkdtempSync(join(tmpdir(), 'countersign-answers-'))
  t.after(() => rmSync(path, { recursive: true, force: true }))
  return path
}

const spawn = (t, ...args) => {
  const worker = fork(child, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  t.after(() => worker.kill('SIGKILL'))
  return worker
}
const next = (worker) => new Promise((resolve) => worker.once('message', resolve))

test('R130 of three processes on one folder exactly one claims a key', async (t) => {
  const rounds = 300
  const path = folder(t)
  const workers = Array.from({ length: 3 }, () => spawn(t, 'race', path, String(rounds)))
  await Promise.all(workers.map(next))
  for (const worker of workers) worker.send('go')
  const verdicts = await Promise.all(workers.map(next))
  for (let round = 0; round < rounds; round++) {
    assert.deepEqual(verdicts.map((list) => list[round]).sort(), ['claimed', 'held', 'held'], `round ${round}`)
  }
})

test('R132 D12 a process killed between claim and finish leaves a claim: held, then unknown, never free', async (t) => {
  const path = folder(t)
  const worker = spawn(t, 'claim', path)
  const claim = claimOf({ key32: new Uint8Array(32).fill(5) })
  assert.equal(await next(worker), 'claimed')
  const gone = new Promise((resolve) => worker.once('exit', resolve))
  worker.kill('SIGKILL')
  await gone
  const stores = lmdbStores({ path })
  t.after(() => stores.close())
  const at = async (nowMs, repeatable = false) => (await stores.answers.claim({ ...claim, nowMs, repeatable })).state
  assert.equal(await at(startMs + 1), 'held')
  assert.equal(await at(startMs + 1, true), 'held')
  assert.equal(await at(startMs + 30_000), 'unknown')
  assert.equal(await at(startMs + 86_399_999), 'unknown')
  assert.equal(await at(startMs + 30_000, true), 'claimed')
})
