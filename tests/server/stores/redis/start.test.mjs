// SPDX-License-Identifier: MIT
// The refusals of redisStores with their texts, and the state that a killed gateway leaves behind.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { redisStores } from 'countersign/server/redis'
import { createClient } from 'redis'
import { enrol, label } from '../../kit.mjs'
import { createFleet, until } from './fleet.mjs'
import { signNow } from './load.mjs'
import { freePort, startRedis } from './server.mjs'

const redis = await startRedis()
after(() => redis.stop())

const refused = async (options) => {
  try {
    const stores = await redisStores({ label, ...options })
    await stores.close()
  } catch (error) {
    return error
  }
  return assert.fail('it was taken')
}

test('options that cannot work are ERR_INVALID_ARGUMENT, and never repeat a password', async () => {
  const bad = [
    {},
    { url: 'redis://127.0.0.1', client: createClient() },
    { url: 'http://:secret@127.0.0.1' },
    { url: 'redis://:secret@' },
    { url: ':secret@host' },
    { client: {} },
    { url: redis.url, prefix: 'with space' },
    { url: redis.url, capacity: 0 },
    { url: redis.url, deadlineMs: 1001 },
    { url: redis.url, onState: 'log' }
  ]
  for (const options of bad) {
    const error = await refused(options)
    assert.equal(error.code, 'ERR_INVALID_ARGUMENT', JSON.stringify(Object.keys(options)))
    assert.ok(!`${error.message} ${error.stack} ${error.cause}`.includes('secret'))
  }
  assert.equal((await refused({ url: redis.url, label: 'Not a label' })).code, 'ERR_INVALID_LABEL')
})

test('D6 a Redis that may evict is refused, with the command that ends it', async (t) => {
  for (const policy of ['allkeys-lru', 'volatile-ttl', 'allkeys-random']) {
    await redis.cli('CONFIG', 'SET', 'maxmemory-policy', policy)
    t.after(() => redis.cli('CONFIG', 'SET', 'maxmemory-policy', 'noeviction'))
    const error = await refused({ url: redis.url })
    assert.equal(error.code, 'ERR_STORAGE_FAILED')
    assert.match(error.message, new RegExp(`maxmemory-policy is ${policy}`))
    assert.match(error.message, /redis-cli CONFIG SET maxmemory-policy noeviction/)
  }
})

test('a free port, a wrong password, and a server that is no Redis are ERR_STORAGE_FAILED', async (t) => {
  const closed = await refused({ url: `redis://:secret@127.0.0.1:${await freePort()}` })
  const locked = await startRedis()
  t.after(() => locked.stop())
  await locked.cli('CONFIG', 'SET', 'requirepass', 'right')
  const wrong = await refused({ url: `redis://:secret@127.0.0.1:${locked.port}` })
  const other = createServer((socket) => socket.on('error', () => {}).end('HTTP/1.1 400 Bad Request\r\n\r\n'))
  await new Promise((resolve) => other.listen(0, '127.0.0.1', resolve))
  t.after(() => other.close())
  const none = await refused({ url: `redis://127.0.0.1:${other.address().port}` })
  for (const error of [closed, wrong, none]) {
    assert.equal(error.code, 'ERR_STORAGE_FAILED')
    assert.match(error.message, /Redis at 127\.0\.0\.1:\d+: ./)
    assert.ok(!`${error.message} ${error.stack} ${String(error.cause)}`.includes('secret'))
  }
  assert.match(closed.message, /ECONNREFUSED/)
  assert.match(wrong.message, /WRONGPASS/)
  const stores = await redisStores({ url: `redis://:right@127.0.0.1:${locked.port}`, label })
  await stores.close()
})

test('D6 a replica is refused, and so is a version that is too old', async (t) => {
  const replica = await startRedis(['--replicaof', '127.0.0.1', redis.port])
  t.after(() => replica.stop())
  const error = await refused({ url: replica.url })
  assert.equal(error.code, 'ERR_STORAGE_FAILED')
  assert.match(error.message, /replica/)
  const client = (version) => ({
    duplicate: () => ({
      on() {},
      connect: async () => {},
      destroy() {},
      sendCommand: async () => `redis_version:${version}\r\nmaxmemory_policy:noeviction\r\nrole:master\r\n`
    })
  })
  for (const version of ['6.2.14', '5.0.0', '']) {
    const old = await refused({ client: client(version) })
    assert.equal(old.code, 'ERR_STORAGE_FAILED')
    assert.match(old.message, /7\.0 or later is needed/)
  }
})

test('a client of the application says how to connect, and is left alone', async (t) => {
  const client = createClient({ url: redis.url, database: 3 })
  const stores = await redisStores({ client, label })
  t.after(() => stores.close())
  const device = await enrol(stores.sessions)
  assert.equal((await stores.sessions.get(device.id)).status, 'active')
  assert.equal(client.isOpen, false)
  const elsewhere = await redisStores({ url: redis.url, label })
  t.after(() => elsewhere.close())
  assert.equal(await elsewhere.sessions.get(device.id), null, 'another database')
})

