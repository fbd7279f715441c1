// SPDX-License-Identifier: MIT
// kill -9 at random points under load: no intent runs twice, and what was answered once is answered the same for ever.
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { serverKeyFile } from 'countersign/server'
import { lmdbStores } from 'countersign/server/lmdb'
import { randomOf } from '../../unit/harness/random.mjs'
import { until } from '../../unit/harness/wait.mjs'
import { enrol, FRAME, openAnswer, signRequest } from '../kit.mjs'

const ROUNDS = process.env.COUNTERSIGN_LONG === '1' ? 200 : 6
const SENDERS = 8
const random = randomOf('keys and kill -9')
const child = fileURLToPath(new URL('./kill9-child.mjs', import.meta.url))

const start = (folder) => {
  const gateway = fork(child, [folder], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const port = new Promise((resolve, reject) => {
    gateway.once('message', (message) => resolve(message.port))
    gateway.once('exit', () => reject(new Error('it ended before it listened')))
  })
  port.catch(() => {})
  const exited = new Promise((resolve) => gateway.once('exit', resolve))
  return { port, exited, kill: () => gateway.kill('SIGKILL') }
}

test(`D12 R132 ${ROUNDS} rounds of kill -9 under load: each key acts once at most, each answer stays what it was`, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-keys-kill9-'))
  const signer = serverKeyFile(join(folder, 'server.key'))
  const stores = lmdbStores({ path: join(folder, 'stores'), capacity: 2 ** 17 })
  // These ids are the first: there is nothing a replay could be of.
  await stores.replay.fence(0)
  const device = await enrol(stores.sessions, { userId: 'u1', nowMs: Date.now() })
  await stores.close()
  let gateway = start(folder)
  t.after(() => {
    gateway.kill()
    rmSync(folder, { recursive: true, force: true })
  })
  const said = new Map()
  let isOver = false
  let nextKey = 0

  /** Tries until there is a word; undefined where the test is over. */
  const settle = async (key) => {
    while (!isOver) {
      try {
        const request = signRequest(device, { type: 'order', payload: key, nowMs: Date.now(), idempotencyKey: key })
        const response = await fetch(`http://127.0.0.1:${await gateway.port}/`, {
          method: 'POST',
          body: request.frame,
          headers: { 'content-type': FRAME }
        })
        const whole = new Response(await response.arrayBuffer(), { status: response.status, headers: response.headers })
        const { resultCode, text } = await openAnswer(whole, request.requestId, signer)
        if (resultCode === 'placed' || resultCode === 'cs.outcome_unknown') return `${resultCode} ${text}`
        assert.equal(resultCode, 'cs.unavailable')
      } catch (error) {
        if (error.code === 'ERR_ASSERTION') throw error
      }
      await sleep(5)
    }
  }
  const senders = Array.from({ length: SENDERS }, async () => {
    while (!isOver) {
      const key = `k${nextKey++}`
      const word = await settle(key)
      if (word) said.set(key, word)
    }
  })
  for (let round = 0; round < ROUNDS; round++) {
    await gateway.port
    const before = said.size
    await Promise.race([until(() => said.size >= before + SENDERS, 'a word for each sender'), ...senders])
    await sleep(random.below(60))
    gateway.kill()
    await gateway.exited
    gateway = start(folder)
  }
  isOver = true
  await Promise.all(senders)
  const effects = readFileSync(join(folder, 'effects'), 'utf8').trim().split('\n')
  assert.equal(new Set(effects).size, effects.length, 'no key has acted twice')
  const placed = [...said].filter(([, word]) => word.startsWith('placed'))
  const acted = new Set(effects)
  for (const [key] of placed) assert.ok(acted.has(key), key)
  assert.ok(placed.length >= ROUNDS * 4, `${placed.length} placed`)
  isOver = false
  for (const [key, word] of [
    ...placed.slice(-20),
    ...[...said].filter(([, it]) => !it.startsWith('placed')).slice(-10)
  ])
    assert.equal(await settle(key), word, `${key} is what it was`)
  isOver = true
  t.diagnostic(
    `${said.size} intents, ${placed.length} placed, ${said.size - placed.length} unknown, ${effects.length} effects`
  )
})
