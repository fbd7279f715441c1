// SPDX-License-Identifier: MIT
// Flat objects (R176) are a part of strict JSON: what the gateway's own reader takes, the reader in C++ takes too, and both read
// the same. A third reader says which of the others are flat. COUNTERSIGN_LONG=1 takes a million bodies.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadJsonCore } from '../../../dist/profiles/common/json-core.js'
import { parseObjectWithPart, parseOptionalMembers } from '../../../dist/server/support/flat-json.js'
import { randomOf } from '../../unit/harness/random.mjs'
import { mutated, readStrict } from '../../unit/harness/strict-json.mjs'

const count = process.env.COUNTERSIGN_LONG ? 1_000_000 : 20_000
const KINDS = { a: 'string', b: 'string', n: 'number', m: 'number', __proto__x: 'string' }
const STRINGS = /"(?:[^"\\]|\\[\s\S])*"/g

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value)

/** The value of strict JSON whose numbers are whole and have their one spelling. */
const readWhole = (body) => {
  const value = readStrict(body)?.value
  const numbers =
    new TextDecoder()
      .decode(body)
      .replace(STRINGS, '')
      .match(/[-+.\w]+/g) ?? []
  const isWhole = (text) => /^(?:0|[1-9][0-9]{0,15})$/.test(text) && Number.isSafeInteger(Number(text))
  return isObject(value) && numbers.every(isWhole) ? value : undefined
}

const flatOf = (body) => {
  const value = readWhole(body)
  const isKnown = ([name, member]) => Object.hasOwn(KINDS, name) && typeof member === KINDS[name]
  return value && Object.entries(value).every(isKnown) ? value : undefined
}

const withPartOf = (body) => {
  const value = readWhole(body)
  if (!value || typeof value.a !== 'string') return undefined
  const { a, part, ...others } = value
  if (Object.keys(others).length > 0 || (part !== undefined && !isObject(part))) return undefined
  if (part && (Object.keys(part).join() !== 'b' || typeof part.b !== 'string')) return undefined
  return part === undefined ? { a } : { a, part: { b: part.b } }
}

const plain = (value) => (value === undefined ? undefined : JSON.parse(JSON.stringify(value)))

const space = (random) => random.pick(['', '', ' ', '\n\t'])
const textOf = (random) => random.pick(['"x"', '""', '"é\\u0041"', '"\\ud83d\\ude00"', '"\\ud83d"', '"\\"}"', '"\\\\"'])
const bodyOf = (random) => {
  const members = Object.entries(KINDS).map(([name, kind]) => {
    const value = kind === 'string' ? textOf(random) : random.pick(['0', '7', '9007199254740991', '9007199254740992'])
    return `${space(random)}"${name}"${space(random)}:${value}`
  })
  return Buffer.from(`{${members.filter(() => random.below(3) > 0).join(`${space(random)},`)}}${space(random)}`)
}
const partBodyOf = (random) => {
  const part = random.pick(['', `,"part":{"b":${textOf(random)}}`, ',"part":{}', ',"part":1', ',"part":{"b":{}}'])
  return Buffer.from(`{"a":${textOf(random)}${part}${space(random)}}`)
}

for (const [what, make, read, expect] of [
  ['flat objects', bodyOf, (body) => parseOptionalMembers(body, KINDS), flatOf],
  ['objects with a part', partBodyOf, (body) => parseObjectWithPart(body, ['a'], 'part', ['b']), withPartOf]
]) {
  test(`H38 R173 R176 ${count} ${what}, half of them mutated: what is taken is strict JSON in C++, and read alike`, async () => {
    const core = await loadJsonCore()
    const random = randomOf(what)
    let taken = 0
    for (let at = 0; at < count; at++) {
      const whole = make(random)
      const body = at % 2 ? Buffer.from(mutated(whole, random)) : whole
      const [found, expected] = [plain(read(body)), plain(expect(body))]
      if (JSON.stringify(found) !== JSON.stringify(expected)) assert.deepEqual(found, expected, body.toString('latin1'))
      if (found === undefined) continue
      taken++
      assert.equal(core.isJson(new Uint8Array(body)), true, body.toString('latin1'))
    }
    assert.ok(taken > 0.1 * count && taken < 0.9 * count, `${taken}`)
  })
}

test('R176 32 members are taken, and no more; nothing is taken that is nested', () => {
  const kinds = Object.fromEntries(Array.from({ length: 33 }, (_, at) => [`m${at}`, 'string']))
  const body = (size) =>
    Buffer.from(
      JSON.stringify(
        Object.fromEntries(
          Object.keys(kinds)
            .slice(0, size)
            .map((n) => [n, n])
        )
      )
    )
  assert.equal(Object.keys(parseOptionalMembers(body(32), kinds)).length, 32)
  assert.equal(parseOptionalMembers(body(33), kinds), undefined)
  for (const text of ['{"a":{"b":"c"}}', '{"a":[]}', '{"a":true}', '{"a":null}', '{"n":-0}', '{"n":1e1}', '{"n":1.0}'])
    assert.equal(parseOptionalMembers(Buffer.from(text), KINDS), undefined, text)
})
