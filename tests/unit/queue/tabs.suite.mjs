// SPDX-License-Identifier: MIT
// Intents across reloads, crashes, failing stores and tabs (D12, D13; R133, R134). Two queues over one store are two tabs.

import { indexedDbIntents, memoryIntents } from 'countersign/queue'
import { fakeIndexedDb } from '../client/fake-indexeddb.mjs'
import { lost, text } from '../client/fixture.mjs'
import { HUNG_MS } from '../harness/wait.mjs'
import { house, impatient, until } from './kit.mjs'

const failure = (promise) =>
  promise.then(
    (value) => ({ value }),
    (error) => error
  )

export const suite = (test, assert, env) => {
  const isPage = env.runtime !== 'node'

  /** Stores to try: each call gives another tab's view of the same place. */
  const places = [
    [
      'memory',
      () => {
        const store = memoryIntents()
        return () => store
      }
    ],
    ...(isPage
      ? [
          [
            'IndexedDB',
            () => {
              const database = `intents-${Math.random()}`
              return () => indexedDbIntents({ database, timeoutMs: HUNG_MS })
            }
          ]
        ]
      : [])
  ]

  for (const [place, open] of places) {
    test(`D13 R133 ${place}: intents survive a reload, in order, and are sent by the next visit`, async () => {
      const view = open()
      const it = await house({ queue: { store: view() } })
      it.isDown = true
      for (const payload of ['a', 'b', 'c']) await it.queue.add('demo.order', payload)
      await it.queue.close()
      it.isDown = false
      const store = view()
      assert.deepEqual(
        (await store.list('countersign')).map(({ payload }) => text(payload)),
        ['a', 'b', 'c']
      )
      it.queue = it.open({ store })
      await until(() => it.ended.length === 3, 'the end')
      assert.deepEqual([it.effects, await store.list('countersign')], [['a', 'b', 'c'], []])
      await it.close()
    })

    test(`D12 D13 R134 ${place}: a crash between the effect and the removal is healed by the idempotent answer`, async () => {
      const view = open()
      const kept = view()
      // A tab that ends before its removal has reached the disk.
      const it = await house({ queue: { store: { ...kept, delete: () => Promise.reject(new Error('power is out')) } } })
      const { settled } = await it.queue.add('demo.order', 'x')
      assert.equal(text((await settled).payload), 'done 1')
      await it.queue.close()
      const store = view()
      assert.equal((await store.list('countersign')).length, 1)
      it.queue = it.open({ store })
      await until(() => it.ended.length === 2, 'the second word')
      assert.deepEqual(it.ended, [
        ['x', 'done 1'],
        ['x', 'done 1']
      ])
      assert.deepEqual([it.effects, it.tries.length, new Set(it.tries.map(({ key }) => key)).size], [['x'], 2, 1])
      await until(async () => (await store.list('countersign')).length === 0, 'the removal')
      await it.close()
    })

    test(`D13 R134 ${place}: of two tabs one sends at a time, each promise hears, order is that of queueing`, async () => {
      const view = open()
      const it = await house({ queue: { store: view() } })
      const other = it.open({ store: view() })
      let underWay = 0
      it.fault = async () => {
        underWay++
        await new Promise((resolve) => setTimeout(resolve, 2))
        assert.equal(underWay--, 1, 'one at a time')
      }
      const queued = []
      for (let count = 0; count < 20; count++)
        queued.push(await (count % 2 ? it.queue : other).add('demo.order', String(count)))
      const replies = await Promise.all(queued.map(({ settled }) => settled))
      assert.deepEqual(
        it.effects,
        Array.from({ length: 20 }, (_, count) => String(count))
      )
      assert.deepEqual(
        replies.map(({ payload }) => text(payload)),
        it.effects.map((_, at) => `done ${at + 1}`)
      )
      assert.equal(it.tries.length, 20)
      await other.close()
      await it.close()
    })

    test(`D13 R134 ${place}: the other tab takes over from one that was closed while it waited`, async () => {
      const view = open()
      const it = await house({ queue: { store: view() } })
      it.isDown = true
      await it.queue.add('demo.order', 'a')
      await until(() => it.queue.failure, 'a failure')
      const other = it.open({ store: view() })
      const { settled } = await other.add('demo.order', 'b')
      await it.queue.close()
      it.isDown = false
      assert.equal(text((await settled).payload), 'done 2')
      assert.deepEqual(it.effects, ['a', 'b'])
      it.queue = other
      await it.close()
    })
  }

  test('R134 a cancel in one tab is heard in the other, and a word that was lost is an unknown outcome', async () => {
    const store = memoryIntents()
    const it = await house({ queue: { store } })
    const other = it.open({ store })
    it.isDown = true
    await it.queue.add('demo.order', 'a')
    await until(() => it.queue.failure || other.failure, 'a failure')
    const second = await it.queue.add('demo.order', 'b')
    assert.equal(await other.cancel(second.intent.id), true)
    assert.equal((await failure(second.settled)).code, 'ERR_ABORTED')
    await other.close()
    const third = await it.queue.add('demo.order', 'c')
    await store.delete('countersign', third.intent.id)
    assert.equal((await failure(third.settled)).code, 'ERR_OUTCOME_UNKNOWN')
    await it.close()
  })

  test('R133 a store that fails makes the queue wait, and nothing is sent twice when it cannot take out what has ended', async () => {
    const kept = memoryIntents()
    const broken = new Set()
    const guard =
      (name) =>
      async (...given) => {
        if (broken.has(name)) throw Object.assign(new Error(name), { code: 'ERR_STORAGE_FAILED' })
        return kept[name](...given)
      }
    const store = {
      lock: kept.lock,
      ...Object.fromEntries(['list', 'add', 'put', 'delete'].map((name) => [name, guard(name)]))
    }
    const it = await house({ queue: { store } })
    broken.add('delete')
    const { settled } = await it.queue.add('demo.order', 'a')
    await settled
    await until(() => it.queue.failure?.code === 'ERR_STORAGE_FAILED', 'the failure')
    broken.clear()
    await until(async () => (await kept.list('countersign')).length === 0, 'the removal')
    assert.deepEqual([it.effects, it.tries.length, it.ended], [['a'], 1, [['a', 'done 1']]])
    for (const name of ['list', 'put']) {
      broken.add(name)
      if (name === 'list') await assert.rejects(it.queue.add('demo.order', name), { code: 'ERR_STORAGE_FAILED' })
      else await it.queue.add('demo.order', name)
      await new Promise((resolve) => setTimeout(resolve, 40))
      broken.clear()
    }
    await until(() => it.effects.includes('put'), 'the end')
    broken.add('add')
    await assert.rejects(it.queue.add('demo.order', 'x'), { code: 'ERR_STORAGE_FAILED' })
    broken.clear()
    await it.close()
  })

  test('R133 a queue that is closed meanwhile leaves nothing pending: what was added stays and rejects, a cancel goes through', async () => {
    const store = memoryIntents()
    let proceed = () => {}
    const slow = {
      ...store,
      async add(...given) {
        const id = await store.add(...given)
        await new Promise((resolve) => {
          proceed = resolve
        })
        return id
      }
    }
    const it = await house({ queue: { store: slow } })
    it.isDown = true
    const adding = it.queue.add('demo.order', 'x')
    await until(async () => (await store.list('countersign')).length === 1, 'the intent in the store')
    await it.queue.close()
    proceed()
    const { intent, settled } = await adding
    await assert.rejects(settled, { code: 'ERR_CLOSED' })
    assert.equal((await store.list('countersign')).length, 1)
    const cancelled = await it.queue.cancel(intent.id)
    assert.deepEqual([cancelled, await store.list('countersign')], [true, []])
    await it.close()
  })

  test('R133 a store that fails where an intent has vanished ends no program: the intent is sought again', async () => {
    const store = memoryIntents()
    const failures = []
    const [isNode, target] = [env.runtime === 'node', env.runtime === 'node' ? process : globalThis]
    const note = (event) => failures.push(event.reason ?? event)
    if (isNode) target.on('unhandledRejection', note)
    else target.addEventListener('unhandledrejection', note)
    let isBroken = false
    const list = (name) => (isBroken ? Promise.reject(new Error('the disk is gone')) : store.list(name))
    const due = []
    const runDue = () => {
      for (const run of due.splice(0)) run()
    }
    const schedule = (run, ms) => {
      if (ms !== 1000) return impatient(run, ms)
      due.push(run)
      return () => {}
    }
    const it = await house({ queue: { store: { ...store, list }, schedule } })
    it.isDown = true
    const { intent, settled } = await it.queue.add('demo.order', 'x')
    await until(() => it.queue.state === 'waiting', 'a failed try')
    await store.delete('countersign', intent.id)
    await until(() => due.length > 0, 'the search for the intent')
    isBroken = true
    runDue()
    await new Promise((resolve) => setTimeout(resolve, 50))
    isBroken = false
    let code
    settled.catch((error) => {
      code = error.code
    })
    const look = () => {
      runDue()
      return code
    }
    await until(look, 'the end of the intent')
    assert.deepEqual([code, failures], ['ERR_OUTCOME_UNKNOWN', []])
    if (isNode) target.off('unhandledRejection', note)
    else target.removeEventListener('unhandledrejection', note)
    await it.close()
  })

  test('R133 indexedDbIntents tells what its database does: full, blocked, missing', async () => {
    const factory = fakeIndexedDb()
    const intents = indexedDbIntents({ factory, timeoutMs: 60 })
    const intent = {
      type: 't',
      payload: new Uint8Array(1),
      key: 'k',
      owner: 'o',
      createdMs: 1,
      expiresMs: 2,
      isSent: false
    }
    for (const [name, code] of [
      ['QuotaExceededError', 'ERR_STORAGE_FULL'],
      ['UnknownError', 'ERR_STORAGE_FAILED']
    ]) {
      factory.faults = { add: name }
      await assert.rejects(intents.add('n', intent), { code })
    }
    if (env.runtime === 'node') await assert.rejects(indexedDbIntents().list('n'), { code: 'ERR_STORAGE_MISSING' })
  })

  test('D13 R133 200 intents through a network that loses half of everything: each effect once, in order', async () => {
    const it = await house()
    let seed = 7
    const chance = () => {
      seed = (seed * 1103515245 + 12345) % 2 ** 31
      return seed / 2 ** 31
    }
    const { fetch } = it.gateway
    it.gateway.fetch = async (...given) => {
      if (chance() < 0.25) lost()
      const response = await fetch(...given)
      if (chance() < 0.25) lost()
      return response
    }
    // Its own pauses would take minutes: somebody looks all the time.
    const count = 200
    const queue = it.queue
    const queued = []
    for (let at = 0; at < count; at++) queued.push(await queue.add('demo.order', String(at)))
    const looking = setInterval(() => queue.retry(), 5)
    const all = await Promise.all(queued.map(({ settled }) => settled))
    clearInterval(looking)
    assert.deepEqual(
      all.map(({ payload }) => text(payload)),
      all.map((_, at) => `done ${at + 1}`)
    )
    assert.deepEqual(
      it.effects.slice(0, all.length),
      all.map((_, at) => String(at))
    )
    await it.close()
  })
}
