// SPDX-License-Identifier: MIT
// Real pages of each engine over one profile share one stream of events (E12): the page that leads is closed again and again
// while events come, and no other page misses one or gets one twice.

import { deepEqual, equal } from 'node:assert/strict'
import { generateKeyPairSync, sign } from 'node:crypto'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  createGateway,
  enrollment,
  memoryCodeStore,
  memoryEventStore,
  memoryReplayStore,
  memorySessionStore,
  nodeHandler
} from 'countersign/server'
import { build } from 'esbuild'
import { until as untilSo } from '../../unit/harness/wait.mjs'
import { root } from '../suites.mjs'
import { browsersRequired, engines, launch, missingEngine } from './launch.mjs'
import { POLICY } from './page-server.mjs'

const PAGES = 3
const ROUNDS = process.env.COUNTERSIGN_LONG === '1' ? 12 : 2
/** Fewer than the gateway keeps, for pages that come late. */
const MOST_EVENTS = 240

const createWorld = () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const raw = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }).subarray(-32))
  const signer = { keyId: 'k1', publicKey: raw, sign: (bytes) => new Uint8Array(sign(null, bytes, privateKey)) }
  const world = { code: '', keys: [{ id: 'k1', publicKey: Buffer.from(raw).toString('base64') }] }
  const mailer = ({ code }) => {
    world.code = code
  }
  const shared = { label: 'demo', signer, sessions: memorySessionStore(), codes: memoryCodeStore(), mailer }
  const stores = { replay: memoryReplayStore(), events: memoryEventStore() }
  world.gateway = createGateway({ ...shared, ...stores, routes: {}, enrollment: enrollment(shared) })
  return world
}

const serve = async (t, world) => {
  const entryPoints = [join(root, 'tests/runners/browsers/event-pages-page.mjs')]
  const bundle = { bundle: true, format: 'esm', platform: 'browser', target: 'es2022', write: false, logLevel: 'error' }
  const { outputFiles } = await build({ entryPoints, ...bundle })
  const files = {
    '/': [
      'text/html',
      '<!doctype html><html lang="en"><title>page</title><script type="module" src="/run.js"></script></html>'
    ],
    '/run.js': ['text/javascript', outputFiles[0].contents]
  }
  const onward = nodeHandler(world.gateway)
  const server = createServer((request, response) => {
    const file = request.url === '/code' ? ['text/plain', world.code] : files[request.url]
    if (!file) return onward(request, response)
    const headers = { 'content-type': file[0], 'content-security-policy': POLICY, 'cache-control': 'no-store' }
    response.writeHead(200, headers).end(file[1])
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(async () => {
    await world.gateway.close()
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${server.address().port}/`
}

const view = (page) => page.evaluate(() => globalThis.lab.view())

/** until asks pages what they see until that is as it should be. */
const until = async (pages, isSo, what) => {
  let views
  const look = async () => {
    views = []
    for (const page of pages) views.push(await view(page))
    return isSo(views) && views
  }
  return untilSo(look, () => `${what}: ${JSON.stringify(views).slice(0, 500)}`)
}

const hasOneLeader = (views) => views.filter(({ role }) => role === 'leader').length === 1
const isLive = (views) => views.every(({ state }) => state === 'live')

const runEngine = async (t, engine) => {
  const world = createWorld()
  const url = await serve(t, world)
  const browser = await launch(engine)
  t.after(() => browser.close())
  let session
  const open = async () => {
    const page = await browser.newPage()
    await page.goto(url)
    session = await page.evaluate((keys) => globalThis.lab.start(keys), world.keys)
    await page.evaluate(() => void globalThis.lab.listen())
    return page
  }
  const pages = []
  while (pages.length < PAGES) pages.push(await open())
  await until(pages, (views) => hasOneLeader(views) && isLive(views), 'one page leads')

  let published = 0
  let isOver = false
  const publishing = (async () => {
    while (!isOver && published < MOST_EVENTS) {
      await world.gateway.publish(session, 'n', '')
      published++
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
  })()
  for (let round = 0; round < ROUNDS; round++) {
    const views = await until(pages, hasOneLeader, `round ${round}: one page leads`)
    const [leader] = pages.splice(
      views.findIndex(({ role }) => role === 'leader'),
      1
    )
    pages.push(await open())
    await leader.close()
  }
  await until(pages, (views) => hasOneLeader(views) && isLive(views), 'one page leads in the end')
  isOver = true
  await publishing
  const views = await until(pages, (all) => all.every(({ got }) => got.length >= published), 'all events')
  for (const { got } of views)
    deepEqual(
      got,
      Array.from({ length: published }, (_, at) => at + 1)
    )
  equal(views.filter(({ role }) => role === 'leader').length, 1)
  t.diagnostic(`${engine} ${browser.version}: ${published} events over ${ROUNDS} leaders that were closed`)
}

const picked = process.env.COUNTERSIGN_ENGINES?.split(',') ?? engines

for (const engine of engines.filter((name) => picked.includes(name))) {
  const command = missingEngine(engine)
  test(
    `E12 ${engine}: pages share one stream, and none misses an event when the one that leads is closed`,
    { skip: command && !browsersRequired && `not installed: ${command}` },
    (t) => runEngine(t, engine)
  )
}
