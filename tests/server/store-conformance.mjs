// SPDX-License-Identifier: MIT
// What a store has to do, as tests: run them on one of your own. `create` gives fresh stores each time.
//
//   storeConformance(test, { name: 'mine', create: async () => ({ sessions, replay, codes, close }) })
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'

const startMs = 1_775_000_000_000
const key = () => new Uint8Array(randomBytes(32))
const session = (id, changes = {}) => ({
  id,
  userId: 'u1',
  algorithm: 'ed25519',
  publicKey: new Uint8Array(32).fill(7),
  status: 'active',
  createdMs: startMs,
  lastSeenMs: startMs,
  ...changes
})
const plain = (value) =>
  JSON.parse(JSON.stringify(value, (_name, item) => (item instanceof Uint8Array ? [...item] : item)))

const checker =
  (test, { name, create }, part) =>
  (rule, run) =>
    test(`${name} ${part}: ${rule}`, async () => {
      const stores = await create()
      try {
        await run(stores[part])
      } finally {
        await stores.close?.()
      }
    })

/** sessionConformance: what the gateway asks of a SessionStore. */
export const sessionConformance = (test, options) => {
  const check = checker(test, options, 'sessions')

  check('an unknown id is null', async (sessions) => {
    for (const id of ['none', '', '__proto__', 'constructor', 'é', 'x'.repeat(128)])
      assert.equal(await sessions.get(id), null)
    assert.equal(await sessions.revoke('none', 'x'), false)
    assert.deepEqual(await sessions.listByUser('nobody'), [])
  })
  check('what was created is there, whole, and its id is taken', async (sessions) => {
    const made = session('é😀', { userId: 'Ünïcode@example.com', publicKey: key() })
    assert.notEqual(await sessions.create(made), false)
    assert.deepEqual(plain(await sessions.get('é😀')), plain(made))
    assert.equal(await sessions.create(session('é😀', { userId: 'other' })), false)
    assert.deepEqual(plain(await sessions.get('é😀')), plain(made))
    assert.deepEqual(await sessions.listByUser('other'), [])
  })
  check("a caller's later changes do not reach the store, nor the other way round", async (sessions) => {
    const made = session('a')
    await sessions.create(made)
    made.publicKey[0] = 9
    made.status = 'revoked'
    const seen = await sessions.get('a')
    assert.deepEqual([seen.publicKey[0], seen.status], [7, 'active'])
    seen.publicKey[0] = 9
    seen.status = 'revoked'
    const again = await sessions.get('a')
    assert.deepEqual([again.publicKey[0], again.status], [7, 'active'])
  })
  check('a revocation is seen at once and keeps its first reason and time', async (sessions) => {
    await sessions.create(session('a'))
    assert.equal(await sessions.revoke('a', 'lost', 5), true)
    assert.equal(await sessions.revoke('a', 'again', 9), true)
    const { status, revokedReason, revokedMs } = await sessions.get('a')
    assert.deepEqual([status, revokedReason, revokedMs], ['revoked', 'lost', 5])
  })
  check('a revocation is seen by whoever reads after it, among many readers', async (sessions) => {
    for (let round = 0; round < 50; round++) {
      const id = `s${round}`
      await sessions.create(session(id))
      let isRevoked = false
      const reading = Array.from({ length: 4 }, async () => {
        for (let at = 0; at < 5; at++) {
          const mustBe = isRevoked
          const { status } = await sessions.get(id)
          if (mustBe) assert.equal(status, 'revoked')
        }
      })
      await sessions.revoke(id, 'x')
      isRevoked = true
      await Promise.all(reading)
      assert.equal((await sessions.get(id)).status, 'revoked')
    }
  })
  check("a user's sessions are listed, revoked ones too, nobody else's", async (sessions) => {
    for (const id of ['a', 'b', 'c']) await sessions.create(session(id))
    await sessions.create(session('d', { userId: 'u10' }))
    await sessions.create(session('e', { userId: 'u' }))
    await sessions.revoke('b', 'x')
    const list = await sessions.listByUser('u1')
    assert.deepEqual(list.map(({ id, status }) => `${id} ${status}`).sort(), ['a active', 'b revoked', 'c active'])
  })
  check('a key is replaced only against the present one', async (sessions) => {
    await sessions.create(session('a'))
    const next = { algorithm: 'es256', publicKey: new Uint8Array(65).fill(4) }
    assert.equal(await sessions.replaceKey('a', new Uint8Array(32).fill(8), next), false)
    assert.equal(await sessions.replaceKey('none', new Uint8Array(32).fill(7), next), false)
    const both = await Promise.all([1, 2].map(() => sessions.replaceKey('a', new Uint8Array(32).fill(7), next)))
    assert.deepEqual(both.sort(), [false, true])
    const { algorithm, publicKey } = await sessions.get('a')
    assert.deepEqual([algorithm, publicKey.length], ['es256', 65])
  })
  check('last seen only moves on', async (sessions) => {
    await sessions.create(session('a'))
    await sessions.touch('a', startMs + 5)
    await sessions.touch('a', startMs + 2)
    await sessions.touch('none', 1)
    assert.equal((await sessions.get('a')).lastSeenMs, startMs + 5)
  })
  check('it knows whether it is empty', async (sessions) => {
    if (!sessions.isEmpty) return
    assert.equal(await sessions.isEmpty(), true)
    await sessions.create(session('a'))
    assert.equal(await sessions.isEmpty(), false)
  })
}

