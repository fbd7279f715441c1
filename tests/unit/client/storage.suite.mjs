// SPDX-License-Identifier: MIT
// Where the key lies and why, what the browser promises about it, and connections to the store that die (F-4).

import { connect, indexedDbStore, memoryStore, storageReport } from 'countersign'
import { fakeGateway } from './fake-gateway.mjs'
import { fakeIndexedDb } from './fake-indexeddb.mjs'
import { createClocks, enrol, enrolled, optionsFor } from './fixture.mjs'

const fault = (name) => new DOMException(`made to fail: ${name}`, name)

/** What RFC 7638 says of a key that the platform exports as a JWK. */
const thumbprintOf = async (algorithm, publicKey) => {
  const how = algorithm === 'ed25519' ? { name: 'Ed25519' } : { name: 'ECDSA', namedCurve: 'P-256' }
  const { crv, kty, x, y } = await crypto.subtle.exportKey(
    'jwk',
    await crypto.subtle.importKey('raw', publicKey, how, true, ['verify'])
  )
  const text =
    y === undefined
      ? `{"crv":"${crv}","kty":"${kty}","x":"${x}"}`
      : `{"crv":"${crv}","kty":"${kty}","x":"${x}","y":"${y}"}`
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)))
  return btoa(String.fromCharCode(...hash))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')
}

/** Puts something in the place of navigator.storage while work runs. */
const withStorage = async (storage, work) => {
  const owner = globalThis.navigator ?? {}
  const before = Object.getOwnPropertyDescriptor(owner, 'storage')
  const had = Object.getOwnPropertyDescriptor(globalThis, 'navigator')
  if (!globalThis.navigator) Object.defineProperty(globalThis, 'navigator', { value: owner, configurable: true })
  Object.defineProperty(owner, 'storage', { value: storage, configurable: true })
  try {
    return await work()
  } finally {
    if (before) Object.defineProperty(owner, 'storage', before)
    else delete owner.storage
    if (!had && globalThis.navigator === owner) delete globalThis.navigator
  }
}

