// SPDX-License-Identifier: MIT
// idempotent(): one intent runs once, whatever becomes of its answers, its process or its store.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { idempotent, memoryAnswerStore } from 'countersign/server'
import { HUNG_MS } from '../../unit/harness/wait.mjs'
import { createKey, createWorld, openAnswer, sessionOf } from '../kit.mjs'

const DAY_MS = 86_400_000

/** A gateway whose `order` runs `handler` once for each key; `runs` lists the payloads it ran with. */
const createShop = async (options = {}) => {
  const {
    handler = ({ payload }) => ({ resultCode: 'done', payload }),
    answers = memoryAnswerStore(),
    ...rest
  } = options
  const runs = []
  const shop = { runs, answers }
  const world = await createWorld({ routes: {} })
  const order = idempotent(
    (context) => {
      runs.push(Buffer.from(context.payload).toString())
      return handler(context, runs.length)
    },
    { answers, now: () => world.now(), waitMs: 0, ...rest }
  )
  const routes = { order, pay: order, 'POST /orders/:id': order }
  return { ...shop, ...(await createWorld({ userId: 'u1', now: world.now, routes })) }
}

const order = (shop, options = {}) => shop.call({ type: 'order', idempotencyKey: 'k1', payload: 'p', ...options })

test('R130 D13 a second try gets the first answer, signed anew for its own request', async () => {
  const shop = await createShop()
  const first = await order(shop)
  shop.now.ms += 5000
  const second = await order(shop)
  assert.deepEqual([first.resultCode, first.text], ['done', 'p'])
  assert.deepEqual([second.resultCode, second.text], ['done', 'p'])
  assert.equal(second.timestampMs, first.timestampMs + 5000, 'the time is that of its own signature')
  assert.deepEqual(shop.runs, ['p'])
  assert.equal((await order(shop, { idempotencyKey: 'k2' })).resultCode, 'done')
  assert.equal((await order(shop, { idempotencyKey: undefined })).resultCode, 'done')
  assert.equal((await order(shop, { idempotencyKey: undefined })).resultCode, 'done')
  assert.equal(shop.runs.length, 4, 'without a key each request runs')
})

test('R147 an answer is kept by the time of the gateway, also where the system is far behind it', async () => {
  const shop = await createShop({ now: () => 1000 })
  await order(shop)
  shop.now.ms += DAY_MS - 1
  await order(shop)
  assert.deepEqual(shop.runs, ['p'])
  shop.now.ms += 1
  await order(shop)
  assert.deepEqual(shop.runs, ['p', 'p'])
})

test('R130 status, content type and body are told again in the header binding, and the json binding shares the frame’s', async () => {
  const handler = ({ binding, params }) =>
    binding === 'header'
      ? { status: 201, payload: `made ${params.id}`, contentType: 'text/plain' }
      : { resultCode: 'done', payload: 'made' }
  const shop = await createShop({ handler })
  for (let tries = 0; tries < 2; tries++) {
    const request = shop.requestOf({ type: 'POST /orders/7', idempotencyKey: 'k1' })
    const response = await shop.sendHeader('POST', '/orders/7', request)
    assert.equal(response.headers.get('content-type'), 'text/plain')
    const { resultCode, text } = await openAnswer(response, request.requestId, shop.signer)
    assert.deepEqual([resultCode, text], ['http.201', 'made 7'])
  }
  assert.equal(shop.runs.length, 1)
  assert.equal((await order(shop)).text, 'made')
  const { jsonOf } = await import('../kit.mjs')
  const request = shop.requestOf({ type: 'order', idempotencyKey: 'k1', payload: 'p' })
  const answer = await openAnswer(await shop.sendJson(jsonOf(request)), request.requestId, shop.signer)
  assert.deepEqual([answer.resultCode, answer.text, shop.runs.length], ['done', 'made', 2])
})

test('R131 another payload or target under the same key is refused at handler, and does not run', async () => {
  const shop = await createShop()
  await order(shop)
  const other = await order(shop, { payload: 'q' })
  assert.deepEqual([other.status, other.resultCode, other.text], [422, 'cs.idempotency_conflict', '{}'])
  await shop.callHeader('POST', '/orders/7', { idempotencyKey: 'k1' })
  const target = await shop.callHeader('POST', '/orders/8', { idempotencyKey: 'k1' })
  assert.deepEqual([target.status, target.resultCode], [422, 'cs.idempotency_conflict'])
  assert.equal(shop.refusals.at(-1).stage, 'handler')
  assert.equal(shop.runs.length, 2)
  assert.equal((await order(shop, { type: 'pay' })).resultCode, 'done', 'another route has keys of its own')
})