test('a user of Redis with these rights is enough, and one without is refused at once', async (t) => {
  const rights = '~countersign:* &countersign:* +@read +@write +@scripting +@pubsub +@connection +info +time'
  await redis.cli('ACL', 'SETUSER', 'gateway', 'on', '>secret', 'resetchannels', ...rights.split(' '))
  await redis.cli('ACL', 'SETUSER', 'guest', 'on', '>secret', '~*', '&*', '+@read')
  const url = (user) => `redis://${user}:secret@127.0.0.1:${redis.port}`
  const stores = await redisStores({ url: url('gateway'), label: 'rights' })
  t.after(() => stores.close())
  await stores.replay.fence(0)
  const { id } = await enrol(stores.sessions)
  assert.equal(await stores.replay.reserve(new Uint8Array(32), 1000, 70_000, 1000, id), 'reserved')
  assert.equal((await stores.events.append(id, { type: 'demo.note', payload: new Uint8Array(1) })).sequence, 1)
  assert.equal(await stores.codes.take('k', { limit: 1, windowMs: 1000, nowMs: 1000 }), 0)
  assert.equal(await stores.sessions.revoke(id, 'test'), true)
  const error = await refused({ url: url('guest') })
  assert.equal(error.code, 'ERR_STORAGE_FAILED')
  assert.match(error.message, /NOPERM/)
})

const CERTIFICATE = `
import datetime, ipaddress, sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
key = ec.generate_private_key(ec.SECP256R1())
name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, 'redis')])
now = datetime.datetime.utcnow()
address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address('127.0.0.1'))])
certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    .serial_number(1).not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
    .add_extension(address, False).add_extension(x509.BasicConstraints(True, None), True).sign(key, hashes.SHA256()))
pem = serialization.Encoding.PEM
open(sys.argv[1] + '/cert.pem', 'wb').write(certificate.public_bytes(pem))
open(sys.argv[1] + '/key.pem', 'wb').write(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
`

test('rediss:// is TLS, with the certificate checked', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-tls-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  execFileSync('python3', ['-W', 'ignore', '-c', CERTIFICATE, folder])
  const [cert, key] = ['cert.pem', 'key.pem'].map((name) => join(folder, name))
  const tlsPort = await freePort()
  const files = ['--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', cert, '--tls-auth-clients', 'no']
  const secure = await startRedis(['--tls-port', tlsPort, ...files])
  t.after(() => secure.stop())
  const url = `rediss://127.0.0.1:${tlsPort}`
  const stores = await redisStores({ client: createClient({ url, socket: { ca: readFileSync(cert) } }), label })
  t.after(() => stores.close())
  assert.equal(await stores.sessions.get('none'), null)
  const untrusted = await refused({ url })
  assert.equal(untrusted.code, 'ERR_STORAGE_FAILED')
  assert.match(untrusted.message, /self.signed certificate/)
})

test('onState hears of a loss and of the return, and may throw', async (t) => {
  const own = await startRedis()
  t.after(() => own.stop())
  const states = []
  const onState = ({ isUp, error }) => {
    states.push(isUp ? 'up' : error.code)
    throw new Error('a listener')
  }
  const stores = await redisStores({ url: own.url, label, onState })
  t.after(() => stores.close())
  assert.deepEqual(states, [])
  await own.kill()
  await until('the loss', () => states.length === 1)
  await assert.rejects(stores.sessions.get('none'), { code: 'ERR_STORAGE_FAILED' })
  await own.start()
  await until('the return', () => states.length === 2)
  assert.equal(states[1], 'up')
  assert.equal(await stores.sessions.get('none'), null)
  await stores.close()
  await stores.close()
  await assert.rejects(stores.sessions.get('none'), { code: 'ERR_CLOSED' })
})

test('labels and prefixes do not see each other', async (t) => {
  const open = async (options) => {
    const stores = await redisStores({ url: redis.url, label, ...options })
    t.after(() => stores.close())
    return stores
  }
  const one = await open({})
  const device = await enrol(one.sessions)
  for (const options of [{ label: 'other' }, { prefix: 'staging' }]) {
    const other = await open(options)
    assert.equal(await other.sessions.get(device.id), null)
  }
})

test('D12 kill -9 of a gateway signs nobody out and reopens no replay', async (t) => {
  const own = await startRedis()
  t.after(() => own.stop())
  const fleet = createFleet(t, { store: own.url, deadlineMs: 1000 })
  const stores = await redisStores({ url: own.url, label })
  t.after(() => stores.close())
  await stores.replay.fence(0)
  let gateway = await fleet.start()
  const devices = []
  for (let count = 0; count < 4; count++) devices.push(await enrol(stores.sessions, { nowMs: Date.now() }))
  const accepted = []
  for (let round = 0; round < 4; round++) {
    for (const device of devices) {
      const request = signNow(device)
      // Accepted at once, also right after a start: nothing was lost, so no fence is needed.
      assert.equal((await fleet.send(gateway.port, request)).resultCode, 'ok')
      accepted.push(request)
    }
    const flying = devices.map((device) => fleet.send(gateway.port, signNow(device)).catch(() => {}))
    await gateway.kill()
    await Promise.all(flying)
    gateway = await fleet.start()
    for (const request of accepted) assert.equal((await fleet.send(gateway.port, request)).resultCode, 'cs.replayed')
  }
  const effects = fleet.effects()
  assert.equal(new Set(effects).size, effects.length)
})
