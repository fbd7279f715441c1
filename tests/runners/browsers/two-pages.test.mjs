// SPDX-License-Identifier: MIT
// Two real pages of each engine over one profile: enrolling, rotating and signing out at once (F-7, F-8). What comes of it is
// one key, one session, and no page that goes on signing with a dead key. COUNTERSIGN_LONG=1 plays a hundred rounds.

import { deepEqual, equal, ok } from 'node:assert/strict'
import { test } from 'node:test'
import { begin, createWorld, outcomeOf, serve } from './lab.mjs'
import { browsersRequired, engines, launch, missingEngine } from './launch.mjs'

const ROUNDS = process.env.COUNTERSIGN_LONG === '1' ? 100 : 10

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

/** both takes a step in both pages at once and gives what came of it, one for each. */
const both = async (pages, name, givenTo) => {
  for (const [at, page] of pages.entries()) await begin(page, name, givenTo(at))
  return Promise.all(pages.map((page) => outcomeOf(page, name)))
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
  const meet = createMeetings()
  const meetings = { '/meet/': async (url) => ['text/plain', String(await meet(url))] }
  const url = await serve(t, world, 'two-pages-page.mjs', meetings)
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
