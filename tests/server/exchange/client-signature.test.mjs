// SPDX-License-Identifier: MIT
// Whose key verifies what: algorithms, registered keys, and ES256 by node:crypto behind our checks.
import assert from 'node:assert/strict'
import { createECDH, generateKeyPairSync, sign } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { isAcceptableKey, verifySignature } from '../../../dist/server/client-signature.js'
import { core, createKey, createWorld, enrol, openAnswer } from '../kit.mjs'

const vectors = (name) => JSON.parse(readFileSync(new URL(`../../vectors/${name}`, import.meta.url), 'utf8'))
const hex = (text) => new Uint8Array(Buffer.from(text, 'hex'))
const FIELD = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
const toBytes = (value) => Buffer.from(value.toString(16).padStart(64, '0'), 'hex')

test('B1 both algorithms pass through every binding, each under its own registered key', async () => {
  for (const algorithm of ['ed25519', 'es256']) {
    const world = await createWorld({ algorithm })
    assert.equal((await world.call()).resultCode, 'ok')
    assert.equal((await world.callHeader('POST', '/api/echo')).resultCode, 'http.200')
  }
})

test('B1 the registered algorithm decides: a right signature under a wrong record is refused', async () => {
  const table = [
    ['ed25519', 'es256'],
    ['es256', 'ed25519']
  ]
  for (const [algorithm, claimed] of table) {
    const world = await createWorld()
    const key = createKey(algorithm)
    const session = {
      id: 'A'.repeat(22),
      userId: 'u',
      algorithm: claimed,
      publicKey: key.publicKey,
      status: 'active',
      createdMs: 0,
      lastSeenMs: 0
    }
    await world.sessions.create(session)
    const answer = await world.call({ device: { ...key, id: session.id } })
    assert.deepEqual([answer.status, answer.resultCode], [401, 'cs.unauthenticated'])
  }
})

test('B1 a record with an algorithm that is none verifies nothing', () => {
  const key = createKey()
  const message = Buffer.from('m')
  const signature = key.sign(message)
  for (const algorithm of ['none', 'HS256', 'hs256', '', 'ED25519', undefined, null, 'constructor']) {
    assert.equal(verifySignature(core, { algorithm, publicKey: key.publicKey }, message, signature), false)
    assert.equal(isAcceptableKey(core, { algorithm, publicKey: key.publicKey }), false)
  }
  // The MAC of an attacker who takes the public key for a shared secret.
  assert.equal(
    verifySignature(core, key, message, Buffer.concat([core.hmacSha256(key.publicKey, message), Buffer.alloc(32)])),
    false
  )
})

test('B2 neither kind of signature verifies under a key of the other kind', () => {
  const message = Buffer.from('message')
  const keys = [createKey('ed25519'), createKey('es256')]
  for (const one of keys) {
    for (const other of keys) {
      const verdict = verifySignature(
        core,
        { algorithm: one.algorithm, publicKey: one.publicKey },
        message,
        other.sign(message)
      )
      assert.equal(verdict, one === other)
    }
  }
})

test('B2 the ES256 signatures of exchange.json get their verdicts, and none verifies as Ed25519', () => {
  const { es256 } = vectors('exchange.json')
  assert.equal(es256.length, 16)
  for (const { name, public_key, signing_input, signature, valid } of es256) {
    const key = { algorithm: 'es256', publicKey: hex(public_key) }
    assert.equal(verifySignature(core, key, hex(signing_input), hex(signature)), valid, name)
    const asOther = { algorithm: 'ed25519', publicKey: hex(public_key).subarray(1, 33) }
    assert.equal(verifySignature(core, asOther, hex(signing_input), hex(signature)), false, name)
  }
})

test('B7 Wycheproof P-256 P1363: the verdict of every case', () => {
  const { testGroups, numberOfTests } = vectors('wycheproof/ecdsa_secp256r1_sha256_p1363_test.json')
  let cases = 0
  for (const { publicKey, tests } of testGroups) {
    const key = { algorithm: 'es256', publicKey: hex(publicKey.uncompressed) }
    for (const { tcId, msg, sig, result, comment } of tests) {
      cases += 1
      assert.equal(verifySignature(core, key, hex(msg), hex(sig)), result === 'valid', `${tcId} ${comment}`)
    }
  }
  assert.equal(cases, numberOfTests)
})

test('B7 r or s of 0, n and above are refused, high s and low s accepted, DER and other lengths refused', () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const der = privateKey.export({ format: 'jwk' })
  const publicKey = Buffer.concat([Buffer.from([4]), Buffer.from(der.x, 'base64url'), Buffer.from(der.y, 'base64url')])
  const key = { algorithm: 'es256', publicKey }
  const message = Buffer.from('message')
  const good = sign('sha256', message, { key: privateKey, dsaEncoding: 'ieee-p1363' })
  const r = good.subarray(0, 32)
  const s = BigInt(`0x${good.subarray(32).toString('hex')}`)
  const judge = (signature) => verifySignature(core, key, message, new Uint8Array(signature))
  assert.equal(judge(good), true)
  assert.equal(judge(Buffer.concat([r, toBytes(ORDER - s)])), true, 'the other s is as good (R23)')
  for (const bad of [0n, ORDER, ORDER + 1n, 2n ** 256n - 1n]) {
    assert.equal(judge(Buffer.concat([r, toBytes(bad)])), false)
    assert.equal(judge(Buffer.concat([toBytes(bad), good.subarray(32)])), false)
  }
  for (const size of [0, 1, 32, 63, 65, 72]) assert.equal(judge(Buffer.alloc(size, 1)), false)
  assert.equal(judge(sign('sha256', message, privateKey)), false, 'DER')
  assert.equal(judge(good.subarray(0, 63)), false)
  assert.equal(judge(Buffer.concat([good, Buffer.from([0])])), false)
})

