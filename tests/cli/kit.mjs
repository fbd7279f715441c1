// SPDX-License-Identifier: MIT
// The command, run as a person runs it.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

/** run resolves to `{ status, stdout, stderr }`. */
export const run = (args, input = '', env = {}) =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, [main, ...args], { stdio: 'pipe', env: { ...process.env, ...env } })
    const out = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr']) child[name].on('data', (chunk) => (out[name] += chunk))
    child.stdin.end(input)
    child.on('close', (status) => resolve({ status, ...out }))
  })
