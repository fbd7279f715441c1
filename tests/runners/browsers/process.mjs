// SPDX-License-Identifier: MIT
// Child processes in groups of their own, ended by their id.

import { spawn } from 'node:child_process'
import { within } from '../../unit/harness/wait.mjs'

const running = new Set()
const killGroup = (pid, signal) => {
  try {
    process.kill(-pid, signal)
  } catch {
    // The group is gone already.
  }
}
process.on('exit', () => {
  for (const pid of running) killGroup(pid, 'SIGKILL')
})
// A signal's default end runs no exit handler, and the groups would outlive this process.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => process.exit(1))
}

/**
 * startProcess runs a command in a process group of its own. With `ready`, it resolves once a line of any output matches,
 * as `match`; it rejects when the process ends first or hangs, quoting its last output.
 */
export const startProcess = async (command, args, { env, ready, stdio = ['ignore', 'pipe', 'pipe'], cwd } = {}) => {
  const child = spawn(command, args, { stdio, detached: true, cwd, env: { ...process.env, ...env } })
  let output = ''
  const exited = new Promise((resolve) => {
    child.once('error', (error) => resolve(`could not be started: ${error.message}`))
    child.once('exit', (code, signal) => resolve(`ended with ${signal ?? code}`))
  })
  if (child.pid) running.add(child.pid)
  exited.then(() => running.delete(child.pid))
  const stop = async (signal = 'SIGTERM') => {
    if (!running.has(child.pid)) return
    killGroup(child.pid, signal)
    const hard = setTimeout(() => killGroup(child.pid, 'SIGKILL'), 5000)
    await exited
    clearTimeout(hard)
    // The leader has gone; what it left behind in its group goes too.
    killGroup(child.pid, 'SIGKILL')
  }
  const matched = new Promise((resolve, reject) => {
    for (const stream of child.stdio.slice(1)) {
      stream?.setEncoding?.('utf8')
      stream?.on('data', (chunk) => {
        output = (output + chunk).slice(-20_000)
        const match = ready?.exec(output)
        if (match) resolve(match)
      })
    }
    exited.then((how) => reject(new Error(`${command} ${how}\n${output.slice(-2000)}`)))
  })
  matched.catch(() => {})
  const started = { pid: child.pid, child, exited, stop, output: () => output }
  if (!ready) return started
  try {
    return { ...started, match: await within(`${command} did not become ready`, matched) }
  } catch (error) {
    await stop('SIGKILL')
    error.message += `\n${output.slice(-2000)}`
    throw error
  }
}

/** scriptOf turns a function and its JSON arguments into an expression that gives the JSON text of its outcome. */
export const scriptOf = (run, args) =>
  `(async () => { try { return JSON.stringify({ value: await (${run})(...${JSON.stringify(args)}) }) }
  catch (error) { return JSON.stringify({ error: String(error && error.stack ? error + '\\n' + error.stack : error) }) } })()`

/** outcomeOf reads what scriptOf's expression gave; throws what the function threw. */
export const outcomeOf = (text) => {
  const { value, error } = JSON.parse(text)
  if (error !== undefined) throw new Error(`in the page: ${error}`)
  return value
}
