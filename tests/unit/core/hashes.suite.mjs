// SPDX-License-Identifier: MIT
// SHA-256 and HMAC-SHA256 by the core, against NIST's and Wycheproof's vectors and the platform.

import { loadCore } from 'countersign/core'
import { concat, fromHex, seeded, toHex, utf8 } from '../harness/bytes.mjs'

const casesOf = (text) =>
  [...text.matchAll(/Len = (\d+)\r?\nMsg = ([0-9a-f]+)\r?\nMD = ([0-9a-f]{64})/g)].map(([, bits, message, hash]) => ({
    message: fromHex(message).slice(0, Number(bits) / 8),
    hash
  }))

export const suite = (test, assert, env) => {
  for (const [file, count] of [
    ['nist/SHA256ShortMsg.rsp', 65],
    ['nist/SHA256LongMsg.rsp', 64]
  ]) {
    test(`NIST: ${file}, in one piece and in pieces`, async () => {
      const core = await loadCore()
      const cases = casesOf(await env.vectors(file))
      assert.equal(cases.length, count)
      const random = seeded(0x256)
      for (const { message, hash } of cases) {
        assert.equal(toHex(core.sha256(message)), hash)
        const stream = core.createSha256()
        for (let from = 0; from < message.length; ) {
          const to = Math.min(message.length, from + 1 + random.below(200))
          stream.update(message.subarray(from, to))
          from = to
        }
        assert.equal(toHex(stream.digest()), hash)
      }
    })
  }

  test('SHA-256 is the platform’s around every size of a block and of the buffer', async () => {
    const core = await loadCore()
    const sizes = [0, 1, 55, 56, 63, 64, 65, 65_535, 65_536, 65_537, 69_632, 69_633, 131_072, 3_000_000]
    const random = seeded(1)
    const bytes = random.bytes(4096)
    for (const size of sizes) {
      const message = Uint8Array.from({ length: size }, (_, index) => bytes[index & 4095])
      const expected = new Uint8Array(await crypto.subtle.digest('SHA-256', message))
      assert.deepEqual(core.sha256(message), expected, `${size}`)
      assert.deepEqual(core.createSha256().update(message).digest(), expected, `${size} as one chunk`)
    }
  })

  test('a hash in progress ends with digest: then it is freed', async () => {
    const core = await loadCore()
    const stream = core.createSha256().update(utf8('a'))
    stream.digest()
    assert.throws(() => stream.update(utf8('b')), { code: 'ERR_FREED' })
    assert.throws(() => stream.digest(), { code: 'ERR_FREED' })
  })

  test('hashes in progress do not disturb each other', async () => {
    const core = await loadCore()
    const random = seeded(2)
    const streams = Array.from({ length: 20 }, () => ({ stream: core.createSha256(), all: new Uint8Array() }))
    for (let round = 0; round < 400; round++) {
      const one = random.pick(streams)
      const chunk = random.bytes(random.below(300))
      one.stream.update(chunk)
      one.all = concat(one.all, chunk)
    }
    for (const { stream, all } of streams) assert.deepEqual(stream.digest(), core.sha256(all))
  })

  test('B12 Wycheproof: HMAC-SHA256 with whole tags; cut, changed and empty ones are refused', async () => {
    const core = await loadCore()
    const { testGroups } = await env.vectors('wycheproof/hmac_sha256_test.json')
    let count = 0
    for (const { tagSize, tests } of testGroups) {
      for (const { tcId, comment, key, msg, tag, result } of tests) {
        const [secret, message, given] = [fromHex(key), fromHex(msg), fromHex(tag)]
        const isValid = result === 'valid' && tagSize === 256
        assert.equal(core.verifyHmacSha256(secret, message, given), isValid, `${tcId} ${comment}`)
        const whole = core.hmacSha256(secret, message)
        assert.equal(toHex(whole.slice(0, given.length)) === toHex(given), result === 'valid', `${tcId} ${comment}`)
        count++
      }
    }
    assert.equal(count, 174)
  })

  test('B12 a tag of 0 to 64 bytes: 32 alone is one', async () => {
    const core = await loadCore()
    const [key, message] = [utf8('key'), utf8('message')]
    const tag = core.hmacSha256(key, message)
    for (let size = 0; size <= 64; size++) {
      const given = concat(tag, tag).slice(0, size)
      assert.equal(core.verifyHmacSha256(key, message, given), size === 32, `${size}`)
    }
    for (let bit = 0; bit < 256; bit++) {
      const changed = tag.slice()
      changed[bit >> 3] ^= 1 << (bit & 7)
      assert.equal(core.verifyHmacSha256(key, message, changed), false, `bit ${bit}`)
    }
  })

  test('HMAC is the platform’s for keys and messages of every size', async () => {
    const core = await loadCore()
    const algorithm = { name: 'HMAC', hash: 'SHA-256' }
    for (const [keySize, size] of [
      ...[1, 32, 63, 64, 65, 200].map((keySize) => [keySize, 100]),
      ...[0, 1, 64, 70_000, 1_000_000].map((size) => [32, size])
    ]) {
      const [key, message] = [new Uint8Array(keySize).fill(7), new Uint8Array(size).fill(9)]
      const platform = await crypto.subtle.importKey('raw', key, algorithm, false, ['sign'])
      const expected = new Uint8Array(await crypto.subtle.sign('HMAC', platform, message))
      assert.deepEqual(core.hmacSha256(key, message), expected, `key of ${keySize}, message of ${size}`)
      assert.equal(core.verifyHmacSha256(key, message, expected), true)
    }
  })
}
