// SPDX-License-Identifier: MIT
// What only Node can show of the core: that it runs where strings are no code (F-11), that files of two builds are told
// apart (F-9), and the encoding's properties by fast-check (A1; COUNTERSIGN_LONG=1 for a million runs).

import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { loadCore } from 'countersign/core'
import fc from 'fast-check'
import { KINDS, LAYOUTS, signingInputOf } from '../unit/core/reference.mjs'
import { runSeed } from '../unit/harness/random.mjs'
import { startProcess } from './browsers/process.mjs'
import { root } from './suites.mjs'

test('F-11 every suite of the core passes with --disallow-code-generation-from-strings', async () => {
  const args = ['--disallow-code-generation-from-strings', join(root, 'tests/runners/node.test.mjs')]
  const run = await startProcess(process.execPath, args, { env: { COUNTERSIGN_SUITES: 'core', NODE_TEST_CONTEXT: '' } })
  const how = await run.exited
  assert.equal(how, 'ended with 0', run.output())
  assert.match(run.output(), /^(ℹ|#) pass [1-9]\d+$/m)
})

test('F-11 that flag forbids eval and new Function indeed', async () => {
  const script =
    'for (const make of [() => eval("1"), () => new Function("1")]) try { make(); process.exit(1) } catch {}'
  const run = await startProcess(process.execPath, ['--disallow-code-generation-from-strings', '-e', script])
  assert.equal(await run.exited, 'ended with 0')
})

test('F-9 JavaScript of another build than its wasm: ERR_VERSION_MISMATCH', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-mixed-'))
  t.after(() => rmSync(folder, { recursive: true }))
  cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true })
  cpSync(join(root, 'package.json'), join(folder, 'package.json'))
  const file = join(folder, 'dist/core/wasm.js')
  const source = readFileSync(file, 'utf8')
  assert.match(source, /export const ABI = \d+;/)
  writeFileSync(file, source.replace(/export const ABI = \d+;/, 'export const ABI = 999;'))
  const mixed = await import(pathToFileURL(join(folder, 'dist/core/index.js')))
  await assert.rejects(mixed.loadCore(), { code: 'ERR_VERSION_MISMATCH', category: 'load', retry: 'never' })
  await assert.rejects(mixed.loadCore(), { code: 'ERR_VERSION_MISMATCH' }, 'and again')
})

const text = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 40 })
  .filter((value) => !/[\u0000-\u001f\u007f]/.test(value) && new TextEncoder().encode(value).length <= 128)
const bytes = (length) => fc.uint8Array({ minLength: length, maxLength: length })
const time = fc.maxSafeNat()

const fieldOf = {
  timestampMs: time,
  sequence: time,
  payloadHash: bytes(32),
  label: fc.stringMatching(/^[a-z][a-z0-9.-]{0,31}$/)
}
const messages = fc.oneof(
  ...KINDS.map((kind) => {
    const names = ['label', ...LAYOUTS[kind].filter((name) => name !== 'algorithm' && name !== 'publicKey')]
    const fields = fc.record(Object.fromEntries(names.map((name) => [name, fieldOf[name] ?? text])))
    const key = fc.oneof(
      fc.record({ algorithm: fc.constant('ed25519'), publicKey: bytes(32) }),
      fc.record({ algorithm: fc.constant('es256'), publicKey: bytes(65) })
    )
    if (!LAYOUTS[kind].includes('algorithm')) return fields.map((value) => ({ kind, ...value }))
    return fc.tuple(fields, key).map(([value, own]) => ({ kind, ...value, ...own }))
  })
)
const numRuns = process.env.COUNTERSIGN_LONG ? 1_000_000 : 5000

test('A1 for all fields: what is written is the reference’s encoding, and parsing gives the fields back', async () => {
  const core = await loadCore()
  const property = fc.property(messages, ({ kind, ...fields }) => {
    const input = core[`${kind}SigningInput`](fields)
    assert.deepEqual(input, signingInputOf(kind, fields))
    assert.deepEqual(core.parseSigningInput(input), { kind, ...fields })
  })
  fc.assert(property, { numRuns, seed: runSeed })
})

test('A1 A18 for all bytes: what parses is written again to the very same bytes', async () => {
  const core = await loadCore()
  const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 })
  let parsed = 0
  const property = fc.property(messages, damage, ({ kind, ...fields }, changes) => {
    const input = signingInputOf(kind, fields)
    for (const [at, byte] of changes) input[at % input.length] = byte
    let read
    try {
      read = core.parseSigningInput(input)
    } catch (error) {
      assert.equal(error.category, 'malformed')
      return
    }
    parsed++
    assert.deepEqual(core[`${read.kind}SigningInput`](read), input)
  })
  fc.assert(property, { numRuns, seed: runSeed })
  assert.ok(parsed > 0, 'some damage gives another message')
})
