// SPDX-License-Identifier: MIT
// The rules about who may use whom find each kind of breach, in trees of one file each.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { folderCycles, layers } from '../../tools/lint/layers.mjs'
import { breaches, textOf } from '../../tools/lint/main.mjs'
import { Tree } from '../../tools/lint/tree.mjs'

const spdx = '// SPDX-License-Identifier: MIT\n'
const names = ['licences', 'owners', 'layers', 'cycles', 'folder-cycles']
const find = (...files) => breaches(new Tree(files), { allowed: [] }, names).map(textOf)
const check = (rule, files, context = {}) => {
  const found = []
  rule.check(new Tree(files), (path, line, message) => found.push(textOf({ path, line, message })), context)
  return found
}

const bad = [
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
    'may not'
  ],
  ['a core file without a layer', 'src/other.cpp', '#include "countersign/bytes.hpp"', 'is in no layer'],
  ['a core file that knows Emscripten', 'src/bytes.cpp', '#include <emscripten/bind.h>', 'names Emscripten'],
  ['a core that reads the clock', 'src/clock.cpp', '#include <chrono>', 'names input, output, time'],
  ['a core that throws', 'src/clock.cpp', 'void f() { throw 1; }', 'names exceptions'],
  [
    'common ground that imports the core',
    'js/common/errors.ts',
    "import { x } from '../core/args.ts'",
    'only lower floors'
  ],
  ['a core that imports the client', 'js/core/args.ts', "import { x } from '../client/limits.ts'", 'only lower floors'],
  ['keys that import transport', 'js/client/keys/a.ts', "import { x } from '../transport/b.ts'", 'only lower floors'],
  [
    'a session that imports events',
    'js/client/session/a.ts',
    "import { x } from '../events/b.ts'",
    'only lower floors'
  ],
  [
    'a transport that imports the client',
    'js/client/transport/a.ts',
    "import { x } from '../client.ts'",
    'only lower floors'
  ],
  [
    'a ground file that imports a runtime',
    'js/client/options.ts',
    "import { x } from './runtime.ts'",
    'only lower floors'
  ],
  [
    'a client that imports the queue',
    'js/client/client.ts',
    "import { x } from '../queue/index.ts'",
    'only lower floors'
  ],
  ['a file without a floor', 'js/other/a.ts', "import { x } from '../common/errors.ts'", 'is on no floor'],
  [
    'a client that imports the server',
    'js/client/client.ts',
    "import { x } from '../server/gateway.ts'",
    'may not import'
  ],
  ['a client with a dependency', 'js/client/client.ts', "import { x } from 'leftpad'", 'may not depend'],
  ['a client that needs Node', 'js/client/client.ts', "import { x } from 'node:crypto'", 'names Node'],
  [
    'a server that reaches into the client',
    'js/server/a.ts',
    "import { x } from '../client/tabs.ts'",
    'the server may not'
  ],
  [
    'a server helper that imports a store',
    'js/server/support/a.ts',
    "import { x } from '../stores/b.ts'",
    'only lower floors'
  ],
  [
    'a store that imports another store',
    'js/server/stores/lmdb/a.ts',
    "import { x } from '../redis/b.ts'",
    'only lower floors'
  ],
  ['stages that import HTTP', 'js/server/exchange/a.ts', "import { x } from '../http/b.ts'", 'only lower floors'],
  [
    'events that import enrolment',
    'js/server/events/a.ts',
    "import { x } from '../enrollment/b.ts'",
    'only lower floors'
  ],
  ['a client that imports tests', 'js/client/client.ts', "import { x } from '../testing/time.ts'", 'only tests use'],
  [
    'a client that imports an entry',
    'js/client/client.ts',
    "import { x } from '../workerd/core.ts'",
    'only package.json'
  ],
  ['a client with an import of package.json', 'js/core/load.ts', "import { x } from '#source'", 'may not depend on'],
  ['a server that imports tests', 'js/server/a.ts', "import { x } from '../testing/time.ts'", 'only tests use'],
  ['a library that imports the command', 'js/queue/a.ts', "import { x } from '../cli/main.ts'", 'the command'],
  ['a command with a dependency', 'js/cli/a.ts', "import { x } from 'leftpad'", 'may not depend'],
  [
    'an explainer that reads a client',
    'js/explain/a.ts',
    "import { x } from '../client/tabs.ts'",
    'the explainer may not'
  ],
  [
    'a demo that reaches into the package',
    'demo/page/a.mjs',
    "import { x } from '../../dist/index.js'",
    'public names only'
  ],
  ['a second reader of the memory', 'js/client/client.ts', 'const x = module.HEAPU8', 'memory'],
  ['a second user of WebCrypto', 'js/client/client.ts', 'crypto.subtle.sign()', 'crypto.subtle'],
  ['a second user of IndexedDB', 'js/client/client.ts', 'indexedDB.open()', 'IndexedDB'],
  ['a profile that uses WebCrypto by itself', 'js/profiles/knock/keys.ts', 'crypto.subtle.sign()', 'crypto.subtle'],
  [
    'a profile that reaches into the client',
    'js/profiles/knock/a.ts',
    "import { x } from '../../client/tabs.ts'",
    'a profile may'
  ],
  [
    'a profile that imports another',
    'js/profiles/knock/a.ts',
    "import { x } from '../stats-event/b.ts'",
    'a profile may not'
  ],
  ['a profile with a dependency', 'js/profiles/knock/a.ts', "import { x } from 'lmdb'", 'may not depend'],
  [
    'common ground that imports a profile',
    'js/profiles/common/a.ts',
    "import { x } from '../knock/b.ts'",
    'a profile may not'
  ],
  ['a profile that needs Node on the client', 'js/profiles/knock/a.ts', "import { x } from 'node:fs'", 'names Node'],
  [
    "a profile's client that imports its server",
    'js/profiles/knock/a.ts',
    "import { x } from './server/b.ts'",
    'may not import'
  ],
  [
    'a client that carries a profile',
    'js/client/client.ts',
    "import { x } from '../profiles/knock/a.ts'",
    'only a profile may'
  ],
  ['a default export', 'js/client/client.ts', 'export default 1', 'default export'],
  ['a file that imports itself in a circle', 'js/common/errors.ts', "import { x } from './errors.ts'", 'go round']
]
for (const [what, path, text, says] of bad) {
  test(`${what} is found`, () => {
    const found = find([path, `${spdx}${text}\n`])
    assert.ok(
      found.some((line) => line.startsWith(`${path}:`) && line.includes(says)),
      `found: ${found.join('; ')}`
    )
  })
}

