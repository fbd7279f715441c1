// SPDX-License-Identifier: MIT
// What script in a page of each engine can do with each message while it runs, and what is left of it on another machine: one
// test for each row of the table under "Script in the page" in SECURITY.md. The script has the page's key as an object that
// signs. The other machine has what the script signed before, and sends it from here.

import { deepEqual, equal, notEqual, ok } from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { createProof, importSecret } from 'countersign/action-proof'
import { actionProofs, actionSecrets, secretHandler } from 'countersign/action-proof/server'
import {
  createGateway,
  enrollment,
  memoryCodeStore,
  memoryEventStore,
  memoryReplayStore,
  memorySessionStore
} from 'countersign/server'
import { core, createKey, createSigner, enrol, openAnswer, randomId, signRequest } from '../../server/kit.mjs'
import { root } from '../suites.mjs'
import { serve } from './lab.mjs'
import { browsersRequired, engines, launch, missingEngine } from './launch.mjs'

const USER = 'ada@example.com'
const label = 'demo'
const STREAM_MS = 2500
const PERIOD_MS = 600_000
const FRAME = 'application/vnd.countersign.v1'

const base64 = (bytes) => Buffer.from(bytes).toString('base64')

const createWorld = (options = {}) => {
  const world = { shiftMs: 0, code: '', mails: [] }
  const now = () => Date.now() + world.shiftMs
  const mailer = (mail) => {
    world.mails.push(mail)
    world.code = mail.code
  }
  const shared = {
    label,
    now,
    signer: createSigner(),
    sessions: memorySessionStore(),
    codes: memoryCodeStore(),
    mailer
  }
  const { keyId, publicKey } = shared.signer
  const serverKeys = { serial: 1, keys: [{ id: keyId, publicKey, notAfter: now() + 30 * 86_400_000 }] }
  const secrets = actionSecrets({ master: new Uint8Array(32).fill(7), periodMs: PERIOD_MS })
  const gateway = createGateway({
    ...shared,
    replay: memoryReplayStore(),
    events: memoryEventStore(),
    routes: { 'demo.echo': ({ payload }) => ({ payload }) },
    serverKeys,
    limits: { streamMs: STREAM_MS },
    actionSecret: secretHandler(secrets, now),
    enrollment: enrollment(shared),
    ...options
  })
  return Object.assign(world, shared, { gateway, secrets })
}

/** A page with a session, script in it, and another machine. */
const createScene = async (t, page, options) => {
  const world = createWorld(options)
  const url = await serve(t, world, 'page-script-page.mjs', { '/code': () => ['text/plain', world.code] })
  t.after(() => world.gateway.close())
  await page.goto(url)
  const keys = [{ id: world.signer.keyId, publicKey: base64(world.signer.publicKey) }]
  const id = await page.evaluate((given) => globalThis.lab.start(given), keys)
  const { refused, text } = await page.evaluate(() => globalThis.lab.steal())
  deepEqual([refused, text], [Array(4).fill('InvalidAccessError'), '{}'], 'no form of the key leaves the platform')

  /** Script signs a request with the page's key. */
  const signed = async (type, payload = '', shiftMs = 0) => {
    const request = { label, type, payload, head: randomId(), nowMs: world.now() + shiftMs }
    if (typeof payload === 'function') request.payload = payload(request.head)
    const unsigned = signRequest({ id }, { ...request, signature: new Uint8Array(64) })
    const signature = await page.evaluate((text) => globalThis.lab.sign(text), base64(unsigned.signingInput))
    return signRequest({ id }, { ...request, signature: new Uint8Array(Buffer.from(signature, 'base64')) })
  }
  const open = (answer, { requestId }) => openAnswer(answer, requestId, world.signer, label)
  const scene = {
    ...world,
    world,
    page,
    id,
    signed,
    /** Script sends a request in the page. */
    async here(type, payload) {
      const request = await signed(type, payload)
      const { status, frame } = await page.evaluate((text) => globalThis.lab.send(text), base64(request.frame))
      return open(new Response(Buffer.from(frame, 'base64'), { status, headers: { 'content-type': FRAME } }), request)
    },
    /** The other machine sends what was signed. */
    async elsewhere(request) {
      const headers = { 'content-type': FRAME }
      return open(await fetch(`${url}exchange`, { method: 'POST', headers, body: request.frame }), request)
    },
    /** The other machine opens a stream with what was signed. Resolves to its text when it ends. */
    async stream({ frame }) {
      const headers = { 'content-type': FRAME, accept: 'text/event-stream' }
      const answer = await fetch(`${url}exchange`, { method: 'POST', headers, body: frame })
      equal(answer.status, 200)
      return answer.text()
    }
  }
  return scene
}

