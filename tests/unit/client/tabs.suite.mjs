// SPDX-License-Identifier: MIT
// Several clients over one record, as tabs are: one key, one session, and each hears of what another one did (F-7, F-8).

import { connect } from 'countersign'
import { until } from '../harness/wait.mjs'
import { fakeGateway } from './fake-gateway.mjs'
import { enrol, enrolled, faults, optionsFor } from './fixture.mjs'

const becomes = (client, state) =>
  until(
    () => client.state === state,
    () => `state ${state}, not ${client.state}`
  )

export const suite = (test, assert) => {
  test('F-7 two clients of one store that enrol at once: one key, one session, and the other one is ended', async () => {
    for (let round = 0; round < 20; round++) {
      const gateway = await fakeGateway()
      const options = optionsFor(gateway)
      const clients = await Promise.all([connect(options), connect(options)])
      const outcomes = await Promise.allSettled(clients.map((client) => enrol(client, gateway)))
      const codes = outcomes.map(({ reason }) => reason?.code)
      assert.ok(
        codes.every((code) => code === undefined || code === 'ERR_ALREADY_ENROLLED') && codes.includes(undefined)
      )
      const [one, two] = clients
      assert.deepEqual(one.key.publicKey, two.key.publicKey)
      assert.equal(one.sessionId, two.sessionId)
      await Promise.all(clients.map((client) => client.request('demo.echo')))
      assert.equal((await connect(options)).sessionId, one.sessionId)
      await Promise.all(clients.map((client) => client.close()))
      const living = [...gateway.sessions].filter(([, { isRevoked }]) => !isRevoked)
      assert.deepEqual(
        living.map(([id]) => id),
        [one.sessionId]
      )
    }
  })

  test('F-7 a client whose store another one filled meanwhile takes over that session and says so', async () => {
    const gateway = await fakeGateway()
    const options = optionsFor(gateway)
    const [one, two] = await Promise.all([connect(options), connect(options)])
    await enrol(one, gateway)
    await assert.rejects(enrol(two, gateway), { code: 'ERR_ALREADY_ENROLLED' })
    assert.equal(two.state, 'ready')
    assert.equal(two.sessionId, one.sessionId)
    await two.request('demo.echo')
  })

  test('a client that signs out while another saves the time does not find its key again', async () => {
    const { client, gateway, options, store } = await enrolled()
    const other = await connect(options)
    await Promise.all([client.signOut(), other.request('demo.echo').catch(() => {})])
    await other.close()
    assert.equal(await store.get('demo'), null)
    assert.ok(gateway.seen.length > 0)
  })

  test('a tab that enrols makes the others ready, with the same session and key', async () => {
    const gateway = await fakeGateway()
    const options = optionsFor(gateway)
    const [one, two] = await Promise.all([connect(options), connect(options)])
    const told = []
    two.on('state', (state) => told.push(state))
    await enrol(one, gateway)
    await becomes(two, 'ready')
    assert.deepEqual([two.sessionId, two.key.thumbprint], [one.sessionId, one.key.thumbprint])
    assert.deepEqual(told, ['ready'])
    assert.equal((await two.request('demo.echo')).resultCode, 'ok')
  })

  test('F-8 a tab that signs out signs the others out: calls in flight end typed, later ones are not sent', async () => {
    const { client, gateway, options } = await enrolled()
    const other = await connect(options)
    const told = []
    other.on('state', (state) => told.push(state))
    faults(gateway, [() => new Promise(() => {})])
    const inFlight = assert.rejects(other.request('demo.echo'), { code: 'ERR_NO_SESSION' })
    await until(() => gateway.seen.some(({ messageType }) => messageType === 'demo.echo'), 'the call is in flight')
    assert.deepEqual(await client.signOut(), { revoked: true })
    await inFlight
    assert.equal(other.state, 'signed-out')
    assert.deepEqual([other.sessionId, other.key, told], [null, null, ['signed-out']])
    const { length } = gateway.calls
    await assert.rejects(other.request('demo.echo'), { code: 'ERR_NO_SESSION' })
    await assert.rejects(other.rotateKey(), { code: 'ERR_NO_SESSION' })
    assert.equal(gateway.calls.length, length)
  })

  test('F-8 signing out resolves once the key is gone, and tells the others then', async () => {
    const { client, store, options } = await enrolled()
    const other = await connect(options)
    const seen = []
    other.on('state', async () => seen.push(await store.get('demo')))
    await client.signOut()
    assert.equal(await store.get('demo'), null)
    await until(() => seen.length > 0, 'the other one was told')
    assert.deepEqual(seen, [null])
  })

  test('an account that another tab changes is told as the end of one session and the begin of the next', async () => {
    const { client, gateway, options } = await enrolled()
    const other = await connect(options)
    const told = []
    other.on('state', (state) => told.push([state, other.sessionId]))
    await client.signOut()
    await enrol(client, gateway)
    await until(() => other.sessionId === client.sessionId, 'the other one has the new session')
    assert.deepEqual(told, [
      ['signed-out', null],
      ['ready', client.sessionId]
    ])
    assert.equal((await other.request('demo.echo')).resultCode, 'ok')
  })

  test('a revocation that one tab hears of reaches the others, and is there after a reload', async () => {
    const { client, gateway, options } = await enrolled()
    const other = await connect(options)
    gateway.sessions.get(client.sessionId).isRevoked = true
    await assert.rejects(client.request('demo.echo'), { code: 'ERR_SESSION_REVOKED' })
    await becomes(other, 'revoked')
    await assert.rejects(other.request('demo.echo'), { code: 'ERR_SESSION_REVOKED' })
    assert.equal((await connect(options)).state, 'revoked')
  })

  test('a tab that rotates gives the others the new key', async () => {
    const { client, gateway, options } = await enrolled()
    const other = await connect(options)
    const { thumbprint } = other.key
    await client.rotateKey()
    await until(() => other.key.thumbprint === client.key.thumbprint, 'the other one has the key')
    assert.notEqual(client.key.thumbprint, thumbprint)
    assert.equal((await other.request('demo.echo')).resultCode, 'ok')
    assert.equal(gateway.seen.at(-1).signer, gateway.sessions.get(client.sessionId))
  })

  test('two tabs that rotate at once: one rotation, one key, both use it', async () => {
    for (let round = 0; round < 10; round++) {
      const { client, gateway, options } = await enrolled()
      const other = await connect(options)
      await Promise.all([client.rotateKey(), other.rotateKey()])
      assert.equal(gateway.rotations, 1)
      assert.equal(client.key.thumbprint, other.key.thumbprint)
      await Promise.all([client.request('demo.echo'), other.request('demo.echo')])
      await Promise.all([client.close(), other.close()])
    }
  })

  test('R123 a tab that heard of nothing is refused with the old key, reads the record and signs again, once', async () => {
    const { client, gateway, store, options } = await enrolled()
    // Tabs of another name share the store only, as where there is no BroadcastChannel.
    const deaf = {
      ...options,
      store: { ...store, get: () => store.get('demo'), put: (_, record) => store.put('demo', record) }
    }
    const other = await connect({ ...deaf, namespace: 'deaf' })
    await other.request('demo.echo')
    await client.rotateKey()
    // As a minute later.
    gateway.sessions.get(client.sessionId).previous = undefined
    const { length } = gateway.calls
    const reply = await other.request('demo.echo', 'x')
    assert.equal(reply.resultCode, 'ok')
    assert.equal(reply.timings.tries, 2)
    assert.equal(gateway.calls.length, length + 2)
    assert.equal(other.key.thumbprint, client.key.thumbprint)
    assert.equal((await other.request('demo.echo')).timings.tries, 1)
  })

  test('a call is not signed again for another session than the one it was made for', async () => {
    const { client, gateway, store, options } = await enrolled()
    const get = async () => store.get('demo')
    const other = await connect({ ...options, namespace: 'deaf', store: { ...store, get } })
    const { sessionId } = other
    faults(gateway, [
      async (_, answer) => {
        await client.signOut()
        await enrol(client, gateway)
        return answer({ resultCode: 'cs.unauthenticated', payload: '{}' })
      }
    ])
    await assert.rejects(other.request('demo.echo'), { code: 'ERR_NO_SESSION' })
    assert.equal(gateway.seen.filter(({ messageType }) => messageType === 'demo.echo').length, 1)
    assert.notEqual(other.sessionId, sessionId)
    assert.equal(other.sessionId, client.sessionId)
  })

  test('several accounts of one origin: each has its record, its tabs and its end', async () => {
    const gateway = await fakeGateway()
    const options = optionsFor(gateway)
    const accounts = ['ada', 'bob', undefined]
    const open = (namespace) => connect({ ...options, ...(namespace ? { namespace } : {}) })
    const firsts = await Promise.all(accounts.map(open))
    const seconds = await Promise.all(accounts.map(open))
    for (const client of firsts) await enrol(client, gateway)
    for (const client of seconds) await becomes(client, 'ready')
    assert.equal(new Set(seconds.map(({ sessionId }) => sessionId)).size, 3)
    assert.equal(new Set(seconds.map(({ key }) => key.thumbprint)).size, 3)
    await firsts[0].signOut()
    await becomes(seconds[0], 'signed-out')
    await firsts[1].rotateKey()
    await until(() => seconds[1].key.thumbprint === firsts[1].key.thumbprint, 'bob has his new key')
    for (const client of [firsts[1], firsts[2], seconds[1], seconds[2]]) {
      assert.equal((await client.request('demo.echo')).resultCode, 'ok')
    }
    assert.equal(await options.store.get('demo/ada'), null)
  })

  test('F-5 storage cleared while a client runs is a lost key at its next use, not a sign-out and not a revocation', async () => {
    const clocks = { ms: 0 }
    const { client, gateway, store } = await enrolled({ monotonicNow: () => performance.now() + clocks.ms })
    const told = []
    client.on('state', (state) => told.push(state))
    assert.equal((await client.request('demo.echo')).resultCode, 'ok')
    // Behind the note of the server's time, which would write the record again.
    await store.lock('demo', () => store.delete('demo'))
    clocks.ms += 1001
    const { length } = gateway.calls
    const error = await assert.rejects(client.request('demo.echo'), { code: 'ERR_KEY_LOST' })
    assert.equal(error.cause.code, 'ERR_STORAGE_EMPTY')
    assert.equal(gateway.calls.length, length)
    assert.deepEqual(told, ['key-lost'])
    await enrol(client, gateway)
    assert.equal((await client.request('demo.echo')).resultCode, 'ok')
  })

  test('F-4 a store out of order does not stop a client that has its key in hand', async () => {
    const clocks = { ms: 0 }
    const { store, options, gateway } = await enrolled()
    let fault
    const get = (name) => fault?.() ?? store.get(name)
    const warned = []
    const settings = {
      monotonicNow: () => performance.now() + clocks.ms,
      logger: { warn: (text) => warned.push(text) }
    }
    const client = await connect({ ...options, ...settings, store: { ...store, get } })
    const slow = () => new Promise((resolve) => setTimeout(() => resolve(null), 1500))
    for (const how of [() => Promise.reject(new Error('disk')), slow]) {
      fault = how
      clocks.ms += 70_000
      assert.equal((await client.request('demo.echo', '', { idempotencyKey: 'x' })).resultCode, 'ok')
      assert.equal(client.state, 'ready')
    }
    assert.ok(warned.includes('the record could not be read again'))
    assert.ok(gateway.seen.length > 0)
  })
}
