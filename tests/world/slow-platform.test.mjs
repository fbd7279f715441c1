// SPDX-License-Identifier: MIT
// The platform's cryptography works in threads of its own, and parts of the client load from files. However late they
// answer, a test takes the same course.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { deflate } from 'node:zlib'

// countersign takes WebCrypto when it is loaded, so the delay is there before. Compressing fills the threads, and the
// platform's work waits for one.
const filler = randomBytes(1_000_000)
let isSlow = false
let delays = 0
for (const name of ['sign', 'generateKey', 'exportKey', 'digest']) {
  const usual = crypto.subtle[name]
  crypto.subtle[name] = function (...args) {
    if (isSlow) {
      delays += 1
      for (let thread = 0; thread < 4; thread++) deflate(filler, { level: 9 }, () => {})
    }
    return usual.apply(this, args)
  }
}
const { createTestWorld } = await import('countersign/testing')

/** Signs in, sends, changes the key and hears of it on another device. Returns what a test could see of it. */
const course = async (t) => {
  const world = await createTestWorld({ seed: 5 })
  t.after(() => world.close())
  const userId = 'ada@example.com'
  const phone = await world.connect({ userId, name: 'phone', faults: { up: { delayMs: [5, 60] } } })
  const laptop = await world.connect({ userId, name: 'laptop', algorithm: 'es256' })
  const got = []
  const stop = new AbortController()
  const reading = (async () => {
    for await (const { type } of phone.client.events({ signal: stop.signal })) got.push(type)
  })().catch(() => {})
  await world.advance(1000)
  const confirm = ({ challengeId }) => world.server.mails.find((mail) => mail.challengeId === challengeId).code
  await world.run(laptop.client.rotateKey({ confirm }))
  await world.run(laptop.client.request('demo.echo', new Uint8Array(200_000)))
  await world.advance(1000)
  stop.abort()
  await world.time.settle()
  await reading
  const seen = world.network.log.map(({ atMs, what, type, status }) => [atMs, what, type, status])
  return { seen, got, nowMs: world.time.nowMs }
}

test('a platform that signs and hashes late changes nothing about a test and its time', async (t) => {
  const usual = await course(t)
  isSlow = true
  const late = await course(t)
  assert.ok(delays >= 4, String(delays))
  assert.deepEqual(late, usual)
  assert.deepEqual(usual.got, ['cs.key_replaced'])
})

const dist = join(import.meta.dirname, '../../dist')
/** Returns the files that the modules of a folder load by import(). */
const lazyParts = (folder) =>
  readdirSync(join(dist, folder), { recursive: true })
    .filter((path) => path.endsWith('.js'))
    .flatMap((path) => {
      const code = readFileSync(join(dist, folder, path), 'utf8')
      return Array.from(code.matchAll(/\bimport\("([^"]+)"\)/g), ([, part]) => join(dist, folder, path, '..', part))
    })
    .sort()

test('a world loads every lazy part of the client before its time begins', () => {
  const parts = lazyParts('client')
  assert.ok(parts.length >= 5, String(parts))
  assert.deepEqual(lazyParts('testing'), parts)
})
