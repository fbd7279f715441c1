// SPDX-License-Identifier: MIT
// The queue of intents (D13; R133, R134): unsigned while it waits, signed when it is sent, in order, gone after a verified word.

import { intentQueue, memoryIntents } from 'countersign/queue'
import { enrol, lost, text } from '../client/fixture.mjs'
import { turns } from '../harness/wait.mjs'
import { house, until } from './kit.mjs'

const failure = (promise) =>
  promise.then(
    (value) => ({ value }),
    (error) => error
  )

export const suite = (test, assert) => {
  test('D13 R133 intents are sent in order, one at a time, answered, and taken out', async () => {
    const it = await house()
    let underWay = 0
    it.fault = async () => {
      underWay++
      await new Promise((resolve) => setTimeout(resolve, 5))
      assert.equal(underWay--, 1)
    }
    const queued = await Promise.all(['a', 'b', 'c', 'd'].map((payload) => it.queue.add('demo.order', payload)))
    const replies = await Promise.all(queued.map(({ settled }) => settled))
    assert.deepEqual(it.effects, ['a', 'b', 'c', 'd'])
    assert.deepEqual(
      replies.map(({ resultCode, payload }) => [resultCode, text(payload)]),
      [
        ['ok', 'done 1'],
        ['ok', 'done 2'],
        ['ok', 'done 3'],
        ['ok', 'done 4']
      ]
    )
    assert.deepEqual(
      it.ended.map(([payload]) => payload),
      ['a', 'b', 'c', 'd']
    )
    await until(() => it.queue.state === 'idle', 'idle')
    assert.deepEqual([await it.stored(), it.queue.size, it.queue.failure], [[], 0, undefined])
    await it.close()
  })

  test('D13 R133 what is stored is no message: no signature, no request id, no session; each try is signed anew', async () => {
    const it = await house()
    it.isDown = true
    const { intent, settled } = await it.queue.add('demo.order', 'x', { expiresMs: 60_000 })
    await until(() => it.queue.state === 'waiting' && it.queue.failure, 'the pause')
    const [stored] = await it.stored()
    assert.deepEqual(Object.keys(stored).sort(), [
      'createdMs',
      'expiresMs',
      'id',
      'isSent',
      'key',
      'owner',
      'payload',
      'type'
    ])
    assert.ok(/^[\w-]{22}$/.test(stored.key))
    assert.deepEqual([stored.key, stored.expiresMs - stored.createdMs, stored.isSent], [intent.key, 60_000, true])
    assert.equal(it.queue.failure.code, 'ERR_NETWORK')
    it.isDown = false
    let lostAnswers = 2
    it.fault = () => (lostAnswers-- > 0 ? lost() : undefined)
    assert.equal(text((await settled).payload), 'done 1')
    assert.deepEqual(
      it.tries.map(({ key }) => key),
      [intent.key, intent.key, intent.key]
    )
    assert.equal(new Set(it.tries.map(({ requestId }) => requestId)).size, 3)
    assert.ok(it.tries[0].timestampMs <= it.tries[1].timestampMs && it.tries[1].timestampMs < it.tries[2].timestampMs)
    assert.deepEqual(it.effects, ['x'])
    await it.close()
  })

  test('H20 R133 an intent whose payload a store has lost is never sent as an empty one', async () => {
    const it = await house()
    it.isDown = true
    const { intent, settled } = await it.queue.add('demo.order', 'x')
    await until(() => it.queue.failure, 'the pause')
    const [stored] = await it.stored()
    await it.store.put('countersign', { ...stored, id: intent.id, payload: undefined })
    it.isDown = false
    globalThis.dispatchEvent?.(new Event('online'))
    await assert.rejects(settled, { code: 'ERR_INVALID_ARGUMENT' })
    assert.deepEqual(it.effects, [])
    await it.close()
  })

  test('D13 R133 an intent that waits holds back those behind it, and the network’s return is seen at once', async () => {
    const it = await house()
    it.isDown = true
    const queued = []
    for (const payload of ['a', 'b', 'c']) queued.push(await it.queue.add('demo.order', payload))
    await until(() => it.queue.failure, 'a failure')
    await until(() => it.queue.size === 3, 'three')
    assert.deepEqual(it.effects, [])
    it.isDown = false
    globalThis.dispatchEvent?.(new Event('online'))
    await Promise.all(queued.map(({ settled }) => settled))
    assert.deepEqual(it.effects, ['a', 'b', 'c'])
    await it.close()
  })

  const unverified = [
    ['a portal’s page', () => new Response('<html>', { headers: { 'content-type': 'text/html' } })],
    ['an unsigned refusal', () => new Response('', { status: 403 })],
    ['a forged answer', (_, answer) => answer({ signature: new Uint8Array(64) })],
    ['an answer under an unknown key', (_, answer) => answer({ keyId: 'k9' })],
    ['another request’s answer', (_, answer) => answer({ requestId: 'another' })],
    [
      'a signed cs.unavailable',
      (_, answer) => answer({ resultCode: 'cs.unavailable', payload: '{"retry_after_ms":5}' })
    ],
    [
      'a signed cs.rate_limited',
      (_, answer) => answer({ resultCode: 'cs.rate_limited', payload: '{"retry_after_ms":5}' })
    ],
    ['a signed cs.internal', (_, answer) => answer({ resultCode: 'cs.internal', payload: '{}' })],
    ['a signed cs.replayed', (_, answer) => answer({ resultCode: 'cs.replayed', payload: '{}' })],
    ['a signed cs.unauthenticated', (_, answer) => answer({ resultCode: 'cs.unauthenticated', payload: '{}' })]
  ]
  for (const [what, fault] of unverified) {
    test(`D13 R134 ${what} takes no intent out: it is sent again, and takes effect once`, async () => {
      const it = await house()
      let faults = 1
      it.fault = (exchange, answer) => (faults-- > 0 ? fault(exchange, answer) : undefined)
      const { settled } = await it.queue.add('demo.order', 'x')
      assert.equal(text((await settled).payload), 'done 1')
      assert.deepEqual([it.effects, it.tries.length, it.ended], [['x'], 2, [['x', 'done 1']]])
      await it.close()
    })
  }

  test('D13 R134 a signed refusal ends an intent with its error, and the next one is sent', async () => {
    const it = await house()
    const refusals = [
      ['cs.idempotency_conflict', 'ERR_IDEMPOTENCY_CONFLICT', 'handler'],
      ['cs.outcome_unknown', 'ERR_OUTCOME_UNKNOWN', 'handler'],
      ['cs.too_large', 'ERR_TOO_LARGE', 'payload_hash'],
      ['cs.of_tomorrow', 'ERR_UNKNOWN_RESULT', undefined]
    ]
    const rest = [...refusals]
    it.fault = (_, answer) => {
      const [resultCode] = rest.shift() ?? []
      return resultCode && answer({ resultCode, payload: '{}' })
    }
    const queued = []
    for (const payload of ['1', '2', '3', '4', '5']) queued.push(await it.queue.add('demo.order', payload))
    for (const [index, [resultCode, code, stage]] of refusals.entries()) {
      const error = await failure(queued[index].settled)
      assert.deepEqual([error.code, error.resultCode, error.stage], [code, resultCode, stage])
    }
    assert.equal((await queued[4].settled).resultCode, 'ok')
    assert.deepEqual(
      it.ended.map(([, end]) => end),
      [...refusals.map(([, code]) => code), 'done 5']
    )
    assert.deepEqual(await it.stored(), [])
    await it.close()
  })

  test('R134 what the client itself may not send ends at once with that error', async () => {
    const it = await house({ client: { allowTypes: ['demo.order'] } })
    const { settled } = await it.queue.add('demo.other', 'x')
    assert.equal((await failure(settled)).code, 'ERR_TYPE_NOT_ALLOWED')
    assert.equal(it.tries.length, 0)
    await it.close()
  })

  test('R134 an intent whose time is over is told and taken out wherever it stands; a cause says that it was sent', async () => {
    const it = await house()
    it.isDown = true
    const first = await it.queue.add('demo.order', 'sent', { expiresMs: 10_000 })
    await until(() => it.queue.failure, 'the first try')
    const second = await it.queue.add('demo.order', 'short', { expiresMs: 1000 })
    const third = await it.queue.add('demo.order', 'long', { expiresMs: 20_000 })
    it.nowMs += 999
    await turns()
    assert.equal(it.ended.length, 0)
    it.nowMs += 1
    const short = await failure(second.settled)
    assert.deepEqual([short.code, short.cause], ['ERR_INTENT_EXPIRED', undefined])
    it.nowMs += 9000
    const sent = await failure(first.settled)
    assert.deepEqual([sent.code, sent.cause?.code], ['ERR_INTENT_EXPIRED', 'ERR_NETWORK'])
    it.isDown = false
    assert.equal(text((await third.settled).payload), 'done 1')
    assert.deepEqual(it.ended, [
      ['short', 'ERR_INTENT_EXPIRED'],
      ['sent', 'ERR_INTENT_EXPIRED'],
      ['long', 'done 1']
    ])
    assert.deepEqual([it.effects, await it.stored()], [['long'], []])
    await it.close()
  })

  test('R134 an intent that was sent before a reload and is over after it has an unknown outcome as its cause', async () => {
    const it = await house()
    it.isHeld = true
    it.fault = () => lost()
    await it.queue.add('demo.order', 'x', { expiresMs: 10_000 })
    await until(() => it.queue.failure, 'a lost answer')
    await it.queue.close()
    it.nowMs += 10_000
    const causes = []
    it.queue = it.open()
    it.queue.on('settled', ({ error }) => causes.push(error.cause?.code))
    await until(() => causes.length > 0, 'the end')
    assert.deepEqual([causes, it.tries.length], [['ERR_OUTCOME_UNKNOWN'], 1])
    await it.close()
  })

  test('R133 the queue is bounded in intents and in bytes: ERR_QUEUE_FULL, and nothing is dropped for it', async () => {
    const it = await house({ queue: { capacity: 3, maxBytes: 10 } })
    it.isDown = true
    for (const payload of ['1234', '5678']) await it.queue.add('demo.order', payload)
    await assert.rejects(it.queue.add('demo.order', 'abc'), { code: 'ERR_QUEUE_FULL' })
    await it.queue.add('demo.order', 'ab')
    await assert.rejects(it.queue.add('demo.order', ''), { code: 'ERR_QUEUE_FULL' })
    assert.equal((await it.stored()).length, 3)
    it.isDown = false
    await until(() => it.effects.length === 3, 'the end')
    await (await it.queue.add('demo.order', 'abc')).settled
    assert.deepEqual(it.effects, ['1234', '5678', 'ab', 'abc'])
    await it.close()
  })

  test('R134 cancel takes out what was never sent, and nothing else', async () => {
    const it = await house()
    it.isDown = true
    const first = await it.queue.add('demo.order', 'a')
    await until(() => it.queue.failure, 'the first try')
    const second = await it.queue.add('demo.order', 'b')
    assert.equal(await it.queue.cancel(first.intent.id), false)
    assert.equal(await it.queue.cancel(second.intent.id), true)
    assert.equal(await it.queue.cancel(second.intent.id), false)
    assert.equal(await it.queue.cancel(99), false)
    assert.equal((await failure(second.settled)).code, 'ERR_ABORTED')
    assert.deepEqual(
      (await it.queue.list()).map(({ payload }) => text(payload)),
      ['a']
    )
    it.isDown = false
    await first.settled
    assert.deepEqual(it.effects, ['a'])
    await it.close()
  })

  test('R133 no other session sends an owner’s intents; an owner of the application’s outlives a session', async () => {
    const it = await house()
    const bySession = it.queue
    const byUser = it.open({ owner: 'ada' })
    it.isDown = true
    await bySession.add('demo.order', 'session')
    await byUser.add('demo.order', 'user')
    await until(() => bySession.failure || byUser.failure, 'a failure')
    it.isDown = false
    it.fault = (_, answer) => answer({ resultCode: 'cs.session_revoked', payload: '{}' })
    await until(() => it.client.state === 'revoked', 'the revocation')
    it.fault = undefined
    const [before] = [it.effects.length]
    await turns(40)
    assert.equal(it.effects.length, before, 'without a session nothing is sent')
    await enrol(it.client, it.gateway)
    await until(() => it.ended.some(([payload]) => payload === 'user'), 'the user’s')
    await turns(40)
    assert.deepEqual(
      (await it.stored()).map(({ payload }) => text(payload)),
      ['session']
    )
    await assert.rejects(
      intentQueue(
        { ...it.client, sessionId: null, state: 'no-session', request() {}, on: () => () => {} },
        { store: it.store }
      ).add('demo.order'),
      { code: 'ERR_NO_SESSION' }
    )
    await byUser.close()
    await it.close()
  })

  test('queues refuse what cannot work, and nothing after close', async () => {
    const it = await house()
    const bad = [null, { store: {} }, { name: 'a b' }, { capacity: 0 }, { maxBytes: -1 }, { expiresMs: 0 }, { now: 1 }]
    for (const options of [...bad, { schedule: 1 }])
      assert.throws(() => intentQueue(it.client, options), { code: 'ERR_INVALID_ARGUMENT' })
    assert.throws(() => it.open({ owner: '' }), { code: 'ERR_INVALID_TEXT' })
    assert.throws(() => intentQueue({}, { store: memoryIntents() }), { code: 'ERR_INVALID_ARGUMENT' })
    const add = (...given) => it.queue.add(...given)
    await assert.rejects(add('cs.time'), { code: 'ERR_RESERVED_TYPE' })
    await assert.rejects(add('a b'), { code: 'ERR_RESERVED_TYPE' })
    await assert.rejects(add(''), { code: 'ERR_INVALID_TEXT' })
    await assert.rejects(add('demo.order', '\ud800'), { code: 'ERR_INVALID_TEXT' })
    await assert.rejects(add('demo.order', 7), { code: 'ERR_INVALID_ARGUMENT' })
    await assert.rejects(add('demo.order', 'x', { key: 'a.b' }), { code: 'ERR_INVALID_IDEMPOTENCY_KEY' })
    await assert.rejects(add('demo.order', 'x', { expiresMs: 0 }), { code: 'ERR_INVALID_ARGUMENT' })
    assert.throws(() => it.queue.on('nothing', () => {}), { code: 'ERR_INVALID_ARGUMENT' })
    it.isDown = true
    const { settled } = await add('demo.order', 'x')
    await it.queue.close()
    assert.equal((await failure(settled)).code, 'ERR_CLOSED')
    await assert.rejects(add('demo.order', 'y'), { code: 'ERR_CLOSED' })
    assert.equal((await it.stored()).length, 1)
    await it.client.close()
  })
}
