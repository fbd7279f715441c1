// SPDX-License-Identifier: MIT
// What the stores hold of codes, addresses and sources: hashes with a key that all gateways have and the stores do not.
import assert from 'node:assert/strict'
import { createHmac, hkdfSync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { enrollment, memoryCodeStore, memorySessionStore, serverKeyFile } from 'countersign/server'
import { createKey, createSigner } from '../kit.mjs'
import { confirm, createDesk, problemOf } from './kit.mjs'

const keyFiles = (t, ...names) => {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-pepper-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return names.map((name) => Object.assign(serverKeyFile(join(folder, name)), { path: join(folder, name) }))
}
/** shared is a code store as other processes see it, and what it was told. */
const shared = () => {
  const { volatile, ...codes } = memoryCodeStore()
  assert.equal(volatile, true)
  const told = []
  const noting =
    (name) =>
    (...values) => {
      told.push(JSON.stringify([name, ...values], (_key, value) => (value instanceof Uint8Array ? [...value] : value)))
      return codes[name](...values)
    }
  return { told, codes: { ...codes, create: noting('create'), take: noting('take'), giveBack: noting('giveBack') } }
}
const pepper = (text) => new Uint8Array(Buffer.from(text.padEnd(16, '.')))

test('R141 a key file derives one secret a purpose, by HKDF-SHA256 of its private key', (t) => {
  const [signer] = keyFiles(t, 'server.key')
  const der = Buffer.from(readFileSync(signer.path, 'utf8').replace(/-.*-|\s/g, ''), 'base64')
  const expected = new Uint8Array(hkdfSync('sha256', der.subarray(-32), '', 'a purpose', 32))
  assert.deepEqual(signer.deriveSecret('a purpose'), expected)
  assert.deepEqual(serverKeyFile(signer.path).deriveSecret('a purpose'), expected)
  assert.notDeepEqual(signer.deriveSecret('another'), expected)
})

test('R141 neither a code nor an address of the network is in the stores, nor their plain hashes', async (t) => {
  const [signer] = keyFiles(t, 'server.key')
  const { codes, told } = shared()
  const desk = createDesk({ signer, codes })
  const source = '198.51.100.7'
  const challenge = await desk.challengeOf('ada@example.org', { remoteAddress: source })
  const response = await confirm(desk, createKey(), challenge, {}, { remoteAddress: source })
  const session = await desk.sessions.get((await response.json()).device_session_id)
  assert.match(session.source, /^[\w-]{22}$/)
  const unkeyed = createHmac('sha256', '').update(`code\n${challenge.challengeId}\n${challenge.code}`).digest()
  const all = [...told, JSON.stringify(session)].join('\n')
  for (const secret of [challenge.code, source, '198.51.100', JSON.stringify([...unkeyed])])
    assert.ok(!all.includes(secret), `${secret} in ${all}`)
})

test('R141 gateways of one server key know each other’s codes, and those of another key do not', async (t) => {
  const [signer, other] = keyFiles(t, 'server.key', 'other.key')
  const { codes } = shared()
  const sessions = memorySessionStore()
  const desks = [signer, serverKeyFile(signer.path), other].map((each) => createDesk({ signer: each, codes, sessions }))
  const [first, second, stranger] = desks
  const challenge = await first.challengeOf()
  assert.equal(await problemOf(await confirm(stranger, createKey(), challenge)), '400 invalid_code')
  assert.equal((await confirm(second, createKey(), challenge)).status, 200)
})

test('R141 while the server key is changed, codes of the present, the earlier and the next key are good', async (t) => {
  const [old, next] = keyFiles(t, 'server.key', 'server.next.key')
  const { codes } = shared()
  const sessions = memorySessionStore()
  const deskOf = (signer, ...peppers) => createDesk({ signer, codes, sessions, pepper: peppers })
  // Gateways are restarted one after the other, so any two neighbours of these run at the same time.
  const phases = [deskOf(old, old), deskOf(old, old, next), deskOf(old, next, old), deskOf(next, next)]
  for (const [at, desk] of phases.entries())
    for (const neighbour of [phases[at - 1], desk, phases[at + 1]].filter(Boolean)) {
      // The key that is announced is not yet known to gateways before it.
      if (at === 2 && neighbour === phases[3]) continue
      const challenge = await desk.challengeOf(`u${at}@x`, {
        remoteAddress: `192.0.2.${phases.indexOf(neighbour) + 1}`
      })
      const isGood = (await confirm(neighbour, createKey(), challenge)).status === 200
      assert.equal(isGood, true, `made in phase ${at}, confirmed in phase ${phases.indexOf(neighbour)}`)
    }
})

test('R141 a source that is known stays known while the earlier key is listed', async (t) => {
  const [old, next] = keyFiles(t, 'server.key', 'server.next.key')
  const sessions = memorySessionStore()
  const home = { remoteAddress: '198.51.100.7' }
  const before = createDesk({ signer: old, sessions })
  assert.equal((await confirm(before, createKey(), await before.challengeOf('ada@x', home), {}, home)).status, 200)
  for (const [peppers, status] of [
    [[next, old], 200],
    [[next], 429]
  ]) {
    const desk = createDesk({ signer: next, sessions, pepper: peppers })
    for (let source = 0; source < 15; source++) await desk.send('ada@x', { remoteAddress: `203.0.113.${source}` })
    assert.equal((await desk.send('ada@x', home)).status, status)
  }
})

test('R141 a signer that derives nothing needs a pepper where other processes have the codes', async () => {
  const needs = (options) => () => createDesk({ signer: createSigner(), ...options })
  const { codes } = shared()
  assert.throws(needs({ codes }), { code: 'ERR_INVALID_ARGUMENT', message: /pepper is required/ })
  for (const enough of [{}, { codes, pepper: pepper('secret') }, { codes, pepper: [pepper('new'), pepper('old')] }]) {
    const desk = needs(enough)()
    assert.equal((await confirm(desk, createKey(), await desk.challengeOf())).status, 200)
  }
})

test('R141 a pepper is 16 bytes at least, or a signer that derives one', () => {
  const make = (given) => () =>
    enrollment({
      ...{ label: 'test', signer: createSigner(), sessions: memorySessionStore(), mailer() {} },
      pepper: given
    })
  for (const bad of [new Uint8Array(15), new Uint8Array(0), [], 'a secret of many bytes', null, 7, createSigner()])
    assert.throws(make(bad), { code: 'ERR_INVALID_ARGUMENT', message: /pepper|signer/ }, String(bad))
  assert.throws(make([pepper('good'), new Uint8Array(3)]), { code: 'ERR_INVALID_ARGUMENT' })
})
