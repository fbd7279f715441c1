// SPDX-License-Identifier: MIT
// Runs the tests, step by step. It shows what a step printed only when that step failed. The last line is `N passed, N failed`.
//
//   node tools/test.mjs [--unit] [--only NAME[,NAME…]] [--grep PATTERN] [--repeat N] [--seed N] [--long] [--jobs N] [--no-build] [--list]
//
// --unit         runs what a change of js/ needs first, in at most two minutes on two idle cores, and needs no browser, no root,
//                no C++ compiler and no Redis: format and lint, the suites of tests/unit in Node, tests/world, tests/profiles,
//                tests/cli, and tests/repo but for the tests of set-up. It is `npm run test:unit`.
// --only NAMES   runs these steps, after a build of what has changed; --list prints their names.
// --grep PATTERN runs the tests whose name, or whose parent's name, matches this regular expression. Checks without named
//                tests, such as lint and fuzzers, are left out. No match in any step is an error.
// --repeat N     runs each step N times and fails if one run failed. The build runs once.
// --seed N       seeds the random choices of the tests (COUNTERSIGN_SEED for them). Repetition K uses N + K - 1.
//                Default: another seed for each run. The first line prints it.
// --long         runs the long campaigns too (COUNTERSIGN_LONG=1 for the tests).
// --jobs N       runs so many steps side by side. Default: one more than there are processors, at most 3: steps wait, too.
// --no-build     skips the build that comes first.
//
// A check that prints no count is one test.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { catchNames, nodeArguments, wanted } from './test/grep.mjs'
import { countsOf, grepCountsOf, run } from './test/run.mjs'
import { needsBuild, stepsOf, UNIT } from './test/steps.mjs'

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))))

const fail = (message) => {
  console.error(`test: ${message}`)
  process.exit(2)
}

const readOptions = () => {
  try {
    const flag = { type: 'boolean', default: false }
    const text = { type: 'string' }
    const options = {
      only: text,
      grep: text,
      repeat: text,
      seed: text,
      jobs: text,
      long: flag,
      unit: flag,
      list: flag,
      'no-build': flag
    }
    return parseArgs({ options }).values
  } catch (error) {
    return fail(error.message)
  }
}

const options = readOptions()
const numberOf = (name, fallback, least) => {
  const text = options[name]
  if (text === undefined) return fallback
  if (!/^\d{1,10}$/.test(text) || Number(text) < least) fail(`--${name} takes a number from ${least}, not ${text}`)
  return Number(text)
}

if (options.long) process.env.COUNTERSIGN_LONG = '1'
const steps = stepsOf(options.long)
if (options.list) {
  console.log(Object.keys(steps).join('\n'))
  process.exit(0)
}
const repeat = numberOf('repeat', 1, 1)
const inherited = process.env.COUNTERSIGN_SEED
const firstSeed = numberOf('seed', inherited ? Number(inherited) : Math.floor(Math.random() * 2 ** 31), 0)
const jobs = numberOf('jobs', Math.min(3, availableParallelism() + 1), 1)
const { grep } = options
if (grep === '') fail('--grep takes a regular expression')
try {
  wanted(grep)
} catch (error) {
  fail(`--grep: ${error.message}`)
}

const hasNames = (name) => name === 'build' || steps[name].some(({ kind }) => kind === 'node' || kind === 'catch2')
const chooseSteps = () => {
  const all = options.unit ? UNIT : Object.keys(steps)
  const chosen = options.only?.split(',').map((name) => name.trim()) ?? all
  const unknown = chosen.filter((name) => !Object.hasOwn(steps, name))
  if (unknown.length > 0) fail(`no step ${unknown.join(', ')}; the steps are ${Object.keys(steps).join(', ')}`)
  const named = grep ? chosen.filter(hasNames) : chosen
  if (named.length === 0)
    fail(`--grep ${grep} chooses among named tests, and these steps have none: ${chosen.join(', ')}`)
  return named
}
const chosen = chooseSteps()
if (
  chosen.some(needsBuild) &&
  !chosen.includes('build') &&
  !(existsSync('node_modules') && existsSync('dist/index.js'))
)
  fail('the package is not built yet; run: npm run build')