test('R130 keys are per user: another session of the user shares them, another user does not', async () => {
  const shop = await createShop()
  await order(shop)
  const device = async (userId) => {
    const key = createKey()
    const session = sessionOf(key, { userId, nowMs: shop.now() })
    await shop.sessions.create(session)
    return { ...key, id: session.id }
  }
  assert.equal((await order(shop, { device: await device('u1') })).text, 'p')
  assert.equal(shop.runs.length, 1)
  assert.equal((await order(shop, { device: await device('u2'), payload: 'q' })).text, 'q')
  assert.equal(shop.runs.length, 2)
})

test('R130 of thirty tries at once one runs, and all get its answer', async () => {
  const shop = await createShop({
    waitMs: HUNG_MS,
    handler: async (_, run) => {
      await sleep(60)
      return { payload: `run ${run}` }
    }
  })
  const answers = await Promise.all(Array.from({ length: 30 }, () => order(shop)))
  assert.deepEqual(new Set(answers.map(({ resultCode, text }) => `${resultCode} ${text}`)), new Set(['ok run 1']))
  assert.equal(shop.runs.length, 1)
})

test('R130 a try that will not wait longer is told to come back: cs.unavailable at handler, with a time', async () => {
  let finish
  const running = new Promise((resolve) => {
    finish = resolve
  })
  const shop = await createShop({ handler: () => running })
  const first = order(shop)
  while (shop.runs.length === 0) await sleep(1)
  const second = await order(shop)
  assert.deepEqual([second.status, second.resultCode, second.text], [503, 'cs.unavailable', '{"retry_after_ms":1000}'])
  finish({ payload: 'late' })
  assert.equal((await first).text, 'late')
  assert.equal((await order(shop)).text, 'late')
  assert.equal(shop.runs.length, 1)
})

test('R132 a handler that threw is not run again: cs.internal, then cs.outcome_unknown until the key is forgotten', async () => {
  const shop = await createShop({
    handler: (_, run) => {
      if (run === 1) throw new Error('the disk is on fire')
      return {}
    }
  })
  for (const expected of [
    [500, 'cs.internal', '{}'],
    [409, 'cs.outcome_unknown', '{}'],
    [409, 'cs.outcome_unknown', '{}']
  ]) {
    const { status, resultCode, text } = await order(shop)
    assert.deepEqual([status, resultCode, text], expected)
  }
  assert.deepEqual(
    shop.refusals.map(({ stage }) => stage),
    ['handler', 'handler', 'handler']
  )
  assert.equal(shop.faults.length, 1)
  assert.equal(shop.refusals[0].error.message, 'the disk is on fire')
  assert.equal(shop.runs.length, 1)
  shop.now.ms += DAY_MS
  assert.equal((await order(shop)).resultCode, 'ok')
  assert.equal(shop.runs.length, 2)
})

test('R132 a result that cannot be signed is an unknown outcome too', async () => {
  const shop = await createShop({ handler: () => ({ resultCode: 'cs.mine' }) })
  assert.equal((await order(shop)).resultCode, 'cs.internal')
  assert.equal((await order(shop)).resultCode, 'cs.outcome_unknown')
  assert.equal(shop.runs.length, 1)
})

test('R132 what the application knows to have had no effect, or calls repeatable, runs again', async () => {
  const handler = (_, run) => {
    if (run === 1) throw Object.assign(new Error('no connection'), { code: 'ECONNREFUSED' })
    return { payload: `run ${run}` }
  }
  for (const options of [{ isUndone: ({ code }) => code === 'ECONNREFUSED' }, { repeatable: true }]) {
    const shop = await createShop({ handler, ...options })
    assert.deepEqual((await order(shop)).resultCode, 'cs.internal')
    assert.deepEqual((await order(shop)).text, 'run 2')
    assert.deepEqual((await order(shop)).text, 'run 2')
  }
})

