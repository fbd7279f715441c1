// SPDX-License-Identifier: MIT
// Every suite of tests/js in a page of each engine, under a strict policy; each test of a page is a test here.
// COUNTERSIGN_ENGINES=firefox,webkit picks engines, for a person at work.

import { equal, ok } from 'node:assert/strict'
import { test } from 'node:test'
import { runSeed } from '../../unit/harness/random.mjs'
import { within } from '../../unit/harness/wait.mjs'
import { startGateway } from '../suites.mjs'
import { browsersRequired, engines, launch, missingEngine } from './launch.mjs'
import { startPageServer } from './page-server.mjs'

/** follow gives the page's messages one by one; throws where the page hangs, saying what came last. */
const follow = async function* (server) {
  const queue = []
  let wake = () => {}
  server.onResult = (message) => {
    queue.push(message)
    wake()
  }
  let last = 'the page was opened'
  for (;;) {
    if (queue.length === 0) {
      const more = new Promise((resolve) => {
        wake = resolve
      })
      await within(`the page said nothing after: ${last}`, more)
    }
    const message = queue.shift()
    if (message.done) return
    last = message.planned ? 'it listed its tests' : `${message.suite}: ${message.name}`
    yield message
  }
}

const runEngine = async (t, engine) => {
  // One for each engine: the limits on enrolment count addresses and sources.
  const gateway = await startGateway()
  t.after(() => gateway.stop())
  const server = await startPageServer(gateway.url)
  t.after(() => server.close())
  const browser = await launch(engine)
  t.after(() => browser.close())
  t.diagnostic(`${engine} ${browser.version}`)
  const page = await browser.newPage()
  const messages = follow(server)
  const asked = new URLSearchParams({ engine, seed: runSeed, grep: process.env.COUNTERSIGN_GREP ?? '' })
  const opened = page.goto(`${server.url}?${asked}`)
  const waiting = new Set()
  for await (const { planned, suite, name, error } of messages) {
    if (planned) {
      for (const { suite: of, name: title } of planned) waiting.add(`${of}: ${title}`)
      equal(waiting.size, planned.length, 'two tests have the same name')
      continue
    }
    ok(waiting.delete(`${suite}: ${name}`), `${suite}: ${name} was not planned`)
    await t.test(`${suite}: ${name}`, () => {
      if (error) throw new Error(error)
    })
  }
  await opened
  equal([...waiting].join('\n'), '', 'every planned test ran')
}

const picked = process.env.COUNTERSIGN_ENGINES?.split(',') ?? engines

// The suites wait more than they work, so the engines go through them side by side.
test('engines', { concurrency: true }, async (t) => {
  const runs = engines
    .filter((name) => picked.includes(name))
    .map((engine) => {
      const command = missingEngine(engine)
      const skip = command && !browsersRequired && `not installed: ${command}`
      return t.test(engine, { skip }, (t) => runEngine(t, engine))
    })
  await Promise.all(runs)
})
