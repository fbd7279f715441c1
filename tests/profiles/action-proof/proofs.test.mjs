// SPDX-License-Identifier: MIT
// Action proofs at the server: every check in its order with its status, over real stores, and through a gateway.
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createBatch, createProof, importSecret } from 'countersign/action-proof'
import { actionProofs, actionSecrets } from 'countersign/action-proof/server'
import { memoryCodeStore, memoryReplayStore } from 'countersign/server'
import { lmdbStores } from 'countersign/server/lmdb'
import { startMs } from '../../server/kit.mjs'

const MINUTE = 60_000
const master = new Uint8Array(32).fill(9)
const who = { userId: 'ada', sessionId: 'session-of-ada' }

/** Action proofs over stores in memory, with a clock that only a test moves. */
const createJudge = async (options = {}) => {
  const clock = { ms: startMs }
  const secrets = actionSecrets({ master, periodMs: 10 * MINUTE })
  const records = []
  const accepted = []
  const proofs = actionProofs({
    actions: {
      puzzle_complete: { points: 100, isPlausible: ({ actionData }) => (actionData?.completion_time ?? 20) >= 5 },
      bonus: { points: ({ actionData }) => actionData.stars * 10 }
    },
    nonces: memoryReplayStore({ capacity: 4096 }),
    counters: memoryCodeStore(),
    secrets,
    now: () => clock.ms,
    onRecord: (record) => records.push(record),
    onAccepted: (action) => void accepted.push(action),
    ...options
  })
  const { id, text } = secrets.issue(who.sessionId, clock.ms)
  const secret = await importSecret(text, { id })
  const make = (changes = {}) =>
    createProof(secret, {
      actionType: 'puzzle_complete',
      timestamp: clock.ms,
      actionData: { completion_time: 45.2 },
      expectedPoints: 100,
      ...changes
    })
  const send = async (changes, request = {}) => {
    const { text: body } = await make(changes)
    return proofs.handle({ body, ...who, ...request })
  }
  return { proofs, secrets, secret, clock, records, accepted, make, send }
}

test('an honest proof is worth what the server says, once', async () => {
  const { send, accepted, records } = await createJudge()
  assert.deepEqual(await send(), { status: 200, body: { status: 'ok', points: 100 } })
  assert.equal(accepted.length, 1)
  assert.deepEqual(
    [accepted[0].userId, accepted[0].points, accepted[0].action.actionData],
    ['ada', 100, { completion_time: 45.2 }]
  )
  assert.deepEqual(
    records.map(({ stage, error }) => [stage, error]),
    [['accepted', undefined]]
  )
})

test('each check refuses with its own status and error, in its order, and says where in the record', async () => {
  const { send, proofs, make, clock, records, accepted } = await createJudge()
  const body = (await make()).text
  const cases = [
    [401, 'no_session', 'session', () => proofs.handle({ body })],
    [400, 'malformed', 'parse', () => proofs.handle({ body: '{}', ...who })],
    [400, 'malformed', 'parse', () => proofs.handle({ body: `${body.slice(0, -1)},"action_proofs":[]}`, ...who })],
    [400, 'stale', 'freshness', () => send({ timestamp: clock.ms - 30_000 })],
    [400, 'stale', 'freshness', () => send({ timestamp: clock.ms + 5001 })],
    [403, 'bad_signature', 'signature', () => proofs.handle({ body: body.replace('45.2', '4.52'), ...who })],
    [403, 'bad_signature', 'signature', () => proofs.handle({ body, userId: 'eve', sessionId: 'session-of-eve' })],
    [403, 'bad_signature', 'signature', () => proofs.handle({ body, ...who, keyId: 'p0' })],
    [422, 'unknown_action', 'rules', () => send({ actionType: 'cheat' })],
    [422, 'implausible', 'rules', () => send({ actionData: { completion_time: 1 } })],
    [200, undefined, 'accepted', () => proofs.handle({ body, ...who })],
    [409, 'nonce_used', 'nonce', () => proofs.handle({ body, ...who })],
    [429, 'rate_limited', 'rate', () => send()]
  ]
  for (const [status, error, stage, run] of cases) {
    const outcome = await run()
    assert.deepEqual([outcome.status, outcome.body.error], [status, error], `${stage} ${error}`)
    assert.deepEqual([records.at(-1).stage, records.at(-1).error], [stage, error])
  }
  clock.ms += 3000
  const wrong = await send({ expectedPoints: 101 })
  assert.deepEqual([wrong.status, wrong.body.error, records.at(-1).stage], [422, 'implausible', 'points'])
  assert.equal(accepted.length, 1)
  assert.equal(JSON.stringify(records).includes('client_signature'), false)
})

