// SPDX-License-Identifier: MIT
// Events of several processes on one folder of LMDB: numbers, revocations, kill -9 (PROTOCOL.md, R101 to R105).
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { serverKeyFile } from 'countersign/server'
import { lmdbStores } from 'countersign/server/lmdb'
import { randomOf } from '../../unit/harness/random.mjs'
import { until } from '../exchange/socket-kit.mjs'
import { enrol } from '../kit.mjs'
import { subscribeBy } from './dial.mjs'
import { createEventWorld, poll, pollOver, subscribe, subscribeOver, timed } from './kit.mjs'

const child = fileURLToPath(new URL('./child.mjs', import.meta.url))
const random = randomOf('killed while it publishes')
const ROUNDS = process.env.COUNTERSIGN_LONG === '1' ? 60 : 6

const makeFolder = (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-events-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A gateway in a process of its own: its port, its messages, and an end without warning. */
const spawnGateway = async (t, folder) => {
  const gateway = fork(child, [folder], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  t.after(() => gateway.kill('SIGKILL'))
  const published = []
  let heard
  let port
  gateway.on('message', (message) => {
    if (message.published !== undefined) published.push(message.published)
    if (message.metrics) heard(message.metrics)
    if (message.port) port = message.port
  })
  const exited = new Promise((resolve) => gateway.once('exit', resolve))
  await until(() => port !== undefined)
  return {
    port,
    published,
    send: (message) => gateway.send(message),
    metrics() {
      gateway.send({ order: 'metrics' })
      return new Promise((resolve) => {
        heard = resolve
      })
    },
    kill: () => {
      gateway.kill('SIGKILL')
      return exited
    }
  }
}

const createFolderWorld = async (t) => {
  const folder = makeFolder(t)
  const signer = serverKeyFile(join(folder, 'server.key'))
  const stores = lmdbStores({ path: join(folder, 'stores'), eventsPerSession: 20_000, capacity: 65_536 })
  t.after(() => stores.close())
  const world = await createEventWorld({ signer, ...stores })
  return { ...world, folder, stores }
}

test('E12 R101 two processes and this one number the same session: no number twice, no event lost', async (t) => {
  const world = await createFolderWorld(t)
  const sessionId = world.device.id
  const stream = await subscribe(world)
  const others = await Promise.all([spawnGateway(t, world.folder), spawnGateway(t, world.folder)])
  const elsewhere = await subscribeOver(world, others[0].port)
  for (const [at, other] of others.entries())
    other.send({ order: 'append', sessionId, from: 1000 * (at + 1), count: 200 })
  const append = (text) => world.stores.events.append(sessionId, { type: 'demo.note', payload: Buffer.from(text) })
  await Promise.all(Array.from({ length: 200 }, (_, at) => append(String(at))))
  const [events, same] = await Promise.all([stream.take(600), elsewhere.take(600)])
  assert.deepEqual(
    events.map(({ sequence }) => sequence),
    Array.from({ length: 600 }, (_, at) => at + 1)
  )
  assert.equal(new Set(events.map(({ text }) => text)).size, 600)
  assert.deepEqual(
    same.map(({ text }) => text),
    events.map(({ text }) => text)
  )
  await stream.leave()
  elsewhere.leave()
})

test('E12 R105 a revocation by one process reaches the streams of another within 1 s, on each carrier', async (t) => {
  const world = await createFolderWorld(t)
  const other = await spawnGateway(t, world.folder)
  const round = async (isHere) => {
    const stream = await subscribe(world)
    const elsewhere = await subscribeOver(world, other.port)
    const socket = await subscribeBy(world, { port: other.port })
    const polling = poll(world, { waitMs: 20_000 })
    const pollingElsewhere = poll(world, { waitMs: 20_000, send: pollOver(other.port) })
    const isPolled = (metrics) => /countersign_streams\{carrier="poll"\} 1/.test(metrics)
    await until(async () => isPolled(world.gateway.metrics()) && isPolled(await other.metrics()))
    const revokedAt = performance.now()
    if (isHere) await world.sessions.revoke(world.device.id, 'here')
    else other.send({ order: 'revoke', sessionId: world.device.id })
    const polls = [polling, pollingElsewhere].map(async (asked) => (await asked).events)
    const all = await Promise.all([stream.rest(), elsewhere.rest(), socket.rest(), ...polls])
    for (const events of all) assert.equal(events.at(-1).type, 'cs.revoked')
    const tookMs = performance.now() - revokedAt
    Object.assign(world.device, await enrol(world.sessions))
    return tookMs
  }
  for (const isHere of [true, false, true, false]) await timed(t, () => round(isHere))
})

test(`R102 ${ROUNDS} rounds of kill -9 while it publishes: what was numbered is kept, resumed without loss or repetition`, async (t) => {
  const world = await createFolderWorld(t)
  const sessionId = world.device.id
  const seen = []
  const promised = []
  let cursor = {}
  for (let round = 0; round < ROUNDS; round++) {
    const gateway = await spawnGateway(t, world.folder)
    const stream = await subscribeOver(world, gateway.port, cursor)
    gateway.send({ order: 'publish', sessionId, from: 1_000_000 * (round + 1), count: 100_000 })
    const target = seen.length + 40 + random.below(40)
    let isOver = false
    const reading = (async () => {
      try {
        for (let event = await stream.next(); event; event = await stream.next())
          if (event.sequence > 0) seen.push(event)
      } catch (error) {
        // The connection broke. The events before that count.
        if (error.code === 'ERR_ASSERTION') throw error
      } finally {
        isOver = true
      }
    })()
    // A busy machine may miss the store's deadline, which ends a stream before that.
    await until(() => seen.length >= target || isOver)
    await gateway.kill()
    await reading
    promised.push(...gateway.published)
    cursor = { after: seen.at(-1).sequence, stream: stream.first.stream }
  }
  const last = await subscribe(world, cursor)
  const missing = last.first.next - 1 - cursor.after
  seen.push(...(await last.take(missing)))
  await last.leave()
  const numbered = seen.filter(({ type }) => type === 'demo.note')
  assert.deepEqual(
    numbered.map(({ sequence }) => sequence),
    Array.from({ length: last.first.next - 1 }, (_, at) => at + 1)
  )
  const texts = new Set(numbered.map(({ text }) => text))
  assert.equal(texts.size, numbered.length, 'nothing twice')
  assert.deepEqual(
    promised.filter((text) => !texts.has(text)),
    [],
    'nothing lost that was said to be numbered'
  )
})

test('R103 a folder that was restored begins new streams: its numbers may have been given to other events', async (t) => {
  const folder = makeFolder(t)
  const path = join(folder, 'stores')
  const one = lmdbStores({ path })
  const { stream } = await one.events.append('a', { type: 't', payload: new Uint8Array(1) })
  await one.close()
  const two = lmdbStores({ path })
  const kept = await two.events.read('a', 0, 10)
  assert.deepEqual([kept.stream, kept.next, kept.events.length], [stream, 2, 1])
  await two.close()
  const three = lmdbStores({ path, restored: true })
  const page = await three.events.read('a', 0, 10)
  assert.notEqual(page.stream, stream)
  assert.deepEqual([page.next, page.events.length], [1, 0])
  await three.close()
})

test('R103 all sessions together are bounded: the oldest events make room, whosever they are', async (t) => {
  const stores = lmdbStores({ path: join(makeFolder(t), 'stores'), eventBytes: 64 * 1024 })
  t.after(() => stores.close())
  const payload = new Uint8Array(1024)
  for (let number = 0; number < 200; number++) await stores.events.append(`s${number % 4}`, { type: 't', payload })
  let held = 0
  for (let at = 0; at < 4; at++) {
    const page = await stores.events.read(`s${at}`, 0, 1000)
    assert.equal(page.next, 51)
    assert.equal(page.events.length, page.next - page.oldest)
    held += page.events.length
  }
  assert.ok(held > 40 && held <= 64, `${held} events are held`)
  await stores.events.append('s9', { type: 't', payload: new Uint8Array(64 * 1024) })
  assert.equal((await stores.events.read('s9', 0, 10)).events.length, 1, 'the newest stays in any case')
  assert.equal((await stores.events.read('s0', 0, 10)).events.length, 0)
})
