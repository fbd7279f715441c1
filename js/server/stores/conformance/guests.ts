// SPDX-License-Identifier: MIT
// The suite of what a SessionStore does for guests: their number, their end, and the step that makes a user of one (R162,
// R164, R168).

import type { SessionRecord, SessionStore } from '../../types.ts'
import { type ConformanceAssert, plain, sessionOf, startMs, until } from './kit.ts'

type Check = (rule: string, run: (sessions: SessionStore) => Promise<void>) => unknown

const guest = (id: string, changes?: Partial<SessionRecord>): SessionRecord =>
  sessionOf(id, { userId: `guest:${id}`, ...changes })
const ENDS = { id: 'g', reason: 'upgraded to u' }
/** Ends the guests who were seen before the first 50 ms, and nobody else. */
const IDLE_GUESTS = {
  idleBeforeMs: Number.NEGATIVE_INFINITY,
  guestIdleBeforeMs: startMs + 50,
  revokedBeforeMs: 0,
  nowMs: startMs + 99,
  limit: 100
}

function registerOpaqueGuestTests(check: Check, assert: ConformanceAssert): void {
  check('R168 guests of pages without an origin are bounded apart, and each end makes room there', async (sessions) => {
    if (!sessions.guests) return
    const make = (id: string) => sessions.create(guest(id), { maxLive: 8, maxGuests: 2 })
    const makeOpaque = (id: string) => sessions.create(guest(id), { maxLive: 8, maxOpaqueGuests: 2 })
    for (const id of ['o1', 'o2']) assert.deepEqual(await makeOpaque(id), [])
    assert.equal(await makeOpaque('o3'), 'full')
    assert.equal(await sessions.get('o3'), null)
    for (const id of ['a', 'b']) assert.deepEqual(await make(id), [], 'they take no room of the others')
    assert.equal(await make('c'), 'full')
    await sessions.revoke('a', 'x')
    assert.equal(await makeOpaque('o3'), 'full', 'nor do the others make room for them')
    assert.deepEqual(await make('c'), [])
    await sessions.revoke('o1', 'x')
    assert.deepEqual(await makeOpaque('o3'), [])
    await sessions.revoke('o1', 'x')
    assert.equal(await makeOpaque('o4'), 'full', 'an end counts once')
    await sessions.create(sessionOf('u'), { maxLive: 8, ends: { id: 'o2', reason: 'upgraded to u' } })
    assert.deepEqual(await makeOpaque('o4'), [])
    await sessions.forgetUser?.('guest:o4')
    if (sessions.forgetUser) assert.deepEqual(await makeOpaque('o5'), [])
    assert.equal(await makeOpaque('o6'), 'full')
    assert.equal(await make('d'), 'full')
  })

  check('R168 an idle guest of a page without an origin makes room there', async (sessions) => {
    if (!sessions.guests || !sessions.prune) return
    await sessions.create(guest('o'), { maxOpaqueGuests: 1 })
    for (let count = 0; count < 8; count++) assert.deepEqual(await sessions.prune(IDLE_GUESTS), [])
    assert.equal((await sessions.get('o'))?.status, 'revoked')
    assert.equal(await sessions.create(guest('p'), { maxOpaqueGuests: 1 }), true)
  })
}