test("points are the server's own: a function of the verified action", async () => {
  const { send, clock } = await createJudge()
  assert.equal((await send({ actionType: 'bonus', actionData: { stars: 3 }, expectedPoints: 30 })).body.points, 30)
  clock.ms += 3000
  assert.equal((await send({ actionType: 'bonus', actionData: { stars: 3 }, expectedPoints: 300 })).status, 422)
  clock.ms += 3000
  // What the points' function cannot work with is worth nothing.
  assert.equal((await send({ actionType: 'bonus', actionData: null, expectedPoints: 30 })).status, 422)
})

test('windows slide: no minute holds more than the rules, wherever it begins; a refusal takes nothing of the other windows', async () => {
  const { send, clock } = await createJudge()
  const accepted = []
  const started = clock.ms
  let waited
  while (clock.ms < started + 5 * MINUTE) {
    const { status, body } = await send()
    if (status === 200) accepted.push(clock.ms)
    else {
      assert.equal(status, 429)
      waited ??= body.retry_after
      assert.equal(body.retry_after >= 1, true)
    }
    clock.ms += 1500
  }
  assert.equal(waited, 2)
  for (const time of accepted) {
    const within = accepted.filter((other) => other >= time && other < time + MINUTE)
    assert.equal(within.length <= 5, true, 'puzzle_complete: 5 a minute')
  }
  assert.equal(accepted.length, 25)
})

test('data the table was not made for is an action that was not, and no fault of the server', async () => {
  const actions = { puzzle_complete: { points: 100, isPlausible: ({ actionData }) => actionData.time.ms >= 5 } }
  const { send } = await createJudge({ actions })
  for (const actionData of [null, 7, [], {}, { time: null }]) {
    assert.deepEqual(await send({ actionData }), { status: 422, body: { error: 'implausible' } })
  }
  const asked = { puzzle_complete: { points: 100, isPlausible: async () => Promise.reject(new Error('down')) } }
  assert.equal((await (await createJudge({ actions: asked })).send()).status, 503)
})

test('a retry of one action with an action_id counts once; without one it is another action', async () => {
  const { send, clock, accepted } = await createJudge()
  const action = { actionData: { completion_time: 45, action_id: 'round-7' } }
  assert.equal((await send(action)).status, 200)
  clock.ms += 4000
  const again = await send(action)
  assert.deepEqual([again.status, again.body.error], [409, 'duplicate_action'])
  clock.ms += 4000
  assert.equal((await send()).status, 200)
  assert.equal(accepted.length, 2)
})

test('secrets change with an overlap: the one before is good for a period more, and no longer', async () => {
  const { send, clock, secrets } = await createJudge()
  const first = secrets.issue(who.sessionId, clock.ms)
  assert.match(first.text, /^[0-9a-f]{64}$/)
  assert.equal((await send()).status, 200)
  clock.ms += 10 * MINUTE
  assert.notEqual(secrets.issue(who.sessionId, clock.ms).id, first.id)
  assert.equal((await send()).status, 200, 'signed with the one before')
  assert.equal((await send({}, { keyId: first.id })).status, 429, 'named by its id, and too soon')
  clock.ms += 10 * MINUTE
  assert.equal((await send()).status, 403)
  assert.notEqual(secrets.issue('other', clock.ms).text, secrets.issue(who.sessionId, clock.ms).text)
  for (const wrong of [{ master: new Uint8Array(31) }, { master: 'text' }, { master, periodMs: 1 }, {}]) {
    assert.throws(() => actionSecrets(wrong), { category: 'usage' })
  }
})

test('several proofs in one request each have a result of their own, in order', async () => {
  const { proofs, secret, clock, accepted } = await createJudge({
    rules: { all: [{ limit: 3, windowMs: MINUTE }], perType: {} }
  })
  const action = (changes = {}) => ({
    actionType: 'puzzle_complete',
    timestamp: clock.ms,
    actionData: {},
    expectedPoints: 100,
    ...changes
  })
  const actions = [
    action(),
    action({ expectedPoints: 7 }),
    action({ timestamp: clock.ms - 31_000 }),
    action(),
    action()
  ]
  const { text } = await createBatch(secret, actions)
  const { status, body } = await proofs.handle({ body: text, ...who })
  assert.equal(status, 200)
  assert.deepEqual(body.results, [
    { status: 'ok', points: 100, code: 200 },
    { error: 'implausible', code: 422 },
    { error: 'stale', code: 400 },
    { status: 'ok', points: 100, code: 200 },
    { error: 'rate_limited', retry_after: 60, code: 429 }
  ])
  assert.equal(accepted.length, 2)
  const again = await proofs.handle({ body: text, ...who })
  assert.deepEqual(
    again.body.results.map(({ error }) => error),
    ['nonce_used', 'nonce_used', 'stale', 'nonce_used', 'nonce_used']
  )
  for (const wrong of [
    '{"action_proofs":[]}',
    '{"action_proofs":{}}',
    `{"action_proofs":[${Array(51).fill('1').join()}]}`
  ]) {
    assert.equal((await proofs.handle({ body: wrong, ...who })).status, 400)
  }
})