const good = [
  ['src/request.cpp', '#include "countersign/request.hpp"\n#include "countersign/bytes.hpp"'],
  ['js/core/load.ts', "import { x } from './platform/client-wasm.js'"],
  ['js/client/events/carriers/poll.ts', "import { x } from '../../transport/digest.ts'\nimport '../open.ts'"],
  ['js/client/client.ts', "import { x } from './runtime.ts'\nimport { y } from './session/enroll.ts'"],
  ['js/server/exchange/checks.ts', "import { x } from '../types.ts'\nimport { y } from './bindings/frame.ts'"],
  ['js/server/gateway.ts', "import { x } from 'node:crypto'\nimport { y } from '../core/index.ts'"],
  [
    'js/profiles/knock/server/relay.ts',
    "import { x } from '../../common/hex.ts'\nimport '../../../server/support/a.ts'"
  ],
  ['js/workerd/server.ts', "import '../core/load.ts'\nexport * from '../server/index.ts'"],
  ['js/testing/world.ts', "import { x } from '../client/client.ts'\nimport { y } from '../server/gateway.ts'"],
  ['js/cli/main.ts', "import { x } from '../explain/index.ts'\nimport 'node:fs'"],
  ['demo/page/main.mjs', "import { x } from 'countersign'"]
]
test('arrows that go down are no breach, and comments are none', () => {
  const files = good.map(([path, text]) => [path, `${spdx}${text}\n`])
  assert.deepEqual(
    find(...files, ['js/client/tabs.ts', `${spdx}// crypto.subtle\n/* indexedDB\n */\nconst x = 'https://a.b'\n`]),
    []
  )
})

test('a file without its licence is found, and a script may say it in its second line', () => {
  assert.deepEqual(find(['js/client/client.ts', 'const x = 1\n']), [
    'js/client/client.ts:1: has no SPDX line; begin the file with SPDX-License-Identifier: MIT'
  ])
  assert.deepEqual(find(['tools/setup', '#!/bin/sh\n# SPDX-License-Identifier: MIT\n']), [])
})

test('folders that import each other are found', () => {
  const round = [
    ['js/server/http/a.ts', "import { x } from '../events/b.ts'\n"],
    ['js/server/events/c.ts', "import { x } from '../http/d.ts'\n"]
  ]
  assert.deepEqual(check(folderCycles, round), [
    'js/server/http:1: folders import each other: js/server/http -> js/server/events -> js/server/http; move what both need below them'
  ])
  assert.deepEqual(check(folderCycles, round.slice(1)), [])
  const allowed = [{ from: 'js/server/http/a.ts', to: 'js/server/events/b.ts', reason: 'a test' }]
  assert.deepEqual(check(folderCycles, round, { allowed }), [])
})

test('an exception allows one arrow, and one that is not needed is found', () => {
  const files = [['js/core/args.ts', "import { x } from '../client/limits.ts'\n"]]
  const entry = { from: 'js/core/args.ts', to: 'js/client/limits.ts', reason: 'a test' }
  assert.deepEqual(check(layers, files, { allowed: [entry] }), [])
  assert.match(check(layers, [], { allowed: [entry] }).join(), /needs no exception/)
})
