// SPDX-License-Identifier: MIT
// Removes one defence at a time from a copy of the built package, and shows which test turns red. A defence of the C++ core
// is removed from its source, and the WebAssembly is built anew. A defence whose removal no test sees, or that is no longer
// where the list says, ends the run with status 1.
//
//   npm run defences                 all of them, as a table in Markdown
//   npm run defences -- D9 replay    those whose row or words match
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defences } from './list.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'countersign-defences-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
process.on('SIGINT', () => process.exit(130))

const copied = ['package.json', 'package-lock.json', 'tsconfig.json', 'dist', 'docs', 'js', 'tests', 'tools', 'demo']
const sources = ['CMakeLists.txt', 'CMakePresets.json', 'cmake', 'include', 'src', 'wasm']
for (const name of [...copied, ...sources, 'build/stamps'])
  cpSync(join(root, name), join(folder, name), { recursive: true })
symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))

/** runTests runs the tests of a defence in the copy, and returns the names of those that fail. */
const runTests = ({ tests, suite, grep }) => {
  const files = suite ? ['tests/runners/node.test.mjs'] : tests
  const pattern = grep ? [`--test-name-pattern=${grep}`] : []
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--test', '--test-reporter=tap', ...pattern, ...files],
    {
      cwd: folder,
      encoding: 'utf8',
      env: { ...process.env, ...(suite && { COUNTERSIGN_SUITES: suite }) },
      maxBuffer: 2 ** 28
    }
  )
  const failed = [...stdout.matchAll(/^ *not ok \d+ - (.*)$/gm)].map(([, name]) => name)
  const ran = [...stdout.matchAll(/^ *ok \d+ - (?!.*# SKIP)(.*)$/gm)].length
  return { isGreen: status === 0 && ran > 0, failed, text: stdout + stderr }
}

/** rebuild builds the WebAssembly of the copy from its sources. */
const rebuild = () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['tools/build.mjs'], { cwd: folder, encoding: 'utf8' })
  if (status !== 0) throw new Error(`the copy does not build:\n${stdout}${stderr}`)
}

const words = process.argv.slice(2)
const chosen = defences.filter(
  ({ row, what }) => words.length === 0 || words.some((word) => row === word || what.includes(word))
)
const problems = []
const known = new Map()

console.log('| row | the defence that was removed | the test that turned red |')
console.log('|---|---|---|')
for (const defence of chosen) {
  const { row, what, file, find, without } = defence
  const isSource = file.startsWith('src/')
  const path = isSource ? join(folder, file) : join(folder, 'dist', file)
  const whole = readFileSync(path, 'utf8')
  if (whole.split(find).length !== 2) {
    problems.push(`${row}, ${what}: ${path} has this not exactly once: ${find}`)
    continue
  }
  const command = JSON.stringify([defence.tests, defence.suite, defence.grep])
  if (!known.has(command)) known.set(command, runTests(defence).isGreen)
  if (!known.get(command)) {
    problems.push(`${row}, ${what}: its tests are red, or there are none, before anything is removed`)
    continue
  }
  writeFileSync(
    path,
    whole.replace(find, () => without)
  )
  if (isSource) rebuild()
  const { isGreen, failed } = runTests(defence)
  writeFileSync(path, whole)
  if (isSource) rebuild()
  if (isGreen) problems.push(`${row}, ${what}: no test saw it`)
  else console.log(`| ${row} | ${what} | ${failed[0] ?? 'the tests did not end'} |`)
}
console.log(`\n${chosen.length - problems.length} of ${chosen.length} removed defences were seen by a test`)
for (const problem of problems) console.error(problem)
process.exitCode = problems.length > 0 ? 1 : 0