const isRefused = ({ status, resultCode }, code) => deepEqual([status, resultCode], [code.status, code.resultCode])
const REPLAYED = { status: 409, resultCode: 'cs.replayed' }
const STALE = { status: 401, resultCode: 'cs.stale' }
const FORGED = { status: 401, resultCode: 'cs.unauthenticated' }
const REVOKED = { status: 401, resultCode: 'cs.session_revoked' }

/** A cs.rotate_key to the thief's own key. */
const rotationTo =
  (thief, { id }) =>
  (head) => {
    const { algorithm, publicKey } = thief
    const proof = thief.sign(
      core.rotateSigningInput({ label, deviceSessionId: id, requestId: head, algorithm, publicKey })
    )
    return JSON.stringify({ algorithm, public_key: base64(publicKey), proof: base64(proof) })
  }

/** What the thief's own key can, from another machine. */
const asThief = (thief, { id, world, elsewhere }) =>
  elsewhere(signRequest({ ...thief, id }, { label, type: 'demo.echo', nowMs: world.now() }))

/** The rows of the table in SECURITY.md, by the start of their first cell. */
const rows = {
  async 'a message or route of the application'({ here, signed, elsewhere, world }) {
    equal((await here('demo.echo', 'as the user')).text, 'as the user')
    const [early, late] = [await signed('demo.echo', 'early'), await signed('demo.echo', 'late')]
    equal((await elsewhere(early)).text, 'early')
    isRefused(await elsewhere(early), REPLAYED)
    world.shiftMs += 61_000
    isRefused(await elsewhere(late), STALE)
  },

  async '`cs.rotate_key`'(scene) {
    const { here, signed, elsewhere, id, sessions, mails, page } = scene
    const thief = createKey()
    const before = base64((await sessions.get(id)).publicKey)
    equal((await here('cs.rotate_key', rotationTo(thief, scene))).resultCode, 'confirmation_required')
    const mail = mails.at(-1)
    deepEqual([mail.purpose, mail.thumbprint === undefined], ['rotate', false])
    // Without the code nothing helps: no guess, and no request that was signed in the page for another machine.
    equal(
      (await elsewhere(await signed('cs.rotate_key', rotationTo(thief, scene)))).resultCode,
      'confirmation_required'
    )
    const guess = (head) => {
      const confirmation = { challenge_id: mail.challengeId, code: mail.code === '123456' ? '654321' : '123456' }
      return JSON.stringify({ ...JSON.parse(rotationTo(thief, scene)(head)), confirmation })
    }
    notEqual((await elsewhere(await signed('cs.rotate_key', guess))).resultCode, 'ok')
    equal(base64((await sessions.get(id)).publicKey), before)
    isRefused(await asThief(thief, scene), FORGED)
    equal(await page.evaluate(() => globalThis.lab.call()), 'ok')
  },

  async '`cs.freeze`, `cs.revoke`'({ here, signed, elsewhere, sessions, id }) {
    const other = await enrol(sessions, { userId: USER, nowMs: Date.now() })
    const stranger = await enrol(sessions, { userId: 'eve@example.com', nowMs: Date.now() })
    equal((await here('cs.revoke', JSON.stringify({ device_session_id: stranger.id }))).resultCode, 'not_found')
    equal((await here('cs.revoke', JSON.stringify({ device_session_id: other.id }))).resultCode, 'ok')
    equal((await elsewhere(await signed('cs.freeze'))).resultCode, 'ok')
    const status = async (one) => (await sessions.get(one)).status
    deepEqual([await status(other.id), await status(stranger.id), await status(id)], ['revoked', 'active', 'revoked'])
    isRefused(await elsewhere(await signed('demo.echo')), REVOKED)
  },

  async '`cs.sessions`, `cs.rename`'({ here, id, sessions, signed, elsewhere }) {
    const { sessions: list } = JSON.parse((await here('cs.sessions')).text)
    deepEqual(Object.keys(list[0]).sort(), [
      'algorithm',
      'created_ms',
      'current',
      'device_session_id',
      'last_seen_ms',
      'status'
    ])
    const named = JSON.stringify({ device_session_id: id, name: 'not mine' })
    const first = await signed('cs.rename', named)
    equal((await here('cs.rename', named)).resultCode, 'ok')
    equal((await sessions.get(id)).name, 'not mine')
    equal((await elsewhere(first)).resultCode, 'ok')
    isRefused(await elsewhere(first), REPLAYED)
  },

  async '`cs.subscribe`'({ stream, signed, elsewhere, gateway, id }) {
    await gateway.publish(id, 'demo.n', 'for the page')
    const request = await signed('cs.subscribe', JSON.stringify({ after: 0 }))
    const startMs = performance.now()
    const text = await stream(request)
    const tookMs = performance.now() - startMs
    ok(Buffer.from(text).length > 100)
    ok(tookMs > STREAM_MS - 500, `the stream lives: ${tookMs}`)
    // The stream has ended by itself, and what opened it opens no other.
    isRefused(await elsewhere(request), REPLAYED)
  },

  async '`cs.poll`'({ here, signed, elsewhere, gateway, id }) {
    await gateway.publish(id, 'demo.n', 'for the page')
    const after = JSON.stringify({ after: 0 })
    equal((await here('cs.poll', after)).resultCode, 'ok')
    const request = await signed('cs.poll', after)
    const { resultCode, payload } = await elsewhere(request)
    equal(resultCode, 'ok')
    ok(Buffer.from(payload).includes('for the page'))
    isRefused(await elsewhere(request), REPLAYED)
  },

  async '`cs.action_secret`'({ here, id, secrets, world, now }) {
    const { key_id: keyId, secret } = JSON.parse((await here('cs.action_secret')).text)
    const proofs = actionProofs({
      actions: { move: { points: 1 } },
      nonces: memoryReplayStore(),
      counters: memoryCodeStore(),
      secrets,
      now
    })
    const stolen = await importSecret(secret, { id: keyId })
    const play = async () => {
      const { text: body } = await createProof(stolen, {
        actionType: 'move',
        timestamp: now(),
        actionData: {},
        expectedPoints: 1
      })
      return (await proofs.handle({ body, userId: USER, sessionId: id })).body.error ?? 'ok'
    }
    equal(await play(), 'ok')
    world.shiftMs += PERIOD_MS
    equal(await play(), 'ok')
    world.shiftMs += PERIOD_MS
    equal(await play(), 'bad_signature')
  },

  async '`cs.time`, `cs.keys`'({ here, signer }) {
    const time = await here('cs.time')
    deepEqual([time.resultCode, time.text], ['ok', ''])
    const keys = await here('cs.keys')
    equal(keys.resultCode, 'ok')
    ok(!/private|secret|"d"/.test(keys.text), keys.text)
    ok(keys.text.includes(signer.keyId))
  }
}

