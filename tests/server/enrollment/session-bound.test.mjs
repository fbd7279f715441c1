// SPDX-License-Identifier: MIT
// The bound on the active sessions of one user.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createGateway, enrollment, memoryReplayStore } from 'countersign/server'
import { createKey, frameRequest, label, openAnswer, signRequest } from '../kit.mjs'
import { confirm, createDesk, HOUR, MINUTE } from './kit.mjs'

/** Enrols a device of an address, from a source of its own. */
const enrolAt = async (desk, index, email = 'a@example.com') => {
  const key = createKey()
  const init = { remoteAddress: `192.0.2.${index + 1}` }
  const challenge = await desk.challengeOf(email, init)
  assert.equal((await confirm(desk, key, challenge, {}, init)).status, 200)
  const { session, replaced } = desk.enrolled.at(-1)
  return { ...key, id: session.id, challenge, init, replaced }
}

test('H10 R143 a ninth session ends the least recently seen one, which learns of it, and so does the application', async () => {
  const desk = createDesk()
  const { signer, sessions, now } = desk
  const gateway = createGateway({
    label,
    signer,
    sessions,
    now,
    replay: memoryReplayStore(),
    routes: { echo: () => {} }
  })
  const codeOf = async (device) => {
    const request = signRequest(device, { type: 'echo', nowMs: now.ms })
    const response = await gateway.handle(frameRequest(request.frame))
    return (await openAnswer(response, request.requestId, signer)).resultCode
  }
  const devices = []
  for (let index = 0; index < 8; index++) {
    devices.push(await enrolAt(desk, index))
    assert.deepEqual(devices.at(-1).replaced, [])
    now.ms += HOUR
  }
  const [first, second] = devices
  assert.equal(await codeOf(first), 'ok')
  now.ms += MINUTE
  const ninth = await enrolAt(desk, 8)
  assert.deepEqual(ninth.replaced, [second.id], 'the first was seen since')
  assert.equal((await sessions.get(second.id)).revokedReason, 'replaced')
  assert.equal(await codeOf(second), 'cs.session_revoked')
  assert.equal(await codeOf(first), 'ok')
  assert.equal(await codeOf(ninth), 'ok')

  // The same confirm once more is no new session, and an address of another user counts apart.
  assert.equal((await confirm(desk, ninth, ninth.challenge, {}, ninth.init)).status, 200)
  assert.deepEqual(desk.enrolled.at(-1).replaced, [])
  assert.deepEqual((await enrolAt(desk, 9, 'b@example.com')).replaced, [])
  const live = (await sessions.listByUser('a@example.com')).filter(({ status }) => status === 'active')
  assert.equal(live.length, 8)
  await gateway.close()
})

test('R143 the bound is an option', async () => {
  const desk = createDesk({ maxSessions: 2 })
  const replaced = []
  for (let index = 0; index < 3; index++) replaced.push((await enrolAt(desk, index)).replaced.length)
  assert.deepEqual(replaced, [0, 0, 1])
  for (const maxSessions of [0, 1.5, '8', 1_000_001])
    assert.throws(() => enrollment({ label, signer: desk.signer, sessions: desk.sessions, mailer() {}, maxSessions }), {
      code: 'ERR_INVALID_ARGUMENT'
    })
})
