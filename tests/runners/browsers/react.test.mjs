// SPDX-License-Identifier: MIT
// The hooks of countersign/react in a real page under StrictMode: one client, one stream, each event once.

import { deepEqual, equal, match } from 'node:assert/strict'
import { test } from 'node:test'
import { createGateway, memoryEventStore, memoryReplayStore } from 'countersign/server'
import { until } from '../../unit/harness/wait.mjs'
import { begin, createWorld, outcomeOf, serve } from './lab.mjs'
import { browsersRequired, launch, missingEngine } from './launch.mjs'

const command = missingEngine('chromium')

const step = async (page, name, given = []) => {
  await begin(page, name, given)
  return outcomeOf(page, name)
}

test('countersign/react in StrictMode: sign-in, events once each, sign-out, and nothing left after it', {
  skip: command && !browsersRequired && `not installed: ${command}`
}, async (t) => {
  const { label, signer, sessions, login } = createWorld()
  const shared = { label, signer, sessions, replay: memoryReplayStore(), events: memoryEventStore() }
  const gateway = createGateway({ ...shared, routes: {} })
  t.after(() => gateway.close())
  const url = await serve(t, { gateway, login }, 'react-page.mjs')
  const browser = await launch('chromium')
  t.after(() => browser.close())
  const page = await browser.newPage()
  await page.goto(url)
  const look = () => step(page, 'look')
  const reaches = (isThere, what) => until(async () => isThere(await look()), what)
  const streams = () => {
    const all = gateway.metrics().matchAll(/^countersign_streams\{.*\} (\d+)$/gm)
    return Array.from(all, ([, open]) => Number(open)).reduce((sum, open) => sum + open, 0)
  }

  await step(page, 'start', [[{ id: 'k1', publicKey: Buffer.from(signer.publicKey).toString('base64') }]])
  await reaches(({ html }) => html === 'no-session null 0', 'the client')
  await step(page, 'enrol')
  await reaches(({ html }) => html.startsWith('ready '), 'the session')
  const [session] = await sessions.listByUser('user-1')
  match((await look()).html, new RegExp(`^ready ${session.id} 0$`))
  await until(
    () => streams() === 1,
    () => `one stream: ${gateway.metrics().match(/^countersign_streams.*$/gm)}`
  )
  for (let number = 1; number <= 5; number++) await gateway.publish(session.id, 'n', '')
  await reaches(({ html }) => html === `ready ${session.id} 5`, 'five events')
  deepEqual((await look()).events, [1, 2, 3, 4, 5])
  equal(streams(), 1)
  await step(page, 'signOut')
  await reaches(({ html }) => html === 'signed-out null 5', 'the end of the session')
  await until(() => streams() === 0, 'no stream')
  await step(page, 'unmount')
  equal((await look()).html, '')
  await step(page, 'fail')
  await reaches(({ html }) => html === 'error ERR_NO', 'the error of connect')
})