const catchArguments = ({ argv: [program, ...args], spec, env }) => {
  if (!grep) return [...spec, '--use-colour', 'no']
  const list = spawnSync(program, [...args, ...spec, '--list-test-names-only'], {
    encoding: 'utf8',
    env: { ...process.env, ...env }
  })
  const names = list.stdout.split('\n').filter((name) => name.trim() !== '' && wanted(grep)(name))
  return names.length > 0 && [catchNames(names), '--use-colour', 'no']
}

/** commandOf makes what is run of a command of a step; undefined where `--grep` leaves nothing of it. */
const commandOf = (command, seed) => {
  const { kind, argv, files } = command
  const env = { ...command.env, COUNTERSIGN_SEED: String(seed), ...(grep && { COUNTERSIGN_GREP: grep }) }
  if (kind === 'check' && grep) return undefined
  if (kind === 'catch2') {
    const args = catchArguments(command)
    return args && { argv: [...argv, ...args], env }
  }
  if (kind !== 'node') return { argv: argv.map((part) => part.replace('{seed}', String(seed))), env }
  if (!grep) return { argv: [...argv, ...files], env }
  const reporters = ['stdout', './tools/test/count-reporter.mjs', 'stdout'].map((value, at) =>
    at === 1 ? `--test-reporter=${value}` : `--test-reporter-destination=${value}`
  )
  return { argv: [...argv, ...reporters, ...nodeArguments(grep), ...files], env }
}

/** runStep runs a step once and prints its verdict. */
const runStep = async (name, seed, turn) => {
  const started = performance.now()
  const output = []
  let isGood = true
  for (const command of steps[name]) {
    const made = commandOf(command, seed)
    if (made && isGood) isGood = await run(made, output)
  }
  const text = output.map(String).join('')
  const counts = (grep ? grepCountsOf : countsOf)(text)
  if (isGood && !grep && counts.failed === 0 && counts.passed === 0) counts.passed = 1
  if (!isGood && counts.failed === 0) counts.failed = 1
  const isRed = !isGood || counts.failed > 0
  if (isRed) console.log(text)
  const said = [`${counts.passed} passed`, `${counts.failed} failed`]
  if (counts.skipped > 0) said.push(`${counts.skipped} skipped`)
  if (turn) said.push(turn)
  if (isRed) said.push(`--seed ${seed} repeats its random choices`)
  const time = `${((performance.now() - started) / 1000).toFixed(1)} s`
  console.log(`${isRed ? 'FAIL' : 'pass'}  ${name.padEnd(10)} ${time.padStart(8)}  ${said.join(', ')}`)
  return counts
}

const total = { passed: 0, failed: 0 }
const summaries = []
const runRepeatedly = async (name) => {
  const times = name === 'build' ? 1 : repeat
  let green = 0
  for (let turn = 1; turn <= times; turn++) {
    const counts = await runStep(name, firstSeed + turn - 1, times > 1 && `run ${turn} of ${times}`)
    total.passed += counts.passed
    total.failed += counts.failed
    if (counts.failed === 0) green += 1
  }
  if (times > 1)
    summaries.push(`${green === times ? 'pass' : 'FAIL'}  ${name.padEnd(10)} ${green} of ${times} runs passed`)
}

console.log(`seed ${firstSeed}`)
const rest = chosen.filter((name) => name !== 'build')
if (chosen.includes('build')) await runRepeatedly('build')
else if (!options['no-build'] && rest.some(needsBuild)) {
  // Not asked for by name, so it counts only where it fails.
  const { failed } = await runStep('build', firstSeed)
  total.failed += failed
}
// Nothing after it means anything when the build is broken.
if (total.failed === 0) {
  const work = async () => {
    for (let name = rest.shift(); name; name = rest.shift()) await runRepeatedly(name)
  }
  await Promise.all(Array.from({ length: jobs }, work))
}
for (const summary of summaries) console.log(summary)
if (grep && total.passed + total.failed === 0) fail(`--grep ${grep} matches no test of ${chosen.join(', ')}`)
if (grep) console.log(`\n${total.passed + total.failed} tests matched --grep ${grep}`)
console.log(`\n${total.passed} passed, ${total.failed} failed`)
process.exitCode = total.failed > 0 ? 1 : 0