test('R132 a claim left behind by a process that died: told to wait, then unknown; taken over where repeatable', async () => {
  for (const repeatable of [false, true]) {
    const answers = memoryAnswerStore()
    // Its finish never comes to the store: a process that died.
    const dying = { ...answers, finish: () => new Promise(() => {}), release: () => new Promise(() => {}) }
    const world = await createShop({ answers: dying, onFailure() {} })
    await order(world)
    const shop = await createShop({ answers, repeatable })
    assert.equal((await order(shop)).resultCode, 'cs.unavailable')
    shop.now.ms += 30_000
    assert.equal((await order(shop)).resultCode, repeatable ? 'done' : 'cs.outcome_unknown')
    assert.equal(shop.runs.length, repeatable ? 1 : 0)
  }
})

test('R64 R130 a store that fails or hangs at the claim refuses: nothing runs, the key is let go', async () => {
  for (const claim of [() => Promise.reject(new Error('down')), () => new Promise(() => {})]) {
    const released = []
    const answers = { ...memoryAnswerStore(), claim, release: async (key32) => void released.push(key32) }
    const shop = await createShop({ answers })
    const answer = await order(shop)
    assert.deepEqual([answer.status, answer.resultCode], [503, 'cs.unavailable'])
    assert.equal(shop.refusals[0].stage, 'handler')
    assert.match(shop.refusals[0].error.message, /down|did not answer/)
    assert.deepEqual([shop.runs.length, released.length, released[0].length], [0, 1, 32])
  }
})

test('R132 an answer that could not be kept is told once, and its outcome is unknown to later tries', async () => {
  const failures = []
  const answers = memoryAnswerStore()
  const failing = { ...answers, finish: () => Promise.reject(new Error('full disk')) }
  const shop = await createShop({ answers: failing, onFailure: ({ message }) => failures.push(message) })
  assert.equal((await order(shop)).resultCode, 'done')
  assert.deepEqual(failures, ['full disk'])
  shop.now.ms += 30_000
  assert.equal((await order(shop)).resultCode, 'cs.outcome_unknown')
  const telling = () => {
    throw new Error('the log is full as well')
  }
  const mute = await createShop({ answers: { ...failing }, onFailure: telling })
  assert.equal((await order(mute, { idempotencyKey: 'k3' })).resultCode, 'done')
  const small = await createShop({ answerBytes: 4 })
  assert.equal((await order(small, { payload: '12345' })).text, '12345')
  assert.equal((await order(small, { payload: '12345' })).resultCode, 'cs.outcome_unknown')
  assert.equal((await order(small, { idempotencyKey: 'k2', payload: '1234' })).text, '1234')
  assert.equal((await order(small, { idempotencyKey: 'k2', payload: '1234' })).text, '1234')
  assert.equal(small.runs.length, 2)
})

test('D4 R130 a full store refuses new keys and keeps the old ones', async () => {
  const shop = await createShop({ answers: memoryAnswerStore({ capacity: 128 }) })
  for (const key of ['a', 'b']) assert.equal((await order(shop, { idempotencyKey: key })).resultCode, 'done')
  assert.equal((await order(shop, { idempotencyKey: 'c' })).resultCode, 'cs.unavailable')
  assert.match(shop.refusals.at(-1).error.message, /full/)
  assert.equal((await order(shop, { idempotencyKey: 'a' })).resultCode, 'done')
  assert.equal(shop.runs.length, 2)
})

test('idempotent refuses options that cannot work', () => {
  const answers = memoryAnswerStore()
  const bad = [undefined, {}, { answers: {} }, { answers, keepMs: 10, holdMs: 20 }, { answers, holdMs: 0 }]
  for (const options of [...bad, { answers, waitMs: -1 }, { answers, isUndone: 1 }, { answers, now: 'soon' }]) {
    assert.throws(() => idempotent(() => {}, options), { code: 'ERR_INVALID_ARGUMENT' })
  }
  for (const handler of [undefined, null, 'x']) {
    assert.throws(() => idempotent(handler, { answers }), { code: 'ERR_INVALID_ARGUMENT' })
  }
  assert.throws(() => memoryAnswerStore({ capacity: 1 }), { code: 'ERR_INVALID_ARGUMENT' })
})
