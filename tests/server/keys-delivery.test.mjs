// SPDX-License-Identifier: MIT
// Delivery from end to end: the client's retries, the gateway's answers that are kept, and a network that loses both ways.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect, emailEnrollment, memoryStore } from 'countersign'
import {
  createGateway,
  enrollment,
  idempotent,
  memoryAnswerStore,
  memoryCodeStore,
  memoryReplayStore,
  memorySessionStore
} from 'countersign/server'
import { createSigner } from './kit.mjs'

const label = 'test'
const url = 'https://gateway.test'

/** A gateway with one signed-in client; `network(send)` stands between them and may lose the request or the answer. */
const createPair = async (t, { network = (send) => send(), wrap = (handler) => handler, ...options } = {}) => {
  const signer = createSigner()
  const shared = { label, signer, sessions: memorySessionStore(), codes: memoryCodeStore() }
  const seen = []
  const runs = []
  const codes = new Map()
  const place = (context) => {
    runs.push(context.idempotencyKey)
    return { resultCode: 'placed', payload: `order ${runs.length}` }
  }
  const routes = { order: wrap((context) => place(context)) }
  const gateway = createGateway({
    ...shared,
    replay: memoryReplayStore({ capacity: 2 ** 16 }),
    routes,
    enrollment: enrollment({ ...shared, mailer: ({ email, code }) => void codes.set(email, code) }),
    onStage: ({ stage, verdict, requestId }) => stage === 'parse' && verdict === 'pass' && seen.push(requestId)
  })
  await gateway.ready()
  let isFaulty = false
  const client = await connect({
    url,
    label,
    serverKeys: [{ id: signer.keyId, publicKey: signer.publicKey }],
    store: memoryStore(),
    fetch: (href, init) => {
      const send = () => gateway.handle(new Request(href, { ...init, duplex: 'half' }))
      return isFaulty ? network(send) : send()
    },
    ...options
  })
  t.after(() => client.close())
  const email = 'ada@example.org'
  await emailEnrollment(client, { email, code: () => codes.get(email) })
  isFaulty = true
  seen.length = 0
  return { client, gateway, runs, seen }
}

const lost = () => {
  throw new TypeError('the connection broke')
}
const keyOf = (requestId) => requestId.split('.')[0].split('~')[1]

test('D13 R70 R130 a lost answer: tries with new ids under one key, one effect, and its one answer', async (t) => {
  let losses = 2
  const { client, runs, seen } = await createPair(t, {
    wrap: (handler) => idempotent(handler, { answers: memoryAnswerStore() }),
    network: async (send) => {
      const answer = await send()
      return losses-- > 0 ? lost() : answer
    }
  })
  const { resultCode, payload, timings } = await client.request('order', 'x', { idempotencyKey: 'k1' })
  assert.deepEqual([resultCode, Buffer.from(payload).toString()], ['placed', 'order 1'])
  assert.deepEqual([runs, timings.tries], [['k1'], 3])
  assert.deepEqual(seen.map(keyOf), ['k1', 'k1', 'k1'])
  assert.equal(new Set(seen).size, 3)
})

test('D13 without the wrapper the same loss acts three times: the effect is the application’s to bound', async (t) => {
  let losses = 2
  const { client, runs } = await createPair(t, {
    network: async (send) => {
      const answer = await send()
      return losses-- > 0 ? lost() : answer
    }
  })
  await client.request('order', 'x', { idempotencyKey: 'k1' })
  assert.equal(runs.length, 3)
})

test('D13 R72 without a key a lost answer is an unknown outcome, and nothing is sent again', async (t) => {
  const { client, runs, seen } = await createPair(t, {
    network: async (send) => {
      await send()
      return lost()
    }
  })
  const error = await client.request('order', 'x').catch((failure) => failure)
  assert.deepEqual([error.code, error.retry, error.cause?.code], ['ERR_OUTCOME_UNKNOWN', 'never', 'ERR_NETWORK'])
  assert.deepEqual([runs.length, seen.length], [1, 1])
})

test('D13 R72 a call that timed out after it was sent, without a key, is an unknown outcome', async (t) => {
  const { client, runs } = await createPair(t, {
    timeoutMs: 300,
    network: async (send) => {
      await send()
      return new Promise(() => {})
    }
  })
  const error = await client.request('order', 'x').catch((failure) => failure)
  assert.deepEqual([error.code, error.cause?.code, runs.length], ['ERR_OUTCOME_UNKNOWN', 'ERR_TIMEOUT', 1])
})

test('D13 R131 R132 the gateway’s words on a key reach the caller as typed errors', async (t) => {
  const answers = memoryAnswerStore()
  const { client } = await createPair(t, {
    wrap: (handler) =>
      idempotent(
        (context) => {
          if (context.idempotencyKey === 'fails') throw new Error('half done')
          return handler(context)
        },
        { answers }
      )
  })
  await client.request('order', 'x', { idempotencyKey: 'k1' })
  const conflict = await client.request('order', 'y', { idempotencyKey: 'k1' }).catch((error) => error)
  assert.deepEqual(
    [conflict.code, conflict.resultCode, conflict.stage, conflict.retry],
    ['ERR_IDEMPOTENCY_CONFLICT', 'cs.idempotency_conflict', 'handler', 'never']
  )
  const unknown = await client.request('order', 'x', { idempotencyKey: 'fails' }).catch((error) => error)
  assert.deepEqual(
    [unknown.code, unknown.resultCode, unknown.stage],
    ['ERR_OUTCOME_UNKNOWN', 'cs.outcome_unknown', 'handler']
  )
})

const CALLS = process.env.COUNTERSIGN_LONG === '1' ? 5000 : 300

test(`D13 ${CALLS} calls through a network that loses requests and answers: each key acts once, each answer is its own`, async (t) => {
  let seed = 1
  const chance = () => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31
    return seed / 2 ** 31
  }
  // Pauses between tries cost nothing here; limits do.
  const schedule = (run, ms) => {
    const timer = setTimeout(run, ms < 14_000 ? Math.min(ms, 2) : ms)
    return () => clearTimeout(timer)
  }
  const { client, runs } = await createPair(t, {
    retries: 10,
    schedule,
    wrap: (handler) => idempotent(handler, { answers: memoryAnswerStore({ capacity: 2 ** 20 }), waitMs: 50 }),
    network: async (send) => {
      if (chance() < 0.15) return lost()
      const answer = await send()
      return chance() < 0.2 ? lost() : answer
    }
  })
  const answers = new Map()
  for (let round = 0; round < CALLS; round += 20) {
    await Promise.all(
      Array.from({ length: 20 }, async (_, at) => {
        const key = `k${round + at}`
        const both = [1, 2].map(() => client.request('order', key, { idempotencyKey: key }))
        const texts = (await Promise.all(both)).map(({ payload }) => Buffer.from(payload).toString())
        assert.equal(texts[0], texts[1], 'two callers of one intent hear one answer')
        answers.set(key, texts[0])
      })
    )
  }
  assert.equal(runs.length, CALLS)
  assert.equal(new Set(runs).size, CALLS)
  assert.equal(new Set(answers.values()).size, CALLS)
})