const trusted = async (scene) => {
  const { here, signed, elsewhere, id, sessions, page } = scene
  const thief = createKey()
  equal((await here('cs.rotate_key', rotationTo(thief, scene))).resultCode, 'ok')
  equal((await asThief(thief, scene)).resultCode, 'ok')
  isRefused(await elsewhere(await signed('demo.echo')), FORGED)
  notEqual(await page.evaluate(() => globalThis.lab.call()), 'ok')
  await sessions.revoke(id, 'stolen')
  isRefused(await asThief(thief, scene), REVOKED)
}

/** The first cells of the table in SECURITY.md. */
const listed = () => {
  const text = readFileSync(join(root, 'SECURITY.md'), 'utf8').split('### Script in the page\n')[1].split('\n### ')[0]
  return Array.from(text.matchAll(/^\| ([^|]+) \| [^|]+ \| [^|]+ \|$/gm), ([, cell]) => cell).slice(1)
}

test('F-1 each row of the table has its test', () => deepEqual(listed(), Object.keys(rows)))

const picked = process.env.COUNTERSIGN_ENGINES?.split(',') ?? engines

for (const engine of engines.filter((name) => picked.includes(name))) {
  const command = missingEngine(engine)
  const skip = command && !browsersRequired && `not installed: ${command}`
  test(`F-1 ${engine}: script in the page`, { skip }, async (t) => {
    const browser = await launch(engine)
    t.after(() => browser.close())
    const page = await browser.newPage()
    for (const [name, run] of Object.entries(rows)) {
      await t.test(name.replaceAll('`', ''), async (row) => run(await createScene(row, page)))
    }
    await t.test("cs.rotate_key, with rotation: 'trusted'", async (row) =>
      trusted(await createScene(row, page, { rotation: 'trusted' }))
    )
  })
}
