// SPDX-License-Identifier: MIT
// Ed25519: the core's verdict on adversarial signatures and keys is libsodium 1.0.18's, in every runtime (threats B3 to B6).

import { loadCore } from 'countersign/core'
import { concat, fromHex, seeded, toHex, utf8 } from '../harness/bytes.mjs'
import { makeServerKey } from './reference.mjs'

const L = (1n << 252n) + 27742317777372353535851937790883648493n
const P = (1n << 255n) - 19n

const toLittle = (value, size = 32) =>
  Uint8Array.from({ length: size }, (_, index) => Number((value >> BigInt(8 * index)) & 255n))
const fromLittle = (bytes) => bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n)

// The points of small order, and what else decodes to them: y = 0, 1, -1, the two of order 8, and p, p + 1 above the prime,
// each with either sign bit.
const ORDER_8 = [
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a'
]
const smallOrder = () => {
  const ys = [0n, 1n, P - 1n, P, P + 1n, ...ORDER_8.map((hex) => fromLittle(fromHex(hex)))]
  return ys.flatMap((y) => [toLittle(y), toLittle(y | (1n << 255n))])
}

export const suite = (test, assert, env) => {
  /** Both ways to verify have to say the same. */
  const verify = (core, publicKey, message, signature) => {
    const verdict = core.verifyEd25519(publicKey, message, signature)
    if (core.isAcceptableEd25519Key(publicKey)) {
      const trusted = core.trustedKey(publicKey)
      assert.equal(trusted.verify(message, signature), verdict, 'a trusted key and the one-shot verdict')
      trusted.free()
    }
    return verdict
  }

  test('RFC 8032 section 7.1: the five examples verify, and not with one bit changed anywhere', async () => {
    const core = await loadCore()
    const { vectors } = await env.vectors('rfc8032-section7.1-ed25519.json')
    assert.equal(vectors.length, 5)
    for (const { name, public: key, message, signature } of vectors) {
      const [publicKey, text, signed] = [fromHex(key), fromHex(message), fromHex(signature)]
      assert.equal(verify(core, publicKey, text, signed), true, name)
      for (let bit = 0; bit < 512; bit += 37) {
        const changed = signed.slice()
        changed[bit >> 3] ^= 1 << (bit & 7)
        assert.equal(verify(core, publicKey, text, changed), false, `${name}, bit ${bit} of the signature`)
      }
      assert.equal(verify(core, publicKey, concat(text, [0]), signed), false, `${name}, one byte more`)
    }
  })

  test('Wycheproof: every Ed25519 verdict', async () => {
    const core = await loadCore()
    const { testGroups, numberOfTests } = await env.vectors('wycheproof/ed25519_test.json')
    let count = 0
    for (const { publicKey, tests } of testGroups) {
      for (const { tcId, comment, msg, sig, result } of tests) {
        const verdict = verify(core, fromHex(publicKey.pk), fromHex(msg), fromHex(sig))
        assert.equal(verdict, result === 'valid', `${tcId} ${comment}`)
        count++
      }
    }
    assert.equal(count, numberOfTests)
  })

  test('B6 speccheck: of the twelve adversarial cases number 3 alone is accepted', async () => {
    const core = await loadCore()
    const cases = await env.vectors('ed25519-speccheck.json')
    const verdicts = cases.map(({ message, pub_key, signature }) =>
      verify(core, fromHex(pub_key), fromHex(message), fromHex(signature))
    )
    assert.deepEqual(
      verdicts,
      cases.map((_, index) => index === 3)
    )
  })

  test('B3 a signature with S + L, or any S of L and above, is refused', async () => {
    const core = await loadCore()
    const key = await makeServerKey('k')
    const message = utf8('malleable')
    const signature = await key.sign(message)
    assert.equal(verify(core, key.publicKey, message, signature), true)
    const s = fromLittle(signature.slice(32))
    for (let value = s + L; value < 1n << 256n; value += L) {
      const forged = concat(signature.slice(0, 32), toLittle(value))
      assert.equal(verify(core, key.publicKey, message, forged), false, toHex(forged))
    }
  })

  test('B4 keys of small order are not acceptable, verify nothing, and make no trusted key', async () => {
    const core = await loadCore()
    const message = utf8('any message')
    for (const key of smallOrder()) {
      assert.equal(core.isAcceptableEd25519Key(key), false, toHex(key))
      assert.throws(() => core.trustedKey(key), { code: 'ERR_BAD_PUBLIC_KEY' }, toHex(key))
      for (const r of smallOrder()) {
        assert.equal(core.verifyEd25519(key, message, concat(r, new Uint8Array(32))), false, toHex(key))
      }
    }
  })

  test('B5 a key or R that is not canonical (y of p and above) is refused', async () => {
    const core = await loadCore()
    const key = await makeServerKey('k')
    const message = utf8('canonical')
    const signature = await key.sign(message)
    for (let y = P; y < 1n << 255n; y++) {
      for (const bytes of [toLittle(y), toLittle(y | (1n << 255n))]) {
        assert.equal(core.isAcceptableEd25519Key(bytes), false, toHex(bytes))
        assert.equal(core.verifyEd25519(bytes, message, signature), false, toHex(bytes))
        const forged = concat(bytes, signature.slice(32))
        assert.equal(verify(core, key.publicKey, message, forged), false, toHex(bytes))
      }
    }
  })

  test('B5 keys off the curve are not acceptable, and a wrong size is neither a key nor a signature', async () => {
    const core = await loadCore()
    const key = await makeServerKey('k')
    assert.equal(core.isAcceptableEd25519Key(key.publicKey), true)
    // y = 2 is on no point of the curve.
    assert.equal(core.isAcceptableEd25519Key(toLittle(2n)), false)
    const message = utf8('sizes')
    const signature = await key.sign(message)
    for (const size of [0, 31, 33, 64, 65]) {
      assert.equal(core.isAcceptableEd25519Key(new Uint8Array(size).fill(9)), false, `key of ${size}`)
      const invalid = { code: 'ERR_INVALID_ARGUMENT' }
      assert.throws(() => core.verifyEd25519(new Uint8Array(size), message, signature), invalid, `key of ${size}`)
      assert.throws(() => core.trustedKey(new Uint8Array(size)), invalid, `key of ${size}`)
    }
    for (const size of [0, 63, 65, 128]) {
      const cut = concat(signature, signature).slice(0, size)
      assert.equal(verify(core, key.publicKey, message, cut), false, `signature of ${size}`)
    }
  })

  test('B6 random changes of key, message and signature: never accepted, and both verifiers agree', async () => {
    const core = await loadCore()
    const key = await makeServerKey('k')
    const random = seeded(0xb6)
    const message = random.bytes(100)
    const signature = await key.sign(message)
    for (let round = 0; round < 500; round++) {
      const parts = [key.publicKey.slice(), message.slice(), signature.slice()]
      const part = parts[random.below(3)]
      part[random.below(part.length)] ^= 1 << random.below(8)
      assert.equal(verify(core, ...parts), false, `round ${round}`)
    }
  })

  test('messages of every size verify, far over the core’s own buffer too', async () => {
    const core = await loadCore()
    const key = await makeServerKey('k')
    // WebKitGTK's page process ends when it signs 64 KiB or more, so there the large ones cannot be made.
    const large = env.runtime === 'webkit' ? [] : [65_535, 69_536, 69_537, 1_000_000]
    for (const size of [0, 1, 63, 64, 16_000, ...large]) {
      const message = new Uint8Array(size).fill(size)
      const signature = await key.sign(message)
      assert.equal(verify(core, key.publicKey, message, signature), true, `${size}`)
      if (size > 0) {
        message[size - 1] ^= 1
        assert.equal(verify(core, key.publicKey, message, signature), false, `${size}, last byte`)
      }
    }
  })
}
