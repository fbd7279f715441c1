// SPDX-License-Identifier: MIT
// rotateKey: a new key for the same session, and one working key whatever breaks on the way (R120 to R123).

import { connect, memoryStore } from 'countersign'
import { until } from '../harness/wait.mjs'
import { fakeGateway } from './fake-gateway.mjs'
import { createClocks, enrol, enrolled, faults, lost, optionsFor } from './fixture.mjs'

const isRotation = ({ messageType }) => messageType === 'cs.rotate_key'
const works = async (client) => (await client.request('demo.echo', 'x')).resultCode

/** A store and a fetch that stop for good at step `k` of what a client does, and say how many steps there were. */
const mortal = (store, fetch, k = Number.POSITIVE_INFINITY, isDoneFirst = false) => {
  const counter = { steps: 0, underWay: 0, isDead: false }
  const die = () => {
    counter.isDead = true
    return new Promise(() => {})
  }
  const step = async (work) => {
    const isLast = counter.steps++ === k
    if (counter.steps > k + 1) return new Promise(() => {})
    if (isLast && !isDoneFirst) return die()
    counter.underWay++
    const done = await work().finally(() => {
      counter.underWay--
    })
    // It took effect, and nobody lived to hear of it.
    return isLast ? die() : done
  }
  const dying = { ...store }
  for (const name of ['get', 'put', 'delete', 'add']) dying[name] = (...given) => step(() => store[name](...given))
  return { counter, store: dying, fetch: (...given) => step(() => fetch(...given)) }
}

/** A store whose put does what a test says, from when it says it. */
const fragile = () => {
  const failing = { put: undefined }
  const inner = memoryStore()
  const put = (name, stored) =>
    failing.put ? failing.put(() => inner.put(name, stored), stored) : inner.put(name, stored)
  return { failing, store: { ...inner, put } }
}

