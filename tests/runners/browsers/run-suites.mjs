// SPDX-License-Identifier: MIT
// The page's side: registers every test of every suite, runs them in order and posts what became of each.

import { wanted } from '../../../tools/test/grep.mjs'
import { assert } from '../../unit/harness/assert.mjs'

// What is kept alive has 64 KiB at most, all of it under way together (Fetch, 4.5); a list of all tests has more.
const KEPT_ALIVE = 8192

const post = (base, message) => {
  const body = JSON.stringify(message)
  return fetch(new URL('results', base), { method: 'POST', body, keepalive: body.length < KEPT_ALIVE })
}

const explain = (error) => {
  const own = `${error?.message ?? error}\n${error?.stack ?? ''}`
  return error?.cause === undefined ? own : `${own}\ncaused by ${explain(error.cause)}`
}

const runOne = async (run) => {
  try {
    await run()
    return undefined
  } catch (error) {
    return explain(error)
  }
}

export const runSuites = async (suites, base) => {
  const vectors = async (name, as) => {
    const response = await fetch(new URL(`vectors/${name}`, base))
    if (!response.ok) throw new Error(`there is no vector file ${name}`)
    return name.endsWith('.json') && as !== 'text' ? response.json() : response.text()
  }
  const asked = new URL(location.href).searchParams
  const runtime = asked.get('engine')
  const isWanted = wanted(asked.get('grep'))
  const urlOf = (name) => new URL(name, base).href
  const env = {
    runtime,
    vectors,
    gatewayUrl: location.origin,
    wasmUrl: urlOf('countersign.wasm'),
    workerUrl: urlOf('worker.js'),
    serviceWorkerUrl: urlOf('service-worker.js')
  }
  const tests = []
  for (const [suite, register] of suites) {
    const add = (name, run) => isWanted(name) && tests.push({ suite, name, run })
    const failure = await runOne(() => register(add, assert, env))
    if (failure) tests.push({ suite, name: 'registers its tests', run: () => Promise.reject(new Error(failure)) })
  }
  await post(base, { planned: tests.map(({ suite, name }) => ({ suite, name })) })
  for (const { suite, name, run } of tests) {
    const started = performance.now()
    const error = await runOne(run)
    await post(base, { suite, name, error, ms: performance.now() - started })
  }
  await post(base, { done: true })
}
