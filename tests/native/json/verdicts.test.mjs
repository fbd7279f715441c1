// SPDX-License-Identifier: MIT
// One verdict in JavaScript and in C++: events of any data, signed here and judged there, whole and mutated. COUNTERSIGN_LONG=1
// takes ten times as many.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createDeviceKey, signEvent, verifyEvent } from 'countersign/stats-event'
import { seeded } from '../../unit/harness/bytes.mjs'

const program = fileURLToPath(new URL('../../../build/dev/json_verdicts', import.meta.url))
const count = process.env.COUNTERSIGN_LONG ? 10_000 : 1000

const judge = (key, mode, lines) => {
  const input = `${lines.join('\n')}\n`
  const { status, stdout } = spawnSync(program, [key, mode], { input, maxBuffer: 1 << 26, encoding: 'utf8' })
  assert.equal(status, 0)
  return stdout.trimEnd().split('\n')
}

const pieces = [
  'a',
  'B',
  '',
  ' ',
  'é',
  'e\u0301',
  '日',
  '\u{1f600}',
  '\ue000',
  '\ufb33',
  '\n',
  '"',
  '\\',
  '\u2028',
  '\u007f'
]
const names = [
  'type',
  'data',
  'nonce',
  'timestamp',
  'deviceId',
  'signature',
  '10',
  '9',
  'toString',
  'é',
  '\u{10000}',
  '\uffff'
]

/** anyJson makes a value of any kind, nested at most so deep. */
const anyJson = (random, depth) => {
  const text = () => Array.from({ length: random.below(4) }, () => random.pick(pieces)).join('')
  const number = () => {
    const view = new DataView(random.bytes(8).buffer)
    const value = random.pick([view.getFloat64(0), view.getInt32(0), view.getInt32(0) / 1000, -0, 2 ** 53, 1e21])
    return Number.isFinite(value) ? value : 0
  }
  const leaves = [text, number, () => null, () => true, () => false]
  if (depth === 0 || random.below(3) === 0) return random.pick(leaves)()
  if (random.below(3) === 0) return Array.from({ length: random.below(4) }, () => anyJson(random, depth - 1))
  const members = Array.from({ length: random.below(5) }, () => [
    random.pick([text(), random.pick(names)]),
    anyJson(random, depth - 1)
  ])
  return Object.fromEntries(members)
}

/** spell writes the same value another way: members in any order, spaces, escapes. */
const spell = (value, random) => {
  const space = () => random.pick(['', '', ' ', '\t'])
  const quoted = (text) =>
    random.below(2)
      ? JSON.stringify(text)
      : `"${text.replace(/[\s\S]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)}"`
  if (typeof value === 'string') return quoted(value)
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${space()}${value.map((item) => spell(item, random)).join(`,${space()}`)}]`
  const members = Object.entries(value).map(([name, member]) => `${quoted(name)}${space()}:${spell(member, random)}`)
  return `{${members.sort(() => random.below(3) - 1).join(`${space()},`)}${space()}}`
}

const mutate = (text, random) => {
  const at = random.below(text.length)
  const piece = random.pick([
    '',
    String.fromCharCode(32 + random.below(95)),
    '0',
    '"',
    '\\u0041',
    text.slice(at, at + 9)
  ])
  // A cut through a surrogate pair would reach the program as something else than stands here.
  return (text.slice(0, at) + piece + text.slice(at + 1)).toWellFormed()
}

/** What JavaScript says of a text. */
const verdictOf = async (text, key, mode) => {
  let event
  try {
    event = JSON.parse(text)
  } catch {
    return 'malformed'
  }
  const { ok, reason } = await verifyEvent(event, key, { mode })
  return ok ? 'ok' : reason
}

for (const mode of ['compatible', 'covered', 'strict']) {
  test(`${count} ${mode} events of any data, spelt in any way, verify in C++; mutated ones get the same verdict`, async () => {
    const random = seeded(mode.length)
    const { key, text: secret } = await createDeviceKey()
    const good = []
    const bad = []
    while (good.length < count) {
      const data = Object.fromEntries(
        Array.from({ length: random.below(5) }, () => [random.pick([...names, ...pieces]), anyJson(random, 4)])
      )
      const event = await signEvent(key, { type: 'session', data, timestamp: random.next() }, { mode })
      const spelt = spell(event, random)
      good.push(spelt)
      bad.push(mutate(spelt, random))
    }
    for (const [at, verdict] of judge(secret, mode, good).entries()) assert.equal(verdict, 'ok', good[at])
    const verdicts = judge(secret, mode, bad)
    const seen = new Set()
    for (const [at, verdict] of verdicts.entries()) {
      const expected = await verdictOf(bad[at], key, mode)
      seen.add(verdict)
      // JSON.parse keeps the last of two equal names.
      if (verdict === 'malformed' && expected !== 'malformed') {
        const twice = new Set(bad[at].match(/"(?:[^"\\]|\\.)*"(?=\s*:)/g)?.map((name) => JSON.parse(name)))
        assert.ok(twice.size < bad[at].match(/"(?:[^"\\]|\\.)*"(?=\s*:)/g).length, bad[at])
      } else assert.equal(verdict, expected, bad[at])
    }
    assert.ok(seen.has('malformed') && seen.has('signature_mismatch'))
  })
}
