// SPDX-License-Identifier: MIT
// The paths that docs/decisions.md lists are the files that a call enters. V8 counts which functions of dist/ run.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { Session } from 'node:inspector'
import { after, before, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { fakeIndexedDb } from '../unit/client/fake-indexeddb.mjs'

const dist = new URL('../../dist/', import.meta.url).href
const page = readFileSync(new URL('../../docs/decisions.md', import.meta.url), 'utf8')
const inspector = new Session()

/** Sends a command to V8, which answers before this returns. */
const ask = (method, options) => {
  let answer
  inspector.post(method, options, (error, result) => {
    if (error) throw error
    answer = result
  })
  return answer
}

/** Lists the files of js/ of which a function has run since the last call. */
const enteredFiles = () =>
  ask('Profiler.takePreciseCoverage')
    .result.filter(({ url, functions }) => {
      const ran = functions.filter(({ isBlockCoverage, functionName, ranges: [{ startOffset, count }] }) => {
        const isModule = functionName === '' && startOffset === 0
        return !isBlockCoverage && !isModule && count > 0
      })
      return url.startsWith(dist) && !url.startsWith(`${dist}generated/`) && ran.length > 0
    })
    .map(({ url }) => url.replace(dist, 'js/').replace(/\.js$/, '.ts'))
    .sort()

/** Reads a table of the page: the files below a heading. */
const listedFiles = (heading) => {
  const section = page.split(`### ${heading}\n`)[1]?.split(/^##/m)[0] ?? ''
  return Array.from(section.matchAll(/^\| \d+ \| `(js\/[^`]+)` \|/gm), ([, file]) => file).sort()
}

const subtleSign = crypto.subtle.sign
const platform = { wallNow: Date.now, monotonicNow: performance.now }
let onSign = () => {}
let modules

before(async () => {
  inspector.connect()
  ask('Profiler.enable')
  // The client takes these from the platform when it is loaded.
  crypto.subtle.sign = function (...args) {
    onSign()
    return subtleSign.apply(this, args)
  }
  // The clocks stand still: a client does more after a second, and when its clocks part.
  const [wallMs, monotonicMs] = [Date.now(), performance.now()]
  Date.now = () => wallMs
  performance.now = () => monotonicMs
  globalThis.indexedDB = fakeIndexedDb()
  const [countersign, { fakeGateway }, { enrol }, { ServerClock }] = await Promise.all([
    import('countersign'),
    import('../unit/client/fake-gateway.mjs'),
    import('../unit/client/fixture.mjs'),
    import('../../dist/client/server-clock.js')
  ])
  modules = { ...countersign, fakeGateway, enrol, ServerClock }
  ask('Profiler.startPreciseCoverage', { callCount: true, detailed: false })
})

after(() => {
  crypto.subtle.sign = subtleSign
  Date.now = platform.wallNow
  performance.now = platform.monotonicNow
  delete globalThis.indexedDB
  inspector.disconnect()
})

/** Makes a client as a page does: with the platform's clocks and timers, and its key in IndexedDB. */
const connected = async (namespace) => {
  const { connect, fakeGateway } = modules
  const gateway = await fakeGateway()
  let onFetch = () => {}
  const client = await connect({
    url: gateway.origin,
    label: gateway.label,
    serverKeys: gateway.keys,
    namespace,
    fetch: (...args) => {
      onFetch()
      return gateway.fetch(...args)
    }
  })
  const watchFetch = (run) => {
    onFetch = run
  }
  return { client, gateway, watchFetch }
}

/** Waits until the client does nothing any more: the first sample of a session is also noted in the store, behind the answer. */
const settled = async () => {
  for (let quiet = 0; quiet < 3; quiet++) {
    await setTimeout(10)
    if (enteredFiles().length > 0) quiet = -1
  }
}

const once = (run) => {
  let isDone = false
  return () => {
    if (!isDone) run()
    isDone = true
  }
}

test('the path from a request to fetch is the one in docs/decisions.md', async () => {
  const { client, gateway, watchFetch } = await connected('request')
  await modules.enrol(client, gateway)
  // The first request after an enrolment asks nothing: the confirmation has told the time.
  await client.request('demo.echo', 'first')
  let entered
  const finish = once(() => {
    entered = enteredFiles()
  })
  watchFetch(finish)
  await settled()
  await client.request('demo.echo', new Uint8Array(8))
  await client.close()
  assert.deepEqual(entered, listedFiles('From a request to fetch'))
})

test('the path from an enrolment to the first signature is the one in docs/decisions.md', async () => {
  const { client } = await connected('enrolment')
  let entered
  onSign = once(() => {
    entered = enteredFiles()
  })
  await settled()
  await assert.rejects(
    client.enroll(async () => {
      throw new Error('far enough')
    }),
    /far enough/
  )
  onSign = () => {}
  await client.close()
  assert.deepEqual(entered, listedFiles('From an enrolment to the first signature'))
})

test('the path of a sample of the time is the one in docs/decisions.md', async () => {
  const { client, gateway } = await connected('sample')
  await modules.enrol(client, gateway)
  const { prototype } = modules.ServerClock
  const { sample } = prototype
  const entered = []
  prototype.sample = function (...args) {
    enteredFiles()
    const isTaken = sample.apply(this, args)
    entered.push(enteredFiles())
    return isTaken
  }
  // The first sample of a session is also noted in the store.
  for (let count = 0; count < 2; count++) await client.request('demo.echo', 'x')
  prototype.sample = sample
  await client.close()
  assert.deepEqual(entered.at(-1), listedFiles('A sample of the time'))
})
