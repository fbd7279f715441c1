// SPDX-License-Identifier: MIT
// Mistakes in a native program of which its compiler warns, because the headers say enough.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { HUNG_MS } from '../unit/harness/wait.mjs'

const root = fileURLToPath(new URL('../../', import.meta.url))
const source = 'tests/consumers/native/misuse.cpp'
const text = readFileSync(root + source, 'utf8')
const marked = (...words) =>
  text.split('\n').flatMap((line, at) => (words.some((word) => line.endsWith(`// ${word}`)) ? [at + 1] : []))

/** faults gives the lines at which a compiler that takes warnings for errors stops. */
const faults = (compiler, ...options) => {
  const args = ['-std=c++20', '-fsyntax-only', '-Wall', '-Wextra', '-Werror', '-Iinclude', ...options, source]
  const { status, stderr } = spawnSync(compiler, args, { cwd: root, encoding: 'utf8', timeout: HUNG_MS })
  assert.equal(status, 1, stderr)
  const lines = Array.from(stderr.matchAll(/^tests\/\S+misuse\.cpp:(\d+):\d+: error: /gm), ([, line]) => Number(line))
  return [...new Set(lines)].sort((a, b) => a - b)
}

test('clang stops at each view that outlives its bytes and at each verdict that is thrown away, and nowhere else', () => {
  assert.deepEqual([marked('dangles').length, marked('ignored').length], [9, 16])
  assert.deepEqual(faults('clang++', '-ferror-limit=0'), marked('dangles', 'ignored'))
})

test('gcc stops at each verdict that is thrown away', () => {
  assert.deepEqual(faults('g++'), marked('ignored'))
})
