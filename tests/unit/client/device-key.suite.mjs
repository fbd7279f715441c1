// SPDX-License-Identifier: MIT
// The device key: never extractable, never reachable (F-1, F-2), made with functions nobody replaced (F-3), one per store (F-7).

import { connect, indexedDbStore } from 'countersign'
import { HUNG_MS } from '../harness/wait.mjs'
import { fakeGateway } from './fake-gateway.mjs'
import { enrol, enrolled, optionsFor } from './fixture.mjs'

const isPrivate = (value) => Object.prototype.toString.call(value) === '[object CryptoKey]'

/** Everything that can be reached from a value by its properties, its prototypes' getters and its methods' own properties. */
const walk = (root) => {
  const seen = new Set()
  const found = []
  const visit = (value, path) => {
    if (value === null || (typeof value !== 'object' && typeof value !== 'function') || seen.has(value)) return
    seen.add(value)
    if (isPrivate(value)) found.push(path)
    if (path.split('.').length > 12) return
    for (
      let owner = value;
      owner && owner !== Object.prototype && owner !== Function.prototype;
      owner = Object.getPrototypeOf(owner)
    ) {
      for (const key of Reflect.ownKeys(owner)) {
        let next
        try {
          next = value[key]
        } catch {
          continue
        }
        visit(next, `${path}.${String(key)}`)
      }
    }
  }
  visit(root, 'client')
  return { found, size: seen.size }
}