test('B8 only an uncompressed point on the curve can be a key', () => {
  const ecdh = createECDH('prime256v1')
  ecdh.generateKeys()
  const point = ecdh.getPublicKey()
  const x = point.subarray(1, 33)
  const y = point.subarray(33)
  const yIsOdd = (y[31] & 1) === 1
  const accept = (bytes) => isAcceptableKey(core, { algorithm: 'es256', publicKey: new Uint8Array(bytes) })
  assert.equal(accept(point), true)
  const spki = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'der', type: 'spki' })
  const other = createECDH('secp256k1')
  other.generateKeys()
  const larger = createECDH('secp384r1')
  larger.generateKeys()
  const offCurve = Buffer.from(point)
  offCurve[64] ^= 1
  const yBig = BigInt(`0x${y.toString('hex')}`)
  const bad = {
    empty: Buffer.alloc(0),
    infinity: Buffer.from([0]),
    'infinity, padded': Buffer.alloc(65),
    'zero point': Buffer.concat([Buffer.from([4]), Buffer.alloc(64)]),
    compressed: ecdh.getPublicKey(null, 'compressed'),
    'compressed, padded': Buffer.concat([ecdh.getPublicKey(null, 'compressed'), Buffer.alloc(32)]),
    hybrid: ecdh.getPublicKey(null, 'hybrid'),
    'hybrid of the other sign': Buffer.concat([Buffer.from([yIsOdd ? 6 : 7]), x, y]),
    'off the curve': offCurve,
    'secp256k1 point': other.getPublicKey(),
    'P-384 point': larger.getPublicKey(),
    'x of the field size': Buffer.concat([Buffer.from([4]), toBytes(FIELD), y]),
    'y plus the field size':
      yBig + FIELD < 2n ** 256n ? Buffer.concat([Buffer.from([4]), x, toBytes(yBig + FIELD)]) : toBytes(FIELD),
    'all ones': Buffer.concat([Buffer.from([4]), Buffer.alloc(64, 0xff)]),
    'one byte short': point.subarray(0, 64),
    'one byte more': Buffer.concat([point, Buffer.from([0])]),
    'without its first byte': point.subarray(1),
    spki,
    'spki with trailing bytes': Buffer.concat([spki, Buffer.from([0])])
  }
  for (const [name, bytes] of Object.entries(bad)) {
    assert.equal(accept(bytes), false, name)
    const key = { algorithm: 'es256', publicKey: new Uint8Array(bytes) }
    assert.equal(verifySignature(core, key, Buffer.from('m'), new Uint8Array(64).fill(1)), false, name)
  }
})

test('B4 Ed25519 keys of small order or in non-canonical form are refused', () => {
  const small = [
    '0100000000000000000000000000000000000000000000000000000000000000',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    '0000000000000000000000000000000000000000000000000000000000000080',
    '0000000000000000000000000000000000000000000000000000000000000000',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
    '0100000000000000000000000000000000000000000000000000000000000080',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff'
  ]
  const accept = (publicKey) => isAcceptableKey(core, { algorithm: 'ed25519', publicKey })
  for (const key of small) assert.equal(accept(hex(key)), false, key)
  for (const size of [0, 31, 33, 64, 65]) assert.equal(accept(new Uint8Array(size).fill(9)), false)
  assert.equal(accept(createKey().publicKey), true)
})

test('B11 every changed payload byte is noticed, under one and the same envelope', async () => {
  const world = await createWorld()
  const payload = Buffer.from('{"to":"bob","amount":45.20}')
  for (let at = 0; at < payload.length; at++) {
    const request = world.requestOf({ payload })
    const changed = Buffer.from(payload)
    changed[at] ^= 1
    const answer = await openAnswer(
      await world.sendFrame(Buffer.concat([request.envelope, changed])),
      request.requestId,
      world.signer
    )
    assert.equal(answer.resultCode, 'cs.payload_mismatch')
  }
  assert.equal(world.handled.length, 0)
})

test('B13 secrets are compared by constant-time functions only', () => {
  const read = (name) => readFileSync(new URL(`../../../js/server/${name}.ts`, import.meta.url), 'utf8')
  assert.match(read('support/encoding'), /isSameBytes[\s\S]*timingSafeEqual\(one, other\)/)
  assert.match(read('enrollment/email-codes'), /const isRight = codeHash !== undefined && hashes\.isCode\(codeHash, /)
  assert.match(read('enrollment/keyed-hashes'), /keys\.some\(\(key\) => isSameBytes\(hash\(key, /)
})

test('D7 a session cannot be used with the key of another', async () => {
  const world = await createWorld()
  const other = await enrol(world.sessions)
  const answer = await world.call({ device: { ...other, id: world.device.id } })
  assert.equal(answer.resultCode, 'cs.unauthenticated')
})
