// SPDX-License-Identifier: MIT
// A service worker that substitutes answers, as one that caches too much does (E14): what it kept of an earlier call answers
// no later one.

import { deepEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { begin, createWorld, outcomeOf, serve } from './lab.mjs'
import { browsersRequired, engines, launch, missingEngine } from './launch.mjs'

const WORKER = `
const kept = new Map()
let isOn = true
const answer = async (request) => {
  const name = request.method + ' ' + new URL(request.url).pathname
  if (!kept.has(name)) kept.set(name, await fetch(request))
  return kept.get(name).clone()
}
addEventListener('install', () => skipWaiting())
addEventListener('activate', (event) => event.waitUntil(clients.claim()))
addEventListener('fetch', (event) => {
  const { pathname } = new URL(event.request.url)
  if (pathname === '/worker/off') {
    isOn = false
    event.respondWith(new Response('off'))
  } else if (isOn) event.respondWith(answer(event.request))
})
`

const runEngine = async (t, engine) => {
  const world = createWorld()
  const url = await serve(t, world, 'old-answers-page.mjs', { '/old-answers.js': ['text/javascript', WORKER] })
  const browser = await launch(engine)
  t.after(() => browser.close())
  const page = await browser.newPage()
  await page.goto(url)
  const take = async (step, ...given) => {
    await begin(page, step, given)
    return outcomeOf(page, step)
  }

  const keys = [{ id: 'k1', publicKey: Buffer.from(world.signer.publicKey).toString('base64') }]
  deepEqual(await take('start', keys), 'ready')
  deepEqual(await take('calls'), {
    request: ['ok', 'ERR_WRONG_REQUEST_ID'],
    fetched: ['ok', 'ERR_WRONG_REQUEST_ID'],
    state: 'ready'
  })
  deepEqual(await take('removed'), { request: 'ok', state: 'ready' }, 'and nothing is spoilt by it')
}

const picked = process.env.COUNTERSIGN_ENGINES?.split(',') ?? engines

for (const engine of engines.filter((name) => picked.includes(name))) {
  const command = missingEngine(engine)
  test(
    `E14 ${engine}: a service worker that answers with what it has kept`,
    { skip: command && !browsersRequired && `not installed: ${command}` },
    (t) => runEngine(t, engine)
  )
}
