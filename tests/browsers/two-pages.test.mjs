// SPDX-License-Identifier: MIT
// Two real pages of each engine over one profile: enrolling, rotating and signing out at once (F-7, F-8). What comes of it is
// one key, one session, and no page that goes on signing with a dead key. COUNTERSIGN_LONG=1 plays a hundred rounds.

import { deepEqual, equal, ok } from 'node:assert/strict'
import { generateKeyPairSync, sign } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'
import { createGateway, enrollment, memoryReplayStore, memorySessionStore, nodeHandler } from 'countersign/server'
import { build } from 'esbuild'
import { root } from '../runtimes/suites.mjs'
import { browsersRequired, engines, launch, missingEngine } from './launch.mjs'
import { POLICY } from './page-server.mjs'

const ROUNDS = process.env.COUNTERSIGN_LONG === '1' ? 100 : 10
const STEP_MS = 60_000

const createSigner = () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const raw = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }).subarray(-32))
  return { keyId: 'k1', publicKey: raw, sign: (bytes) => new Uint8Array(sign(null, bytes, privateKey)) }
}

const createWorld = () => {
  const shared = { label: 'demo', signer: createSigner(), sessions: memorySessionStore() }
  const login = enrollment({ ...shared, mailer() {} })
  const routes = { 'demo.key': ({ session }) => ({ payload: Buffer.from(session.publicKey).toString('base64') }) }
  // A hundred rounds are more than a user does in a week.
  const rates = { perSource: { perSecond: 1e5, burst: 1e5 }, perSession: { perSecond: 1e5, burst: 1e5 } }
  const gateway = createGateway({ ...shared, rates, replay: memoryReplayStore(), routes })
  return { ...shared, login, gateway }
}

/** Lets two go on once both are here. */
const createMeetings = () => {
  const waiting = new Map()
  return (name) => {
    const first = waiting.get(name)
    if (first) {
      waiting.delete(name)
      first()
      return Promise.resolve()
    }
    return new Promise((resolve) => waiting.set(name, resolve))
  }
}

const bodyOf = async (request) => {
  const chunks = []
  for await (const chunk of request) chunks.push(chunk)
  return JSON.parse(Buffer.concat(chunks).toString())
}

