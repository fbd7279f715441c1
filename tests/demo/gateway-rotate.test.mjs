// SPDX-License-Identifier: MIT
// The server's key changed under living clients, through the reference gateway's process and rotate-key: announce, switch,
// renew, retire (B15; R128, R129).
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmodSync, existsSync, linkSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { connect, emailEnrollment, memoryStore } from 'countersign'
import { serverKeyFile } from 'countersign/server'
import { randomOf } from '../unit/harness/random.mjs'
import { HUNG_MS } from '../unit/harness/wait.mjs'
import { codeFor, describe, makeFolder, startGateway, textOf } from './harness.mjs'

const COMMAND = fileURLToPath(new URL('../../demo/gateway/rotate-key.mjs', import.meta.url))
const DAY_MS = 86_400_000

/** rotate runs the command and gives its status and what it said. */
const rotate = (folder, ...args) =>
  new Promise((resolve) => {
    execFile(process.execPath, [COMMAND, ...args, '--data', folder], (error, stdout, stderr) =>
      resolve({ status: error ? error.code : 0, said: stdout + stderr })
    )
  })

const mustRotate = async (folder, ...args) => {
  const { status, said } = await rotate(folder, ...args)
  assert.equal(status, 0, said)
  return said
}

const keyOf = (folder, name = 'server.key') => {
  const { keyId: id, publicKey } = serverKeyFile(join(folder, name))
  return { id, publicKey }
}
const setOf = (folder) => JSON.parse(readFileSync(join(folder, 'server.keys.json'), 'utf8'))

/** A gateway that can be restarted on its port, over one folder. */
const createHouse = async (t) => {
  const folder = await makeFolder(t)
  let gateway = await startGateway(t, { DATA_DIR: folder })
  const { url, port } = gateway
  const house = { folder, url, port, people: 0 }
  house.restart = async (signal = 'SIGTERM') => {
    await gateway.stop(signal)
    gateway = await startGateway(t, { DATA_DIR: folder, PORT: String(port) })
  }
  house.connect = async (serverKeys, store = memoryStore()) => {
    const client = await connect({ url, label: 'demo', serverKeys, store, timeoutMs: HUNG_MS })
    t.after(() => client.close())
    return client
  }
  house.signIn = async (serverKeys, store) => {
    const client = await house.connect(serverKeys, store)
    const email = `ada${++house.people}@example.org`
    await emailEnrollment(client, { email, code: (challengeId) => codeFor(url, email, challengeId) })
    return client
  }
  return house
}

const echo = async (client) => textOf((await client.request('demo.echo', 'x', { idempotencyKey: 'k' })).payload)
const failure = (work) =>
  work.then(
    () => assert.fail('it was not refused'),
    (error) => error
  )

test('B15 R129 old clients keep working through announce, switch, renew and retire; one that was away is told', async (t) => {
  const house = await createHouse(t)
  const { folder } = house
  const old = keyOf(folder)
  const keptStore = memoryStore()
  const living = await house.signIn([old])
  const keeping = await house.signIn([old], keptStore)
  const away = await house.signIn([old])
  const everybody = { living, keeping, away }

  const planned = await mustRotate(folder, 'announce', '--dry-run')
  assert.match(planned, /would: .*no client is affected/)
  assert.equal(existsSync(join(folder, 'server.next.key')), false)
  await mustRotate(folder, 'announce')
  const next = keyOf(folder, 'server.next.key')
  await house.restart()
  assert.deepEqual(
    (await describe(house.url)).serverKeys.map(({ id }) => id),
    [old.id, next.id]
  )
  for (const [name, client] of Object.entries(everybody)) assert.equal(await echo(client), 'x', name)
  const shipped = await house.signIn([old, next])

  await mustRotate(folder, 'switch')
  await house.restart()
  assert.deepEqual(keyOf(folder).id, next.id)
  assert.equal(await echo(shipped), 'x')
  for (const client of [living, keeping]) assert.equal(await echo(client), 'x', 'it asks at its first answer')
  const again = await house.connect([old], keptStore)
  assert.equal(await echo(again), 'x', 'the set was kept')
  const newcomer = await house.signIn([old])
  assert.equal(await echo(newcomer), 'x', 'enrolment answers by the key it has')
  const early = await failure(house.signIn([next]))
  assert.equal(early.code, 'ERR_UNKNOWN_KEY', 'the new key alone is too early for enrolment: both are shipped')

  await mustRotate(folder, 'renew', '--overlap', '89')
  assert.equal(setOf(folder).serial, 2)
  await house.restart('SIGKILL')
  assert.equal(await echo(await house.connect([old], keptStore)), 'x')

  assert.equal((await rotate(folder, 'retire')).status, 1)
  await mustRotate(folder, 'retire', '--force')
  await house.restart()
  assert.equal(existsSync(join(folder, 'server.old.key')), false)
  for (const client of [living, keeping, shipped, newcomer]) assert.equal(await echo(client), 'x')
  assert.equal(await echo(await house.connect([old], keptStore)), 'x', 'until the not_after it knows')
  const error = await failure(echo(away))
  assert.deepEqual([error.code, error.stage, error.cause?.code], ['ERR_UNKNOWN_KEY', 'signature', 'ERR_UNKNOWN_KEY'])
  assert.equal(away.state, 'ready', 'no session is ended by a key that is unknown')
  const late = await failure(house.signIn([old]))
  assert.deepEqual([late.code, late.cause?.code], ['ERR_UNKNOWN_KEY', 'ERR_NO_SESSION'])
  assert.equal(await echo(await house.signIn([next])), 'x')
})

