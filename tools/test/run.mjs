// SPDX-License-Identifier: MIT
// Runs one command of a step in a process group of its own and collects its output; reads counts from that output.
import { spawn } from 'node:child_process'

/** Ends a run that hangs; no test is judged by it. */
const HUNG_MS = (process.env.COUNTERSIGN_LONG ? 120 : 30) * 60_000

const running = new Set()

const signalGroup = (child, signal) => {
  if (!child.pid) return
  try {
    process.kill(-child.pid, signal)
  } catch {
    // It has gone already.
  }
}

/** SIGTERM first: a test then ends the browsers and servers that it started in groups of their own. */
const stopGently = (child) => {
  signalGroup(child, 'SIGTERM')
  setTimeout(signalGroup, 5000, child, 'SIGKILL').unref()
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    const closed = [...running].map((child) => new Promise((resolve) => child.on('close', resolve)))
    for (const child of running) stopGently(child)
    Promise.all(closed).then(() => process.exit(1))
    setTimeout(() => process.exit(1), 6000)
  })
}
process.on('exit', () => {
  for (const child of running) signalGroup(child, 'SIGKILL')
})

/** run resolves to whether the command ended with 0; `output` receives what it printed. */
export const run = ({ argv: [program, ...args], env }, output) =>
  new Promise((resolve) => {
    output.push(`$ ${[program, ...args].join(' ')}\n`)
    // A group of its own, which is ended with it: nothing that a test has started holds the step open.
    const child = spawn(program, args, {
      env: { ...process.env, NO_COLOR: '1', ...env },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe']
    })
    running.add(child)
    const limit = setTimeout(() => {
      output.push('stopped: it hung\n')
      stopGently(child)
    }, HUNG_MS)
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => output.push(bytes))
    child.on('exit', () => signalGroup(child, 'SIGKILL'))
    child.on('error', (error) => output.push(`${error.message}\n`))
    child.on('close', (status) => {
      clearTimeout(limit)
      running.delete(child)
      resolve(status === 0)
    })
  })

/** countsOf reads the summaries of node:test and of Catch2. */
export const countsOf = (text) => {
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

/** grepCountsOf reads how many tests matched: the lines of count-reporter.mjs, and the summaries of Catch2. */
export const grepCountsOf = (text) => {
  const counts = countsOf(text.replace(/^(?:ℹ|#) .*$/gm, ''))
  for (const [, ran, failed] of text.matchAll(/^ran (\d+), (\d+) failed$/gm)) {
    counts.passed += Number(ran) - Number(failed)
    counts.failed += Number(failed)
  }
  return counts
}
