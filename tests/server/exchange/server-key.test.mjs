// SPDX-License-Identifier: MIT
// The server's key file.
import assert from 'node:assert/strict'
import { generateKeyPairSync, verify } from 'node:crypto'
import { chmodSync, chownSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { serverKeyFile } from 'countersign/server'

const folder = (t) => {
  const path = mkdtempSync(join(tmpdir(), 'countersign-key-'))
  t.after(() => rmSync(path, { recursive: true, force: true }))
  return path
}

test('R21 serverKeyFile makes a key of mode 0600 once, and loads the same again', (t) => {
  const path = join(folder(t), 'server.key')
  const one = serverKeyFile(path)
  const two = serverKeyFile(path)
  assert.equal(statSync(path).mode & 0o777, 0o600)
  assert.deepEqual([two.keyId, [...two.publicKey]], [one.keyId, [...one.publicKey]])
  assert.match(one.keyId, /^[\w-]{22}$/)
  const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), one.publicKey])
  assert.equal(
    verify(null, Buffer.from('m'), { key: spki, format: 'der', type: 'spki' }, two.sign(Buffer.from('m'))),
    true
  )
  assert.deepEqual(readdirSync(join(path, '..')), ['server.key'])
  assert.ok(!JSON.stringify(one).includes('PRIVATE'))
})

test('R21 serverKeyFile refuses a file that others may read or that is no Ed25519 key, and repeats none of it', (t) => {
  const path = join(folder(t), 'server.key')
  serverKeyFile(path)
  for (const mode of [0o644, 0o640, 0o604, 0o660]) {
    chmodSync(path, mode)
    assert.throws(() => serverKeyFile(path), { code: 'ERR_INVALID_ARGUMENT', message: /chmod 600/ })
  }
  const pem = readFileSync(path, 'utf8')
  const bad = [
    '',
    'x',
    pem.slice(0, 60),
    generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'pem', type: 'pkcs8' }),
    generateKeyPairSync('ed25519').publicKey.export({ format: 'pem', type: 'spki' })
  ]
  for (const [at, text] of bad.entries()) {
    const other = join(path, '..', `bad${at}.key`)
    writeFileSync(other, text, { mode: 0o600 })
    assert.throws(
      () => serverKeyFile(other),
      (error) =>
        error.code === 'ERR_INVALID_ARGUMENT' && !error.message.includes('MII') && !error.message.includes('MC4')
    )
  }
  assert.throws(() => serverKeyFile(join(path, 'nested')), { code: 'ENOTDIR' })
})

test('R21 a file of another user is refused, as that user could put another key in its place', (t) => {
  if (process.getuid() !== 0) return t.skip('only root can give a file to another user')
  const path = join(folder(t), 'server.key')
  serverKeyFile(path)
  chownSync(path, 65_534, 65_534)
  assert.throws(() => serverKeyFile(path), {
    code: 'ERR_INVALID_ARGUMENT',
    message: /another user \(65534\); run chown/
  })
  chownSync(path, 0, 0)
  serverKeyFile(path)
})
