// SPDX-License-Identifier: MIT
// What a SessionStore does when a session changes its key or its name (PROTOCOL.md, R121, R122 and R124).

import type { SessionRecord, SessionStore } from '../../types.ts'
import { type ConformanceAssert, type checker, plain, randomKey, startMs } from './kit.ts'

const OLD = (): Uint8Array => new Uint8Array(32).fill(7)
const ed25519 = (publicKey = randomKey()) => ({ algorithm: 'ed25519' as const, publicKey })
const es256 = () => ({ algorithm: 'es256' as const, publicKey: new Uint8Array(65).fill(4) })

/** sessionKeyConformance registers the rules of `replaceKey` and `rename`; `session` makes a record with the key of 32 sevens. */
export function sessionKeyConformance(
  check: ReturnType<typeof checker<'sessions'>>,
  assert: ConformanceAssert,
  session: (id: string, changes?: Partial<SessionRecord>) => SessionRecord
): void {
  const found = async (sessions: SessionStore, id: string): Promise<SessionRecord> =>
    (await sessions.get(id)) ?? Promise.reject(new Error(`${id} is not there`))

  check('a key is replaced only against the present one', async (sessions) => {
    await sessions.create(session('a'))
    assert.equal(await sessions.replaceKey('a', new Uint8Array(32).fill(8), es256()), false)
    assert.equal(await sessions.replaceKey('none', OLD(), es256()), false)
    const both = await Promise.all([1, 2].map(() => sessions.replaceKey('a', OLD(), es256())))
    assert.deepEqual(both.sort(), [false, true])
    const { algorithm, publicKey, previous } = await found(sessions, 'a')
    assert.deepEqual([algorithm, publicKey.length, previous], ['es256', 65, undefined])
  })

  check('with a time the key before is kept, the last one only, and nothing else changes', async (sessions) => {
    const made = session('a', { userId: 'Ünïcode' })
    await sessions.create(made)
    const [first, second] = [es256(), ed25519()]
    assert.equal(await sessions.replaceKey('a', OLD(), { ...first, atMs: startMs + 5 }), true)
    const previous = { algorithm: 'ed25519', publicKey: OLD(), replacedMs: startMs + 5 }
    assert.deepEqual(plain(await sessions.get('a')), plain({ ...made, ...first, previous }))
    assert.deepEqual(plain(await sessions.listByUser('Ünïcode')), plain([{ ...made, ...first, previous }]))
    assert.equal(await sessions.replaceKey('a', OLD(), { ...second, atMs: startMs + 6 }), false)
    assert.equal(await sessions.replaceKey('a', first.publicKey, { ...second, atMs: startMs + 9 }), true)
    const then = { ...made, ...second, previous: { ...first, replacedMs: startMs + 9 } }
    assert.deepEqual(plain(await sessions.get('a')), plain(then))
    assert.equal(await sessions.replaceKey('a', second.publicKey, first), true)
    assert.deepEqual(plain(await sessions.get('a')), plain({ ...made, ...first }))
  })

  check('of many replacements of one key at once one wins, and it is the one that is there', async (sessions) => {
    for (let round = 0; round < 20; round++) {
      const id = `s${round}`
      await sessions.create(session(id))
      const keys = Array.from({ length: 8 }, () => ed25519())
      const won = await Promise.all(keys.map((next) => sessions.replaceKey(id, OLD(), { ...next, atMs: startMs })))
      assert.equal(won.filter(Boolean).length, 1)
      const { publicKey, previous } = await found(sessions, id)
      assert.deepEqual(plain(publicKey), plain(keys[won.indexOf(true)]?.publicKey))
      assert.deepEqual(plain(previous?.publicKey), plain(OLD()))
    }
  })

  check("a revoked session's key is not replaced, and a revocation keeps both", async (sessions) => {
    await sessions.create(session('a'))
    const next = ed25519()
    assert.equal(await sessions.replaceKey('a', OLD(), { ...next, atMs: 3 }), true)
    await sessions.revoke('a', 'lost', 5)
    assert.equal(await sessions.replaceKey('a', next.publicKey, ed25519()), false)
    const { publicKey, previous, status } = await found(sessions, 'a')
    assert.deepEqual([plain(publicKey), previous?.replacedMs, status], [plain(next.publicKey), 3, 'revoked'])
  })

  check("a caller's later changes of a key do not reach the store, nor those of what it gave", async (sessions) => {
    await sessions.create(session('a'))
    const [old, next] = [OLD(), ed25519(new Uint8Array(32).fill(5))]
    const replacing = sessions.replaceKey('a', old, { ...next, atMs: 3 })
    old.fill(6)
    next.publicKey.fill(6)
    assert.equal(await replacing, true)
    const seen = await found(sessions, 'a')
    assert.deepEqual([seen.publicKey[0], seen.previous?.publicKey[0]], [5, 7])
    seen.previous?.publicKey.fill(1)
    assert.equal((await found(sessions, 'a')).previous?.publicKey[0], 7)
  })

  check('a device is named, by any text, and named again', async (sessions) => {
    if (!sessions.rename) return
    await sessions.create(session('a'))
    assert.equal(await sessions.rename('none', 'x'), false)
    for (const name of ['my phone', '__proto__', 'Zoë’s 📱']) {
      assert.equal(await sessions.rename('a', name), true)
      assert.deepEqual(plain(await sessions.get('a')), plain(session('a', { name })))
    }
    await sessions.replaceKey('a', OLD(), { ...ed25519(), atMs: 3 })
    assert.deepEqual(
      (await sessions.listByUser('u1')).map(({ name }) => name),
      ['Zoë’s 📱']
    )
  })
}
