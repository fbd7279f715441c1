// SPDX-License-Identifier: MIT
// The suite of SessionStore (R88, R89, R121, R122, R124 and R149).

import type { SessionRecord, SessionStore } from '../../types.ts'
import { encodeBytes, MAX_REPLACED_KEYS } from '../common.ts'
import { registerGuestTests } from './guests.ts'
import {
  type ConformanceAssert,
  type ConformanceOptions,
  type ConformanceTest,
  createCheck,
  type MakeStores,
  plain,
  randomKey,
  sessionOf,
  startMs,
  until
} from './kit.ts'

const OLD = (): Uint8Array => new Uint8Array(32).fill(7)
const ed25519 = (publicKey = randomKey()) => ({ algorithm: 'ed25519' as const, publicKey })
const es256 = () => ({ algorithm: 'es256' as const, publicKey: new Uint8Array(65).fill(4) })

async function find(sessions: SessionStore, id: string): Promise<SessionRecord> {
  const session = await sessions.get(id)
  if (!session) throw new Error(`${id} is not there`)
  return session
}

// A session is there with all that belongs to it, or nothing of it is.
function registerWholeTests(check: ReturnType<typeof createCheck<'sessions'>>, assert: ConformanceAssert): void {
  check('R64 a session whose texts are too long for the store is not kept in part', async (sessions) => {
    for (const long of ['u'.repeat(1200), 'u'.repeat(2000), 'é'.repeat(20_000)]) {
      const made = await sessions.create(sessionOf('s1', { userId: long })).catch(() => false)
      assert.equal((await sessions.get('s1')) !== null, made)
      assert.equal((await sessions.listByUser(long).catch(() => [])).length, made ? 1 : 0)
      if (made) return
    }
  })
  check('all sessions of a user are forgotten, and nobody else’s', async (sessions) => {
    if (!sessions.forgetUser) return
    const told: (string | undefined)[] = []
    const stop = sessions.watch?.((id) => told.push(id))
    for (const id of ['s1', 's2']) await sessions.create(sessionOf(id))
    await sessions.create(sessionOf('s3', { userId: 'u2' }))
    await sessions.revoke('s2', 'x')
    assert.deepEqual((await sessions.forgetUser('u1')).sort(), ['s1', 's2'])
    for (const id of ['s1', 's2']) assert.equal(await sessions.get(id), null)
    assert.deepEqual(await sessions.listByUser('u1'), [])
    assert.equal((await sessions.get('s3'))?.status, 'active')
    assert.deepEqual(await sessions.forgetUser('u1'), [])
    if (stop) await until('news of it', () => told.includes('s1') || told.includes(undefined))
    stop?.()
    assert.notEqual(await sessions.create(sessionOf('s1', { userId: 'u2' })), false)
    assert.equal((await sessions.listByUser('u2')).length, 2)
  })
}

