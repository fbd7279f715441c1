// SPDX-License-Identifier: MIT
// The tree keeps its layers, and the check that says so finds each kind of breach.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { treeFiles, violations } from '../../tools/check-layers.mjs'

const root = fileURLToPath(new URL('../../', import.meta.url))
const spdx = '// SPDX-License-Identifier: MIT\n'

test('the tree keeps the layers of ARCHITECTURE.md', () => {
  const files = treeFiles(root)
  assert.ok(files.length > 100, 'the tree was read')
  assert.deepEqual(violations(files), [])
})

const breaches = [
  [
    'a core file that includes a higher layer',
    'src/bytes.cpp',
    '#include "countersign/request.hpp"',
    'may not include'
  ],
  [
    'a header that includes its own layer',
    'include/countersign/clock.hpp',
    '#include "countersign/sha256.hpp"',
    'may not include'
  ],
  ['a core file without a layer', 'src/other.cpp', '#include "countersign/bytes.hpp"', 'is in no layer'],
  ['a core file that knows Emscripten', 'src/bytes.cpp', '#include <emscripten/bind.h>', 'names Emscripten'],
  ['a core that reads the clock', 'src/clock.cpp', '#include <chrono>', 'names input, output, time'],
  ['a core that throws', 'src/clock.cpp', 'void f() { throw 1; }', 'names exceptions'],
  [
    'a client file that imports a higher layer',
    'js/common/errors.ts',
    "import { x } from './client.ts'",
    'may not import'
  ],
  ['a client file without a layer', 'js/other.ts', "import { x } from './errors.ts'", 'is in no layer'],
  [
    'a client that imports the server',
    'js/client/client.ts',
    "import { x } from './server/gateway.ts'",
    'may not import'
  ],
  ['a client with a dependency', 'js/client/client.ts', "import { x } from 'leftpad'", 'may not depend'],
  ['a client that needs Node', 'js/client/client.ts', "import { x } from 'node:crypto'", 'names Node'],
  [
    'a server that reaches into the client',
    'js/server/gateway.ts',
    "import { x } from '../session.ts'",
    'the server may not'
  ],
  [
    'a client that imports what tests use',
    'js/client/client.ts',
    "import { x } from './testing/time.ts'",
    'only tests use'
  ],
  [
    'a server that imports what tests use',
    'js/server/a.ts',
    "import { x } from '../testing/time.ts'",
    'only tests use'
  ],
  [
    'a demo that reaches into the package',
    'demo/page/main.mjs',
    "import { x } from '../../dist/index.js'",
    'public names only'
  ],
  ['a second reader of the memory', 'js/client/client.ts', 'const x = module.HEAPU8', 'memory'],
  ['a second user of WebCrypto', 'js/client/client.ts', 'crypto.subtle.sign()', 'crypto.subtle'],
  ['a second user of IndexedDB', 'js/client/client.ts', 'indexedDB.open()', 'IndexedDB'],
  [
    'a profile that uses WebCrypto by itself',
    'js/profiles/stats-event/keys.ts',
    'crypto.subtle.sign()',
    'crypto.subtle'
  ],
  [
    'a profile that reaches into the client',
    'js/profiles/stats-event/sign.ts',
    "import { x } from '../../client.ts'",
    'a profile may not import'
  ],
  [
    'a profile that reaches into another one',
    'js/profiles/stats-event/sign.ts',
    "import { x } from '../knock/seal.ts'",
    'a profile may not import'
  ],
  [
    'a profile that needs Node on the client',
    'js/profiles/stats-event/sign.ts',
    "import { x } from 'node:fs'",
    'names Node'
  ],
  [
    "a profile's client that imports its server",
    'js/profiles/stats-event/sign.ts',
    "import { x } from './server/judge.ts'",
    'may not import'
  ],
  [
    'a client that carries a profile',
    'js/client/client.ts',
    "import { x } from './profiles/stats-event/index.ts'",
    'only a profile may'
  ],
  ['a default export', 'js/client/client.ts', 'export default 1', 'default export'],
  ['a long file', 'js/client/client.ts', '\n'.repeat(300), 'more than 300'],
  ['a client that imports itself in a circle', 'js/common/errors.ts', "import { x } from './errors.ts'", 'go round']
]
for (const [what, path, text, says] of breaches) {
  test(`${what} is found`, () => {
    const found = violations([[path, `${spdx}${text}\n`]])
    assert.ok(
      found.some((line) => line.includes(path) && line.includes(says)),
      `found: ${found.join('; ')}`
    )
  })
}

test('a file without its licence is found', () => {
  assert.deepEqual(violations([['js/client/client.ts', 'const x = 1\n']]), ['js/client/client.ts:1: no SPDX line'])
})

test('comments are no breach', () => {
  assert.deepEqual(
    violations([['js/client/client.ts', `${spdx}// crypto.subtle\n/* indexedDB\n */\nconst x = 'https://a.b'\n`]]),
    []
  )
})