export const suite = (test, assert) => {
  for (const [from, to] of [
    ['ed25519', 'ed25519'],
    ['ed25519', 'es256'],
    ['es256', 'ed25519']
  ]) {
    test(`from ${from} to ${to}: same session, another key, which signs after a reload too`, async () => {
      const { client, gateway, store, options } = await enrolled({ algorithms: [from] })
      const { sessionId, key } = client
      await client.close()
      const again = await connect({ ...options, algorithms: [to] })
      await again.rotateKey()
      assert.equal(again.sessionId, sessionId)
      assert.equal(again.key.algorithm, to)
      assert.notDeepEqual(again.key.publicKey, key.publicKey)
      assert.notEqual(again.key.thumbprint, key.thumbprint)
      assert.equal(await works(again), 'ok')
      const record = await store.get('demo')
      assert.deepEqual(record.publicKey, again.key.publicKey)
      assert.deepEqual([record.next, record.thumbprint], [undefined, again.key.thumbprint])
      assert.equal(gateway.seen.at(-1).signer, gateway.sessions.get(sessionId), 'by the new key, not the one before')
      const third = await connect({ ...options, algorithms: [to] })
      assert.equal(await works(third), 'ok')
      await third.rotateKey()
      assert.equal(await works(third), 'ok')
      assert.equal(gateway.rotations, 2)
    })
  }

  test('F-4 the new key lies beside the old one, and has signed, before anything is sent', async () => {
    const { client, gateway, store } = await enrolled()
    const old = client.key.publicKey
    const seen = []
    gateway.intercept = async (exchange) => {
      if (isRotation(exchange)) seen.push(await store.get('demo'))
      return undefined
    }
    await client.rotateKey()
    const [{ publicKey, next, sessionId }] = seen
    assert.deepEqual(publicKey, old)
    assert.deepEqual(next.publicKey, client.key.publicKey)
    assert.equal(sessionId, client.sessionId)
    assert.equal(next.key.extractable, false)
  })

  test('F-4 a store that cannot take the new key leaves the old one, and nothing is sent', async () => {
    for (const [how, code] of [
      [() => Promise.reject(new DOMException('full', 'QuotaExceededError')), 'ERR_STORAGE_FAILED'],
      [async () => {}, 'ERR_STORAGE_EMPTY']
    ]) {
      const { store, failing } = fragile()
      const { client, gateway } = await enrolled({ store })
      failing.put = how
      await assert.rejects(client.rotateKey(), { code, category: 'storage' })
      failing.put = undefined
      assert.equal(gateway.seen.filter(isRotation).length, 0)
      assert.equal(await works(client), 'ok')
      await client.rotateKey()
      assert.equal(await works(client), 'ok')
    }
  })

  for (const resultCode of ['invalid_proof', 'invalid_key', 'invalid_payload', 'unknown_type']) {
    test(`a refusal (${resultCode}) is told with its code and stage; the old key goes on and the new one is dropped`, async () => {
      const { client, gateway, store } = await enrolled()
      faults(
        gateway,
        [
          (exchange, answer) => {
            // As if the gateway had never replaced it.
            const { previous, ...session } = gateway.sessions.get(exchange.deviceSessionId)
            gateway.sessions.set(exchange.deviceSessionId, { ...session, ...previous, previous: undefined })
            return answer({ resultCode })
          }
        ],
        isRotation
      )
      const expected = { code: 'ERR_ROTATION_REFUSED', category: 'rejected', stage: 'handler', resultCode }
      await assert.rejects(client.rotateKey(), expected)
      assert.equal((await store.get('demo')).next, undefined)
      assert.equal(await works(client), 'ok')
      await client.rotateKey()
      assert.equal(await works(client), 'ok')
    })
  }

  test('a lost answer: the next try is refused, the server is asked which key it has, and the rotation has succeeded', async () => {
    for (const list of [
      [lost],
      [lost, lost],
      [lost, (_, answer) => answer({ resultCode: 'cs.unavailable', payload: '{}' })]
    ]) {
      const { client, gateway } = await enrolled()
      faults(gateway, list, isRotation)
      await client.rotateKey()
      assert.equal(gateway.rotations, 1)
      assert.equal(await works(client), 'ok')
      assert.deepEqual(gateway.sessions.get(client.sessionId).publicKey, client.key.publicKey)
    }
  })

  test('every answer lost: the call fails as one that may be repeated, the next request asks which key counts', async () => {
    const { client, gateway } = await enrolled({ retries: 0 })
    faults(gateway, [lost], isRotation)
    await assert.rejects(client.rotateKey(), { code: 'ERR_NETWORK' })
    assert.equal(client.state, 'ready')
    assert.equal(await works(client), 'ok')
    assert.deepEqual(gateway.sessions.get(client.sessionId).publicKey, client.key.publicKey)
    assert.equal(gateway.rotations, 1)
  })

  test('nothing arrived: the old key works on, the new one waits, and is the one a repeated rotation takes', async () => {
    const { client, gateway, store, options } = await enrolled({ retries: 0 })
    const { fetch } = gateway
    let isDown = true
    const settings = { ...options, fetch: (url, init) => (isDown ? lost() : fetch(url, init)) }
    const other = await connect(settings)
    await assert.rejects(other.rotateKey(), { code: 'ERR_NETWORK' })
    const { next } = await store.get('demo')
    isDown = false
    assert.equal(await works(other), 'ok')
    assert.deepEqual(other.key.publicKey, client.key.publicKey)
    assert.deepEqual((await store.get('demo')).next.publicKey, next.publicKey)
    await other.rotateKey()
    assert.deepEqual(other.key.publicKey, next.publicKey)
    assert.equal(await works(other), 'ok')
  })

  test('a tab whose turn to ask does not come goes on with the old key', async () => {
    const { store, options } = await enrolled({ retries: 0 })
    const dead = await connect({ ...options, fetch: lost, trustLocalClock: true })
    await assert.rejects(dead.rotateKey(), { code: 'ERR_NETWORK' })
    const lock = (name, work) => (name.endsWith(':rotate') ? Promise.reject(new Error('busy')) : store.lock(name, work))
    const other = await connect({ ...options, store: { ...store, lock } })
    assert.equal(await works(other), 'ok')
    await assert.rejects(other.rotateKey(), { code: 'ERR_STORAGE_FAILED' })
    assert.equal(await works(other), 'ok')
  })

  test('R123 a rotation held back is found out about when it arrives, and the new key dropped only after it cannot', async () => {
    const clocks = createClocks()
    const gateway = await fakeGateway({ now: clocks.serverNow })
    const { client, store, options } = await enrolled(
      { now: clocks.now, monotonicNow: clocks.monotonicNow, retries: 0 },
      gateway
    )
    const held = []
    const settings = {
      ...options,
      fetch: async (url, init) => {
        if (held.length > 0 || init.body.length < 350) return gateway.fetch(url, init)
        held.push([url, init])
        return lost()
      }
    }
    const other = await connect(settings)
    await assert.rejects(other.rotateKey(), { code: 'ERR_NETWORK' })
    assert.equal(held.length, 1, 'it was the rotation that was held back')
    assert.equal(await works(other), 'ok')
    await gateway.fetch(...held[0])
    assert.equal(gateway.rotations, 1)
    // Signed with the old key and refused for it; asked about and signed again.
    clocks.serverSkewMs += 5
    await new Promise((resolve) => setTimeout(resolve, 10))
    assert.equal(await works(other), 'ok')
    assert.deepEqual(gateway.sessions.get(client.sessionId).publicKey, other.key.publicKey)
    assert.equal((await store.get('demo')).next, undefined)
  })

  test('R123 the new key of a rotation that never arrived is dropped once its request can no longer be fresh', async () => {
    const clocks = createClocks()
    const gateway = await fakeGateway({ now: clocks.serverNow })
    const { store, options } = await enrolled(
      { now: clocks.now, monotonicNow: clocks.monotonicNow, retries: 0 },
      gateway
    )
    const dead = await connect({ ...options, fetch: lost, trustLocalClock: true })
    await assert.rejects(dead.rotateKey(), { code: 'ERR_NETWORK' })
    for (const [laterMs, isKept] of [
      [0, true],
      [60_000, true],
      [11_000, false]
    ]) {
      for (const clock of ['skewMs', 'serverSkewMs', 'monotonicMs']) clocks[clock] += laterMs
      assert.equal(await works(await connect(options)), 'ok')
      assert.equal((await store.get('demo')).next !== undefined, isKept, `${laterMs} ms later`)
    }
  })

  for (const [isDoneFirst, asksForCodes] of [
    [false, false],
    [true, false],
    [false, true],
    [true, true]
  ]) {
    const when = isDoneFirst ? 'right after' : 'before'
    const kind = asksForCodes ? 'a confirmed rotation' : 'a rotation'
    test(`R123 a crash ${when} any step of ${kind} leaves one working key`, async () => {
      const steps = []
      for (let k = 0; ; k++) {
        const { client, gateway, store, options } = await enrolled()
        await client.close()
        gateway.asksForCodes = asksForCodes
        const confirm = () => gateway.code
        // The first life: it connects, rotates, and dies at step k.
        const first = mortal(store, gateway.fetch, k, isDoneFirst)
        const doomed = { ...options, store: first.store, fetch: first.fetch, schedule: () => () => {} }
        const rotating = connect(doomed).then((one) => one.rotateKey({ confirm }))
        rotating.catch(() => {})
        let isDone = false
        rotating.then(() => {
          isDone = true
        })
        const { counter } = first
        await until(() => isDone || (counter.isDead && counter.underWay === 0), 'the end of the first life')
        // The second life: another page over the same store.
        const again = await connect({ ...options, store: { ...store, lock: memoryStore().lock } })
        assert.equal(again.state, 'ready', `step ${k}`)
        assert.equal(await works(again), 'ok', `step ${k}`)
        const { publicKey } = gateway.sessions.get(again.sessionId)
        assert.deepEqual(publicKey, again.key.publicKey, `step ${k}`)
        await again.rotateKey({ confirm })
        assert.equal(await works(again), 'ok', `step ${k}, rotated again`)
        assert.deepEqual(gateway.sessions.get(again.sessionId).publicKey, again.key.publicKey)
        steps.push(first.counter.steps)
        if (isDone) break
      }
      assert.ok(steps.length > 8, `${steps.length} steps`)
    })
  }

  test('a store that fails to make the new key the only one: told, and the key that counts is used all the same', async () => {
    const { store, failing } = fragile()
    const { client, gateway, options } = await enrolled({ store })
    const { publicKey } = client.key
    const isPromotion = ({ next, publicKey: own }) => !next && own.some((byte, at) => byte !== publicKey[at])
    failing.put = (put, stored) => (isPromotion(stored) ? Promise.reject(new Error('disk')) : put())
    await assert.rejects(client.rotateKey(), { code: 'ERR_STORAGE_FAILED' })
    failing.put = undefined
    assert.equal(await works(client), 'ok')
    assert.deepEqual(gateway.sessions.get(client.sessionId).publicKey, client.key.publicKey)
    const again = await connect(options)
    assert.equal(await works(again), 'ok')
    assert.deepEqual(again.key.publicKey, client.key.publicKey)
    assert.equal((await store.get('demo')).next, undefined)
  })

  test('a signed cs.unauthenticated without another key in the record is reported, once, and changes nothing', async () => {
    const { client, gateway } = await enrolled()
    const { length } = gateway.seen
    faults(gateway, [(_, answer) => answer({ resultCode: 'cs.unauthenticated', payload: '{}' })])
    await assert.rejects(client.request('demo.echo'), { code: 'ERR_UNAUTHENTICATED' })
    assert.equal(gateway.seen.length, length + 1)
    assert.equal(client.state, 'ready')
    assert.equal(await works(client), 'ok')
  })

  test('R151 freeze ends a session whose key somebody else has replaced, and the client knows', async () => {
    const { client, gateway, options } = await enrolled()
    const thief = await enrolled({}, gateway)
    const session = gateway.sessions.get(client.sessionId)
    const previous = {
      algorithm: session.algorithm,
      publicKey: session.publicKey,
      replacedMs: gateway.now() - 3_600_000
    }
    const { publicKey } = thief.client.key
    gateway.sessions.set(client.sessionId, { ...session, publicKey, previous })
    await assert.rejects(client.request('demo.echo'), { code: 'ERR_UNAUTHENTICATED' })
    assert.equal(client.state, 'ready')
    await client.freeze()
    assert.equal(gateway.sessions.get(client.sessionId).isRevoked, true)
    assert.equal(client.state, 'revoked')
    await assert.rejects(client.freeze(), { code: 'ERR_SESSION_REVOKED' })
    await client.close()
    assert.equal((await connect(options)).state, 'revoked')
    assert.equal(await works(thief.client), 'ok', 'no other session ends')
  })

  test('a session that was revoked cannot rotate; without one there is nothing to rotate', async () => {
    const { client, gateway } = await enrolled()
    gateway.sessions.get(client.sessionId).isRevoked = true
    await assert.rejects(client.rotateKey(), { code: 'ERR_SESSION_REVOKED', stage: 'session' })
    assert.equal(client.state, 'revoked')
    await assert.rejects(client.rotateKey(), { code: 'ERR_SESSION_REVOKED' })
    const fresh = await connect(optionsFor(gateway))
    await assert.rejects(fresh.rotateKey(), { code: 'ERR_NO_SESSION' })
    await enrol(fresh, gateway)
    await fresh.close()
    await assert.rejects(fresh.rotateKey(), { code: 'ERR_CLOSED' })
  })
}