test('B15 R129 a step that is cut short leaves a working gateway, and is finished by the same step', async (t) => {
  const house = await createHouse(t)
  const { folder } = house
  const old = keyOf(folder)
  const client = await house.signIn([old])
  const works = async (what) => {
    await house.restart('SIGKILL')
    assert.equal(await echo(client), 'x', what)
  }
  const at = (name) => join(folder, name)

  serverKeyFile(at('server.next.key'))
  await works('the next key is there, and no set')
  assert.match((await rotate(folder, 'switch')).said, /not delivered: announce it again/)
  const next = keyOf(folder, 'server.next.key')
  await mustRotate(folder, 'announce')
  assert.equal(keyOf(folder, 'server.next.key').id, next.id)
  writeFileSync(at('server.keys.json.1'), 'half of a s')
  await works('a set half written beside the whole one')

  linkSync(at('server.key'), at('server.old.key'))
  await works('the present key has its second name')
  assert.match(await mustRotate(folder, 'status'), /next: ship/)
  await mustRotate(folder, 'switch')
  assert.deepEqual([keyOf(folder).id, keyOf(folder, 'server.old.key').id], [next.id, old.id])
  await works('switched')

  rmSync(at('server.old.key'))
  await works('the old key is gone, its set is not')
  assert.match((await rotate(folder, 'retire')).said, /no old key to retire/)
  await mustRotate(folder, 'announce')
  assert.equal(setOf(folder).serial, 2)
  await works('the next change has begun')
})

test('B15 rotate-key killed at random points: a key that signs, one that clients know, and a whole set, always', async (t) => {
  const folder = await makeFolder(t)
  const { readRing } = await import('../../demo/gateway/keys.mjs')
  readRing(folder)
  const random = randomOf('rotate-key killed')
  let serial = 0
  for (let round = 0; round < 24; round++) {
    const before = readRing(folder)
    const step = before.previous
      ? ['retire', '--force']
      : [before.next && before.set.keys.length > 0 ? 'switch' : 'announce']
    const child = execFile(process.execPath, [COMMAND, ...step, '--data', folder])
    const gone = new Promise((resolve) => child.once('exit', resolve))
    const timer = setTimeout(() => child.kill('SIGKILL'), 40 + random.below(120))
    await gone
    clearTimeout(timer)
    const after = readRing(folder)
    assert.ok(after.set.serial >= serial)
    serial = after.set.serial
    const known = [before.signer.keyId, before.next?.keyId, after.next?.keyId]
    assert.ok(known.includes(after.signer.keyId), `round ${round}`)
    if (after.previous)
      assert.equal(after.set.keys[0].id, after.signer.keyId, 'who has the old key can learn the new one')
    // A step that was cut short is done before the next one.
    const { status, said } = await rotate(folder, ...step)
    assert.ok(status === 0 || /no old key|no next key|has been made/.test(said), said)
  }
})

test('B15 rotate-key: files are their owner’s alone, and a wrong step or setting is one line and status 1', async (t) => {
  const folder = await makeFolder(t)
  const refusals = async (table) => {
    for (const [args, pattern] of table) {
      const { status, said } = await rotate(folder, ...args)
      assert.equal(status, 1, args.join(' '))
      assert.match(said, pattern)
      assert.ok(said.startsWith('rotate-key: '), said)
    }
  }
  await refusals([[['announce'], /server.key does not exist: start the gateway once/]])
  serverKeyFile(join(folder, 'server.key'))
  await refusals([
    [['switch'], /announce one first/],
    [['renew'], /announce first/],
    [['retire'], /no old key/],
    [['turn'], /usage/],
    [['announce', 'switch'], /usage/],
    [['announce', '--overlap', '90'], /from 1 to 89/],
    [['announce', '--overlap', '0'], /from 1 to 89/],
    [['announce', '--overlap', 'x'], /from 1 to 89/],
    [['announce', '--not-before', 'soon'], /such as/],
    [['announce', '--not-before', '2030-01-31'], /such as/],
    [['announce', '--not-before', new Date(Date.now() + 60 * DAY_MS).toISOString()], /further than 89 days/],
    [['announce', '--what'], /what/]
  ])
  assert.equal(existsSync(join(folder, 'server.next.key')), false)
  const from = new Date(Date.now() + 3 * DAY_MS).toISOString()
  await mustRotate(folder, 'announce', '--not-before', from, '--overlap', '30')
  for (const name of ['server.key', 'server.next.key', 'server.keys.json'])
    assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600, name)
  const [{ notBefore, notAfter }] = setOf(folder).keys
  assert.equal(notBefore, Date.parse(from))
  assert.equal(notAfter, notBefore + 30 * DAY_MS)
  await refusals([[['switch'], /only from/]])
  await mustRotate(folder, 'announce', '--overlap', '1')
  await refusals([[['switch'], /renew first/]])
  await mustRotate(folder, 'renew', '--overlap', '2')
  assert.match(await mustRotate(folder, 'switch', '--dry-run'), /would: clients that have only .* keep working/)
  assert.equal(existsSync(join(folder, 'server.old.key')), false)
  await mustRotate(folder, 'switch')
  await refusals([
    [['announce'], /under way/],
    [['switch'], /retire the old key first/],
    [['retire'], /less than a day/]
  ])
  assert.match(await mustRotate(folder, 'retire', '--force', '--dry-run'), /fail at once: ERR_UNKNOWN_KEY/)
  assert.equal(existsSync(join(folder, 'server.old.key')), true)
  writeFileSync(join(folder, 'server.keys.json'), '{')
  await refusals([[['status'], /not the file that rotate-key wrote/]])
  chmodSync(join(folder, 'server.key'), 0o644)
  await refusals([[['status'], /other users may read it/]])
})
