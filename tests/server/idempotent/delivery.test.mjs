// SPDX-License-Identifier: MIT
// Delivery from end to end: the client's retries, the gateway's answers that are kept, and a network that loses both ways.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { idempotent, memoryAnswerStore } from 'countersign/server'
import { createTestWorld } from 'countersign/testing'

/** A gateway with one client that knows the time; `lose` has the next answers to an order lost. */
const createPair = async (t, { wrap = (handler) => handler, seed = 1, ...options } = {}) => {
  const seen = []
  const runs = []
  const place = (context) => {
    runs.push(context.idempotencyKey)
    return { resultCode: 'placed', payload: `order ${runs.length}` }
  }
  const world = await createTestWorld({
    seed,
    // A handler that waits for another one's answer does so in real time.
    patienceMs: 200,
    routes: { order: wrap((context) => place(context)) },
    onStage: ({ stage, verdict, requestId }) => stage === 'parse' && verdict === 'pass' && seen.push(requestId)
  })
  t.after(() => world.close())
  const { client, link } = await world.connect(options)
  await client.sessions()
  seen.length = 0
  const order = (payload, limits) => world.run(client.request('order', payload, limits))
  const lose = (times, faults = { down: { loss: 1 } }) =>
    link.once(faults, { times, isMeant: (type) => type === 'order' })
  return { world, client, link, order, lose, runs, seen }
}

const keyOf = (requestId) => requestId.split('.')[0].split('~')[1]

test('D13 R70 R130 a lost answer: tries with new ids under one key, one effect, and its one answer', async (t) => {
  const { order, lose, runs, seen } = await createPair(t, {
    wrap: (handler) => idempotent(handler, { answers: memoryAnswerStore() })
  })
  lose(2)
  const { resultCode, payload, timings } = await order('x', { idempotencyKey: 'k1' })
  assert.deepEqual([resultCode, Buffer.from(payload).toString()], ['placed', 'order 1'])
  assert.deepEqual([runs, timings.tries], [['k1'], 3])
  assert.deepEqual(seen.map(keyOf), ['k1', 'k1', 'k1'])
  assert.equal(new Set(seen).size, 3)
})

test('D13 without the wrapper the same loss acts three times: the effect is the application’s to bound', async (t) => {
  const { order, lose, runs } = await createPair(t)
  lose(2)
  await order('x', { idempotencyKey: 'k1' })
  assert.equal(runs.length, 3)
})

test('D13 R72 without a key a lost answer is an unknown outcome, and nothing is sent again', async (t) => {
  const { order, lose, runs, seen } = await createPair(t)
  lose(1)
  const error = await order('x').catch((failure) => failure)
  assert.deepEqual([error.code, error.retry, error.cause?.code], ['ERR_OUTCOME_UNKNOWN', 'never', 'ERR_NETWORK'])
  assert.deepEqual([runs.length, seen.length], [1, 1])
})

test('D13 R72 a call that timed out after it was sent, without a key, is an unknown outcome', async (t) => {
  const { order, lose, runs } = await createPair(t)
  lose(1, { down: { cut: true } })
  const error = await order('x').catch((failure) => failure)
  assert.deepEqual([error.code, error.cause?.code, runs.length], ['ERR_OUTCOME_UNKNOWN', 'ERR_TIMEOUT', 1])
})

test('D13 R131 R132 the gateway’s words on a key reach the caller as typed errors', async (t) => {
  const answers = memoryAnswerStore()
  const { order } = await createPair(t, {
    wrap: (handler) =>
      idempotent(
        (context) => {
          if (context.idempotencyKey === 'fails') throw new Error('half done')
          return handler(context)
        },
        { answers }
      )
  })
  await order('x', { idempotencyKey: 'k1' })
  const conflict = await order('y', { idempotencyKey: 'k1' }).catch((error) => error)
  assert.deepEqual(
    [conflict.code, conflict.resultCode, conflict.stage, conflict.retry],
    ['ERR_IDEMPOTENCY_CONFLICT', 'cs.idempotency_conflict', 'handler', 'never']
  )
  for (const expected of [
    ['ERR_HANDLER_FAILED', 'cs.internal', 'handler', 'never'],
    ['ERR_OUTCOME_UNKNOWN', 'cs.outcome_unknown', 'handler', 'never']
  ]) {
    const { code, resultCode, stage, retry } = await order('x', { idempotencyKey: 'fails' }).catch((error) => error)
    assert.deepEqual([code, resultCode, stage, retry], expected)
  }
})

const CALLS = process.env.COUNTERSIGN_LONG === '1' ? 5000 : 300

test(`D13 ${CALLS} calls through a network that loses requests and answers: each key acts once, each answer is its own`, async (t) => {
  const { world, client, link, runs } = await createPair(t, {
    retries: 10,
    wrap: (handler) => idempotent(handler, { answers: memoryAnswerStore({ capacity: 2 ** 20 }), waitMs: 50 })
  })
  link.set({ up: { loss: 0.15, delayMs: [0, 20] }, down: { loss: 0.2, delayMs: [0, 20] } })
  const answers = new Map()
  for (let round = 0; round < CALLS; round += 20) {
    await world.run(
      Promise.all(
        Array.from({ length: 20 }, async (_, at) => {
          const key = `k${round + at}`
          const both = [1, 2].map(() => client.request('order', key, { idempotencyKey: key }))
          const texts = (await Promise.all(both)).map(({ payload }) => Buffer.from(payload).toString())
          assert.equal(texts[0], texts[1], 'two callers of one intent hear one answer')
          answers.set(key, texts[0])
        })
      )
    )
  }
  assert.equal(runs.length, CALLS)
  assert.equal(new Set(runs).size, CALLS)
  assert.equal(new Set(answers.values()).size, CALLS)
})
