// SPDX-License-Identifier: MIT
// The stores that come with the gateway: the conformance suite, and the special features of each.
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import {
  cachedSessions,
  memoryAnswerStore,
  memoryCodeStore,
  memoryEventStore,
  memoryReplayStore,
  memorySessionStore
} from 'countersign/server'
import { storeConformance } from 'countersign/server/conformance'
import { lmdbStores } from 'countersign/server/lmdb'
import { core, createKey, createWorld, enrol, sessionOf, sha256, startMs } from '../kit.mjs'

const child = fileURLToPath(new URL('./stores-child.mjs', import.meta.url))

const folder = (t) => {
  const path = mkdtempSync(join(tmpdir(), 'countersign-stores-'))
  t.after(() => rmSync(path, { recursive: true, force: true }))
  return path
}

const enrolBounded = (sessions, options) => sessions.create(sessionOf(createKey(), options), { maxLive: 8 })

const memoryStores = () => {
  const stores = {
    sessions: memorySessionStore(),
    replay: memoryReplayStore({ capacity: 640 }),
    codes: memoryCodeStore({ capacity: 64 }),
    events: memoryEventStore(),
    answers: memoryAnswerStore({ capacity: 640 })
  }
  return { ...stores, close: () => stores.replay.close() }
}

const temporaryStores = () => {
  const path = mkdtempSync(join(tmpdir(), 'countersign-stores-'))
  const stores = lmdbStores({ path, capacity: 640, answerCapacity: 640 })
  const close = async () => {
    await stores.close()
    rmSync(path, { recursive: true, force: true })
  }
  return { ...stores, close }
}

storeConformance(test, assert, memoryStores, { name: 'memory' })
storeConformance(test, assert, temporaryStores, { name: 'lmdb' })

test('D3 the memory store refuses to start in a cluster worker without allowCluster', async (t) => {
  const worker = fork(child, ['cluster'], { stdio: 'pipe' })
  t.after(() => worker.kill('SIGKILL'))
  const [message] = await new Promise((resolve, reject) => {
    worker.once('message', (value) => resolve([value]))
    worker.once('exit', (status) => reject(new Error(`exit ${status}`)))
  })
  assert.deepEqual(message, { refused: 'ERR_INVALID_ARGUMENT', told: 'reserved' })
})