/** Registers the tests of a SessionStore. */
export function sessionConformance(
  test: ConformanceTest,
  assert: ConformanceAssert,
  makeStores: MakeStores,
  options: ConformanceOptions = {}
): void {
  const check = createCheck(test, makeStores, 'sessions', options)

  registerWholeTests(check, assert)
  registerGuestTests(check, assert)
  check('an unknown id is null', async (sessions) => {
    for (const id of ['none', '', '__proto__', 'constructor', 'é', 'x'.repeat(128)])
      assert.equal(await sessions.get(id), null)
    assert.equal(await sessions.revoke('none', 'x'), false)
    assert.deepEqual(await sessions.listByUser('nobody'), [])
  })
  check('a created session is there, whole, and its id is taken', async (sessions) => {
    const made = sessionOf('é😀', { userId: 'Ünïcode@example.com', publicKey: randomKey(), source: 'a-keyed_hash' })
    assert.notEqual(await sessions.create(made), false)
    assert.deepEqual(plain(await sessions.get('é😀')), plain(made))
    assert.equal(await sessions.create(sessionOf('é😀', { userId: 'other' })), false)
    assert.deepEqual(plain(await sessions.get('é😀')), plain(made))
    assert.deepEqual(await sessions.listByUser('other'), [])
  })
  check("a caller's later changes do not reach the store, nor the other way round", async (sessions) => {
    const made = sessionOf('a')
    await sessions.create(made)
    made.publicKey[0] = 9
    made.status = 'revoked'
    const seen = await find(sessions, 'a')
    assert.deepEqual([seen.publicKey[0], seen.status], [7, 'active'])
    seen.publicKey[0] = 9
    seen.status = 'revoked'
    const again = await find(sessions, 'a')
    assert.deepEqual([again.publicKey[0], again.status], [7, 'active'])
  })
  check('a revocation is seen at once and keeps its first reason and time', async (sessions) => {
    await sessions.create(sessionOf('a'))
    assert.equal(await sessions.revoke('a', 'lost', 5), true)
    assert.equal(await sessions.revoke('a', 'again', 9), true)
    const { status, revokedReason, revokedMs } = await find(sessions, 'a')
    assert.deepEqual([status, revokedReason, revokedMs], ['revoked', 'lost', 5])
  })
  check('a revocation is seen by every later read, among many readers', async (sessions) => {
    for (let round = 0; round < 50; round++) {
      const id = `s${round}`
      await sessions.create(sessionOf(id))
      let isRevoked = false
      const reading = Array.from({ length: 4 }, async () => {
        for (let count = 0; count < 5; count++) {
          const mustBe = isRevoked
          const { status } = await find(sessions, id)
          if (mustBe) assert.equal(status, 'revoked')
        }
      })
      await sessions.revoke(id, 'x')
      isRevoked = true
      await Promise.all(reading)
      assert.equal((await find(sessions, id)).status, 'revoked')
    }
  })
  check("a user's sessions are listed, revoked ones too, and no other user's", async (sessions) => {
    for (const id of ['a', 'b', 'c']) await sessions.create(sessionOf(id))
    await sessions.create(sessionOf('d', { userId: 'u10' }))
    await sessions.create(sessionOf('e', { userId: 'u' }))
    await sessions.revoke('b', 'x')
    const list = await sessions.listByUser('u1')
    assert.deepEqual(list.map(({ id, status }) => `${id} ${status}`).sort(), ['a active', 'b revoked', 'c active'])
  })
  registerBoundTests(check, assert)
  registerPruneTests(check, assert)
  registerKeyTests(check, assert)
  registerReplacedKeyTests(check, assert)
  check('last seen only moves on', async (sessions) => {
    await sessions.create(sessionOf('a'))
    await sessions.touch('a', startMs + 5)
    await sessions.touch('a', startMs + 2)
    await sessions.touch('none', 1)
    assert.equal((await find(sessions, 'a')).lastSeenMs, startMs + 5)
  })
  check('R105 a watcher hears of revocations and new keys, until the end', async (sessions) => {
    if (!sessions.watch) return
    for (const id of ['a', 'b', 'c']) await sessions.create(sessionOf(id))
    const reported = new Set<string | undefined>()
    const stop = sessions.watch((id) => reported.add(id))
    const has = (id: string) => reported.has(id) || reported.has(undefined)
    await sessions.revoke('a', 'x')
    await until('the revocation is reported', () => has('a'))
    reported.clear()
    const next = { algorithm: 'ed25519' as const, publicKey: randomKey() }
    await sessions.replaceKey('b', sessionOf('b').publicKey, next)
    await until('the new key is reported', () => has('b'))
    stop()
    reported.clear()
    await sessions.revoke('c', 'x')
    assert.equal(reported.size, 0)
  })
  check('it knows whether it is empty', async (sessions) => {
    if (!sessions.isEmpty) return
    assert.equal(await sessions.isEmpty(), true)
    await sessions.create(sessionOf('a'))
    assert.equal(await sessions.isEmpty(), false)
  })
}

