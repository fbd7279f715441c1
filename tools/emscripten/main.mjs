// SPDX-License-Identifier: MIT
// Builds the WebAssembly with the Emscripten of other Debian releases, and runs the suites of tests/unit against it.
//
//   node tools/emscripten/main.mjs [SUITE…]        builds with each (bookworm, trixie, sid) and runs the suites
//   node tools/emscripten/main.mjs figures [SUITE…]  prints the sizes and speeds of what was built so
//
// Each release is installed once into the project's cache (CS_CACHE), by debootstrap. That needs root. It runs after
// `npm run build`; COUNTERSIGN_SUITES picks suites. A machine that cannot have a root is told why, and that is no failure.
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { figures } from './figures.mjs'
import { build, lackOf, makeRoot, rootOf, run, suites, treeOf } from './roots.mjs'

process.chdir(dirname(dirname(dirname(fileURLToPath(import.meta.url)))))

/** tryOne gives the version of the compiler, and how many tests passed. */
const tryOne = (suite) => {
  makeRoot(suite)
  const version = build(suite)
  const said = run(process.execPath, ['--test', '--test-reporter=tap', 'tests/runners/node.test.mjs'], {
    cwd: treeOf(suite)
  })
  const [, passed] = /^# pass (\d+)$/m.exec(said)
  return [version, `${passed} tests pass`]
}

const resultOf = (suite) => {
  try {
    return tryOne(suite)
  } catch (error) {
    process.exitCode = 1
    console.error(`emscripten: ${suite} failed: ${error.message}\nto begin anew: rm -r ${rootOf(suite)}`)
    return ['', 'FAILED']
  }
}

const isFigures = process.argv[2] === 'figures'
const names = process.argv.slice(isFigures ? 3 : 2)
const unknown = names.filter((name) => !suites.includes(name))
const lack = lackOf()
const chosen = names.length > 0 ? names : suites
if (unknown.length > 0) {
  console.error(`emscripten: no suite ${unknown.join(', ')}; the suites are ${suites.join(', ')}`)
  process.exitCode = 2
} else if (isFigures) await figures(chosen)
else if (lack) console.log(`emscripten: skipped, ${lack}`)
else {
  console.log('| release | Emscripten | result | seconds |\n|---|---|---|---|')
  for (const suite of chosen) {
    const started = performance.now()
    const cells = resultOf(suite)
    console.log(`| ${[suite, ...cells, ((performance.now() - started) / 1000).toFixed(0)].join(' | ')} |`)
  }
}
