// SPDX-License-Identifier: MIT
// What an RSA operation of knocks leaves in the memory of WebAssembly: the same, whatever key and message it was (F-16).
import { loadKnockCore } from 'countersign/knock'
import { wasmBytes, watchLoad } from '../core/instance.mjs'
import { seeded } from '../harness/bytes.mjs'

const der = (tag, ...parts) => {
  const body = Uint8Array.from(parts.flatMap((part) => [...part]))
  const [high, low] = [body.length >> 8, body.length & 0xff]
  const length = high > 0 ? [0x82, high, low] : low >= 0x80 ? [0x81, low] : [low]
  return Uint8Array.from([tag, ...length, ...body])
}
// The leading zero of a number that would be negative without it.
const integer = (bytes) => der(2, bytes[0] < 0x80 ? bytes : [0, ...bytes])
const ALGORITHM = Uint8Array.from([0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1, 5, 0])

/** Numbers of the right sizes, which are no key and take the same way through the arithmetic. */
const keysOf = (random) => {
  const odd = (size) => {
    const bytes = random.bytes(size)
    bytes[0] |= 0x80
    bytes[size - 1] |= 1
    return integer(bytes)
  }
  const [modulus, exponent] = [odd(256), integer([1, 0, 1])]
  const numbers = der(0x30, integer([0]), modulus, exponent, odd(256), ...Array.from({ length: 5 }, () => odd(128)))
  return {
    open: der(0x30, integer([0]), ALGORITHM, der(4, numbers)),
    seal: der(0x30, ALGORITHM, der(3, [0], der(0x30, modulus, exponent)))
  }
}

export const suite = (test, assert, env) => {
  /** differences counts the bytes of memory that depend on what `run` worked with: it does so in two cores. */
  const differences = async (run) => {
    const source = await wasmBytes(env, 'countersign-knock.wasm')
    const memories = []
    for (const seed of [1, 2]) {
      const { core, memory } = await watchLoad(() => loadKnockCore(source))
      run(core, seeded(seed))
      memories.push(new Uint8Array(memory.buffer))
    }
    const [first, second] = memories
    assert.equal(first.length, second.length)
    return first.reduce((count, byte, at) => count + (byte === second[at] ? 0 : 1), 0)
  }

  test('F-16 looking at a private key leaves no byte of it', async () => {
    assert.equal(await differences((core, random) => core.privateKeySize(keysOf(random).open)), 0)
  })

  test('F-16 a decryption leaves no byte of a key, a ciphertext or a message', async () => {
    const run = (core, random) => core.decrypt(keysOf(random).open, random.bytes(256), 32)
    assert.equal(await differences(run), 0)
  })

  test('F-16 an encryption leaves the ciphertext alone, which is sent', async () => {
    const run = (core, random) => {
      // One key and one padding for both, so that only the message differs.
      const { seal } = keysOf(seeded(3))
      core.encrypt(seal, random.bytes(32), new Uint8Array(221).fill(1))
    }
    const count = await differences(run)
    assert.ok(count > 200 && count <= 256, `${count}`)
  })

  test('F-16 the comparison finds what does stay: a public key', async () => {
    assert.ok((await differences((core, random) => core.publicKeySize(keysOf(random).seal))) > 200)
  })
}
