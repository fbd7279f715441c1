// SPDX-License-Identifier: MIT
// The database as earlier visits, other releases and other features leave it: without its table, of a higher version, shared
// (F-21). In a browser it is the browser's own.

import { connect, indexedDbStore } from 'countersign'
import { indexedDbIntents } from 'countersign/queue'
import { fakeGateway } from './fake-gateway.mjs'
import { fakeIndexedDb } from './fake-indexeddb.mjs'
import { enrol, optionsFor } from './fixture.mjs'

export const suite = (test, assert, env) => {
  const fake = env.runtime === 'node' ? fakeIndexedDb() : undefined
  const factory = fake ?? globalThis.indexedDB
  const given = fake ? { factory } : {}

  /** Opens a database as somebody else does, who adds `tables`. Resolves to the connection. */
  const open = (name, version, tables = []) =>
    new Promise((resolve, reject) => {
      const request = factory.open(name, version)
      request.onupgradeneeded = () => {
        for (const table of tables) request.result.createObjectStore(table)
      }
      request.onsuccess = () => resolve(request.result)
      request.onerror = () => reject(request.error)
      request.onblocked = () => reject(new Error('an old connection stayed open'))
    })
  const left = async (...how) => (await open(...how)).close()
  const newName = () => `database-${Math.random()}`

  const enrolledIn = async (database) => {
    const gateway = await fakeGateway()
    const options = optionsFor(gateway, { store: indexedDbStore({ database, ...given }) })
    const client = await connect(options)
    assert.equal(client.state, 'no-session')
    await enrol(client, gateway)
    assert.equal((await client.request('demo.echo', 'x')).resultCode, 'ok')
    return { client, options }
  }

  const states = [
    ['a database without a table', 1, []],
    ['a database of a later release', 7, ['keys', 'later']],
    ['a database of a later release without this table', 7, ['later']],
    ['a database of another feature', 1, ['other']]
  ]
  for (const [title, version, tables] of states) {
    test(`F-21 ${title} opens, and the key is there at the next visit`, async () => {
      const database = newName()
      await left(database, version, tables)
      const { client, options } = await enrolledIn(database)
      await client.close()
      const again = await connect({ ...options, store: indexedDbStore({ database, ...given }) })
      assert.equal(again.sessionId, client.sessionId)
      const db = await open(database)
      for (const table of tables) assert.ok(db.objectStoreNames.contains(table), `${table} is still there`)
      db.close()
      await again.close()
    })
  }

  test('F-21 keys and intents share a database, opened at once, again and again', async () => {
    for (let round = 0; round < 5; round++) {
      const database = newName()
      const stores = [0, 1].map(() => indexedDbStore({ database, ...given }))
      const intents = indexedDbIntents({ database, ...given })
      const found = await Promise.all([stores[0].get('demo'), intents.list('demo'), stores[1].get('demo')])
      assert.deepEqual(found, [null, [], null])
      assert.equal(await stores[0].add('demo', { publicKey: new Uint8Array([round]) }), true)
      assert.deepEqual((await stores[1].get('demo')).publicKey, new Uint8Array([round]))
      assert.deepEqual(await intents.list('demo'), [])
    }
  })

  test('F-21 a connection lets go when another feature adds its table, and finds its key again', async () => {
    const database = newName()
    const { client, options } = await enrolledIn(database)
    await left(database, 5, ['other'])
    assert.ok(await options.store.get('demo'))
    await client.rotateKey()
    assert.equal((await client.request('demo.echo', 'x')).resultCode, 'ok')
    await client.close()
  })

  test('F-21 a table that cannot be added, because another page holds the database: ERR_STORAGE_BLOCKED in time', async () => {
    const database = newName()
    const holding = await open(database)
    const store = indexedDbStore({ database, timeoutMs: 500, ...given })
    const error = await assert.rejects(store.get('demo'), { code: 'ERR_STORAGE_BLOCKED' })
    assert.equal(error.cause.code, 'ERR_TIMEOUT')
    holding.close()
    const patient = indexedDbStore({ database, ...given })
    assert.equal(await patient.get('demo'), null)
  })
}
