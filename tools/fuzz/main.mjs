// SPDX-License-Identifier: MIT
// Builds the fuzzers of tests/fuzz and runs them, or counts the lines of src/ that their corpora reach.
//
//   node tools/fuzz/main.mjs run [--seconds N] [--seed N] [--jobs N] [NAME…]
//       runs each input of the corpus and each seed of the vectors once, then new ones for N seconds (default: 3). Two
//       targets run at a time. A finding ends the run with status 1, and its input stands in build/fuzz/findings/.
//   node tools/fuzz/main.mjs coverage
//       prints a table of the lines of src/ that the corpora in the tree reach, and fails below the goals.
//   node tools/fuzz/main.mjs corpus [NAME…]
//       writes the smallest corpora that reach what the seeds, the old corpora and all earlier runs reach.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { seeds, writeSeeds } from './seeds.mjs'

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
process.chdir(root)

/** At least so many percent of the lines of src/, and of each of its files. */
const GOAL = 85
const GOAL_OF_FILE = 70
const MAX_SIZE = 4096

const dictionaries = {
  messages: ['parse_frame', 'open_request', 'open_response', 'open_event', 'begin_open'],
  json: ['canonical_json', 'action_proof', 'stats_event'],
  binary: ['read_knock', 'rsa_keys']
}
const targets = readdirSync('tests/fuzz')
  .filter((name) => name.endsWith('.cpp'))
  .map((name) => name.slice(0, -4))
  .sort()

const fail = (message) => {
  console.error(`fuzz: ${message}`)
  process.exit(2)
}

const readOptions = () => {
  const text = { type: 'string' }
  try {
    return parseArgs({ allowPositionals: true, options: { seconds: text, seed: text, jobs: text } })
  } catch (error) {
    return fail(error.message)
  }
}
const { values, positionals } = readOptions()
const numberOf = (name, fallback) => {
  const value = values[name] ?? String(fallback)
  return /^\d{1,10}$/.test(value) ? Number(value) : fail(`--${name} takes a number, not ${value}`)
}
const [command, ...names] = positionals
const unknown = names.filter((name) => !targets.includes(name))
if (unknown.length > 0) fail(`no target ${unknown.join(', ')}; the targets are ${targets.join(', ')}`)
const chosen = names.length > 0 ? names : targets

/** make runs a program to its end and returns what it printed; its failure ends everything. */
const make = (program, args, env) => {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    encoding: 'utf8',
    env: { ...process.env, ...env },
    maxBuffer: 2 ** 28
  })
  if (error) fail(error.message)
  if (status !== 0) {
    console.error(stdout + stderr)
    fail(`${program} ended with ${status}`)
  }
  return stdout
}

const build = (preset) => {
  make('cmake', ['--preset', preset])
  make('cmake', ['--build', '--preset', preset, '--parallel', String(availableParallelism())])
  return (name) => `build/${preset}/fuzz_${name}`
}

/** foldersOf gives the folders of a target's inputs: found in earlier runs, kept in the tree, made from vectors. */
const foldersOf = (name, made) => {
  const [work, corpus, seeded] = [`build/fuzz/work/${name}`, `tests/fuzz/corpus/${name}`, `build/fuzz/seeds/${name}`]
  mkdirSync(work, { recursive: true })
  rmSync(seeded, { recursive: true, force: true })
  if (made[name]) writeSeeds(made[name], seeded)
  return [work, corpus, seeded].filter((folder) => existsSync(folder))
}

const dictionaryOf = (name) => {
  const [found] = Object.entries(dictionaries).find(([, users]) => users.includes(name)) ?? []
  return found ? [`-dict=tests/fuzz/dictionaries/${found}.dict`] : []
}

/** fuzz runs a target and resolves to its verdict and what it printed. */
const fuzz = (program, name, folders) =>
  new Promise((resolve) => {
    const args = [
      `-max_total_time=${numberOf('seconds', 3)}`,
      `-seed=${numberOf('seed', 0)}`,
      `-max_len=${MAX_SIZE}`,
      `-artifact_prefix=build/fuzz/findings/${name}-`,
      '-print_final_stats=1',
      ...dictionaryOf(name),
      ...folders
    ]
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    const output = []
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => output.push(bytes))
    child.on('error', (error) => output.push(Buffer.from(error.message)))
    child.on('close', (status) => resolve({ isGood: status === 0, text: Buffer.concat(output).toString() }))
  })

