// SPDX-License-Identifier: MIT
// The native reader against a reader in JavaScript that shares nothing with it: verdict and canonical text of any bodies, whole
// and mutated. COUNTERSIGN_LONG=1 takes a million.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { randomOf } from '../../unit/harness/random.mjs'
import { anyBody, bodyOfCase, canonicalOf, mutated, readStrict } from '../../unit/harness/strict-json.mjs'

const program = fileURLToPath(new URL('../../../build/dev/json_reader', import.meta.url))
const vectors = new URL('../../vectors/json-test-suite.json', import.meta.url)
const ROUND = 20_000
const rounds = process.env.COUNTERSIGN_LONG ? 50 : 1

/** What the program says of each body: its canonical text, or `-`. */
const readAll = (bodies) => {
  const input = Buffer.concat(
    bodies.flatMap((body) => {
      const size = Buffer.alloc(4)
      size.writeUInt32LE(body.length)
      return [size, body]
    })
  )
  const { status, stdout, stderr } = spawnSync(program, { input, maxBuffer: 1 << 28, encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  return stdout.split('\n').slice(0, -1)
}

const compare = (bodies) => {
  let accepted = 0
  const said = readAll(bodies)
  assert.equal(said.length, bodies.length)
  for (const [at, body] of bodies.entries()) {
    const read = readStrict(body)
    const expected = read ? canonicalOf(read.value) : '-'
    if (said[at] !== expected) assert.equal(said[at], expected, Buffer.from(body).toString('latin1'))
    if (read) accepted++
  }
  return accepted
}

test('R173 every document of JSONTestSuite is read natively as in JavaScript, and as its name asks', () => {
  const { cases } = JSON.parse(readFileSync(vectors, 'utf8'))
  assert.equal(compare(cases.map(bodyOfCase)), cases.filter(({ strict }) => strict).length)
  // What a parser has to accept is refused for one reason alone.
  const named = (letter) => cases.filter(({ name }) => name.startsWith(`parsing/${letter}_`))
  assert.ok(named('n').every(({ strict }) => !strict))
  const refused = named('y').filter(({ strict }) => !strict)
  assert.deepEqual(
    refused.map(({ name }) => name),
    ['parsing/y_object_duplicated_key.json', 'parsing/y_object_duplicated_key_and_value.json']
  )
})

test(`H38 R173 R174 R175 ${rounds * ROUND} bodies of any kind, half of them mutated, are read natively as in JavaScript`, () => {
  const { cases } = JSON.parse(readFileSync(vectors, 'utf8'))
  const small = cases.filter(({ times }) => times === undefined).map(bodyOfCase)
  const random = randomOf('bodies of JSON')
  let accepted = 0
  for (let round = 0; round < rounds; round++) {
    const bodies = Array.from({ length: ROUND }, (_, at) => {
      const body = at % 4 === 3 ? random.pick(small) : Buffer.from(anyBody(random))
      return at % 2 ? mutated(body, random) : body
    })
    accepted += compare(bodies)
  }
  assert.ok(accepted > 0.2 * rounds * ROUND && accepted < 0.8 * rounds * ROUND, `${accepted}`)
})
