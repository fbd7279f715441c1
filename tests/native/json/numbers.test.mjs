// SPDX-License-Identifier: MIT
// Numbers printed and read natively against this Node: random doubles of every kind, bit for bit. COUNTERSIGN_LONG=1 takes a million.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { randomOf } from '../../unit/harness/random.mjs'

const program = fileURLToPath(new URL('../../../build/dev/json_numbers', import.meta.url))
const count = process.env.COUNTERSIGN_LONG ? 1_000_000 : 50_000
const options = { maxBuffer: 1 << 28 }

const run = (args, input) => {
  const { status, stdout, stderr } = spawnSync(program, args, { ...options, input })
  assert.equal(status, 0, String(stderr))
  return stdout
}

/** Half of them any bits, half of them of the sizes that people write: where the printed form changes. */
const doubles = () => {
  const bytes = Buffer.from(randomOf('doubles').bytes(count * 8))
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let at = 0; at < bytes.length; at += 8) {
    if (at % 16 === 0) {
      const digits = view.getUint32(at + 4, true) % 10 ** (1 + (bytes[at] % 9))
      view.setFloat64(at, digits * 10 ** ((bytes[at + 1] % 50) - 25), true)
    }
    // What is not finite is not JSON; another exponent makes it finite.
    if (!Number.isFinite(view.getFloat64(at, true))) bytes[at + 7] ^= 0x40
  }
  return { bytes, view }
}

test(`${count} random doubles are printed as JavaScript prints them, and read back to the same bits`, () => {
  const { bytes, view } = doubles()
  const lines = run([], bytes).toString().trimEnd().split('\n')
  assert.equal(lines.length, count)
  for (const [index, line] of lines.entries()) {
    const number = view.getFloat64(8 * index, true)
    if (line !== JSON.stringify(number)) assert.equal(line, JSON.stringify(number))
  }
  const back = run(['read'], `${lines.join('\n')}\n`)
  // JSON has no -0: it is printed as 0.
  for (let at = 0; at < bytes.length; at += 8) if (view.getFloat64(at, true) === 0) bytes.fill(0, at, at + 8)
  assert.ok(back.equals(bytes))
})

test('spellings that JavaScript reads as it does: long, subnormal, too small, at the edge of too large', () => {
  const texts = [
    '0.1',
    '-0.0',
    '1E2',
    '9007199254740993',
    '2.2250738585072011e-308',
    '5e-324',
    '2.4703282292062327e-324',
    '2.4703282292062328e-324',
    '1e-400',
    '-1e-99999999999999999999',
    `0.${'0'.repeat(400)}1`,
    '0e999999999999999999999',
    '1.7976931348623157e308',
    '1.7976931348623158e308',
    `${'1'.repeat(300)}.${'5'.repeat(900)}`,
    `1${'0'.repeat(400)}e-400`
  ]
  const back = run(['read'], `${texts.join('\n')}\n`)
  const expected = Buffer.alloc(texts.length * 8)
  for (const [index, text] of texts.entries()) expected.writeDoubleLE(Number(text), 8 * index)
  for (const [index, text] of texts.entries()) {
    const [ours, theirs] = [back, expected].map((buffer) => buffer.readDoubleLE(8 * index))
    assert.ok(ours === theirs, `${text.slice(0, 40)}: ${ours}, not ${theirs}`)
  }
  for (const text of ['1e400', '-1e400', '1.7976931348623159e308', '1e99999999999999999999', `1${'0'.repeat(400)}`]) {
    assert.equal(Number.isFinite(Number(text)), false)
    assert.equal(spawnSync(program, ['read'], { input: `${text}\n` }).status, 1, text)
  }
})