/** replayConformance: R58 to R64, for a store of `capacity` 640. */
export const replayConformance = (test, options) => {
  const check = checker(test, options, 'replay')
  const at = (replay, id, { time = startMs, expires = time + 67_000, now = startMs, owner = 's' } = {}) =>
    replay.reserve(id, time, expires, now, owner)

  check('an id is reserved once', async (replay) => {
    const id = key()
    assert.equal(await at(replay, id), 'reserved')
    assert.equal(await at(replay, id), 'used')
    assert.equal(await at(replay, id, { owner: 'other', time: startMs + 1 }), 'used')
    assert.equal(await at(replay, key()), 'reserved')
  })
  check('of many at once exactly one is reserved', async (replay) => {
    for (let round = 0; round < 50; round++) {
      const id = key()
      const verdicts = await Promise.all(Array.from({ length: 16 }, () => at(replay, id, { owner: `s${round}` })))
      assert.equal(verdicts.filter((verdict) => verdict === 'reserved').length, 1)
      assert.equal(verdicts.filter((verdict) => verdict === 'used').length, 15)
    }
  })
  check("a caller's later change of the id does not reach the store", async (replay) => {
    const id = key()
    const copy = id.slice()
    const reserving = at(replay, id)
    id.fill(0)
    assert.equal(await reserving, 'reserved')
    assert.equal(await at(replay, copy), 'used')
  })
  check('D4 a session holds at most its quota, and the others are not touched', async (replay) => {
    const mine = Array.from({ length: 10 }, key)
    for (const id of mine) assert.equal(await at(replay, id), 'reserved')
    assert.equal(await at(replay, key()), 'full')
    assert.equal(await at(replay, key(), { owner: 'other' }), 'reserved')
    for (const id of mine) assert.equal(await at(replay, id), 'used')
  })
  check('D4 a full store refuses and keeps every live id', async (replay) => {
    const first = key()
    assert.equal(await at(replay, first, { owner: 's0' }), 'reserved')
    let reserved = 1
    for (let owner = 0; owner < 80; owner++) {
      for (let count = 0; count < 10; count++)
        if ((await at(replay, key(), { owner: `s${owner}` })) === 'reserved') reserved += 1
    }
    assert.equal(reserved, 640)
    assert.equal(await at(replay, key(), { owner: 'new' }), 'full')
    assert.equal(await at(replay, first, { owner: 's0' }), 'used')
    if (replay.size) assert.equal(replay.size(), 640)
    // All have expired: there is room again, and what was forgotten lies under the floor.
    assert.equal(await at(replay, key(), { time: startMs + 90_000, now: startMs + 90_000, owner: 'new' }), 'reserved')
    assert.ok(['used', 'too-old'].includes(await at(replay, first, { owner: 's0', now: startMs + 90_000 })))
  })
  check('D5 no id is forgotten before its expiry', async (replay) => {
    const ids = Array.from({ length: 9 }, (_, index) => ({ id: key(), expires: startMs + (index + 1) * 1000 }))
    for (const { id, expires } of ids) await at(replay, id, { expires })
    for (let now = startMs; now <= startMs + 9000; now += 250) {
      for (const { id, expires } of ids) {
        const verdict = await at(replay, id, { now })
        if (now < expires) assert.equal(verdict, 'used')
        else assert.notEqual(verdict, 'reserved')
      }
    }
  })
  check('R61 a forgotten id is refused by the floor', async (replay) => {
    const id = key()
    await at(replay, id, { expires: startMs + 1000 })
    for (let count = 0; count < 5; count++) await at(replay, key(), { time: startMs + 60_000, now: startMs + 60_000 })
    assert.ok(['too-old', 'used'].includes(await at(replay, id, { now: startMs + 60_000, expires: startMs + 120_000 })))
    if (replay.floorMs) assert.ok(replay.floorMs() >= startMs)
  })
  check('R60 an expiry in the past counts as now', async (replay) => {
    const id = key()
    assert.equal(await at(replay, id, { expires: startMs - 5000 }), 'reserved')
    assert.equal(await at(replay, id), 'used')
  })
  check('R62 a fence refuses up to its time, for good, and not above it', async (replay) => {
    if (!replay.fence) return
    await replay.fence(startMs + 10_000)
    assert.equal(replay.mayHaveForgotten, false)
    assert.equal(await at(replay, key(), { time: startMs + 10_000 }), 'too-old')
    assert.equal(await at(replay, key(), { time: startMs + 10_001 }), 'reserved')
    await replay.fence(0)
    assert.equal(await at(replay, key(), { time: startMs + 10_000 }), 'too-old')
    assert.equal(replay.floorMs(), startMs + 10_000)
  })
  check('after close it reserves nothing', async (replay) => {
    await replay.close()
    await assert.rejects(at(replay, key()))
  })
}

