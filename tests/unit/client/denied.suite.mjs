// SPDX-License-Identifier: MIT
// What a browser may deny to a page, most of all to one in a frame: channels, locks, databases, sockets, the report about
// storage. A client without them is alone, or fails in a typed way. No error of the platform gets through (F-21).

import { connect, indexedDbStore, memoryStore, storageReport } from 'countersign'
import { intentQueue, memoryIntents } from 'countersign/queue'
import { fakeGateway } from './fake-gateway.mjs'
import { fakeIndexedDb } from './fake-indexeddb.mjs'
import { withLocks } from './fake-locks.mjs'
import { enrol, enrolled, optionsFor } from './fixture.mjs'
import { listen, listening, live } from './listening.mjs'
import { forbid, LACKS, replaced, replacedInNavigator } from './replaced.mjs'

const Channel = globalThis.BroadcastChannel

class ForbiddenChannel {
  constructor() {
    forbid()
  }
}

class MuteChannel extends Channel {
  postMessage() {
    throw new DOMException('the page is going', 'InvalidStateError')
  }
}

const failing = (message) => () => {
  const request = { error: new DOMException(message, 'UnknownError') }
  setTimeout(() => request.onerror({ target: request }))
  return request
}

export const suite = (test, assert) => {
  /** A whole visit of a client: nothing of it may reject, and its stream is its own. */
  const visit = async (options = {}) => {
    const { client, streams } = await listening(options)
    const heard = listen(client.events())
    await live(client)
    assert.equal(client.connection.role, 'alone')
    streams.publish('n')
    await heard.count(1)
    await client.rotateKey()
    const queue = intentQueue(client, { owner: 'ada', store: memoryIntents() })
    const { settled } = await queue.add('demo.echo', 'x')
    assert.equal((await settled).resultCode, 'ok')
    await queue.close()
    assert.deepEqual(await client.signOut(), { revoked: true })
    assert.equal(client.state, 'signed-out')
    await client.close()
  }

  const channels = { ...LACKS, 'forbidden to make': { value: ForbiddenChannel } }
  for (const [how, property] of Object.entries(channels)) {
    test(`F-21 BroadcastChannel, ${how}: the client is alone, whatever locks there are`, () =>
      withLocks(() => replaced(globalThis, 'BroadcastChannel', property, visit)))
  }

  test('F-21 a channel that throws for each message: the work of the tab goes on', () =>
    replaced(globalThis, 'BroadcastChannel', { value: MuteChannel }, async () => {
      const { client } = await enrolled()
      await client.rotateKey()
      assert.deepEqual(await client.signOut(), { revoked: true })
      await client.close()
    }))

  const locks = {
    ...LACKS,
    'without a request': { value: {} },
    'forbidden to ask for': { value: { request: forbid } },
    denied: { value: { request: async () => forbid() } }
  }
  for (const [how, property] of Object.entries(locks)) {
    test(`F-21 locks, ${how}: the client is alone, and changes its keys without them`, () =>
      replacedInNavigator('locks', property, () => visit({ store: indexedDbStore({ factory: fakeIndexedDb() }) })))
  }

  test('F-21 work that fails under its lock runs once, whatever its error is called', () =>
    withLocks(async () => {
      const store = indexedDbStore({ factory: fakeIndexedDb() })
      let runs = 0
      const work = async () => {
        runs++
        forbid()
      }
      await assert.rejects(store.lock('x', work), { name: 'SecurityError' })
      assert.equal(runs, 1)
    }))

  const databases = [
    ['missing', LACKS.missing, 'ERR_STORAGE_MISSING'],
    ['null', LACKS.null, 'ERR_STORAGE_MISSING'],
    ['forbidden to name', LACKS['forbidden to name'], 'ERR_STORAGE_BLOCKED'],
    ['forbidden to open', { value: { open: forbid } }, 'ERR_STORAGE_BLOCKED'],
    ['opened as null', { value: { open: () => null } }, 'ERR_STORAGE_FAILED'],
    [
      'denied in words',
      { value: { open: failing('The user denied permission to access the database.') } },
      'ERR_STORAGE_BLOCKED'
    ],
    ['failing in other words', { value: { open: failing('Internal error.') } }, 'ERR_STORAGE_FAILED']
  ]
  for (const [how, property, code] of databases) {
    test(`F-21 IndexedDB, ${how}: ${code}, or a key in memory for who allows it`, async () => {
      const gateway = await fakeGateway()
      const { store: _, ...options } = optionsFor(gateway)
      await replaced(globalThis, 'indexedDB', property, async () => {
        await assert.rejects(connect(options), { code, category: 'storage' })
        const client = await connect({ ...options, allowMemoryKey: true })
        await enrol(client, gateway)
        assert.equal(client.key.level, 'memory')
        assert.equal((await client.request('demo.echo', 'x')).resultCode, 'ok')
        await client.close()
      })
    })
  }

  test('F-21 a WebSocket that throws when it is made: the next carrier brings the events', async () => {
    const { client, streams } = await listening({ webSocket: forbid })
    streams.blocked = { sse: () => new Response('<html>', { headers: { 'content-type': 'text/html' } }) }
    const heard = listen(client.events())
    await live(client)
    assert.equal(client.connection.carrier, 'poll')
    streams.publish('n')
    await heard.count(1)
    await client.close()
  })

  for (const [how, property] of Object.entries(LACKS)) {
    test(`F-21 navigator.storage, ${how}: the report says nothing, and an enrolment goes on`, () =>
      replacedInNavigator('storage', property, async () => {
        assert.deepEqual(await storageReport(), { persisted: null, quota: null, usage: null })
        const gateway = await fakeGateway()
        await replaced(globalThis, 'indexedDB', { value: fakeIndexedDb() }, async () => {
          const { store: _, ...options } = optionsFor(gateway)
          const client = await connect(options)
          await enrol(client, gateway)
          assert.equal(client.state, 'ready')
          await client.close()
        })
      }))
  }

  test('F-21 a store can be made where there is no performance', async () => {
    const stores = await replaced(globalThis, 'performance', { value: undefined }, () => [memoryStore(), memoryStore()])
    assert.ok(stores[0].scope !== stores[1].scope)
  })
}
