// SPDX-License-Identifier: MIT
// Parts of the client load from files, in real time. A world loads them before its own time begins, so that no test's time
// moves on meanwhile.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const dist = join(import.meta.dirname, '../../dist')
/** Returns the files that the modules of a folder load by import(). */
const lazyParts = (folder) =>
  readdirSync(join(dist, folder), { recursive: true })
    .filter((path) => path.endsWith('.js'))
    .flatMap((path) => {
      const code = readFileSync(join(dist, folder, path), 'utf8')
      return Array.from(code.matchAll(/\bimport\("([^"]+)"\)/g), ([, part]) => join(dist, folder, path, '..', part))
    })
    .sort()

test('a world loads every lazy part of the client before its time begins', () => {
  const parts = lazyParts('client')
  assert.ok(parts.length >= 5, String(parts))
  assert.deepEqual(lazyParts('testing'), parts)
})