export const suite = (test, assert, env) => {
  for (const algorithm of ['ed25519', 'es256']) {
    test(`F-1 the ${algorithm} key cannot be exported: the platform itself refuses`, async () => {
      const { store, client } = await enrolled({ algorithms: [algorithm] })
      const { key, publicKey } = await store.get('demo')
      assert.equal(key.extractable, false)
      assert.equal(key.type, 'private')
      assert.deepEqual([...key.usages], ['sign'])
      for (const format of ['pkcs8', 'jwk', 'raw']) {
        const error = await crypto.subtle.exportKey(format, key).catch((cause) => cause)
        assert.ok(error instanceof Error || error instanceof DOMException, format)
      }
      const refusal = await crypto.subtle.exportKey('pkcs8', key).catch(({ name }) => name)
      // Node 20 words it its own way.
      assert.ok(refusal === 'InvalidAccessError' || refusal === 'InvalidAccessException', String(refusal))
      assert.equal(publicKey.length, algorithm === 'ed25519' ? 32 : 65)
      assert.deepEqual(client.key.publicKey, publicKey)
    })
  }

  test('F-2 no property of a client, of what it gives or of what it tells leads to a CryptoKey', async () => {
    const { client } = await enrolled()
    const told = []
    for (const name of ['state', 'clock', 'stage']) client.on(name, (event) => told.push(event))
    const given = [client, await client.request('demo.echo'), await client.fetch('/x'), await client.sign('demo.echo')]
    await client.signOut()
    const { found, size } = walk({ given, told, key: client.key, clock: client.clock, connect })
    assert.ok(size > 30, 'the walk went somewhere')
    assert.deepEqual(found, [])
    assert.deepEqual(Reflect.ownKeys(client), [])
    const planted = await crypto.subtle.generateKey({ name: 'HMAC', hash: 'SHA-256' }, false, ['sign'])
    assert.equal(walk({ there: planted }).found[0], 'client.there', 'the walk finds what there is to find')
  })

  test('F-2 what a client hands out is a copy: changing it changes nothing', async () => {
    const { client } = await enrolled()
    const { publicKey } = client.key
    publicKey.fill(0)
    assert.notDeepEqual(client.key.publicKey, publicKey)
    const fresh = await connect(optionsFor(await fakeGateway()))
    const given = []
    const own = fresh.enroll(async ({ publicKey: bytes }) => {
      given.push(bytes.slice())
      bytes.fill(0)
      throw new Error('stop')
    })
    await own.catch(() => {})
    await fresh.enroll(async ({ publicKey: bytes }) => given.push(bytes)).catch(() => {})
    assert.deepEqual(given[0], given[1])
  })

  test('F-3 replacing crypto, fetch and clocks after this package was loaded changes nothing', async () => {
    const { client, options } = await enrolled()
    const misused = []
    const patches = [
      [crypto.subtle, ['sign', 'digest', 'generateKey', 'exportKey', 'importKey', 'verify']],
      [Object.getPrototypeOf(crypto.subtle), ['sign', 'digest', 'generateKey', 'exportKey', 'verify']],
      [crypto, ['getRandomValues']],
      [globalThis, ['fetch']],
      [Date, ['now']],
      [performance, ['now']]
    ]
    const undo = []
    for (const [owner, names] of patches) {
      for (const name of names) {
        const before = Object.getOwnPropertyDescriptor(owner, name)
        const value = (...given) => misused.push([name, given])
        Object.defineProperty(owner, name, { value, configurable: true, writable: true })
        undo.push(() => (before ? Object.defineProperty(owner, name, before) : delete owner[name]))
      }
    }
    // The fake gateway lives in this realm too and uses the platform itself, so only signing is done meanwhile.
    const signed = await client.sign('demo.echo', new Uint8Array(10_000)).finally(() => {
      for (const back of undo.toReversed()) back()
    })
    assert.deepEqual(misused, [])
    assert.ok(signed.frame.length > 10_000)
    assert.equal((await connect(options)).state, 'ready')
  })

  if (env.runtime === 'node') return

  for (const algorithm of ['ed25519', 'es256']) {
    test(`C1 C2 the ${algorithm} key lives in IndexedDB and signs after every reopening`, async () => {
      const gateway = await fakeGateway()
      const database = `keys-${algorithm}-${Math.random()}`
      const options = () =>
        optionsFor(gateway, { store: indexedDbStore({ database, timeoutMs: HUNG_MS }), algorithms: [algorithm] })
      const client = await connect(options())
      await enrol(client, gateway)
      for (let visit = 0; visit < 5; visit++) {
        const again = await connect(options())
        assert.equal(again.state, 'ready')
        assert.equal(again.key.storage, 'store')
        assert.equal((await again.request('demo.echo', 'x')).resultCode, 'ok')
        await again.close()
      }
      const { key } = await indexedDbStore({ database, timeoutMs: HUNG_MS }).get('demo')
      await assert.rejects(crypto.subtle.exportKey('pkcs8', key), { name: 'InvalidAccessError' })
      indexedDB.deleteDatabase(database)
    })
  }

  test('F-7 two connections that create keys at once agree on one, 100 rounds, with and without Web Locks', async () => {
    const gateway = await fakeGateway()
    const locks = Object.getOwnPropertyDescriptor(Navigator.prototype, 'locks')
    const database = `race-${Math.random()}`
    try {
      for (let round = 0; round < 100; round++) {
        if (round === 80) Object.defineProperty(Navigator.prototype, 'locks', { value: undefined, configurable: true })
        const namespace = `round-${round}`
        const open = () =>
          connect(optionsFor(gateway, { namespace, store: indexedDbStore({ database, timeoutMs: HUNG_MS }) }))
        const [one, two] = await Promise.all([open(), open()])
        const keys = []
        const take = async ({ publicKey }) => {
          keys.push(publicKey)
          throw new Error('enough')
        }
        await Promise.allSettled([one.enroll(take), two.enroll(take)])
        assert.equal(keys.length, 2)
        assert.deepEqual(keys[0], keys[1], `round ${round}`)
      }
    } finally {
      Object.defineProperty(Navigator.prototype, 'locks', locks)
      indexedDB.deleteDatabase(database)
    }
  })

  test('F-6 a newer version wanted elsewhere is not held up, and this store then opens that version', async () => {
    const database = `upgrade-${Math.random()}`
    const store = indexedDbStore({ database, timeoutMs: 300 })
    assert.equal(await store.get('demo'), null)
    const upgraded = await new Promise((resolve, reject) => {
      const request = indexedDB.open(database, 2)
      request.onblocked = () => reject(new Error('the store held on to its connection'))
      request.onsuccess = () => resolve(request.result)
    })
    assert.equal(await store.get('demo'), null)
    upgraded.close()
    const third = indexedDbStore({ database: `${database}-held`, timeoutMs: 200 })
    const held = await new Promise((resolve) => {
      const request = indexedDB.open(`${database}-held`, 1)
      request.onsuccess = () => resolve(request.result)
    })
    const deletion = indexedDB.deleteDatabase(`${database}-held`)
    await assert.rejects(third.get('demo'), { category: 'storage' }, 'an old tab that does not let go')
    held.close()
    await new Promise((resolve) => {
      deletion.onsuccess = resolve
    })
    indexedDB.deleteDatabase(database)
  })
}
