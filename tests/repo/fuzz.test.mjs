// SPDX-License-Identifier: MIT
// Each fuzz target keeps a corpus in the tree, small enough to run in every test. The seeds are messages that pass.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { loadCore } from '../../dist/core/index.js'
import { publicKey, seeds } from '../../tools/fuzz/seeds.mjs'

const MAX_INPUTS = 150
const MAX_BYTES = 16_000

const folder = fileURLToPath(new URL('../fuzz', import.meta.url))
const targets = readdirSync(folder)
  .filter((name) => name.endsWith('.cpp'))
  .map((name) => name.slice(0, -4))
const corpora = readdirSync(`${folder}/corpus`).filter((name) => name !== 'README.md')

test('each fuzz target has a small corpus, and no corpus or seed is without a target', () => {
  assert.deepEqual(corpora.sort(), targets.sort())
  for (const name of Object.keys(seeds())) assert.ok(targets.includes(name), name)
  for (const name of corpora) {
    const files = readdirSync(`${folder}/corpus/${name}`)
    const inputs = files.map((file) => readFileSync(`${folder}/corpus/${name}/${file}`))
    assert.ok(files.length > 0 && files.length <= MAX_INPUTS, `${name} has ${files.length} inputs`)
    const size = inputs.reduce((sum, input) => sum + input.length, 0)
    assert.ok(size <= MAX_BYTES, `${name} has ${size} bytes`)
    const names = inputs.map((input) => createHash('sha1').update(input).digest('hex'))
    assert.deepEqual(files, names, name)
  }
})

test('the seeds of messages are signed by the key of the targets, and bound', async () => {
  const core = await loadCore()
  const made = seeds()
  for (const name of ['open_request', 'open_response', 'open_event']) {
    const frames = made[name].map((bytes) => core.parseFrame(bytes))
    assert.ok(frames.every(({ signingInput, signature }) => core.verifyEd25519(publicKey, signingInput, signature)))
  }
  const isBound = (bytes) => {
    try {
      return core.openRequest(bytes, { label: 'galaxy' }) !== undefined
    } catch {
      return false
    }
  }
  assert.ok(made.open_request.filter(isBound).length > 10)
})
