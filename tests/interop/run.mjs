// SPDX-License-Identifier: MIT
// Starts what the interop tests need as child processes: the reference gateway, and Debian's Python.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { HUNG_MS } from '../unit/harness/wait.mjs'

const here = (name) => fileURLToPath(new URL(name, import.meta.url))
const PYTHON = '/usr/bin/python3'

/** missingPython returns undefined, or the sentence that says what to install. */
export const missingPython = () => {
  const probe = spawnSync(PYTHON, ['-c', 'import cryptography'])
  if (probe.status === 0) return undefined
  return `${PYTHON} has no cryptography; run: apt-get install -y --no-install-recommends python3-cryptography`
}

/** runPython runs a script of this folder and resolves to its lines of JSON; it rejects where one is not JSON. */
export const runPython = async (script, ...args) => {
  const child = spawn(PYTHON, ['-B', here(script), ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let errors = ''
  child.stderr.on('data', (chunk) => {
    errors += chunk
  })
  const closed = once(child, 'close')
  const lines = []
  for await (const line of createInterface({ input: child.stdout })) lines.push(JSON.parse(line))
  const [status] = await closed
  // 0 and 1 are the script's own verdicts; anything else, or no line at all, is a script that broke.
  if (status > 1 || lines.length === 0) throw new Error(`${script} ended with ${status}: ${errors.slice(-2000)}`)
  return lines
}

/** startGateway starts demo/gateway/main.mjs on a free port with data of its own; resolves to { url, stop }. */
export const startGateway = async (environment = {}) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'countersign-interop-'))
  const { PATH, HOME } = process.env
  const child = spawn(process.execPath, [here('../../demo/gateway/main.mjs')], {
    env: { PATH, HOME, ...environment, PORT: '0', DATA_DIR: dataDir },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  let errors = ''
  child.stderr.on('data', (chunk) => {
    errors += chunk
  })
  const closed = once(child, 'close')
  const stop = async () => {
    child.kill('SIGTERM')
    await closed
    await rm(dataDir, { recursive: true, force: true })
  }
  const timer = setTimeout(() => child.kill('SIGKILL'), HUNG_MS)
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /http:\/\/\S+:\d+/.exec(line)?.[0]
    if (!url) continue
    clearTimeout(timer)
    child.stdout.resume()
    return { url, stop }
  }
  clearTimeout(timer)
  await stop()
  throw new Error(`the gateway did not start: ${errors.slice(-2000)}`)
}
