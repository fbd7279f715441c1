// SPDX-License-Identifier: MIT
// The suite of SessionStore (PROTOCOL.md, R88 and R89).

import type { SessionRecord, SessionStore } from '../../types.ts'
import {
  type ConformanceAssert,
  type ConformanceOptions,
  type ConformanceTest,
  checker,
  type MakeStores,
  plain,
  randomKey,
  startMs,
  until
} from './kit.ts'
import { sessionKeyConformance } from './session-keys.ts'

const session = (id: string, changes: Partial<SessionRecord> = {}): SessionRecord => ({
  id,
  userId: 'u1',
  algorithm: 'ed25519',
  publicKey: new Uint8Array(32).fill(7),
  status: 'active',
  createdMs: startMs,
  lastSeenMs: startMs,
  ...changes
})

/** sessionConformance registers what the gateway asks of a SessionStore. */
export function sessionConformance(
  test: ConformanceTest,
  assert: ConformanceAssert,
  makeStores: MakeStores,
  options: ConformanceOptions = {}
): void {
  const check = checker(test, makeStores, 'sessions', options)
  const found = async (sessions: SessionStore, id: string): Promise<SessionRecord> => {
    const session = await sessions.get(id)
    if (!session) throw new Error(`${id} is not there`)
    return session
  }

  check('an unknown id is null', async (sessions) => {
    for (const id of ['none', '', '__proto__', 'constructor', 'é', 'x'.repeat(128)])
      assert.equal(await sessions.get(id), null)
    assert.equal(await sessions.revoke('none', 'x'), false)
    assert.deepEqual(await sessions.listByUser('nobody'), [])
  })
  check('what was created is there, whole, and its id is taken', async (sessions) => {
    const made = session('é😀', { userId: 'Ünïcode@example.com', publicKey: randomKey() })
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
    const seen = await found(sessions, 'a')
    assert.deepEqual([seen.publicKey[0], seen.status], [7, 'active'])
    seen.publicKey[0] = 9
    seen.status = 'revoked'
    const again = await found(sessions, 'a')
    assert.deepEqual([again.publicKey[0], again.status], [7, 'active'])
  })
  check('a revocation is seen at once and keeps its first reason and time', async (sessions) => {
    await sessions.create(session('a'))
    assert.equal(await sessions.revoke('a', 'lost', 5), true)
    assert.equal(await sessions.revoke('a', 'again', 9), true)
    const { status, revokedReason, revokedMs } = await found(sessions, 'a')
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
          const { status } = await found(sessions, id)
          if (mustBe) assert.equal(status, 'revoked')
        }
      })
      await sessions.revoke(id, 'x')
      isRevoked = true
      await Promise.all(reading)
      assert.equal((await found(sessions, id)).status, 'revoked')
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
  sessionKeyConformance(check, assert, session)
  check('last seen only moves on', async (sessions) => {
    await sessions.create(session('a'))
    await sessions.touch('a', startMs + 5)
    await sessions.touch('a', startMs + 2)
    await sessions.touch('none', 1)
    assert.equal((await found(sessions, 'a')).lastSeenMs, startMs + 5)
  })
  check('R105 who watches is told of revocations and new keys, until the end', async (sessions) => {
    if (!sessions.watch) return
    for (const id of ['a', 'b', 'c']) await sessions.create(session(id))
    const told = new Set<string | undefined>()
    const stop = sessions.watch((id) => told.add(id))
    const has = (id: string) => told.has(id) || told.has(undefined)
    await sessions.revoke('a', 'x')
    await until('the revocation is told', () => has('a'))
    told.clear()
    const next = { algorithm: 'ed25519' as const, publicKey: randomKey() }
    await sessions.replaceKey('b', session('b').publicKey, next)
    await until('the new key is told', () => has('b'))
    stop()
    told.clear()
    await sessions.revoke('c', 'x')
    assert.equal(told.size, 0)
  })
  check('it knows whether it is empty', async (sessions) => {
    if (!sessions.isEmpty) return
    assert.equal(await sessions.isEmpty(), true)
    await sessions.create(session('a'))
    assert.equal(await sessions.isEmpty(), false)
  })
}