/** codeConformance: R82 to R86. */
export const codeConformance = (test, options) => {
  const check = checker(test, options, 'codes')
  const challenge = (id, changes = {}) => ({
    id,
    email: 'a@b',
    codeHash: new Uint8Array(32).fill(3),
    createdMs: startMs,
    expiresMs: startMs + 600_000,
    ...changes
  })

  check('a challenge is there until it expires', async (codes) => {
    assert.equal(await codes.create(challenge('c')), true)
    assert.equal(await codes.create(challenge('c', { email: 'other' })), false)
    const found = await codes.get('c', startMs + 599_999)
    assert.deepEqual(plain(found), plain(challenge('c')))
    assert.equal(await codes.get('c', startMs + 600_000), null)
    assert.equal(await codes.get('none', startMs), null)
    assert.equal(await codes.get('__proto__', startMs), null)
  })
  check('a challenge without a code keeps none', async (codes) => {
    const { codeHash: _, ...bare } = challenge('c')
    await codes.create(bare)
    assert.equal((await codes.get('c', startMs)).codeHash, undefined)
  })
  check('an allowance is exact within any window', async (codes) => {
    const take = (nowMs) => codes.take('k', { limit: 3, windowMs: 1000, nowMs })
    for (const offset of [0, 100, 900]) assert.equal(await take(startMs + offset), 0)
    assert.equal(await take(startMs + 950), 50)
    assert.equal(await take(startMs + 999), 1)
    assert.equal(await take(startMs + 1000), 0)
    assert.equal(await take(startMs + 1000), 100)
    assert.equal(await codes.take('other', { limit: 3, windowMs: 1000, nowMs: startMs }), 0)
  })
  check('of many at once only the allowance is taken', async (codes) => {
    const waits = await Promise.all(
      Array.from({ length: 40 }, () => codes.take('k', { limit: 5, windowMs: 1000, nowMs: startMs }))
    )
    assert.equal(waits.filter((wait) => wait === 0).length, 5)
  })
  check('what is given back can be taken again', async (codes) => {
    const take = () => codes.take('k', { limit: 1, windowMs: 1000, nowMs: startMs })
    assert.equal(await take(), 0)
    assert.ok((await take()) > 0)
    await codes.giveBack('k')
    await codes.giveBack('none')
    assert.equal(await take(), 0)
  })
  check('a challenge is bound to one key; the same again gives the same session', async (codes) => {
    await codes.create(challenge('c'))
    assert.equal(await codes.redeem('c', 'key1', 's1', startMs), 's1')
    assert.equal(await codes.redeem('c', 'key1', 's2', startMs), 's1')
    assert.equal(await codes.redeem('c', 'key2', 's3', startMs), null)
    assert.equal(await codes.redeem('none', 'key1', 's1', startMs), null)
    assert.equal(await codes.redeem('c', 'key1', 's1', startMs + 600_000), null)
  })
  check('of many at once one binding wins', async (codes) => {
    await codes.create(challenge('c'))
    const given = await Promise.all(
      Array.from({ length: 20 }, (_, at) => codes.redeem('c', `key${at}`, `s${at}`, startMs))
    )
    assert.equal(given.filter((id) => id !== null).length, 1)
  })
  check('what has expired makes room', async (codes) => {
    for (let round = 0; round < 30; round++) {
      const createdMs = startMs + round * 700_000
      for (let at = 0; at < 10; at++) {
        const id = `${round}-${at}`
        assert.equal(await codes.create(challenge(id, { createdMs, expiresMs: createdMs + 600_000 })), true)
        assert.equal(await codes.take(`k${id}`, { limit: 1, windowMs: 1000, nowMs: createdMs }), 0)
      }
    }
  })
}

/** storeConformance runs all three; `create` makes a replay store of capacity 640 and a code store of at least 64 records. */
export const storeConformance = (test, options) => {
  sessionConformance(test, options)
  replayConformance(test, options)
  codeConformance(test, options)
}
