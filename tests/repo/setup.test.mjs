// SPDX-License-Identifier: MIT
// tools/setup on machines that are not as they should be: stand-ins on PATH play the machine.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { HUNG_MS } from '../unit/harness/wait.mjs'

const root = fileURLToPath(new URL('../../', import.meta.url))
const made = []
after(() => {
  for (const path of made) rmSync(path, { recursive: true, force: true })
})
const folder = () => {
  const path = mkdtempSync(join(tmpdir(), 'countersign-setup-'))
  made.push(path)
  chmodSync(path, 0o777)
  return path
}

/** standIns makes a folder of commands: { name: shell script }. */
const standIns = (commands) => {
  const path = folder()
  for (const [name, script] of Object.entries(commands)) {
    writeFileSync(join(path, name), `#!/bin/bash\n${script}\n`, { mode: 0o755 })
  }
  return path
}

/** bareMachine is a PATH on which there is a shell's usual company and nothing to build with. */
const bareMachine = () => {
  const path = standIns({ 'apt-get': 'echo "apt-get $*"', 'apt-cache': 'exit 0' })
  for (const name of ['bash', 'cat', 'cksum', 'dirname', 'grep', 'mkdir', 'mktemp', 'readlink', 'rm', 'sort', 'env']) {
    const found = spawnSync('/bin/sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).stdout.trim()
    symlinkSync(realpathSync(found), join(path, name))
  }
  symlinkSync(process.execPath, join(path, 'node'))
  return path
}

const setup = (args, env = {}, asNobody = false) => {
  const command = ['tools/setup', ...args]
  const isRoot = process.getuid() === 0
  if (asNobody && isRoot) command.unshift('/usr/bin/setpriv', '--reuid=65534', '--regid=65534', '--clear-groups')
  const [program, ...rest] = command
  const result = spawnSync(program, rest, {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, ...env },
    timeout: HUNG_MS
  })
  return { status: result.status, said: result.stdout + result.stderr }
}

test('where nothing is missing it says nothing and asks nobody', () => {
  // What would take its time: each of these commands ends the set-up here, and says so.
  const asked = Object.fromEntries(
    ['apt-get', 'apt-cache', 'npm', 'curl', 'wget'].map((name) => [name, `echo "asked ${name}"; exit 9`])
  )
  const env = { PATH: `${standIns(asked)}:${process.env.PATH}` }
  assert.deepEqual(setup(['test'], env), { status: 0, said: '' })
  assert.deepEqual(setup(['start'], env), { status: 0, said: '' })
})

test('not root: one line with the exact command, and exit code 1', () => {
  const { status, said } = setup(['start'], { PATH: bareMachine() }, true)
  assert.equal(status, 1)
  assert.match(
    said,
    /^setup: these packages are missing; run: sudo (apt-get update && sudo )?apt-get install -y --no-install-recommends xz-utils cmake ninja-build emscripten\n$/
  )
})

test('the set-up for the demo asks for no browser and no test package', () => {
  const { said } = setup(['start'], { PATH: bareMachine() }, true)
  assert.ok(!/chromium|firefox|webkit|catch2|valgrind/.test(said))
  const test = setup(['test'], { PATH: bareMachine() }, true)
  for (const name of ['chromium', 'firefox-esr', 'webkit2gtk-driver', 'xvfb']) assert.ok(test.said.includes(name), name)
})

test('Node that is too old, or not there, is named with its version', () => {
  const old = `${standIns({ node: 'echo v18.20.4' })}:${process.env.PATH}`
  const { status, said } = setup(['start'], { PATH: old })
  assert.equal(status, 1)
  assert.match(said, /^setup: Node 20 or later is needed, and \S+ is 18\.20\.4; .*\n$/)
  const without = bareMachine()
  rmSync(join(without, 'node'))
  const missing = setup(['start'], { PATH: without })
  assert.equal(missing.status, 1)
  assert.match(missing.said, /^setup: Node 20 or later is needed and there is no node on PATH; .*\n$/)
})

test('a source archive with another hash is refused on both routes and leaves nothing behind', () => {
  const forged = standIns({
    'apt-get': '[[ " $* " == *" source "* ]] && echo forged >libsodium_1.0.18.orig.tar.gz; exit 0',
    curl: 'while [[ $1 != --output ]]; do shift; done; echo forged >"$2"'
  })
  const cache = folder()
  const { status, said } = setup(['start'], { PATH: `${forged}:${process.env.PATH}`, CS_CACHE: cache })
  assert.equal(status, 1)
  assert.match(said, /\nsetup: libsodium 1\.0\.18 could not be had from .*\n$/)
  assert.deepEqual(readdirSync(cache), [])
})

test('without a network it says which source could not be had', () => {
  const offline = standIns({ 'apt-get': 'echo "Could not resolve host" >&2; exit 100', curl: 'exit 6' })
  const cache = folder()
  const { status, said } = setup(['start'], { PATH: `${offline}:${process.env.PATH}`, CS_CACHE: cache })
  assert.equal(status, 1)
  assert.match(said, /Could not resolve host/)
  assert.deepEqual(readdirSync(cache), [])
})

test('a cache that cannot be written to is named', () => {
  const { status, said } = setup(['start'], { CS_CACHE: '/proc/countersign' })
  assert.equal(status, 1)
  assert.equal(said, 'setup: cannot write to /proc/countersign; set CS_CACHE to a folder that can be written to\n')
})

test('anything but start, build, test, long and fuzz is refused', () => {
  assert.deepEqual(setup(['all']), { status: 1, said: 'setup: usage: tools/setup start|build|test|long|fuzz\n' })
})
