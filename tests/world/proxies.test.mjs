// SPDX-License-Identifier: MIT
// A proxy's 401, 403, 502 and captive-portal page never end a session and never move the clock (R69, rows C5 and E4), on every
// way a message travels, whether the proxy passed the request on or not.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { emailEnrollment } from 'countersign'
import { createTestWorld } from 'countersign/testing'

const HOUR = 3600_000
const answers = [401, 403, 502, 'captive-portal']
const refuses = (answer) => answer === 401 || answer === 403

const routes = { 'demo.echo': ({ payload }) => ({ payload }), 'POST /api/echo': ({ payload }) => ({ payload }) }
const types = { frame: 'demo.echo', json: 'demo.echo', header: 'POST /api/echo' }

const ways = {
  frame: ({ client }) => client.request('demo.echo', 'hi'),
  json: ({ client }) => client.request('demo.echo', 'hi'),
  header: ({ client }) => client.fetch('/api/echo', { method: 'POST', body: 'hi' })
}

/** What a proxy must not touch. */
const stateOf = async ({ client, device }) => {
  const { offsetMs, source, lastCorrection } = client.clock
  const { sessionId, revoked, publicKey } = await device.store.get(`test/${device.namespace}`)
  return {
    state: client.state,
    session: client.sessionId,
    offsetMs,
    source,
    lastCorrection,
    sessionId,
    revoked,
    publicKey
  }
}

for (const [way, call] of Object.entries(ways)) {
  for (const answer of answers) {
    for (const passesOn of [false, true]) {
      test(`E4 C5 ${way}: a proxy says ${answer}${passesOn ? ' and passes the request on' : ''}`, async (t) => {
        const world = await createTestWorld({ routes })
        t.after(() => world.close())
        const binding = way === 'json' ? 'json' : 'frame'
        const it = await world.connect({ binding, skewMs: -7 * HOUR })
        await call(it)
        const before = await stateOf(it)
        it.link.once({ proxy: { chance: 1, answers: [answer], passesOn } }, { isMeant: (type) => type === types[way] })
        const code = refuses(answer) ? 'ERR_UNSIGNED_ANSWER' : 'ERR_OUTCOME_UNKNOWN'
        await assert.rejects(call(it), (error) => {
          assert.deepEqual([error.code, error.resultCode], [code, undefined])
          return true
        })
        assert.deepEqual(await stateOf(it), before)
        await call(it)
        assert.equal(it.client.state, 'ready')
      })
    }
  }
}

test('E4 C5 the question for the time: a proxy in its place leaves the clock unknown, and nothing of the caller was sent', async (t) => {
  const world = await createTestWorld({ routes })
  t.after(() => world.close())
  for (const answer of answers) {
    const it = await world.connect({ skewMs: -7 * HOUR, retries: 0 })
    it.link.once({ proxy: { chance: 1, answers: [answer] } })
    await assert.rejects(it.client.request('demo.echo'), { code: 'ERR_UNSIGNED_ANSWER', retry: 'safe' })
    assert.deepEqual([it.client.clock.source, it.client.state], ['none', 'ready'])
    await it.client.request('demo.echo')
  }
  assert.equal(world.network.log.filter(({ what, type }) => what === 'arrived' && type === 'demo.echo').length, 4)
})

test('E4 C5 enrolment: a proxy in the place of its answers enrols nobody and moves no clock; asking again does', async (t) => {
  const world = await createTestWorld({ routes })
  t.after(() => world.close())
  for (const step of ['send-email-code', 'confirm-email-code']) {
    for (const [number, answer] of answers.entries()) {
      const { client, link } = await world.connect({ device: false })
      const email = `${step}-${number}@example.com`
      link.once(
        { proxy: { chance: 1, answers: [answer], passesOn: step === 'confirm-email-code' } },
        { isMeant: (type) => type.endsWith(step) }
      )
      let challengeId
      const code = (id) => {
        challengeId = id
        return world.server.mails.findLast((mail) => mail.email === email).code
      }
      await assert.rejects(emailEnrollment(client, { email, code }), { code: 'ERR_UNSIGNED_ANSWER' })
      assert.deepEqual([client.state, client.clock.source], ['no-session', 'none'])
      await emailEnrollment(client, { email, code, ...(challengeId ? { challengeId } : {}) })
      assert.deepEqual([client.state, client.clock.source], ['ready', 'round-trip'])
    }
  }
})

test('E4 C5 a thousand exchanges through all of them: the session and the clock are what they were', async (t) => {
  const world = await createTestWorld({ seed: 4, routes })
  t.after(() => world.close())
  const it = await world.connect({ skewMs: 31_000, retries: 0 })
  await it.client.request('demo.echo')
  it.link.set({ proxy: { chance: 0.5 } })
  let refused = 0
  for (let round = 0; round < 1000; round++) {
    await it.client.request('demo.echo', 'x').catch((error) => {
      assert.ok(['ERR_UNSIGNED_ANSWER', 'ERR_OUTCOME_UNKNOWN'].includes(error.code), error.code)
      refused += 1
    })
    if (round % 100 === 0) await world.advance(60_000)
  }
  assert.ok(refused > 300 && refused < 700)
  assert.equal(it.client.state, 'ready')
  assert.ok(Math.abs(it.client.clock.offsetMs + 31_000) <= it.client.clock.errorMs)
  assert.equal(it.client.clock.lastCorrection, null)
})
