// SPDX-License-Identifier: MIT
// Runs every test: what a step printed is shown only when it failed. The last line is `N passed, N failed`, in tests.
//
//   node tools/test.mjs [--long] [--only NAME[,NAME…]] [--list]
//
// --long runs the long campaigns too (COUNTERSIGN_LONG=1 tells the tests). --only runs the named steps and builds nothing
// first. A step that prints no count is one test.
import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { delimiter, dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))))
const { values: options } = parseArgs({
  options: { long: { type: 'boolean', default: false }, only: { type: 'string' }, list: { type: 'boolean' } }
})

const jobs = String(availableParallelism())
const node = process.execPath
// Debian's emcc finds `acorn` only there.
const emscripten = { NODE_PATH: [process.env.NODE_PATH, '/usr/share/nodejs'].filter(Boolean).join(delimiter) }
const plain = ['--use-colour', 'no']
const fuzzSeconds = options.long ? 300 : 5

const found = (folder, pattern, recursive = false) =>
  existsSync(folder)
    ? readdirSync(folder, { recursive })
        .filter((name) => pattern.test(name))
        .sort()
        .map((name) => `${folder}/${name}`)
    : []

/** A step is a list of commands, run in turn until one fails; a command is [program, ...arguments] and maybe { env }. */
const nodeTests = (folder, pattern = /\.test\.mjs$/) => {
  const files = found(folder, pattern, true)
  return files.length > 0 ? [[node, '--test', '--test-reporter=spec', ...files]] : [['false']]
}
const cpp = ['src', 'include/countersign', 'wasm', 'tests/native', 'tests/fuzz', 'examples']
  .flatMap((folder) => [folder, `${folder}/json`])
  .flatMap((folder) => found(folder, /\.[ch]pp$/))
const fuzzers = found('tests/fuzz', /\.cpp$/).map((path) => path.replace(/.*\/|\.cpp$/g, ''))

/** Versions of these differ in what they say, so they judge only the long run. */
const style = {
  style: [
    ['clang-format', '--dry-run', '--Werror', ...cpp],
    ['clang-tidy', '--quiet', '-p', 'build/release', ...found('src', /\.cpp$/), ...found('src/json', /\.cpp$/)]
  ]
}

const steps = {
  build: [[node, 'tools/build.mjs']],
  format: [[node, 'node_modules/@biomejs/biome/bin/biome', 'ci', '--colors=off', '.']],
  lint: [[node, 'tools/lint/main.mjs']],
  native: [
    ['cmake', '--preset', 'dev'],
    ['cmake', '--build', '--preset', 'dev', '--parallel', jobs],
    ['build/dev/countersign_tests', ...plain],
    ['build/dev/countersign_json_tests', ...plain],
    [node, '--test', '--test-reporter=spec', ...found('tests/native/json', /\.test\.mjs$/)]
  ],
  clang: [
    ['cmake', '--preset', 'clang'],
    ['cmake', '--build', '--preset', 'clang', '--parallel', jobs],
    ...fuzzers.map((name) => [
      `build/clang/fuzz_${name}`,
      `-max_total_time=${fuzzSeconds}`,
      '-print_final_stats=1',
      '-artifact_prefix=build/clang/',
      '-max_len=4096'
    ])
  ],
  // Under valgrind a secret is marked undefined: a branch or an index that depends on it fails the run.
  release: [
    ['cmake', '--preset', 'release'],
    ['cmake', '--build', '--preset', 'release', '--parallel', jobs],
    ['valgrind', '-q', '--error-exitcode=9', 'build/release/countersign_tests', '[.constant-time]', ...plain],
    ...(options.long ? [['build/release/countersign_tests', '[.speed],[.rsa-many]', ...plain]] : [])
  ],
  wasm: [
    ['emcmake', 'cmake', '--preset', 'wasm-tests', { env: emscripten }],
    ['cmake', '--build', '--preset', 'wasm-tests', '--parallel', jobs, { env: emscripten }],
    [node, '--no-experimental-fetch', 'build/wasm-tests/countersign_tests.cjs', ...plain]
  ],
  repo: nodeTests('tests/repo'),
  consumers: nodeTests('tests/consumers'),
  unit: nodeTests('tests/runners', /^[^/]*\.test\.mjs$/),
  server: nodeTests('tests/server', /^(?!stores\/redis\/).*\.test\.mjs$/),
  redis: nodeTests('tests/server/stores/redis'),
  world: nodeTests('tests/world'),
  interop: nodeTests('tests/interop'),
  profiles: nodeTests('tests/profiles'),
  cli: nodeTests('tests/cli'),
  demo: nodeTests('tests/demo'),
  browsers: nodeTests('tests/runners/browsers'),
  ...(options.long && style)
}