test('the same proof sent to two processes at once is accepted once: over memory and over LMDB', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-proofs-'))
  const stores = lmdbStores({ path: join(folder, 'x.lmdb') })
  t.after(async () => {
    await stores.close()
    await rm(folder, { recursive: true, force: true })
  })
  const shared = [
    { nonces: memoryReplayStore(), counters: memoryCodeStore() },
    { nonces: stores.replay, counters: stores.codes }
  ]
  for (const store of shared) {
    const rules = { all: [{ limit: 1_000_000, windowMs: 1000 }], perType: {} }
    const [one, other] = await Promise.all([createJudge({ ...store, rules }), createJudge({ ...store, rules })])
    for (let round = 0; round < 50; round++) {
      const { text: body } = await one.make()
      const outcomes = await Promise.all([one, other, one, other].map(({ proofs }) => proofs.handle({ body, ...who })))
      assert.deepEqual(outcomes.map(({ status }) => status).sort(), [200, 409, 409, 409])
    }
  }
})

test('a store that fails, or a score that cannot be kept, is 503 and never a point', async () => {
  const broken = { reserve: async () => Promise.reject(new Error('down')) }
  const one = await createJudge({ nonces: broken })
  assert.deepEqual(await one.send(), { status: 503, body: { error: 'unavailable', retry_after: 1 } })
  const full = await createJudge({ nonces: { reserve: async () => 'full' } })
  assert.equal((await full.send()).status, 503)
  const unkept = await createJudge({ onAccepted: async () => Promise.reject(new Error('disk')) })
  assert.equal((await unkept.send()).status, 503)
  assert.equal(one.accepted.length + full.accepted.length, 0)
})

test('refusals that pile up and scores that rise fast are told once a minute, and counted', async () => {
  const alerts = []
  const { send, clock, proofs } = await createJudge({
    refusals: 3,
    points: 250,
    onAlert: (alert) => alerts.push(alert)
  })
  for (let index = 0; index < 5; index++) await send({ actionType: 'cheat' })
  assert.deepEqual(alerts, [{ kind: 'refusals', userId: 'ada', value: 3, windowMs: MINUTE }])
  for (let index = 0; index < 3; index++) {
    await send()
    clock.ms += 3000
  }
  assert.deepEqual(
    alerts.map(({ kind, value }) => [kind, value]),
    [
      ['refusals', 3],
      ['score_rise', 300]
    ]
  )
  assert.match(proofs.metrics(), /countersign_action_proofs_total\{stage="rules",outcome="unknown_action"\} 5/)
  assert.match(proofs.metrics(), /stage="accepted",outcome="accepted"\} 3/)
})

test('hooks that throw change nothing', async () => {
  const fail = () => {
    throw new Error('hook')
  }
  // One that is async rejects, and nobody hears it: that must not end the process.
  for (const hook of [fail, async () => fail()]) {
    const { send } = await createJudge({ onRecord: hook, onAlert: hook, refusals: 1, points: 1 })
    assert.equal((await send()).status, 200)
  }
  await new Promise((resolve) => setImmediate(resolve))
})

test('options that cannot be meant are refused when the server starts', () => {
  const good = { actions: {}, nonces: memoryReplayStore(), counters: memoryCodeStore() }
  actionProofs(good)
  for (const wrong of [
    { actions: { a: { points: 'many' } } },
    { actions: null },
    { nonces: {} },
    { counters: {} },
    { secrets: {} },
    { mode: 'loose' },
    { maxAgeMs: 0 },
    { skewMs: -1 },
    { rules: { all: [{ limit: 0, windowMs: 1 }], perType: {} } },
    { onAccepted: 7 }
  ])
    assert.throws(() => actionProofs({ ...good, ...wrong }), { category: 'usage' }, JSON.stringify(wrong))
})
