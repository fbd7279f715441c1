// SPDX-License-Identifier: MIT
// Idle sessions end, and ended sessions are removed, without a way back.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memoryEventStore, memorySessionStore } from 'countersign/server'
import { HUNG_MS } from '../../unit/harness/wait.mjs'
import { createWorld, enrol, openAnswer } from '../kit.mjs'

const DAY_MS = 86_400_000

/** until waits for what a gateway does beside its requests. */
const until = async (isTrue) => {
  const endMs = Date.now() + HUNG_MS
  while (!(await isTrue())) {
    if (Date.now() > endMs) assert.fail('hung')
    await new Promise((resolve) => setImmediate(resolve))
  }
}

test('H11 R144 a session that was revoked long ago goes, with its events, and does not come back', async () => {
  const events = memoryEventStore()
  const world = await createWorld({ events, sessionLife: { revokedMs: 2 * DAY_MS } })
  const old = await enrol(world.sessions, { nowMs: world.now.ms })
  await world.gateway.publish({ sessionId: old.id }, 'note', 'x')
  const { stream } = await events.read(old.id, 0, 1)
  const request = world.requestOf({ device: old })
  assert.equal(
    (await openAnswer(await world.sendFrame(request.frame), request.requestId, world.signer)).resultCode,
    'ok'
  )
  await world.sessions.revoke(old.id, 'lost', world.now.ms)

  world.now.ms += 2 * DAY_MS
  assert.equal((await world.call()).resultCode, 'ok')
  assert.equal((await world.call({ device: old })).resultCode, 'cs.session_revoked', 'not a moment early')
  world.now.ms += 60_000
  assert.equal((await world.call()).resultCode, 'ok')
  await until(async () => (await world.sessions.get(old.id)) === null)
  await until(async () => (await events.read(old.id, 0, 1)).stream !== stream)
  for (const { frame } of [request, world.requestOf({ device: old })]) {
    assert.equal((await world.sendFrame(frame)).status, 401)
    const { stage, code } = world.refusals.at(-1)
    assert.equal(`${stage} ${code}`, 'session cs.unauthenticated')
  }
  assert.equal((await world.sessions.get(world.device.id)).status, 'active')
})

test('R144 an idle session is revoked, told so, and one that is in use is not', async () => {
  const world = await createWorld({ sessionLife: { idleMs: DAY_MS } })
  const idle = await enrol(world.sessions, { nowMs: world.now.ms })
  for (let hour = 0; hour < 26; hour++) {
    world.now.ms += DAY_MS / 24
    assert.equal((await world.call()).resultCode, 'ok')
  }
  await until(async () => (await world.sessions.get(idle.id)).status === 'revoked')
  assert.equal((await world.sessions.get(idle.id)).revokedReason, 'idle')
  assert.equal((await world.call({ device: idle })).resultCode, 'cs.session_revoked')
  assert.equal(world.refusals.at(-1).stage, 'session')
})

test('R144 without the option no session is idle; a store that fails to prune costs no request, and is counted', async () => {
  const sessions = memorySessionStore()
  const { prune } = sessions
  const asked = []
  sessions.prune = (bounds) => {
    asked.push(bounds)
    return asked.length === 1 ? Promise.reject(new Error('gone')) : prune(bounds)
  }
  const world = await createWorld({ sessions })
  assert.equal((await world.call()).resultCode, 'ok')
  await until(() => /countersign_fail_closed_total\{reason="prune"\} 1/.test(world.gateway.metrics()))
  world.now.ms += 60_000
  assert.equal((await world.call()).resultCode, 'ok')
  assert.equal((await world.call()).resultCode, 'ok')
  assert.equal(asked.length, 2, 'once a minute')
  assert.deepEqual(
    [asked[1].idleBeforeMs, asked[1].revokedBeforeMs],
    [Number.NEGATIVE_INFINITY, world.now.ms - 90 * DAY_MS]
  )
  for (const sessionLife of [{ idleMs: 1 }, { idleMs: '9' }, { revokedMs: DAY_MS - 1 }, 9])
    await assert.rejects(createWorld({ sessionLife }), { code: 'ERR_INVALID_ARGUMENT' })
})