export const suite = (test, assert, env) => {
  const overIndexedDb = async (options = {}) => {
    const factory = fakeIndexedDb()
    const gateway = await fakeGateway()
    return { factory, gateway, options: optionsFor(gateway, { store: undefined, ...options }) }
  }

  for (const algorithm of ['ed25519', 'es256']) {
    test(`the thumbprint of an ${algorithm} key is that of RFC 7638, kept beside the session`, async () => {
      const { client, store, options } = await enrolled({ algorithms: [algorithm] })
      const expected = await thumbprintOf(algorithm, client.key.publicKey)
      assert.equal(client.key.thumbprint, expected)
      assert.equal((await store.get('demo')).thumbprint, expected)
      const { thumbprint: _, ...before } = await store.get('demo')
      await store.put('demo', before)
      assert.equal((await connect(options)).state, 'ready', 'a record of an earlier release has none')
    })
  }

  test('F-5 a key that is not the one its session was made with is told apart: ERR_KEY_MISMATCH behind a lost key', async () => {
    const [one, two] = [await enrolled(), await enrolled()]
    const [mine, other] = [await one.store.get('demo'), await two.store.get('demo')]
    const { key, publicKey } = other
    for (const changed of [
      { ...mine, key, publicKey },
      { ...mine, thumbprint: other.thumbprint },
      { ...mine, thumbprint: 7 }
    ]) {
      await one.store.put('demo', changed)
      const again = await connect(one.options)
      assert.equal(again.state, 'key-lost')
      const error = await assert.rejects(again.request('demo.echo'), { code: 'ERR_KEY_LOST', category: 'key' })
      assert.equal(error.cause.code, 'ERR_KEY_MISMATCH')
    }
    await one.store.put('demo', { ...mine, publicKey: mine.publicKey.slice(1) })
    const damaged = await assert.rejects((await connect(one.options)).request('demo.echo'), { code: 'ERR_KEY_LOST' })
    assert.equal(damaged.cause.code, 'ERR_KEY_UNUSABLE')
  })

  test('a store of the application, and a key that went down the ladder: level and reason say so, after a reload too', async () => {
    const { gateway, factory } = await overIndexedDb()
    const best = await enrolled()
    assert.deepEqual([best.client.key.level, best.client.key.reason], ['store', {}])
    factory.faults = { add: ({ algorithm }) => (algorithm === 'ed25519' ? fault('DataCloneError') : undefined) }
    const store = indexedDbStore({ factory })
    const client = await connect(optionsFor(gateway, { store }))
    await enrol(client, gateway)
    const reason = { 'ed25519-store': 'ERR_STORAGE_FAILED' }
    assert.deepEqual([client.key.algorithm, client.key.level, client.key.reason], ['es256', 'store', reason])
    await client.close()
    factory.faults = {}
    const again = await connect(optionsFor(gateway, { store }))
    assert.deepEqual(again.key.reason, reason)
    await again.rotateKey()
    assert.deepEqual([again.key.algorithm, again.key.reason], ['ed25519', {}], 'a rotation climbs where it can')
    assert.deepEqual((await connect(optionsFor(gateway, { store }))).key.reason, {})
  })

  test('memory is a rung only for who allows it, and names what failed above', async () => {
    const { gateway, factory } = await overIndexedDb()
    factory.faults = { open: 'QuotaExceededError' }
    const options = optionsFor(gateway, { store: indexedDbStore({ factory }) })
    await assert.rejects(connect(options), { code: 'ERR_STORAGE_FULL' })
    const client = await connect({ ...options, allowMemoryKey: true })
    assert.deepEqual([client.key, (await client.storage()).level], [null, null])
    await enrol(client, gateway)
    const reason = { 'ed25519-store': 'ERR_STORAGE_FULL', 'es256-store': 'ERR_STORAGE_FULL' }
    assert.deepEqual([client.key.level, client.key.reason, client.key.storage], ['memory', reason, 'memory'])
    const { level, reason: told } = await client.storage()
    assert.deepEqual([level, told], ['memory', reason])
  })

  test('the report takes what the browser says, and says null where it says nothing or forbids the question', async () => {
    const manager = { persisted: async () => true, estimate: async () => ({ quota: 1000, usage: 7 }) }
    assert.deepEqual(await withStorage(manager, storageReport), { persisted: true, quota: 1000, usage: 7 })
    const nothing = { persisted: null, quota: null, usage: null }
    const forbidding = {
      persisted: () => Promise.reject(fault('SecurityError')),
      estimate: () => {
        throw fault('SecurityError')
      }
    }
    for (const storage of [undefined, {}, forbidding, { estimate: async () => undefined }]) {
      assert.deepEqual(await withStorage(storage, storageReport), nothing)
    }
    const { client } = await enrolled()
    assert.deepEqual(await withStorage(manager, () => client.storage()), {
      level: 'store',
      reason: {},
      persisted: true,
      quota: 1000,
      usage: 7
    })
  })

  test('a store of the application is its own matter: the browser is not asked to keep it', async () => {
    let asked = 0
    const storage = { persist: async () => ++asked }
    await withStorage(storage, () => enrolled({ store: memoryStore() }))
    assert.equal(asked, 0)
  })

  test('client.rename names a device, and the list of sessions has the name', async () => {
    const { client, gateway } = await enrolled()
    assert.equal((await client.sessions())[0].name, undefined)
    await client.rename(client.sessionId, 'Zoë’s 📱')
    assert.equal((await client.sessions())[0].name, 'Zoë’s 📱')
    const { length } = gateway.calls
    for (const bad of ['', 'x'.repeat(129), 'a\nb', '\ud800', 7, undefined])
      await assert.rejects(client.rename(client.sessionId, bad), { category: 'usage' })
    await assert.rejects(client.rename(7, 'x'), { code: 'ERR_INVALID_ARGUMENT' })
    assert.equal(gateway.calls.length, length)
    await assert.rejects(client.rename('AAAAAAAAAAAAAAAAAAAAAA', 'x'), { resultCode: 'not_found' })
  })

  if (env.runtime === 'node') return

  /** A client over the real IndexedDB under a name of its own, with the connections that it opened. */
  const overRealOne = async (t) => {
    const clocks = createClocks()
    const database = `storage-${t}-${Math.random()}`
    const opened = []
    const factory = {
      open: (...given) => {
        const request = indexedDB.open(...given)
        request.addEventListener('success', () => opened.push(request.result))
        return request
      }
    }
    const options = { store: indexedDbStore({ database, factory }), monotonicNow: clocks.monotonicNow }
    return { ...(await enrolled(options)), clocks, database, opened }
  }
  const deleted = (database) =>
    new Promise((resolve, reject) => {
      const request = indexedDB.deleteDatabase(database)
      request.onsuccess = resolve
      request.onerror = () => reject(request.error)
      request.onblocked = () => reject(new Error('the store held on to its connection'))
    })

  test('F-4 a connection that the browser closes is opened again, and the key is still there', async () => {
    const { client, clocks, database, opened } = await overRealOne('closed')
    for (const how of ['close', 'silent']) {
      const before = opened.length
      opened.at(-1).close()
      // What a browser does that takes the disk away: it closes, and says so. Some say nothing.
      if (how === 'close') opened.at(-1).dispatchEvent(new Event('close'))
      clocks.monotonicMs += 2000
      assert.equal((await client.request('demo.echo', 'x')).resultCode, 'ok')
      assert.equal(opened.length, before + 1, how)
      await client.rotateKey()
      assert.equal((await client.request('demo.echo', 'x')).resultCode, 'ok')
    }
    assert.equal(client.state, 'ready')
    await client.close()
    await deleted(database)
  })

  test('F-4 a database that is deleted elsewhere is let go of at once, and its key is lost at the next use', async () => {
    const { client, clocks, gateway, database } = await overRealOne('deleted')
    await deleted(database)
    clocks.monotonicMs += 2000
    const error = await assert.rejects(client.request('demo.echo'), { code: 'ERR_KEY_LOST' })
    assert.equal(error.cause.code, 'ERR_STORAGE_EMPTY')
    assert.equal(client.state, 'key-lost')
    await enrol(client, gateway)
    assert.equal((await client.request('demo.echo', 'x')).resultCode, 'ok')
    await client.close()
    await deleted(database)
  })

  test('the real IndexedDB is the best rung, and the browser is asked once, after an enrolment, to keep it', async () => {
    const gateway = await fakeGateway()
    const namespace = `storage-${Math.random()}`
    let asked = 0
    const storage = {
      persist: () => {
        asked++
        return new Promise(() => {})
      },
      persisted: async () => false
    }
    await withStorage(storage, async () => {
      const options = optionsFor(gateway, { store: undefined, namespace })
      const client = await connect(options)
      assert.equal(asked, 0)
      await enrol(client, gateway)
      assert.equal(asked, 1)
      assert.deepEqual([client.key.level, client.key.reason], [`${client.key.algorithm}-indexeddb`, {}])
      const { persisted, level } = await client.storage()
      assert.deepEqual([persisted, level], [false, client.key.level])
      await client.signOut()
      const other = await connect({ ...options, persist: false })
      await enrol(other, gateway)
      assert.equal(asked, 1)
      await other.signOut()
    })
    const { quota, usage, persisted } = await storageReport()
    assert.ok([quota, usage].every((bytes) => bytes === null || bytes >= 0))
    assert.ok(persisted === null || typeof persisted === 'boolean')
  })
}
