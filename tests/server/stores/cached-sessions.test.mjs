// SPDX-License-Identifier: MIT
// The cache in front of a session store: it must never serve a session for too long, nor one that a change has
// overtaken.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cachedSessions, memorySessionStore } from 'countersign/server'
import { sessionConformance } from 'countersign/server/conformance'
import { createKey, createWorld, label, sessionOf } from '../kit.mjs'

/** A store that counts reads, can hold them up, and reports changes only when a test says so. */
const createSource = (store = memorySessionStore()) => {
  const listeners = new Set()
  const source = {
    ...store,
    reads: 0,
    hold: undefined,
    async get(id) {
      source.reads++
      const session = await store.get(id)
      await source.hold
      return session
    },
    watch(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    tell: (id) => {
      for (const listener of listeners) listener(id)
    },
    listeners,
    behind: store
  }
  return source
}

const session = (id) => sessionOf(createKey(), { id })

sessionConformance(test, assert, () => ({ sessions: cachedSessions(memorySessionStore()) }), { name: 'cache' })

test('a session is read once while it is fresh, and again when its age is up', async () => {
  let nowMs = 0
  const source = createSource()
  const cache = cachedSessions(source, { maxAgeMs: 5000, monotonicNow: () => nowMs })
  await cache.create(session('a'))
  for (const at of [0, 1, 4999]) {
    nowMs = at
    assert.equal((await cache.get('a')).status, 'active')
  }
  assert.equal(source.reads, 1)
  // This change was not reported. It counts all the same when the age is up.
  await source.behind.revoke('a', 'elsewhere')
  nowMs = 5000
  assert.equal((await cache.get('a')).status, 'revoked')
  assert.equal(source.reads, 2)
})

test('a change elsewhere counts as soon as it is reported, of one session and of any', async () => {
  const source = createSource()
  const cache = cachedSessions(source)
  for (const id of ['a', 'b']) await cache.create(session(id))
  for (const id of ['a', 'b']) await cache.get(id)
  for (const id of ['a', 'b']) await source.behind.revoke(id, 'elsewhere')
  source.tell('a')
  assert.equal((await cache.get('a')).status, 'revoked')
  assert.equal((await cache.get('b')).status, 'active', 'not told yet, and fresh')
  source.tell(undefined)
  assert.equal((await cache.get('b')).status, 'revoked')
})

test('a read that a change overtook is neither kept nor shared', async () => {
  const source = createSource()
  const cache = cachedSessions(source)
  await cache.create(session('a'))
  let release
  source.hold = new Promise((resolve) => {
    release = resolve
  })
  const early = cache.get('a')
  await new Promise(setImmediate)
  await source.behind.revoke('a', 'elsewhere')
  source.tell('a')
  source.hold = undefined
  assert.equal((await cache.get('a')).status, 'revoked')
  release()
  await early
  assert.equal((await cache.get('a')).status, 'revoked')
  // The same holds for a change through the cache itself.
  await cache.create(session('b'))
  source.hold = new Promise((resolve) => {
    release = resolve
  })
  const before = cache.get('b')
  await new Promise(setImmediate)
  const revoking = cache.revoke('b', 'here')
  source.hold = undefined
  await revoking
  release()
  await before
  assert.equal((await cache.get('b')).status, 'revoked')
})

test('many who ask at once share one read, a failed read is not kept, an unknown id is asked for again', async () => {
  const source = createSource()
  const cache = cachedSessions(source)
  await cache.create(session('a'))
  await Promise.all(Array.from({ length: 20 }, () => cache.get('a')))
  assert.equal(source.reads, 1)
  assert.equal(await cache.get('none'), null)
  await source.behind.create(session('none'))
  assert.equal((await cache.get('none')).id, 'none')
  const { get } = source
  source.get = async () => {
    throw new Error('down')
  }
  source.tell('a')
  await assert.rejects(cache.get('a'), /down/)
  source.get = get
  assert.equal((await cache.get('a')).id, 'a')
})

test('it holds no more than its capacity, and lets go of the store when it is closed', async () => {
  const source = createSource()
  const cache = cachedSessions(source, { capacity: 3 })
  for (let index = 0; index < 10; index++) {
    await cache.create(session(`s${index}`))
    await cache.get(`s${index}`)
  }
  assert.equal(cache.size, 3)
  cache.close()
  assert.equal(cache.size, 0)
  assert.equal(source.listeners.size, 0)
})

test('a store without watch and bounds that are none are refused', () => {
  const { watch: _, ...blind } = createSource()
  const isArgument = { code: 'ERR_INVALID_ARGUMENT' }
  assert.throws(() => cachedSessions(blind), isArgument)
  assert.throws(() => cachedSessions({}), isArgument)
  for (const options of [{ maxAgeMs: 5001 }, { maxAgeMs: 0 }, { capacity: 0 }, null]) {
    assert.throws(() => cachedSessions(createSource(), options), isArgument)
  }
})

test('a gateway over the cache asks the store once for many requests and refuses a revoked session: session', async () => {
  const source = createSource()
  const world = await createWorld({ label, sessions: cachedSessions(source) })
  for (let index = 0; index < 5; index++) assert.equal((await world.call()).resultCode, 'ok')
  assert.equal(source.reads, 1)
  await source.behind.revoke(world.device.id, 'elsewhere')
  source.tell(world.device.id)
  assert.equal((await world.call()).resultCode, 'cs.session_revoked')
  assert.deepEqual(
    world.stages.filter(({ verdict }) => verdict === 'fail').map(({ stage, code }) => [stage, code]),
    [['session', 'cs.session_revoked']]
  )
})

test('R122 a key that another gateway has replaced counts at once, reported or not, and the one before only for requests stamped before', async () => {
  const source = createSource()
  const world = await createWorld({ sessions: cachedSessions(source) })
  const { device } = world
  assert.equal((await world.call()).resultCode, 'ok')
  const next = createKey('es256')
  const { algorithm, publicKey } = next
  await source.behind.replaceKey(device.id, device.publicKey, { algorithm, publicKey, atMs: world.now() })
  const reads = source.reads
  world.now.ms += 1
  assert.equal((await world.call({ device: { ...next, id: device.id } })).resultCode, 'ok')
  assert.equal(source.reads, reads + 1)
  assert.equal((await world.call({ timestampMs: world.now() - 1 })).resultCode, 'ok')
  assert.equal((await world.call()).resultCode, 'cs.unauthenticated')
  const stranger = await world.call({ device: { ...createKey(), id: device.id } })
  assert.equal(stranger.resultCode, 'cs.unauthenticated')
  source.hold = Promise.reject(new Error('the store is gone'))
  source.hold.catch(() => {})
  assert.equal((await world.call({ device: { ...createKey(), id: device.id } })).resultCode, 'cs.unavailable')
})
