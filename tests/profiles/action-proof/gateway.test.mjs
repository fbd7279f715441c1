// SPDX-License-Identifier: MIT
// Action proofs through a gateway, and the audit log of their records.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createProof, importSecret, verifyProof } from 'countersign/action-proof'
import {
  actionProofs,
  actionRoutes,
  actionSecrets,
  createAuditLog,
  secretHandler,
  verifyAuditLog
} from 'countersign/action-proof/server'
import { memoryCodeStore, memoryReplayStore } from 'countersign/server'
import { createWorld, startMs } from '../../server/kit.mjs'

const master = new Uint8Array(32).fill(9)

test('P3 an audit log shows a line that was changed, left out, put in or cut off at its head', async () => {
  const lines = []
  const audit = createAuditLog({ write: (line) => lines.push(line) })
  const actions = { puzzle_complete: { points: 100 } }
  const stores = { nonces: memoryReplayStore(), counters: memoryCodeStore() }
  const proofs = actionProofs({ ...stores, actions, now: () => startMs, onRecord: audit.add })
  for (const actionType of ['cheat', 'puzzle_complete', 'cheat', 'cheat']) {
    const nonce = `nonce-${Math.random()}`
    const proof = {
      action_type: actionType,
      timestamp: new Date(startMs).toISOString(),
      action_data: {},
      expected_points: 100,
      nonce
    }
    await proofs.handle({
      body: JSON.stringify({ action_proof: proof }),
      userId: 'ada',
      sessionId: 's',
      isSigned: true
    })
  }
  assert.deepEqual(verifyAuditLog(lines), { ok: true, head: audit.head })
  const changed = lines.with(1, lines[1].replace('"points":100', '"points":900'))
  assert.deepEqual(verifyAuditLog(changed), { ok: false, line: 2 })
  assert.deepEqual(verifyAuditLog(lines.toSpliced(2, 1)), { ok: false, line: 3 })
  assert.deepEqual(verifyAuditLog(lines.toSpliced(1, 0, lines[0])), { ok: false, line: 2 })
  assert.deepEqual(verifyAuditLog([...lines, 'nonsense']), { ok: false, line: 5 })
  assert.notEqual(verifyAuditLog(lines.slice(0, -1)).head, audit.head)
  const later = createAuditLog({ write: (line) => lines.push(line), head: audit.head })
  later.add({ more: 1 })
  assert.deepEqual(verifyAuditLog(lines), { ok: true, head: later.head })
})

test('through a gateway: a secret in a signed answer, proofs in a signed request, and the strict mode without a secret', async () => {
  const secrets = actionSecrets({ master })
  const options = {
    actions: { puzzle_complete: { points: 100 } },
    nonces: memoryReplayStore(),
    counters: memoryCodeStore(),
    secrets
  }
  const accepted = []
  const proofs = actionProofs({ ...options, now: () => startMs, onAccepted: (one) => void accepted.push(one) })
  const world = await createWorld({ routes: actionRoutes(proofs), actionSecret: secretHandler(secrets, () => startMs) })
  const issued = await world.call({ type: 'cs.action_secret', payload: '' })
  assert.equal(issued.resultCode, 'ok')
  const { secret: text, key_id: id } = JSON.parse(issued.text)
  const secret = await importSecret(text, { id })
  const fields = { actionType: 'puzzle_complete', timestamp: startMs, actionData: {}, expectedPoints: 100 }
  const { text: body } = await createProof(secret, fields)
  const compatible = await world.callHeader('POST', '/api/score/update', { payload: body })
  assert.deepEqual([compatible.resultCode, JSON.parse(compatible.text)], ['http.200', { status: 'ok', points: 100 }])
  const again = await world.callHeader('POST', '/api/score/update', { payload: body })
  assert.equal(again.resultCode, 'http.409')
  // Strict: the request is the signature; a signature member inside is one member too many.
  const strict = `{"action_proof":${JSON.stringify({ action_type: 'puzzle_complete', timestamp: new Date(startMs).toISOString(), action_data: {}, expected_points: 100, nonce: 'strict-nonce' })}}`
  const early = await world.call({ type: 'score.update', payload: strict })
  assert.deepEqual(
    [early.resultCode, JSON.parse(early.text)],
    ['rate_limited', { error: 'rate_limited', retry_after: 3 }]
  )
  assert.equal((await world.call({ type: 'score.update', payload: body })).resultCode, 'malformed')
  assert.equal(accepted.length, 1)
  assert.equal(accepted[0].userId, 'user@example.com')
  // An unsigned proof over HTTP, signed by nobody, is worth nothing.
  const unsigned = await verifyProof(strict, { secret, nowMs: startMs })
  assert.deepEqual(unsigned, { ok: false, reason: 'malformed' })
})

test('the strict mode accepts an action once', async () => {
  const proofs = actionProofs({
    actions: { puzzle_complete: { points: 100 } },
    nonces: memoryReplayStore(),
    counters: memoryCodeStore(),
    now: () => startMs
  })
  const world = await createWorld({ routes: actionRoutes(proofs) })
  const payload = `{"action_proof":{"action_type":"puzzle_complete","timestamp":"${new Date(startMs).toISOString()}","action_data":{},"expected_points":100,"nonce":"strict-nonce"}}`
  const first = await world.call({ type: 'score.update', payload })
  assert.deepEqual([first.resultCode, JSON.parse(first.text).points], ['ok', 100])
  assert.equal((await world.call({ type: 'score.update', payload })).resultCode, 'nonce_used')
  // Without secrets the compatible mode has nobody's signature to go by.
  const { text } = await createProof(await importSecret('x'.repeat(32)), {
    ...JSON.parse(payload),
    actionType: 'puzzle_complete',
    timestamp: startMs,
    actionData: {},
    expectedPoints: 100
  })
  assert.equal((await world.callHeader('POST', '/api/score/update', { payload: text })).resultCode, 'http.403')
})
