// SPDX-License-Identifier: MIT
// `npm run defences` removes what its list names. Each entry is found once in the built package or the core, and its tests
// exist.
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { defences } from '../../tools/defences/list.mjs'

const root = join(import.meta.dirname, '../..')

test('every defence of the list stands once where the list says, and has its tests', () => {
  assert.ok(defences.length >= 30)
  for (const { file, find, tests = [], what } of defences) {
    const folder = file.startsWith('src/') ? root : join(root, 'dist')
    const times = readFileSync(join(folder, file), 'utf8').split(find).length - 1
    assert.equal(times, 1, `${what}: ${file} has it ${times} times`)
    for (const path of tests) assert.ok(existsSync(join(root, path)), `${what}: ${path}`)
  }
})
