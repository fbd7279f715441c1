// SPDX-License-Identifier: MIT
// What lives in the core between calls: the server's clock, the replay guard, and handles (threats F-12, F-13). The rules of
// clock and guard are proved natively; here, that they arrive whole.

import { loadCore } from 'countersign/core'
import { fromHex, seeded, toHex, utf8 } from '../harness/bytes.mjs'
import { watchedCore } from './instance.mjs'
import { makeServerKey } from './reference.mjs'

const SERVER = 1_775_121_600_000

export const suite = (test, assert, env) => {
  test('clock: a round trip gives offset and error, and both verify later samples', async () => {
    const clock = (await loadCore()).createClock()
    assert.deepEqual(clock.estimate(0).source, 'none')
    assert.equal(clock.estimate(0).errorMs, Number.POSITIVE_INFINITY)
    assert.throws(() => clock.stamp(0), { code: 'ERR_CLOCK_UNKNOWN', category: 'time' })
    assert.equal(clock.addRoundTrip({ sentMs: 100, receivedMs: 300, serverMs: SERVER }), true)
    const { offsetMs, errorMs, ageMs, source } = clock.estimate(300)
    assert.deepEqual([offsetMs, errorMs, ageMs, source], [SERVER - 200, 100, 0, 'round-trip'])
    assert.equal(clock.stamp(300), SERVER + 100)
    assert.equal(clock.addRoundTrip({ sentMs: 0, receivedMs: 5001, serverMs: SERVER }), false, 'over 5 s')
    clock.reset()
    assert.equal(clock.estimate(300).source, 'none')
    clock.free()
  })

  test('clock: a stored offset serves until a verified sample; a step of the wall clock is seen', async () => {
    const clock = (await loadCore()).createClock()
    clock.addStored({ monotonicMs: 0, serverMs: SERVER, errorMs: 50 })
    assert.equal(clock.estimate(0).source, 'stored')
    assert.equal(clock.noteWall({ monotonicMs: 0, wallMs: 1000 }), false)
    assert.equal(clock.noteWall({ monotonicMs: 100, wallMs: 1100 }), false)
    assert.equal(clock.noteWall({ monotonicMs: 200, wallMs: 9000 }), true)
    assert.ok(clock.estimate(200).errorMs > 7000)
    assert.equal(clock.addRoundTrip({ sentMs: 200, receivedMs: 210, serverMs: SERVER + 7 }), true)
    assert.equal(clock.estimate(210).source, 'round-trip')
    assert.equal(clock.addEvent({ receivedMs: 300, serverMs: SERVER + 90 }), true)
    clock.free()
  })

  test('clock: cs.stale stands in place of the estimate; a stamp never goes back between samples', async () => {
    const clock = (await loadCore()).createClock()
    clock.addRoundTrip({ sentMs: 0, receivedMs: 10, serverMs: SERVER })
    const stamps = [20, 40, 30, 5, 41].map((at) => clock.stamp(at))
    assert.deepEqual(stamps, [...stamps].sort())
    clock.addRoundTrip({ sentMs: 50, receivedMs: 60, serverMs: SERVER + 3_600_000, replace: true })
    assert.equal(clock.estimate(60).offsetMs, SERVER + 3_600_000 - 55)
    clock.free()
  })

  test('guard: an id is reserved once; old, full and quota are refusals', async () => {
    const core = await loadCore()
    const guard = core.createReplayGuard({ capacity: 8, sessionQuota: 2, floorMs: 100 })
    const key = (number) => new Uint8Array(32).fill(number)
    assert.equal(guard.floorMs, 100)
    assert.equal(guard.reserve(key(1), 1000, 5000, 900), 'reserved')
    assert.equal(guard.reserve(key(1), 1000, 5000, 900), 'used')
    assert.equal(guard.reserve(key(2), 100, 5000, 900), 'too-old')
    assert.equal(guard.size, 1)
    const session = utf8('session')
    const verdicts = [3, 4, 5].map((number) => guard.reserve(key(number), 1000, 5000, 900, session))
    assert.deepEqual(verdicts, ['reserved', 'reserved', 'full'])
    const rest = [6, 7, 8, 9, 10, 11].map((number) => guard.reserve(key(number), 1000, 5000, 900))
    assert.deepEqual(rest, ['reserved', 'reserved', 'reserved', 'reserved', 'reserved', 'full'])
    assert.equal(guard.reserve(key(12), 7000, 9000, 6000), 'reserved', 'the expired made room')
    assert.equal(guard.floorMs, 1000, 'and raised the floor')
    assert.equal(guard.size, 1)
    guard.free()
  })

  test('F-13 a freed handle refuses every use, and freeing twice is harmless', async () => {
    const core = await loadCore()
    const key = await makeServerKey('k')
    const hash = new Uint8Array(32)
    const uses = {
      createClock: (clock) => [
        () => clock.estimate(0),
        () => clock.stamp(0),
        () => clock.reset(),
        () => clock.addRoundTrip({ sentMs: 0, receivedMs: 1, serverMs: 2 }),
        () => clock.addEvent({ receivedMs: 1, serverMs: 2 }),
        () => clock.addStored({ monotonicMs: 1, serverMs: 2, errorMs: 3 }),
        () => clock.noteWall({ monotonicMs: 1, wallMs: 2 })
      ],
      createReplayGuard: (guard) => [
        () => guard.reserve(hash, 1, 2, 1),
        () => guard.limit(hash, 1, 2, 1, hash, true),
        () => guard.size,
        () => guard.floorMs
      ],
      trustedKey: (trusted) => [() => trusted.verify(hash, new Uint8Array(64))]
    }
    for (const [name, usesOf] of Object.entries(uses)) {
      const make = () => core[name](name === 'trustedKey' ? key.publicKey : { capacity: 4 })
      const handle = make()
      handle.free()
      handle.free()
      const another = make()
      for (const use of usesOf(handle)) assert.throws(use, { code: 'ERR_FREED', category: 'usage' }, `${name} ${use}`)
      another.free()
    }
  })

  test('F-13 100,000 handles made and freed leave the memory as large as it was', async () => {
    const { core, memory } = await watchedCore(env)
    const key = await makeServerKey('k')
    const round = () => {
      core.createClock().free()
      core.trustedKey(key.publicKey).free()
      core.createReplayGuard({ capacity: 64 }).free()
      core.createSha256().update(key.publicKey).digest()
    }
    round()
    const before = memory.buffer.byteLength
    for (let index = 0; index < 25_000; index++) round()
    assert.equal(memory.buffer.byteLength, before)
  })

  test('F-12 growth of memory between calls disturbs nothing that is held', async () => {
    const core = await loadCore()
    const random = seeded(0xf12)
    const [clock, stream, guards] = [core.createClock(), core.createSha256(), []]
    clock.addRoundTrip({ sentMs: 0, receivedMs: 10, serverMs: SERVER })
    const chunks = []
    for (let round = 0; round < 8; round++) {
      chunks.push(random.bytes(50_000))
      stream.update(chunks.at(-1))
      guards.push(core.createReplayGuard({ capacity: 2 ** 20 }))
      assert.equal(clock.estimate(10).offsetMs, SERVER - 5)
      assert.equal(core.verifyHmacSha256(chunks[0], chunks[0], core.hmacSha256(chunks[0], chunks[0])), true)
    }
    const last = core.createSha256().update(chunks[0])
    guards.push(core.createReplayGuard({ capacity: 2 ** 24 }))
    assert.deepEqual(last.digest(), core.sha256(chunks[0]), 'a digest right after growth')
    const all = new Uint8Array(chunks.length * 50_000)
    for (const [index, chunk] of chunks.entries()) all.set(chunk, index * 50_000)
    assert.deepEqual(stream.digest(), core.sha256(all))
    for (const handle of [clock, ...guards]) handle.free()
  })

  test('F-14 a guard that finds no memory refuses and keeps its ids, and the core lives on', async () => {
    const pages = 16
    const { core, memory } = await watchedCore(env, pages)
    const guard = core.createReplayGuard({ capacity: 2 ** 20, sessionQuota: 2 ** 20 })
    const key = new Uint8Array(32)
    const reserve = (number) => {
      new DataView(key.buffer).setUint32(0, number)
      return guard.reserve(key, 1000, 5000, 900, utf8('session'))
    }
    assert.equal(reserve(0), 'reserved')
    let count = 1
    while (count < 2 ** 16 && reserve(count) === 'reserved') count++
    assert.ok(count < 2 ** 16)
    assert.equal(reserve(count), 'full')
    assert.equal(guard.size, count)
    assert.ok(memory.buffer.byteLength <= pages * 65536)
    for (let number = 0; number < count; number++) assert.equal(reserve(number), 'used')
    assert.throws(() => core.createReplayGuard({ capacity: 2 ** 24 }), { code: 'ERR_NO_MEMORY' })
    assert.equal(guard.limit(key, 1000, 5000, 900, utf8('session'), true).verdict, 'limited')
    guard.free()
    assert.equal(core.createReplayGuard({ capacity: 16 }).reserve(key, 1000, 5000, 900), 'reserved')
  })

  test('F-14 a message, a handle or a ring that finds no memory is an error, and the core lives on', async () => {
    const { core } = await watchedCore(env, 16)
    const message = utf8('message')
    const expected = toHex(core.sha256(message))
    const kept = core.createSha256().update(message)
    const noMemory = { code: 'ERR_NO_MEMORY' }
    // More than is left anywhere. The pages of the array are never touched.
    assert.throws(() => core.hmacSha256(message, new Uint8Array(2 ** 20)), noMemory)
    const publicKey = new Uint8Array(32).fill(0x66)
    publicKey[0] = 0x58
    const makers = {
      hash: () => core.createSha256(),
      clock: () => core.createClock(),
      key: () => core.trustedKey(publicKey),
      ring: () => core.keyRing(Array.from({ length: 64 }, (_, id) => ({ id: String(id), publicKey })))
    }
    for (const [name, make] of Object.entries(makers)) {
      const made = []
      assert.throws(
        () => {
          while (made.length < 2 ** 20) made.push(make())
        },
        noMemory,
        name
      )
      for (const handle of made) (handle.free ?? handle.digest).call(handle)
      assert.ok(make(), name)
    }
    assert.equal(toHex(kept.digest()), expected)
    assert.equal(toHex(core.sha256(message)), expected)
  })

  // A browser may refuse the array itself.
  if (env.runtime === 'node') {
    test('F-14 a message above the most memory of the core is an error, and the core lives on', async () => {
      const core = await loadCore()
      const signature = new Uint8Array(64)
      const publicKey = new Uint8Array(32)
      assert.throws(() => core.verifyEd25519(publicKey, new Uint8Array(1.1 * 2 ** 30), signature), {
        code: 'ERR_NO_MEMORY'
      })
      assert.equal(core.verifyEd25519(publicKey, utf8('message'), signature), false)
    })
  }

  test('a ring of keys verifies as the list does, until it is freed; a ring of another core is refused', async () => {
    const core = await loadCore()
    const { keys, open_response: vector } = await env.vectors('exchange.json')
    const list = [{ id: keys.server_key_id, publicKey: fromHex(keys.server_public) }]
    const ring = core.keyRing(list)
    const rules = { label: vector.label, requestId: vector.expected_request_id }
    for (const { frame } of vector.accept) {
      const bytes = fromHex(frame)
      assert.deepEqual(
        core.openResponse(bytes, { ...rules, keys: ring }),
        core.openResponse(bytes, { ...rules, keys: list })
      )
    }
    const [{ frame }] = vector.accept
    const { core: other } = await watchedCore(env)
    assert.throws(() => other.openResponse(fromHex(frame), { ...rules, keys: ring }), { code: 'ERR_INVALID_ARGUMENT' })
    const none = core.keyRing([])
    assert.throws(() => core.openResponse(fromHex(frame), { ...rules, keys: none }), { code: 'ERR_UNKNOWN_KEY' })
    ring.free()
    ring.free()
    assert.throws(() => core.openResponse(fromHex(frame), { ...rules, keys: ring }), { code: 'ERR_FREED' })
    assert.throws(() => core.keyRing([...list, ...list]), { code: 'ERR_INVALID_ARGUMENT' })
    assert.throws(() => core.keyRing('keys'), { code: 'ERR_INVALID_ARGUMENT' })
  })

  test('R142 guard: a limited id lies under the floor of its session, and the wait is told', async () => {
    const guard = (await loadCore()).createReplayGuard({ capacity: 8, sessionQuota: 1 })
    const [one, two, session] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2), utf8('session')]
    assert.equal(guard.reserve(one, 1000, 5000, 900, session), 'reserved')
    assert.equal(guard.limit(one, 1000, 5000, 900, session, false), 'used')
    assert.equal(guard.reserve(two, 1001, 5001, 900, session), 'full')
    assert.deepEqual(guard.limit(two, 1001, 5001, 900, session, false), { verdict: 'limited', retryAfterMs: 4101 })
    assert.deepEqual(guard.limit(one, 1000, 5000, 900, session, true), { verdict: 'limited', retryAfterMs: 102 })
    assert.deepEqual(guard.reserve(one, 1000, 5000, 900, session), { verdict: 'limited', retryAfterMs: 102 })
    assert.equal(guard.reserve(one, 1000, 5000, 900, utf8('other')), 'reserved')
    assert.equal(guard.size, 2)
    guard.free()
  })
}
