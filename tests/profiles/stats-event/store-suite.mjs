// SPDX-License-Identifier: MIT
// What a store of statistics has to do, for each that there is.
import assert from 'node:assert/strict'
import { createDevice, createWorld, HOUR, NOW } from './kit.mjs'

/** statsStoreSuite registers the tests for a store that `make(t)` makes empty. */
export const statsStoreSuite = (test, name, make) => {
  test(`${name}: a change sees what the one before left, and what it leaves undefined stays`, async (t) => {
    const store = await make(t)
    assert.deepEqual([await store.user('ada'), await store.device('d')], [undefined, undefined])
    const add = ({ user }) => ({ user: { userId: 'ada', floorMs: (user?.floorMs ?? 0) + 1 }, result: user?.floorMs })
    const results = await Promise.all(Array.from({ length: 200 }, () => store.update('ada', 'd', add)))
    assert.deepEqual([results[0], new Set(results).size], [undefined, 200])
    assert.deepEqual(await store.user('ada'), { userId: 'ada', floorMs: 200 })
    assert.equal(await store.device('d'), undefined)
    const device = { deviceId: 'd', userId: 'ada', lowestMode: 'strict' }
    await store.update('ada', 'd', () => ({ device, result: 0 }))
    assert.deepEqual([await store.device('d'), (await store.user('ada')).floorMs], [device, 200])
    await store.close()
    await assert.rejects(async () => store.update('ada', 'd', add), { code: 'ERR_CLOSED' })
    await assert.rejects(async () => store.user('ada'), { code: 'ERR_CLOSED' })
  })

  test(`${name}: one session in fifty syncs at once is counted once`, async (t) => {
    const world = createWorld({ store: await make(t) })
    const device = await createDevice(world)
    const events = [await device.session(NOW - 3 * HOUR, HOUR)]
    await Promise.all(Array.from({ length: 50 }, () => world.sync(device, events)))
    assert.equal((await world.store.user('ada')).sessions.length, 1)
    assert.equal((await world.stats.standing('ada')).trustLevel, 'verified')
    await world.store.close()
  })
}
