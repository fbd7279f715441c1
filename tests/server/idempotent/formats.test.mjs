// SPDX-License-Identifier: MIT
// Answers that a gateway of another release has kept: told without headers, or not told where their form is a later one.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { redisStores } from 'countersign/server/redis'
import { createAnswerStore } from '../../../dist/server/stores/answers.js'
import { createMemoryTable } from '../../../dist/server/stores/record-table.js'
import { startMs } from '../kit.mjs'
import { startRedis } from '../stores/redis/server.mjs'
import { claimOf } from './claim.mjs'

const ANSWER = {
  resultCode: 'ok',
  status: 200,
  contentType: 'text/plain',
  payload: new Uint8Array([1, 2]),
  headers: { etag: '"1"' }
}

const checkForms = async (answers, change) => {
  const claim = claimOf()
  await answers.claim(claim)
  assert.equal(await answers.finish(claim.key32, claim.token, ANSWER, { keepMs: 86_400_000, nowMs: startMs }), true)
  const told = await answers.claim(claimOf({ ...claim, token: 't2' }))
  assert.deepEqual([told.state, told.answer.headers], ['kept', ANSWER.headers])
  await change({ later: true })
  assert.deepEqual(await answers.claim(claimOf({ ...claim, token: 't3' })), { state: 'unknown' })
  await change({ later: false })
  const { answer } = await answers.claim(claimOf({ ...claim, token: 't4' }))
  assert.deepEqual([...answer.payload], [1, 2])
  assert.equal(answer.headers, undefined)
}

test('R153 R130 memory and LMDB: an answer kept without headers is told without; one of a later form is unknown', async () => {
  const table = createMemoryTable(640)
  await checkForms(createAnswerStore(table), ({ later }) => {
    const name = table.keys().find((key) => key.startsWith('key/'))
    const entry = table.get(name)
    const { format, headers: _, ...old } = entry.answer
    table.put(name, { ...entry, answer: later ? { ...entry.answer, format: format + 1 } : old })
  })
})

test('R153 R130 Redis: an answer kept without headers is told without; one of a later form is unknown', async (t) => {
  const redis = await startRedis()
  t.after(() => redis.stop())
  const prefix = randomUUID()
  const { answers, close } = await redisStores({ url: redis.url, label: 'test', prefix, deadlineMs: 1000 })
  t.after(close)
  await checkForms(answers, async ({ later }) => {
    const keys = String(await redis.cli('KEYS', `${prefix}*answer:*`)).split(/[\n,]/)
    const key = keys.map((one) => one.trim()).find((one) => one.includes('answer:'))
    if (later) await redis.cli('HSET', key, 'format', '3')
    else await redis.cli('HDEL', key, 'format', 'headers')
  })
})
