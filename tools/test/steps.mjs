// SPDX-License-Identifier: MIT
// The steps of `npm test` as data. A step is a list of commands, which run in turn until one fails.
import { existsSync, readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { delimiter } from 'node:path'

const jobs = String(availableParallelism())
const node = process.execPath
// Debian's emcc finds `acorn` only there.
const emscripten = { NODE_PATH: [process.env.NODE_PATH, '/usr/share/nodejs'].filter(Boolean).join(delimiter) }

const found = (folder, pattern) =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true })
        .filter((name) => pattern.test(name))
        .sort()
        .map((name) => `${folder}/${name}`)
    : []

/** A command that makes what later commands of its step run. */
const make = (...argv) => ({ kind: 'make', argv })
/** A check without named tests: it counts as one, and `--grep` leaves it out. */
const check = (...argv) => ({ kind: 'check', argv })
/** A Catch2 program; `spec` chooses tests that do not run otherwise. */
const catch2 = (argv, spec = []) => ({ kind: 'catch2', argv, spec: [spec].flat() })
/** Test files of node:test. Those that wait more than they work run several at a time. */
const nodeTest = (files, atOnce = 1) => {
  if (files.length === 0) return check('false')
  return { kind: 'node', argv: [node, '--test', '--test-reporter=spec', `--test-concurrency=${atOnce}`], files }
}
const folder = (path, { atOnce, only = /\.test\.mjs$/ } = {}) => [nodeTest(found(path, only), atOnce)]
const inEmscripten = (command) => ({ ...command, env: emscripten })

const cpp = ['src', 'include/countersign', 'wasm', 'tests/native', 'tests/fuzz', 'examples'].flatMap((path) =>
  found(path, /\.[ch]pp$/)
)

// A key for a test that would take half a minute to make one.
const RSA_KEY = 'build/release/rsa.pem'
const MAKE_RSA_KEY = `
  const { privateKey } = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 })
  fs.writeFileSync(process.argv[1], privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })`

/** stepsOf gives the steps by name, the longest first where that matters: steps run side by side. */
export const stepsOf = (isLong) => ({
  build: [make(node, 'tools/build.mjs')],
  format: [check(node, 'node_modules/@biomejs/biome/bin/biome', 'ci', '--colors=off', '.')],
  lint: [check(node, 'tools/lint/main.mjs')],
  browsers: folder('tests/runners/browsers', { atOnce: 2 }),
  native: [
    make('cmake', '--preset', 'dev'),
    make('cmake', '--build', '--preset', 'dev', '--parallel', jobs),
    catch2(['build/dev/countersign_tests']),
    catch2(['build/dev/countersign_json_tests']),
    nodeTest(found('tests/native/json', /\.test\.mjs$/))
  ],
  demo: folder('tests/demo', { atOnce: 3 }),
  // Every input of the corpora runs; for how long new ones are tried decides no verdict.
  clang: [
    check(node, 'tools/fuzz/main.mjs', 'run', '--seconds', isLong ? '300' : '3', '--seed', '{seed}'),
    ...(isLong ? [check(node, 'tools/fuzz/main.mjs', 'coverage')] : [])
  ],
  // Under valgrind a secret is marked undefined: a branch or an index that depends on it fails the run.
  release: [
    make('cmake', '--preset', 'release'),
    make(
      ...['cmake', '--build', '--preset', 'release', '--parallel', jobs, '--target', 'countersign_constant_time'],
      ...(isLong ? ['countersign_tests'] : [])
    ),
    make(node, '--eval', MAKE_RSA_KEY, RSA_KEY),
    {
      ...catch2(
        ['valgrind', '-q', '--error-exitcode=9', 'build/release/countersign_constant_time'],
        '[.constant-time]'
      ),
      env: { COUNTERSIGN_RSA_KEY: RSA_KEY }
    },
    // A sanitizer's build keeps secrets in more places than this one.
    catch2(['build/release/countersign_constant_time'], '[wiped]'),
    ...(isLong ? [catch2(['build/release/countersign_tests'], '[.speed],[.rsa-many]')] : [])
  ],
  wasm: [
    inEmscripten(make('emcmake', 'cmake', '--preset', 'wasm-tests')),
    inEmscripten(make('cmake', '--build', '--preset', 'wasm-tests', '--parallel', jobs)),
    // The objects that are tested are those that the package is linked from.
    ...['countersign', 'countersign-knock', 'countersign-json'].map((name) =>
      check('cmp', `build/wasm/lib${name}.a`, `build/wasm-tests/lib${name}.a`)
    ),
    catch2([node, '--no-experimental-fetch', 'build/wasm-tests/countersign_tests.cjs']),
    catch2([node, '--no-experimental-fetch', 'build/wasm-tests/countersign_json_tests.cjs'])
  ],
  repo: folder('tests/repo', { only: /^(?!setup\.).*\.test\.mjs$/ }),
  setup: folder('tests/repo', { only: /^setup\.test\.mjs$/ }),
  consumers: folder('tests/consumers', { atOnce: 2 }),
  unit: folder('tests/runners', { only: /^[^/]*\.test\.mjs$/ }),
  server: folder('tests/server', { only: /^(?!stores\/redis\/).*\.test\.mjs$/, atOnce: 3 }),
  redis: folder('tests/server/stores/redis', { atOnce: 3 }),
  world: folder('tests/world'),
  interop: folder('tests/interop', { atOnce: 2 }),
  profiles: folder('tests/profiles', { atOnce: 2 }),
  cli: folder('tests/cli'),
  // Versions of these differ in what they say, so they judge only the long run.
  ...(isLong && {
    style: [
      check('clang-format', '--dry-run', '--Werror', ...cpp),
      check('clang-tidy', '--quiet', '-p', 'build/release', ...found('src', /\.cpp$/))
    ]
  })
})

/** What runs without a browser, without root, without a C++ compiler and without Redis. */
export const UNIT = ['format', 'lint', 'unit', 'world', 'repo', 'profiles', 'cli']

/** What needs the built package; a step that is not here needs no `dist`. */
export const needsBuild = (name) => !['build', 'format', 'lint', 'native', 'clang', 'release', 'style'].includes(name)
