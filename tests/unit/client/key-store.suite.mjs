// SPDX-License-Identifier: MIT
// Where keys live: IndexedDB that is missing, blocked, full, empty, hanging or dead (F-4, F-6), and memory.

import { connect, indexedDbStore, memoryStore } from 'countersign'
import { HUNG_MS, until } from '../harness/wait.mjs'
import { fakeGateway } from './fake-gateway.mjs'
import { fakeIndexedDb } from './fake-indexeddb.mjs'
import { createTimers, enrol, optionsFor } from './fixture.mjs'

const fault = (name) => new DOMException(`made to fail: ${name}`, name)

const withIndexedDb = async (assert, value, work) => {
  const before = Object.getOwnPropertyDescriptor(globalThis, 'indexedDB')
  Object.defineProperty(globalThis, 'indexedDB', { configurable: true, ...value })
  try {
    assert.ok(Object.getOwnPropertyDescriptor(globalThis, 'indexedDB').get === value.get)
    return await work()
  } finally {
    if (before) Object.defineProperty(globalThis, 'indexedDB', before)
    else delete globalThis.indexedDB
  }
}

export const suite = (test, assert) => {
  /** How long a store waits for what never happens; one that answers may take as long as the machine likes. */
  const limitOf = (how) => (['hang', 'blocked', 'late'].includes(how) ? 500 : HUNG_MS)
  const started = async (options = {}, how = '') => {
    const gateway = await fakeGateway()
    const factory = fakeIndexedDb()
    const store = indexedDbStore({ factory, timeoutMs: limitOf(how) })
    const all = optionsFor(gateway, { store, ...options })
    return { gateway, factory, store, options: all, patient: indexedDbStore({ factory, timeoutMs: HUNG_MS }) }
  }

  const table = [
    ['open', fault('SecurityError'), 'ERR_STORAGE_BLOCKED'],
    ['open', fault('InvalidStateError'), 'ERR_STORAGE_BLOCKED'],
    ['open', 'InvalidStateError', 'ERR_STORAGE_BLOCKED'],
    ['open', 'UnknownError', 'ERR_STORAGE_FAILED'],
    ['open', 'QuotaExceededError', 'ERR_STORAGE_FULL'],
    ['open', 'blocked', 'ERR_STORAGE_BLOCKED'],
    ['open', 'hang', 'ERR_STORAGE_BLOCKED'],
    ['transaction', fault('InvalidStateError'), 'ERR_STORAGE_BLOCKED'],
    ['transaction', fault('NotFoundError'), 'ERR_STORAGE_FAILED'],
    ['objectStore', fault('InvalidStateError'), 'ERR_STORAGE_BLOCKED'],
    ['get', fault('DataError'), 'ERR_STORAGE_FAILED'],
    ['get', 'UnknownError', 'ERR_STORAGE_FAILED'],
    ['get', 'hang', 'ERR_STORAGE_FAILED'],
    ['add', fault('DataCloneError'), 'ERR_STORAGE_FAILED'],
    ['add', 'QuotaExceededError', 'ERR_STORAGE_FULL'],
    ['add', 'UnknownError', 'ERR_STORAGE_FAILED'],
    ['add', 'hang', 'ERR_STORAGE_FAILED'],
    ['add', 'null', 'ERR_STORAGE_EMPTY'],
    ['put', 'QuotaExceededError', 'ERR_STORAGE_FULL'],
    ['put', fault('DataCloneError'), 'ERR_STORAGE_FAILED'],
    ['put', 'hang', 'ERR_STORAGE_FAILED'],
    ['put', 'null', 'ERR_STORAGE_EMPTY'],
    ['commit', 'hang', 'ERR_STORAGE_FAILED'],
    ['commit', fault('AbortError'), 'ERR_STORAGE_FAILED']
  ]
  const labelOf = ([call, how]) => `${call} ${how instanceof Error ? `throws ${how.name}` : how}`

  for (const row of table) {
    const [call, how, code] = row
    test(`F-4 ${labelOf(row)}: ${code}, in bounded time, and no session without its key`, async () => {
      const { gateway, factory, options, patient } = await started({}, how)
      factory.faults = { [call]: how }
      const visit = async (store = options.store) => {
        const client = await connect({ ...options, store })
        await enrol(client, gateway)
        return client
      }
      const error = await assert.rejects(visit(), { code, category: 'storage' })
      assert.ok(error.cause !== undefined || code === 'ERR_STORAGE_EMPTY')
      factory.faults = {}
      const client = await visit(patient)
      assert.equal(client.state, 'ready', 'the fault over, all is well')
      assert.equal(client.key.storage, 'store')
    })

    test(`F-4 ${labelOf(row)}: a caller who asked for it goes on with a key in memory`, async () => {
      const { gateway, factory, options } = await started({ allowMemoryKey: true }, how)
      factory.faults = { [call]: how }
      const client = await connect(options)
      await enrol(client, gateway)
      assert.equal(client.key.storage, 'memory')
      assert.equal((await client.request('demo.echo', 'x')).resultCode, 'ok')
      await client.signOut()
      assert.equal(client.state, 'signed-out')
    })
  }

  test('F-4 a key that the store gives back unable to sign is not registered, and not kept', async () => {
    const { gateway, options } = await started()
    const store = memoryStore()
    const { get } = store
    const gone = []
    store.get = async (name) => {
      const record = await get(name)
      return record && { ...record, publicKey: new Uint8Array(record.publicKey.length).fill(4) }
    }
    store.delete = async (name) => void gone.push(name)
    const client = await connect({ ...options, store, algorithms: ['ed25519'] })
    await assert.rejects(enrol(client, gateway), { code: 'ERR_KEY_UNUSABLE', category: 'key' })
    assert.equal(gateway.calls.length, 0, 'nothing was registered')
    assert.deepEqual(gone, ['demo'])
  })

  test('F-4 where the store cannot take or keep an Ed25519 key, P-256 is next', async () => {
    for (const how of [fault('DataCloneError'), 'DataCloneError', 'null']) {
      const { gateway, factory, options } = await started()
      factory.faults = { add: ({ algorithm }) => (algorithm === 'ed25519' ? how : undefined) }
      const client = await connect(options)
      await enrol(client, gateway)
      assert.equal(client.key.algorithm, 'es256')
      assert.equal((await client.request('demo.echo', 'x')).resultCode, 'ok')
      assert.equal((await connect(options)).key.algorithm, 'es256')
    }
  })

  test('F-4 IndexedDB missing, or forbidden at its mere mention', async () => {
    const { gateway, options } = await started()
    const { store: _, ...without } = options
    const forbidden = () => {
      throw fault('SecurityError')
    }
    await withIndexedDb(assert, { get: () => undefined }, async () => {
      await assert.rejects(connect(without), { code: 'ERR_STORAGE_MISSING' })
      const client = await connect({ ...without, allowMemoryKey: true })
      await enrol(client, gateway)
      assert.equal(client.key.storage, 'memory')
    })
    await withIndexedDb(assert, { get: forbidden }, () =>
      assert.rejects(connect(without), { code: 'ERR_STORAGE_BLOCKED' })
    )
  })

  test('F-4 a connection that has died is opened again, once', async () => {
    const { factory, store } = await started()
    assert.equal(await store.get('demo'), null)
    for (const db of [...factory.connections]) db.isClosed = true
    assert.equal(await store.get('demo'), null)
    assert.equal(factory.opened, 2)
    for (const db of [...factory.connections]) db.onclose()
    assert.equal(await store.get('demo'), null)
    assert.equal(factory.opened, 3)
  })

  test('F-6 a connection lets go when another tab wants a newer version, and a late open leaves none behind', async () => {
    const { factory, store } = await started({}, 'late')
    await store.get('demo')
    const [db] = factory.connections
    db.onversionchange()
    assert.ok(db.isClosed)
    assert.equal(factory.connections.size, 0)
    factory.faults = { open: 'late' }
    await assert.rejects(store.get('demo'), { code: 'ERR_STORAGE_BLOCKED' })
    await until(() => factory.late > 0, 'the late open')
    assert.equal(factory.opened, 2)
    assert.equal(factory.connections.size, 0, 'what opened after nobody waited is closed again')
    factory.faults = {}
    assert.equal(await store.get('demo'), null)
  })

  test('stores: add takes a free name only, lock serialises work of one name', async () => {
    const { store } = await started()
    for (const each of [store, memoryStore()]) {
      const record = (value) => ({ publicKey: new Uint8Array([value]) })
      assert.equal(await each.add('a', record(1)), true)
      assert.equal(await each.add('a', record(2)), false)
      assert.deepEqual((await each.get('a')).publicKey, new Uint8Array([1]))
      await each.put('a', record(3))
      assert.deepEqual((await each.get('a')).publicKey, new Uint8Array([3]))
      await each.delete('a')
      assert.equal(await each.get('a'), null)
      const order = []
      const work = (name, ms) => async () => {
        order.push(`${name}+`)
        await new Promise((resolve) => setTimeout(resolve, ms))
        order.push(`${name}-`)
      }
      const failing = each.lock('x', () => Promise.reject(new Error('work failed')))
      await Promise.all([each.lock('x', work('a', 10)), each.lock('x', work('b', 1)), failing.catch(() => {})])
      assert.deepEqual(order, ['a+', 'a-', 'b+', 'b-'])
    }
  })

  test('C9 a sign-out that could not delete the key says so, and leaves the state as it is', async () => {
    const { gateway, factory, options } = await started({ allowMemoryKey: true })
    // With time enough on a busy machine: a key that has moved into memory is another matter.
    options.store = indexedDbStore({ factory })
    const client = await connect(options)
    await enrol(client, gateway)
    factory.faults = { delete: 'UnknownError' }
    await assert.rejects(client.signOut(), { code: 'ERR_STORAGE_FAILED' })
    assert.notEqual(client.state, 'signed-out')
    factory.faults = {}
    await client.signOut()
    assert.equal(client.state, 'signed-out')
    assert.equal((await connect(options)).state, 'no-session')
  })

  test('a failing note of the time neither fails the call nor moves the key into memory', async () => {
    const warned = []
    const { gateway, factory, options } = await started({
      allowMemoryKey: true,
      logger: { warn: (text) => warned.push(text) }
    })
    const client = await connect(options)
    await enrol(client, gateway)
    factory.faults = { put: 'QuotaExceededError' }
    await client.request('demo.echo')
    await client.close()
    assert.equal(warned.length, 1)
    factory.faults = {}
    const again = await connect(options)
    assert.equal(again.state, 'ready')
    assert.equal(again.key.storage, 'store')
  })

  test("F-4 a call of the application's own store that never ends is given up after ten seconds, a lock is waited for", async () => {
    const { gateway, options } = await started()
    for (const name of ['get', 'add', 'put', 'delete']) {
      const { schedule, run, fired } = createTimers()
      const store = { ...memoryStore(), [name]: () => new Promise(() => {}) }
      const visit = async () => {
        const client = await connect({ ...options, store, schedule })
        await enrol(client, gateway)
        await client.signOut()
      }
      await assert.rejects(run(visit()), { code: 'ERR_STORAGE_BLOCKED' }, name)
      assert.ok(fired.includes(10_000))
    }
    const { schedule, waiting } = createTimers()
    let begin
    const lock = (_, work) => new Promise((resolve) => (begin = () => resolve(work())))
    const client = await connect({ ...options, store: { ...memoryStore(), lock }, schedule })
    const done = client.signOut()
    await new Promise((resolve) => setTimeout(resolve, 30))
    assert.equal(waiting(), 0)
    begin()
    await done
  })

  test('F-4 what lock gives back is not looked at; one that never runs its work is refused', async () => {
    const { gateway, options } = await started()
    const deaf = async (_, work) => void (await work())
    const swallowing = (_, work) => work().catch(() => 7)
    for (const lock of [deaf, (_, work) => void work(), swallowing]) {
      const store = { ...memoryStore(), lock }
      const client = await connect({ ...options, store })
      await enrol(client, gateway)
      assert.equal((await connect({ ...options, store })).sessionId, client.sessionId)
    }
    const words = new Error('disk on fire')
    const store = { ...memoryStore(), add: () => Promise.reject(words), lock: swallowing }
    await assert.rejects(enrol(await connect({ ...options, store }), gateway), { cause: words })
    const idle = await connect({ ...options, store: { ...memoryStore(), lock: async () => {} } })
    await assert.rejects(enrol(idle, gateway), { code: 'ERR_STORAGE_FAILED' })
  })

  test("F-4 a store of the application's own fails in a typed way too", async () => {
    const { gateway, options } = await started()
    const words = new Error('disk on fire')
    for (const name of ['get', 'add', 'put', 'delete', 'lock']) {
      const visit = async (allowMemoryKey) => {
        const store = { ...memoryStore(), [name]: () => Promise.reject(words) }
        const client = await connect({ ...options, store, allowMemoryKey })
        await enrol(client, gateway)
        await client.signOut()
        return client.state
      }
      await assert.rejects(visit(false), { code: 'ERR_STORAGE_FAILED', cause: words }, name)
      // A key that cannot be deleted is not said to be.
      if (name === 'delete') await assert.rejects(visit(true), { code: 'ERR_STORAGE_FAILED' })
      else assert.equal(await visit(true), 'signed-out', name)
    }
  })
}