const serve = async (t, { gateway, login }) => {
  const entryPoints = [join(root, 'tests/browsers/two-pages-page.mjs')]
  const bundle = { bundle: true, format: 'esm', platform: 'browser', target: 'es2022', write: false, logLevel: 'error' }
  const { outputFiles } = await build({ entryPoints, ...bundle })
  const wasm = await readFile(join(root, 'dist/countersign-client.wasm'))
  const files = {
    '/': [
      'text/html',
      '<!doctype html><html lang="en"><meta charset="utf-8"><title>page</title><script type="module" src="/run.js"></script></html>'
    ],
    '/run.js': ['text/javascript', outputFiles[0].contents],
    '/countersign-client.wasm': ['application/wasm', wasm]
  }
  const meet = createMeetings()
  const onward = nodeHandler(gateway)
  const answer = async (request, response) => {
    const { url } = request
    const reply = (type, body, status = 200) => {
      response.writeHead(status, {
        'content-type': type,
        'content-security-policy': POLICY,
        'cache-control': 'no-store'
      })
      response.end(body)
    }
    if (Object.hasOwn(files, url)) return reply(...files[url])
    if (url.startsWith('/meet/')) return reply('text/plain', String(await meet(url)))
    if (url === '/login/challenge') return reply('text/plain', await login.challenge('user-1'))
    if (url !== '/login/confirm') return onward(request, response)
    const { challengeId, algorithm, publicKey, proof } = await bodyOf(request)
    const offer = {
      challengeId,
      algorithm,
      publicKey: Buffer.from(publicKey, 'base64'),
      proof: Buffer.from(proof, 'base64')
    }
    const confirmed = await login.confirm('user-1', offer)
    response.writeHead(confirmed.status, Object.fromEntries(confirmed.headers))
    response.end(Buffer.from(await confirmed.arrayBuffer()))
  }
  const server = createServer((request, response) => {
    answer(request, response).catch((error) => response.destroy(error))
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  return `http://127.0.0.1:${server.address().port}/`
}

/** both takes a step in both pages at once and gives what came of it, one for each. */
const both = async (pages, name, givenTo) => {
  for (const [at, page] of pages.entries()) {
    await page.evaluate((step, given) => void globalThis.lab.begin(step, ...given), name, givenTo(at))
  }
  const ask = async (page) => {
    const endMs = Date.now() + STEP_MS
    while (Date.now() < endMs) {
      const outcome = await page.evaluate(() => globalThis.lab.outcome ?? null)
      if (outcome?.error) throw new Error(outcome.error)
      if (outcome) return outcome.value
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    throw new Error(`${name} did not end`)
  }
  return Promise.all(pages.map(ask))
}

const ENDS = new Set(['ok', 'ERR_NO_SESSION', 'ERR_SESSION_REVOKED'])

const play = async (round, pages, { sessions }) => {
  const note = `round ${round}`
  const enrolled = await both(pages, 'enrolling', () => [round])
  const codes = enrolled.map(({ code }) => code)
  ok(
    codes.includes('ok') && codes.every((code) => code === 'ok' || code === 'ERR_ALREADY_ENROLLED'),
    `${note} ${codes}`
  )
  const [{ sessionId, key }, other] = enrolled
  deepEqual([other.sessionId, other.key], [sessionId, key], note)

  const rotated = await both(pages, 'rotating', () => [round])
  for (const { rotation, calls, gateway, tries, ...view } of rotated) {
    deepEqual([rotation, ...calls], Array(6).fill('ok'), note)
    equal(gateway, view.key, `${note}: the key in hand is the one that counts`)
    equal(tries, 1, `${note}: and it is used at once`)
    equal(view.sessionId, sessionId, note)
    ok(view.key !== key, note)
  }
  equal(rotated[0].key, rotated[1].key, note)

  // The first one, the second one, both.
  const left = await both(pages, 'leaving', (at) => [round, round % 3 === 2 || round % 3 === at])
  for (const { done, ends, after, ...view } of left) {
    ok(done === 'ok' || done === 'stayed', `${note} ${done}`)
    ok(
      ends.every((code) => ENDS.has(code)),
      `${note} ${ends}`
    )
    equal(after, 'ERR_NO_SESSION', note)
    deepEqual(view, { state: 'signed-out', sessionId: null, key: null }, note)
  }
  const all = await sessions.listByUser('user-1')
  deepEqual(
    all.filter(({ status }) => status === 'active').map(({ id }) => id),
    [],
    `${note}: no session is left behind`
  )
}

const runEngine = async (t, engine) => {
  const world = createWorld()
  const url = await serve(t, world)
  const browser = await launch(engine)
  t.after(() => browser.close())
  const pages = [await browser.newPage(), await browser.newPage()]
  for (const page of pages) await page.goto(url)
  const keys = [{ id: 'k1', publicKey: Buffer.from(world.signer.publicKey).toString('base64') }]
  deepEqual(await both(pages, 'start', () => [keys]), ['no-session', 'no-session'])
  const startMs = Date.now()
  for (let round = 0; round < ROUNDS; round++) await play(round, pages, world)
  const late = /countersign_previous_key_total\{verdict="fail"\} (\d+)/.exec(world.gateway.metrics())?.[1] ?? 0
  const seconds = ((Date.now() - startMs) / 1000).toFixed(1)
  t.diagnostic(
    `${engine} ${browser.version}: ${ROUNDS} rounds in ${seconds} s, ${late} requests signed anew with the new key`
  )
}

const picked = process.env.COUNTERSIGN_ENGINES?.split(',') ?? engines

for (const engine of engines.filter((name) => picked.includes(name))) {
  const command = missingEngine(engine)
  test(
    `F-7 F-8 ${engine}: two pages that enrol, rotate and sign out at once, ${ROUNDS} rounds`,
    { skip: command && !browsersRequired && `not installed: ${command}` },
    (t) => runEngine(t, engine)
  )
}
