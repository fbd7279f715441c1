// SPDX-License-Identifier: MIT
// A page in the frame of another site, in a sandboxed frame, and where the person has blocked cookies (F-21): real browsers
// differ in what they deny there, and in how. And two games of one origin, which share its keys (F-20).

import { deepEqual, equal, match, ok } from 'node:assert/strict'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { memoryEventStore } from 'countersign/server'
import { begin, createWorld, outcomeOf, PAGE, serve } from './lab.mjs'
import { browsersRequired, engines, launch, missingEngine } from './launch.mjs'

/** A site of its own, which shows pages of others in a frame and passes the steps of a test on to them. */
const startPortal = async (t) => {
  const portal = createServer((request, response) => {
    const { searchParams } = new URL(request.url, 'http://portal')
    const sandbox = searchParams.has('sandbox') ? 'sandbox="allow-scripts"' : ''
    response.setHeader('content-type', 'text/html')
    response.end(`<!doctype html><html lang="en"><meta charset="utf-8"><title>portal</title><script>
      const isReady = new Promise((resolve) => {
        addEventListener('message', ({ data }) => {
          if (data === 'ready') resolve()
          else lab.outcome = data
        })
      })
      globalThis.lab = {
        async begin(...step) {
          lab.outcome = undefined
          await isReady
          document.querySelector('iframe').contentWindow.postMessage(step, '*')
        }
      }
      </script><iframe ${sandbox} src="${searchParams.get('page')}"></iframe></html>`)
  })
  await new Promise((resolve) => portal.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    portal.closeAllConnections()
    return new Promise((resolve) => portal.close(resolve))
  })
  // Another host than that of the game makes another site.
  return (page, sandbox = '') =>
    `http://localhost:${portal.address().port}/?page=${encodeURIComponent(page)}${sandbox && '&sandbox'}`
}

/** What a person sets in a browser, in its own words. WebKitGTK has no such setting that a test could reach. */
const SETTINGS = {
  'no cookies in frames of other sites': {
    chromium: { profile: { block_third_party_cookies: true, cookie_controls_mode: 1 } },
    firefox: { 'network.cookie.cookieBehavior': 1 }
  },
  'no cookies at all': {
    chromium: { profile: { default_content_setting_values: { cookies: 2 } } },
    firefox: { 'network.cookie.cookieBehavior': 2 }
  }
}

/** A game, a portal that can frame it, and a browser. `take` opens an address and takes a step there. */
const createScene = async (t, engine, preferences) => {
  const world = createWorld({ events: memoryEventStore(), guests: true, allowOpaqueOrigin: true })
  const game = await serve(t, world, 'frames-page.mjs', { '/another-game/': PAGE })
  const framed = await startPortal(t)
  const browser = await launch(engine, { preferences })
  t.after(() => browser.close())
  const page = await browser.newPage()
  const keys = [{ id: 'k1', publicKey: Buffer.from(world.signer.publicKey).toString('base64') }]
  const take = async (address, step, ...given) => {
    await page.goto(address)
    await begin(page, step, given)
    return outcomeOf(page, step)
  }
  return { game, framed, keys, take }
}

const DENIED = { strict: 'ERR_STORAGE_BLOCKED', state: 'no-session' }
const IN_MEMORY = { ...DENIED, level: 'memory', request: 'ok', role: 'alone', revoked: true }

const inSandbox = async ({ game, framed, keys, take }) => {
  deepEqual(await take(framed(game, 'sandbox'), 'look', keys), DENIED, 'a sandboxed frame')
  const { user, ...visit } = await take(framed(game, 'sandbox'), 'visitAsGuest', keys)
  match(user, /^guest:/)
  deepEqual(visit, { ...IN_MEMORY, answer: 'an answer' }, 'a guest in a sandboxed frame')
}

const inFrame = async ({ game, framed, keys, take }) => {
  const { level, ...visit } = await take(framed(game), 'visit', keys)
  deepEqual(visit, { strict: 'ok', state: 'no-session', request: 'ok', role: 'leader', revoked: true })
  ok(level.endsWith('-indexeddb'), level)
}

const isSignatureOf = async ({ algorithm, publicKey, signature }, text) => {
  const how = algorithm === 'ed25519' ? { name: 'Ed25519' } : { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const [key, bytes] = [publicKey, signature].map((part) => Buffer.from(part, 'base64'))
  const imported = await crypto.subtle.importKey('raw', key, how, false, ['verify'])
  return crypto.subtle.verify(how, imported, bytes, Buffer.from(text))
}

const ofOneOrigin = async ({ game, keys, take }) => {
  const publicKey = await take(game, 'enrol', keys)
  const signed = await take(`${game}another-game/`, 'useKeys', 'a message of the other game')
  equal(signed.length, 1)
  equal(signed[0].publicKey, publicKey)
  ok(await isSignatureOf(signed[0], 'a message of the other game'), 'another page of the origin signs with the key')
  deepEqual(await take(game.replace('127.0.0.1', 'localhost'), 'useKeys', 'x'), [], 'another origin finds no key')
}

const picked = process.env.COUNTERSIGN_ENGINES?.split(',') ?? engines

for (const engine of engines.filter((name) => picked.includes(name))) {
  const command = missingEngine(engine)
  const options = { skip: command && !browsersRequired && `not installed: ${command}` }

  test(`F-20 F-21 ${engine}: a sandboxed frame, and two games of one origin`, options, async (t) => {
    const scene = await createScene(t, engine)
    await inSandbox(scene)
    // Chromium's default for frames of other sites is a setting that it changes now and then.
    if (engine !== 'chromium') await inFrame(scene)
    await ofOneOrigin(scene)
  })

  for (const [title, { [engine]: preferences }] of Object.entries(SETTINGS)) {
    if (!preferences) continue
    test(`F-21 ${engine}, ${title}: a typed error, or a whole visit with a key in memory`, options, async (t) => {
      const { game, framed, keys, take } = await createScene(t, engine, preferences)
      deepEqual(await take(framed(game), 'visit', keys), IN_MEMORY)
      const alone = title === 'no cookies at all'
      const { strict, level } = await take(game, 'visit', keys)
      deepEqual([strict, level === 'memory'], alone ? [IN_MEMORY.strict, true] : ['ok', false], 'as a page of its own')
    })
  }
}