/** Registers the tests of guests. A store that takes none passes them. */
export function registerGuestTests(check: Check, assert: ConformanceAssert): void {
  registerOpaqueGuestTests(check, assert)
  check('R162 so many guests are active and no more; users do not count, and each end makes room', async (sessions) => {
    if (!sessions.guests) return
    const make = (id: string) => sessions.create(guest(id), { maxLive: 8, maxGuests: 3 })
    for (const id of ['a', 'b', 'c']) assert.deepEqual(await make(id), [])
    assert.equal(await make('d'), 'full')
    assert.equal(await sessions.get('d'), null)
    assert.deepEqual(await sessions.listByUser('guest:d'), [])
    assert.equal(await make('a'), false, 'an id that is taken is no guest too many')
    assert.deepEqual(await sessions.create(sessionOf('u'), { maxLive: 8, maxGuests: 3 }), [])

    await sessions.revoke('a', 'x')
    await sessions.revoke('a', 'x')
    assert.deepEqual(await make('d'), [])
    assert.equal(await make('e'), 'full', 'a session ends once')
    if (!sessions.forgetUser) return
    await sessions.forgetUser('guest:b')
    await sessions.forgetUser('guest:a')
    assert.deepEqual(await make('e'), [])
    assert.equal(await make('f'), 'full')
  })

  check('R162 of many guests at once no more than the bound get in', async (sessions) => {
    if (!sessions.guests) return
    const made = await Promise.all(
      Array.from({ length: 20 }, (_, at) => sessions.create(guest(`g${at}`), { maxGuests: 7 }))
    )
    assert.equal(made.filter((one) => one !== 'full').length, 7)
  })

  check('R162 an idle guest ends and makes room, and a user who is as idle does not end', async (sessions) => {
    if (!sessions.guests || !sessions.prune) return
    for (const id of ['a', 'b']) await sessions.create(guest(id), { maxGuests: 2 })
    await sessions.create(sessionOf('u'))
    await sessions.touch('b', startMs + 50)
    for (let count = 0; count < 8; count++) assert.deepEqual(await sessions.prune(IDLE_GUESTS), [])
    const states = await Promise.all(['a', 'b', 'u'].map(async (id) => (await sessions.get(id))?.status))
    assert.deepEqual(states, ['revoked', 'active', 'active'])
    assert.equal((await sessions.get('a'))?.revokedReason, 'idle')
    assert.deepEqual(await sessions.create(guest('c'), { maxLive: 8, maxGuests: 2 }), [])
    assert.equal(await sessions.create(guest('d'), { maxGuests: 2 }), 'full')
  })

  check('R164 the step that makes a user ends the guest, once', async (sessions) => {
    if (!sessions.guests) return
    const told: (string | undefined)[] = []
    await sessions.create(guest('g'), { maxGuests: 1 })
    const stop = sessions.watch?.((id) => told.push(id))
    assert.deepEqual(await sessions.create(sessionOf('u', { createdMs: startMs + 5 }), { maxLive: 8, ends: ENDS }), [
      'g'
    ])
    const ended = await sessions.get('g')
    assert.deepEqual([ended?.status, ended?.revokedReason, ended?.revokedMs], ['revoked', 'upgraded to u', startMs + 5])
    if (stop) await until('news of it', () => told.includes('g') || told.includes(undefined))
    stop?.()
    assert.equal(await sessions.create(sessionOf('u'), { ends: ENDS }), false, 'the same once more')
    assert.equal(await sessions.create(sessionOf('v', { userId: 'u2' }), { ends: ENDS }), 'gone')
    assert.equal(await sessions.get('v'), null)
    assert.equal(await sessions.create(sessionOf('w', { userId: 'u2' }), { ends: { id: 'none', reason: 'x' } }), 'gone')
    assert.deepEqual(await sessions.create(guest('h'), { maxLive: 8, maxGuests: 1 }), [], 'the guest has left room')
  })

  check(
    'R164 of many users at once that one guest becomes, one is made, and nothing of the others',
    async (sessions) => {
      if (!sessions.guests) return
      await sessions.create(guest('g'))
      const ids = Array.from({ length: 12 }, (_, at) => `u${at}`)
      const made = await Promise.all(
        ids.map((id) => sessions.create(sessionOf(id, { userId: id }), { maxLive: 8, ends: ENDS }))
      )
      assert.deepEqual(plain(made.filter((one) => one !== 'gone')), [['g']])
      const there = await Promise.all(ids.map((id) => sessions.get(id)))
      assert.equal(there.filter((one) => one !== null).length, 1)
    }
  )

  check(
    'R164 with the bound on a user’s sessions, the guest is not counted and those beyond it end',
    async (sessions) => {
      if (!sessions.guests) return
      await sessions.create(guest('g'))
      for (const [at, id] of ['a', 'b'].entries()) await sessions.create(sessionOf(id, { lastSeenMs: startMs + at }))
      assert.deepEqual(await sessions.create(sessionOf('u'), { maxLive: 2, ends: ENDS }), ['a', 'g'])
      assert.equal((await sessions.get('a'))?.revokedReason, 'replaced')
    }
  )
}