// Idle and ended sessions (R144).
function registerPruneTests(check: ReturnType<typeof createCheck<'sessions'>>, assert: ConformanceAssert): void {
  check('R144 idle sessions are revoked, long revoked ones removed, and the others stay', async (sessions) => {
    if (!sessions.prune) return
    for (const [index, id] of ['a', 'b', 'c', 'd', 'e'].entries())
      await sessions.create(sessionOf(id, { lastSeenMs: startMs + 100 * index }))
    await sessions.revoke('b', 'lost', startMs + 10)
    await sessions.revoke('c', 'lost', startMs + 500)
    const reports: unknown[] = []
    const unwatch = sessions.watch?.((id) => void reports.push(id))
    const removed: string[] = []
    const bounds = { idleBeforeMs: startMs + 50, revokedBeforeMs: startMs + 50, nowMs: startMs + 600, limit: 2 }
    // A store may look at other keys than sessions.
    for (let step = 0; step < 64; step++) removed.push(...(await sessions.prune(bounds)))
    assert.deepEqual(removed, ['b'])
    const { status, revokedReason, revokedMs } = await find(sessions, 'a')
    assert.deepEqual([status, revokedReason, revokedMs], ['revoked', 'idle', startMs + 600])
    if (sessions.watch)
      await until('the revocation is reported', () => reports.some((id) => id === 'a' || id === undefined))
    unwatch?.()
    const left = (await sessions.listByUser('u1')).map((one) => `${one.id} ${one.status}`)
    assert.deepEqual(left.sort(), ['a revoked', 'c revoked', 'd active', 'e active'])
    // Nothing brings it back.
    await sessions.touch('b', startMs + 900)
    await sessions.rename?.('b', 'phone')
    assert.equal(await sessions.revoke('b', 'again'), false)
    assert.equal(await sessions.replaceKey('b', OLD(), ed25519()), false)
    assert.equal(await sessions.get('b'), null)
  })
}

// Active sessions of a user (R143).
function registerBoundTests(check: ReturnType<typeof createCheck<'sessions'>>, assert: ConformanceAssert): void {
  check('R143 a session too many revokes the least recently seen one, even if all are active', async (sessions) => {
    const reports: unknown[] = []
    for (const [id, seen] of [
      ['a', 3],
      ['b', 1],
      ['c', 2]
    ] as const)
      assert.deepEqual(await sessions.create(sessionOf(id, { lastSeenMs: startMs + seen }), { maxLive: 3 }), [])
    await sessions.create(sessionOf('other', { userId: 'u2', lastSeenMs: startMs }))
    const unwatch = sessions.watch?.((id) => void reports.push(id))
    const fourth = sessionOf('d', { createdMs: startMs + 9, lastSeenMs: startMs + 9 })
    assert.deepEqual(await sessions.create(fourth, { maxLive: 3 }), ['b'])
    const { status, revokedReason, revokedMs } = await find(sessions, 'b')
    assert.deepEqual([status, revokedReason, revokedMs], ['revoked', 'replaced', startMs + 9])
    if (sessions.watch)
      await until('the revocation is reported', () => reports.some((id) => id === 'b' || id === undefined))
    unwatch?.()
    // A taken id changes nothing, and of revoked sessions none is counted.
    assert.equal(await sessions.create(fourth, { maxLive: 1 }), false)
    await sessions.revoke('a', 'lost')
    assert.deepEqual(await sessions.create(sessionOf('e', { lastSeenMs: startMs + 10 }), { maxLive: 3 }), [])
    assert.deepEqual(await sessions.create(sessionOf('f', { lastSeenMs: startMs + 11 }), { maxLive: 1 }), [
      'c',
      'd',
      'e'
    ])
    assert.equal((await find(sessions, 'other')).status, 'active')
    assert.equal(await sessions.create(sessionOf('g')), true)
    assert.equal((await find(sessions, 'f')).status, 'active', 'without a bound none is replaced')
  })
  check('R143 of many sessions that are created at once, as many are active as the bound says', async (sessions) => {
    const made = Array.from({ length: 20 }, (_, index) => sessionOf(`s${index}`, { lastSeenMs: startMs + index }))
    const replaced = await Promise.all(made.map((one) => sessions.create(one, { maxLive: 8 })))
    assert.equal(replaced.flat().length, 12)
    const live = (await sessions.listByUser('u1')).filter(({ status }) => status === 'active')
    assert.equal(live.length, 8)
  })
}