const run = async () => {
  const programOf = build('clang')
  const made = seeds()
  mkdirSync('build/fuzz/findings', { recursive: true })
  const rest = [...chosen]
  let failed = 0
  const work = async () => {
    for (let name = rest.shift(); name; name = rest.shift()) {
      const { isGood, text } = await fuzz(programOf(name), name, foldersOf(name, made))
      const stat = (what) => Number(new RegExp(`^stat::${what}:\\s+(\\d+)$`, 'm').exec(text)?.[1] ?? 0)
      if (!isGood) {
        failed += 1
        console.log(text.slice(Math.max(0, text.search(/^.*(ERROR|runtime error)/m))))
      }
      const [runs, speed] = ['number_of_executed_units', 'average_exec_per_sec'].map(stat)
      console.log(`${isGood ? 'pass' : 'FAIL'}  ${name.padEnd(14)} ${runs} runs, ${speed} a second`)
    }
  }
  await Promise.all(Array.from({ length: Math.max(1, numberOf('jobs', 2)) }, work))
  console.log(`# pass ${chosen.length - failed}\n# fail ${failed}`)
  process.exitCode = failed > 0 ? 1 : 0
}

const corpus = () => {
  const programOf = build('clang')
  const made = seeds()
  for (const name of chosen) {
    const folders = foldersOf(name, made)
    const [kept, next] = [`tests/fuzz/corpus/${name}`, `build/fuzz/next/${name}`]
    rmSync(next, { recursive: true, force: true })
    mkdirSync(next, { recursive: true })
    // Without counters an input is kept for a branch that no shorter one takes, not for how often it takes it.
    make(programOf(name), ['-merge=1', '-use_counters=0', `-max_len=${MAX_SIZE}`, next, ...folders])
    rmSync(kept, { recursive: true, force: true })
    mkdirSync(dirname(kept), { recursive: true })
    renameSync(next, kept)
    const files = readdirSync(kept)
    const size = files.reduce((sum, file) => sum + readFileSync(join(kept, file)).length, 0)
    console.log(`${name.padEnd(14)} ${files.length} inputs, ${size} bytes`)
  }
}

const coverage = () => {
  const programOf = build('coverage')
  const profiles = targets.map((name) => `build/coverage/${name}.profraw`)
  for (const [at, name] of targets.entries())
    make(programOf(name), ['-runs=0', `tests/fuzz/corpus/${name}`], { LLVM_PROFILE_FILE: profiles[at] })
  const merged = 'build/coverage/all.profdata'
  make('llvm-profdata', ['merge', '-sparse', '-o', merged, ...profiles])
  const [first, ...others] = targets.map(programOf)
  const objects = others.flatMap((program) => ['-object', program])
  const text = make('llvm-cov', ['export', '-summary-only', `-instr-profile=${merged}`, first, ...objects, 'src'])
  const rows = JSON.parse(text).data[0].files.map(({ filename, summary: { lines } }) => ({
    file: relative(root, filename),
    ...lines
  }))
  const total = rows.reduce(
    (sum, { count, covered }) => ({ file: 'all of src', count: sum.count + count, covered: sum.covered + covered }),
    { count: 0, covered: 0 }
  )
  const percent = ({ count, covered }) => (100 * covered) / count
  console.log('| file | lines | reached | percent |\n|---|--:|--:|--:|')
  for (const row of [...rows, total]) {
    const name = row === total ? row.file : `\`${row.file}\``
    console.log(`| ${name} | ${row.count} | ${row.covered} | ${percent(row).toFixed(1)} |`)
  }
  const low = rows.filter((row) => percent(row) < GOAL_OF_FILE)
  for (const { file } of low) console.error(`${file} is below ${GOAL_OF_FILE} %`)
  if (percent(total) < GOAL) console.error(`src is below ${GOAL} %`)
  process.exitCode = low.length > 0 || percent(total) < GOAL ? 1 : 0
}

const commands = { run, corpus, coverage }
if (!Object.hasOwn(commands, command ?? '')) fail('usage: tools/fuzz/main.mjs run|corpus|coverage [options] [NAME…]')
await commands[command]()
