// SPDX-License-Identifier: MIT
// Importing any entry does nothing: safe in server-side rendering, in a worker, under a strict policy, in an old runtime.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { HUNG_MS } from '../unit/harness/wait.mjs'

const root = fileURLToPath(new URL('../../', import.meta.url))
const { exports } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8'))
const entries = Object.keys(exports)
  .filter((path) => !/\.(wasm|json|js)$/.test(path))
  .map((path) => path.replace('.', 'countersign'))

const node = async (script, ...flags) => {
  const args = [...flags, '--input-type=module', '--eval', script]
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { cwd: root, timeout: HUNG_MS })
  assert.equal(stderr, '')
  return stdout
}

/** It takes its exports from the one file for script tags, which makes a global. */
const BUNDLE = 'countersign/bundle'

// What a module could leave behind or do: globals, changed built-ins, listeners, open handles, calls, output.
const watch = (entry) => `
  ${entry.endsWith('/lmdb') ? "await import('lmdb') // a peer that leaves globals of its own behind" : ''}
  const builtIns = [Object, Array, Promise, Map, Uint8Array, ArrayBuffer, Function, Error, Response, Request, AbortSignal, EventTarget]
    .filter(Boolean)
  const look = () => [
    Reflect.ownKeys(globalThis),
    builtIns.map((type) => [Reflect.ownKeys(type), Reflect.ownKeys(type.prototype)]),
    process.eventNames().map((name) => [name, process.listenerCount(name)]),
    process.getActiveResourcesInfo().filter((name) => !/^(PipeWrap|TTYWrap|CloseReq|FSReq.*)$/.test(name)),
    Object.keys(process.env).length
  ]
  const opened = []
  const { emitWarning } = process
  process.emitWarning = (...all) => { opened.push(all); emitWarning.apply(process, all) }
  const calls = []
  const ours = () => new Error().stack.includes('/dist/')
  for (const name of ['fetch', 'setTimeout', 'setInterval', 'queueMicrotask']) {
    const real = globalThis[name]
    if (real) globalThis[name] = (...all) => { if (ours()) calls.push(name); return real(...all) }
  }
  const compiled = []
  for (const name of ['compile', 'instantiate', 'instantiateStreaming', 'Module', 'Memory']) {
    const real = WebAssembly[name]
    WebAssembly[name] = new Proxy(real, {
      apply: (target, self, all) => { if (ours()) compiled.push(name); return Reflect.apply(target, self, all) },
      construct: (target, all) => { if (ours()) compiled.push(name); return Reflect.construct(target, all) }
    })
  }
  const inspect = (await import('node:util')).inspect
  // What the loader or a peer has put off runs before each look, however busy the machine is.
  const settle = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
  await settle()
  const was = inspect(look(), { depth: 5, maxArrayLength: null, showHidden: true })
  const names = Object.keys(await import('${entry}'))
  ${entry === BUNDLE ? 'if (!Object.hasOwn(globalThis, "countersign")) opened.push("no global"); delete globalThis.countersign' : ''}
  await settle()
  const is = inspect(look(), { depth: 5, maxArrayLength: null, showHidden: true })
  console.log(JSON.stringify({ same: was === is, names, calls, compiled, opened, was: was === is ? '' : was, is: was === is ? '' : is }))`

test('the entries are known', () => {
  assert.deepEqual(entries, [
    'countersign',
    'countersign/core',
    'countersign/json',
    'countersign/react',
    'countersign/queue',
    'countersign/server',
    'countersign/server/conformance',
    'countersign/server/lmdb',
    'countersign/server/redis',
    'countersign/server/websocket',
    'countersign/stats-event',
    'countersign/stats-event/node',
    'countersign/stats-event/server',
    'countersign/stats-event/server/lmdb',
    'countersign/stats-event/server/redis',
    'countersign/action-proof',
    'countersign/action-proof/server',
    'countersign/explain',
    'countersign/testing',
    'countersign/knock',
    'countersign/knock/node',
    'countersign/knock/server',
    'countersign/bundle'
  ])
})

for (const entry of entries) {
  test(`importing ${entry} does nothing${entry === BUNDLE ? ' but make its global' : ''}`, async () => {
    const seen = JSON.parse(await node(watch(entry)))
    assert.ok(seen.names.length > 0)
    assert.equal(seen.is, seen.was)
    assert.deepEqual([seen.calls, seen.compiled, seen.opened], [[], [], []])
  })

  test(`importing ${entry} needs neither fetch nor crypto nor IndexedDB nor a page`, async () => {
    const without = [
      'fetch',
      'crypto',
      'indexedDB',
      'navigator',
      'document',
      'self',
      'window',
      'localStorage',
      'FinalizationRegistry'
    ]
    const remove = without.map((name) => `delete globalThis.${name}`).join(';')
    await node(`${remove}; await import('${entry}')`, '--no-experimental-fetch')
  })
}

test('the core loads and runs where code may not be made from strings', async () => {
  const script = `
    import { loadCore } from 'countersign/core'
    import { createHash } from 'node:crypto'
    const core = await loadCore()
    const bytes = new TextEncoder().encode('abc')
    const ours = Buffer.from(core.sha256(bytes)).toString('hex')
    const theirs = createHash('sha256').update(bytes).digest('hex')
    let refused = false
    try { new Function('') } catch { refused = true }
    console.log(ours === theirs && refused)`
  assert.equal(await node(script, '--disallow-code-generation-from-strings'), 'true\n')
})