// The rules of new keys and names (R121, R122 and R124).
function registerKeyTests(check: ReturnType<typeof createCheck<'sessions'>>, assert: ConformanceAssert): void {
  check('a key is replaced only against the present one', async (sessions) => {
    await sessions.create(sessionOf('a'))
    assert.equal(await sessions.replaceKey('a', new Uint8Array(32).fill(8), es256()), false)
    assert.equal(await sessions.replaceKey('none', OLD(), es256()), false)
    const both = await Promise.all([1, 2].map(() => sessions.replaceKey('a', OLD(), es256())))
    assert.deepEqual(both.sort(), [false, true])
    const { algorithm, publicKey, previous } = await find(sessions, 'a')
    assert.deepEqual([algorithm, publicKey.length, previous], ['es256', 65, undefined])
  })

  check('with a time the key before is kept, the last one only, and nothing else changes', async (sessions) => {
    const made = sessionOf('a', { userId: 'Ünïcode' })
    await sessions.create(made)
    const [first, second] = [es256(), ed25519()]
    assert.equal(await sessions.replaceKey('a', OLD(), { ...first, atMs: startMs + 5 }), true)
    const previous = { algorithm: 'ed25519', publicKey: OLD(), replacedMs: startMs + 5 }
    const replacedKeys = [OLD(), first.publicKey, second.publicKey].map(encodeBytes)
    const changed = { ...made, ...first, previous, replacedKeys: replacedKeys.slice(0, 1) }
    assert.deepEqual(plain(await sessions.get('a')), plain(changed))
    assert.deepEqual(plain(await sessions.listByUser('Ünïcode')), plain([changed]))
    assert.equal(await sessions.replaceKey('a', OLD(), { ...second, atMs: startMs + 6 }), false)
    assert.equal(await sessions.replaceKey('a', first.publicKey, { ...second, atMs: startMs + 9 }), true)
    const before = { ...first, replacedMs: startMs + 9 }
    const then = { ...made, ...second, previous: before, replacedKeys: replacedKeys.slice(0, 2) }
    assert.deepEqual(plain(await sessions.get('a')), plain(then))
    const third = ed25519()
    assert.equal(await sessions.replaceKey('a', second.publicKey, third), true)
    assert.deepEqual(plain(await sessions.get('a')), plain({ ...made, ...third, replacedKeys }))
  })

  check('of many replacements of one key at once one wins, and it is the one that is there', async (sessions) => {
    for (let round = 0; round < 20; round++) {
      const id = `s${round}`
      await sessions.create(sessionOf(id))
      const keys = Array.from({ length: 8 }, () => ed25519())
      const won = await Promise.all(keys.map((next) => sessions.replaceKey(id, OLD(), { ...next, atMs: startMs })))
      assert.equal(won.filter(Boolean).length, 1)
      const { publicKey, previous } = await find(sessions, id)
      assert.deepEqual(plain(publicKey), plain(keys[won.indexOf(true)]?.publicKey))
      assert.deepEqual(plain(previous?.publicKey), plain(OLD()))
    }
  })

  check("a revoked session's key is not replaced, and a revocation keeps both", async (sessions) => {
    await sessions.create(sessionOf('a'))
    const next = ed25519()
    assert.equal(await sessions.replaceKey('a', OLD(), { ...next, atMs: 3 }), true)
    await sessions.revoke('a', 'lost', 5)
    assert.equal(await sessions.replaceKey('a', next.publicKey, ed25519()), false)
    const { publicKey, previous, status } = await find(sessions, 'a')
    assert.deepEqual([plain(publicKey), previous?.replacedMs, status], [plain(next.publicKey), 3, 'revoked'])
  })

  check("a caller's later changes of a key do not reach the store, nor those of what it gave", async (sessions) => {
    await sessions.create(sessionOf('a'))
    const [old, next] = [OLD(), ed25519(new Uint8Array(32).fill(5))]
    const replacing = sessions.replaceKey('a', old, { ...next, atMs: 3 })
    old.fill(6)
    next.publicKey.fill(6)
    assert.equal(await replacing, true)
    const seen = await find(sessions, 'a')
    assert.deepEqual([seen.publicKey[0], seen.previous?.publicKey[0]], [5, 7])
    seen.previous?.publicKey.fill(1)
    assert.equal((await find(sessions, 'a')).previous?.publicKey[0], 7)
  })

  check('a device is named, by any text, and named again', async (sessions) => {
    if (!sessions.rename) return
    await sessions.create(sessionOf('a'))
    assert.equal(await sessions.rename('none', 'x'), false)
    for (const name of ['my phone', '__proto__', 'Zoë’s 📱']) {
      assert.equal(await sessions.rename('a', name), true)
      assert.deepEqual(plain(await sessions.get('a')), plain(sessionOf('a', { name })))
    }
    await sessions.replaceKey('a', OLD(), { ...ed25519(), atMs: 3 })
    assert.deepEqual(
      (await sessions.listByUser('u1')).map(({ name }) => name),
      ['Zoë’s 📱']
    )
  })
}