let running
const stop = (signal) => {
  if (!running?.pid) return
  try {
    process.kill(-running.pid, signal)
  } catch {
    // It has gone already.
  }
}
/** stopGently lets a test end the browsers and servers that it started in groups of their own. */
const stopGently = () => {
  stop('SIGTERM')
  setTimeout(stop, 5000, 'SIGKILL').unref()
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    stopGently()
    running?.on('close', () => process.exit(1))
    setTimeout(() => process.exit(1), 6000)
  })
}
process.on('exit', () => stop('SIGKILL'))

const run = ([program, ...args], output) =>
  new Promise((resolve) => {
    const env = { ...process.env, ...(options.long && { COUNTERSIGN_LONG: '1' }), NO_COLOR: '1' }
    if (typeof args.at(-1) === 'object') Object.assign(env, args.pop().env)
    output.push(`$ ${[program, ...args].join(' ')}\n`)
    // A process group of its own, which is ended with it: nothing that a test has started holds the step open.
    running = spawn(program, args, { env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
    const limit = setTimeout(
      () => {
        output.push('stopped: it took too long\n')
        stopGently()
      },
      (options.long ? 120 : 25) * 60_000
    )
    for (const stream of [running.stdout, running.stderr]) stream.on('data', (bytes) => output.push(bytes))
    running.on('exit', () => stop('SIGKILL'))
    running.on('error', (error) => output.push(`${error.message}\n`))
    running.on('close', (status) => {
      clearTimeout(limit)
      resolve(status === 0)
    })
  })

/** countsOf reads node:test's summary or Catch2's. */
const countsOf = (text) => {
  const counts = { passed: 0, failed: 0, skipped: 0 }
  for (const [, name, count] of text.matchAll(/^(?:ℹ|#) (pass|fail|cancelled|skipped) (\d+)$/gm)) {
    counts[{ pass: 'passed', fail: 'failed', cancelled: 'failed', skipped: 'skipped' }[name]] += Number(count)
  }
  for (const [, count] of text.matchAll(/^All tests passed \(\d+ assertions? in (\d+) test cases?\)$/gm)) {
    counts.passed += Number(count)
  }
  for (const [, rest] of text.matchAll(/^test cases:\s+\d+((?:\s+\|\s+\d+ \w[\w ]*)*)/gm)) {
    for (const [, count, name] of rest.matchAll(/(\d+) (passed|failed)/g)) counts[name] += Number(count)
  }
  return counts
}

const runStep = async (name) => {
  const started = performance.now()
  const output = []
  if (process.stdout.isTTY) process.stdout.write(`…     ${name}\r`)
  let isGood = true
  for (const command of steps[name]) {
    isGood &&= await run(command, output)
  }
  const text = output.map(String).join('')
  const counts = countsOf(text)
  if (isGood && counts.failed === 0 && counts.passed === 0) counts.passed = 1
  if (!isGood && counts.failed === 0) counts.failed = 1
  if (!isGood || counts.failed > 0) console.log(text)
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''
  const verdict = counts.failed === 0 ? 'pass' : 'FAIL'
  const time = `${((performance.now() - started) / 1000).toFixed(1)} s`
  console.log(
    `${verdict}  ${name.padEnd(10)} ${time.padStart(8)}  ${counts.passed} passed, ${counts.failed} failed${skipped}`
  )
  return counts
}

const chosen = options.only?.split(',') ?? Object.keys(steps)
const unknown = chosen.filter((name) => !steps[name])
if (unknown.length > 0 || options.list) {
  console.log(Object.keys(steps).join('\n'))
  process.exit(options.list ? 0 : 2)
}
let [passed, failed] = [0, 0]
for (const name of chosen) {
  const counts = await runStep(name)
  passed += counts.passed
  failed += counts.failed
  // Nothing after it means anything when the build is broken.
  if (name === 'build' && counts.failed > 0) break
}
console.log(`\n${passed} passed, ${failed} failed`)
process.exitCode = failed > 0 ? 1 : 0