test('D2 of several processes on one folder exactly one accepts an id', async (t) => {
  const path = folder(t)
  const processes = 3
  const rounds = 400
  const workers = Array.from({ length: processes }, () =>
    fork(child, ['race', path, String(rounds)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  )
  t.after(() => {
    for (const worker of workers) worker.kill('SIGKILL')
  })
  const next = (worker) => new Promise((resolve) => worker.once('message', resolve))
  await Promise.all(workers.map(next))
  for (const worker of workers) worker.send('go')
  const verdicts = await Promise.all(workers.map(next))
  for (let round = 0; round < rounds; round++) {
    const row = verdicts.map((list) => list[round]).sort()
    assert.deepEqual(row, ['reserved', 'used', 'used'], `round ${round}`)
  }
})

test('R89 a revocation by another process is seen at the next read', async (t) => {
  const path = folder(t)
  const stores = lmdbStores({ path })
  t.after(() => stores.close())
  const worker = fork(child, ['revoke', path], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  t.after(() => worker.kill('SIGKILL'))
  const next = () => new Promise((resolve) => worker.once('message', resolve))
  await next()
  for (let round = 0; round < 50; round++) {
    const device = await enrol(stores.sessions)
    assert.equal((await stores.sessions.get(device.id)).status, 'active')
    worker.send(device.id)
    assert.equal(await next(), true)
    assert.equal((await stores.sessions.get(device.id)).status, 'revoked')
  }
})

test('I7 records that LMDB confirmed are there after it was opened again: sessions, ids, challenges, floor', async (t) => {
  const path = folder(t)
  const one = lmdbStores({ path, capacity: 64 })
  assert.equal(one.replay.mayHaveForgotten, true)
  const device = await enrol(one.sessions)
  const id = new Uint8Array(32).fill(1)
  const forgotten = new Uint8Array(32).fill(2)
  await one.replay.fence(0)
  await one.replay.reserve(forgotten, startMs, startMs + 10, startMs, 'a')
  await one.replay.reserve(id, startMs + 5000, startMs + 90_000, startMs + 5000, 'a')
  await one.codes.create({ id: 'c', email: 'a@b', createdMs: startMs, expiresMs: startMs + 1000 })
  await one.close()
  await one.close()
  const two = lmdbStores({ path, capacity: 64 })
  t.after(() => two.close())
  assert.equal(two.replay.mayHaveForgotten, false)
  assert.equal((await two.sessions.get(device.id)).status, 'active')
  assert.equal(await two.replay.reserve(id, startMs + 5000, startMs + 90_000, startMs + 6000, 'a'), 'used')
  assert.equal(await two.replay.reserve(forgotten, startMs, startMs + 90_000, startMs + 6000, 'a'), 'too-old')
  assert.deepEqual([two.replay.storedFloorMs(), two.replay.size()], [startMs, 1])
  assert.equal((await two.codes.get('c', startMs)).email, 'a@b')
})

test('R62 LMDB needs no fence after a restart, but after a restore and where its ids are missing', async (t) => {
  const path = folder(t)
  const one = lmdbStores({ path })
  const device = await enrol(one.sessions)
  const first = await createWorld({ sessions: one.sessions, replay: memoryReplayStore({ capacity: 64 }) })
  assert.equal((await first.call({ device })).resultCode, 'cs.unavailable', 'sessions last, the ids in memory do not')
  const fresh = await createWorld({ sessions: one.sessions, replay: one.replay })
  assert.equal((await fresh.call({ device })).resultCode, 'cs.unavailable', 'ids of this folder were never kept')
  fresh.now.ms += 10_001
  assert.equal((await fresh.call({ device })).resultCode, 'ok')
  await one.close()
  const two = lmdbStores({ path })
  const again = await createWorld({ sessions: two.sessions, replay: two.replay, now: fresh.now })
  assert.equal((await again.call({ device })).resultCode, 'ok')
  await two.close()
  const three = lmdbStores({ path, restored: true })
  t.after(() => three.close())
  const restored = await createWorld({ sessions: three.sessions, replay: three.replay, now: fresh.now })
  assert.equal((await restored.call({ device })).resultCode, 'cs.unavailable')
})

test('D4 a flood of valid ids fills the store and evicts nothing; the first is still refused', async () => {
  const capacity = 2048
  const replay = memoryReplayStore({ capacity, sessionQuota: capacity })
  const world = await createWorld({ replay, rates: { perSession: 1e6, perSource: 1e6 } })
  const first = world.requestOf()
  assert.equal((await world.sendFrame(first.frame)).status, 200)
  const seen = {}
  for (let count = 0; count < capacity + 100; count++) {
    const { resultCode } = await world.call()
    seen[resultCode] = (seen[resultCode] ?? 0) + 1
  }
  assert.deepEqual(seen, { ok: capacity - 1, 'cs.unavailable': 101 })
  assert.equal((await world.sendFrame(first.frame)).status, 409)
})

test('D4 requests that do not verify put nothing into the store', async () => {
  const world = await createWorld()
  await world.call({ sessionId: 'A'.repeat(22) })
  await world.call({ signature: new Uint8Array(64) })
  await world.sendFrame(Buffer.from('junk'))
  await world.call({ timestampMs: 1 })
  assert.equal(world.replay.size(), 0)
})

test('J3 a store that fails, hangs or answers nonsense refuses, signed, and is counted', async () => {
  const faults = {
    rejects: async () => {
      throw new Error('down')
    },
    throws: () => {
      throw new Error('down')
    },
    hangs: () => new Promise(() => {}),
    nonsense: async () => 'yes',
    nothing: async () => undefined
  }
  for (const [name, reserve] of Object.entries(faults)) {
    const world = await createWorld({ replay: { reserve, close() {} }, limits: { storeMs: 30 } })
    const answer = await world.call()
    assert.deepEqual([answer.status, answer.resultCode], [503, 'cs.unavailable'], name)
    assert.equal(world.handled.length, 0)
    assert.match(world.gateway.metrics(), /countersign_fail_closed_total\{reason="replay"\} 1/)
    // Nobody knows whether that id is used up now.
    assert.equal((await world.call({ timestampMs: world.now() - 60_001 })).resultCode, 'cs.unavailable', name)
  }
})

test('J3 a session store that fails refuses, at the first look and at the last', async () => {
  for (const failing of [1, 2]) {
    const world = await createWorld()
    let calls = 0
    const get = (id) => (++calls === failing ? Promise.reject(new Error('down')) : world.sessions.get(id))
    const other = await createWorld({ sessions: { ...world.sessions, get } })
    calls = 0
    const answer = await other.call({ device: world.device })
    assert.deepEqual([answer.status, answer.resultCode], [503, 'cs.unavailable'])
    assert.equal(other.handled.length, 0)
    assert.equal(other.stages.at(-1).stage, 'session')
  }
})

test('J3 a signer that fails, hangs or gives no signature ends in a plain 503', async () => {
  const signers = [
    () => Promise.reject(new Error('hsm')),
    () => new Promise(() => {}),
    () => new Uint8Array(63),
    () => undefined
  ]
  for (const sign of signers) {
    const world = await createWorld({
      signer: { keyId: 'k', publicKey: new Uint8Array(32), sign },
      limits: { storeMs: 30 }
    })
    const response = await world.sendFrame(world.requestOf().frame)
    assert.deepEqual([response.status, (await response.arrayBuffer()).byteLength], [503, 0])
    assert.match(world.gateway.metrics(), /countersign_fail_closed_total\{reason="signer"\} 1/)
  }
})

test('J3 a core that stopped is replaced, and the ids of its guard are not accepted again', async () => {
  let trap = false
  const guarding = new Proxy(core, {
    get(target, name) {
      if (name !== 'createReplayGuard')
        return typeof target[name] === 'function' ? target[name].bind(target) : target[name]
      return (options) => {
        const guard = target.createReplayGuard(options)
        const reserve = (...values) => {
          if (!trap) return guard.reserve(...values)
          trap = false
          throw Object.assign(new Error('trapped'), {
            code: 'ERR_CORE_TRAPPED',
            [Symbol.for('countersign.error')]: true
          })
        }
        return {
          reserve,
          free: () => guard.free(),
          get size() {
            return guard.size
          },
          get floorMs() {
            return guard.floorMs
          }
        }
      }
    }
  })
  const world = await createWorld({ replay: memoryReplayStore({ capacity: 64, core: guarding }) })
  const accepted = world.requestOf()
  assert.equal((await world.sendFrame(accepted.frame)).status, 200)
  trap = true
  assert.equal((await world.call()).resultCode, 'cs.unavailable')
  world.handled.length = 0
  assert.notEqual((await world.sendFrame(accepted.frame)).status, 200)
  assert.equal(world.handled.length, 0)
  // The same as a restart: a fence stands until no accepted request can still be fresh.
  assert.equal((await world.call()).resultCode, 'cs.unavailable')
  world.now.ms += 10_001
  assert.equal((await world.call()).resultCode, 'ok')
  assert.notEqual((await world.sendFrame(accepted.frame)).status, 200)
  assert.equal(world.handled.length, 1)
})

test('H10 R143 lmdb: of many enrolled at once a user keeps eight sessions, whatever else is written', async (t) => {
  const { sessions, replay, codes, close } = lmdbStores({ path: folder(t) })
  t.after(close)
  const users = ['user@example.com', 'eve@example.com', 'a', 'bob@example.org']
  const made = Array.from({ length: 400 }, (_, at) => {
    const writes = [
      enrolBounded(sessions, { userId: users[at % users.length], nowMs: startMs + at }),
      replay.reserve(sha256(`id ${at}`), startMs + at, startMs + at + 50, startMs + at, 'x'),
      codes.take(`key ${at}`, { limit: 5, windowMs: 1000, nowMs: startMs + at })
    ]
    return Promise.all(writes)
  })
  await Promise.all(made)
  for (const userId of users) {
    const all = await sessions.listByUser(userId)
    assert.equal(all.length, 100)
    assert.equal(all.filter(({ status }) => status === 'active').length, 8, userId)
  }
})

for (const [name, front] of [
  ['the store', (sessions) => sessions],
  ['a cache in front of it', cachedSessions]
])
  test(`D9 a session revoked while its request is under way is stopped at the last look (${name})`, async (t) => {
    const kept = memoryReplayStore({ capacity: 64 })
    const moments = {
      'before its id is reserved': (revoke) => ({
        async reserve(...id) {
          await revoke()
          return kept.reserve(...id)
        }
      }),
      'after its id is reserved': (revoke) => ({
        async reserve(...id) {
          const verdict = await kept.reserve(...id)
          await revoke()
          return verdict
        }
      }),
      never: () => ({})
    }
    for (const [moment, changes] of Object.entries(moments)) {
      const plain = memorySessionStore()
      const sessions = front(plain)
      t.after(() => sessions.close?.())
      let revoke
      const replay = Object.assign(
        Object.create(kept),
        changes(() => revoke())
      )
      const world = await createWorld({ sessions, replay })
      revoke = () => plain.revoke(world.device.id, 'x')
      const { resultCode } = await world.call()
      const isRevoked = moment !== 'never'
      assert.equal(resultCode, isRevoked ? 'cs.session_revoked' : 'ok', moment)
      assert.equal(world.handled.length, isRevoked ? 0 : 1, moment)
      // Every check passes up to the rate, and the last look is what refuses.
      const { stage, code } = world.stages.findLast(({ verdict }) => verdict === 'fail') ?? {}
      assert.deepEqual([stage, code], isRevoked ? ['session', 'cs.session_revoked'] : [undefined, undefined], moment)
      assert.equal(
        world.stages.some(({ stage, verdict }) => stage === 'payload_hash' && verdict === 'pass'),
        true
      )
    }
  })

test('D9 a session revoked when its handler runs keeps its answer: the last look was before', async () => {
  const sessions = memorySessionStore()
  const routes = { 'demo.note': ({ session }) => sessions.revoke(session.id, 'x').then(() => ({})) }
  const world = await createWorld({ sessions, routes })
  assert.equal((await world.call({ type: 'demo.note' })).resultCode, 'ok')
  assert.equal((await world.call({ type: 'demo.note' })).resultCode, 'cs.session_revoked')
})