// No key comes back (R149).
function registerReplacedKeyTests(check: ReturnType<typeof createCheck<'sessions'>>, assert: ConformanceAssert): void {
  check(
    'R149 neither the present key nor any before it is given to a session, and nothing changes',
    async (sessions) => {
      await sessions.create(sessionOf('a'))
      const [first, second] = [es256(), ed25519()]
      const old = ed25519(OLD())
      assert.equal(await sessions.replaceKey('a', OLD(), { ...old, atMs: 1 }), false)
      assert.equal(await sessions.replaceKey('a', OLD(), { ...first, atMs: 2 }), true)
      assert.equal(await sessions.replaceKey('a', first.publicKey, { ...old, atMs: 3 }), false)
      // Without a time no previous key is kept. The list is kept all the same.
      assert.equal(await sessions.replaceKey('a', first.publicKey, second), true)
      const then = plain(await sessions.get('a'))
      for (const key of [old, first, second]) {
        assert.equal(await sessions.replaceKey('a', second.publicKey, { ...key, atMs: 4 }), false)
        assert.equal(await sessions.replaceKey('a', second.publicKey, key), false)
      }
      assert.deepEqual(plain(await sessions.get('a')), then)
      // Another session of the same user has keys of its own.
      await sessions.create(sessionOf('b', { publicKey: randomKey() }))
      const { publicKey } = await find(sessions, 'b')
      assert.equal(await sessions.replaceKey('b', publicKey, old), true)
    }
  )

  check('R149 of many at once that bring keys back or bring new ones, only a new one wins', async (sessions) => {
    for (let round = 0; round < 10; round++) {
      const id = `s${round}`
      await sessions.create(sessionOf(id))
      const present = randomKey()
      await sessions.replaceKey(id, OLD(), { ...ed25519(present), atMs: 1 })
      const next = [ed25519(OLD()), ed25519(present), ed25519(), ed25519(OLD()), ed25519()]
      const won = await Promise.all(next.map((key) => sessions.replaceKey(id, present, { ...key, atMs: 2 })))
      assert.deepEqual([won[0], won[1], won[3], won.filter(Boolean).length], [false, false, false, 1])
    }
  })

  check('R149 a session replaces 64 keys and no more', async (sessions) => {
    await sessions.create(sessionOf('a'))
    let present = OLD()
    for (let count = 0; count < MAX_REPLACED_KEYS; count++) {
      const next = ed25519()
      assert.equal(await sessions.replaceKey('a', present, { ...next, atMs: count }), true)
      present = next.publicKey
    }
    assert.equal(await sessions.replaceKey('a', present, { ...ed25519(), atMs: 99 }), false)
    const { publicKey, replacedKeys } = await find(sessions, 'a')
    assert.deepEqual([plain(publicKey), replacedKeys?.length], [plain(present), 64])
  })

  check('R149 a record without the list begins it with its previous key', async (sessions) => {
    const previous = { ...es256(), replacedMs: 3 }
    await sessions.create(sessionOf('a', { previous }))
    assert.equal((await find(sessions, 'a')).replacedKeys, undefined)
    assert.equal(await sessions.replaceKey('a', OLD(), { ...es256(), atMs: 4 }), false)
    assert.equal(await sessions.replaceKey('a', OLD(), { ...ed25519(), atMs: 5 }), true)
    assert.deepEqual((await find(sessions, 'a')).replacedKeys, [previous.publicKey, OLD()].map(encodeBytes))
  })
}
