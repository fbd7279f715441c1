// SPDX-License-Identifier: MIT
// The scoreboard of the reference gateway, with the real client: secret, proof, points, board, strict mode, pushed board.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join as joinPath } from 'node:path'
import { test } from 'node:test'
import { connect, emailEnrollment, memoryStore } from 'countersign'
import { createProof, fetchSecret, submitAction } from 'countersign/action-proof'
import { memoryCodeStore, memoryReplayStore } from 'countersign/server'
import { createScores } from '../../demo/gateway/scores.mjs'
import { startGateway } from '../runners/suites.mjs'

const join = async (t, url, email) => {
  const described = await (await fetch(`${url}/.well-known/countersign.json`)).json()
  const serverKeys = described.server_keys.map(({ id, public_key: publicKey }) => ({ id, publicKey }))
  const client = await connect({ url, label: described.label, serverKeys, store: memoryStore() })
  t.after(() => client.close())
  const code = async () => (await (await fetch(`${url}/dev/outbox?email=${email}`)).json()).at(-1).code
  await emailEnrollment(client, { email, code })
  return client
}

const post = async (client, body) => {
  const response = await client.fetch('/api/score/update', { method: 'POST', body })
  return { status: response.status, body: await response.json() }
}

test('points come from proofs only: compatible and strict, each action once, cheats refused, the board pushed', async (t) => {
  const gateway = await startGateway()
  t.after(() => gateway.stop())
  const [ada, bob] = [await join(t, gateway.url, 'ada@example.com'), await join(t, gateway.url, 'bob@example.com')]
  const action = {
    actionType: 'puzzle_complete',
    actionData: { completion_time: 12.5, moves: 20 },
    expectedPoints: 107
  }
  const watched = JSON.parse(new TextDecoder().decode((await bob.request('score.watch')).payload))
  assert.deepEqual(watched.top, [])

  const secret = await fetchSecret(ada)
  const { text } = await createProof(secret, action, { clock: ada.clock })
  assert.deepEqual(await post(ada, text), { status: 200, body: { status: 'ok', points: 107 } })
  assert.equal((await post(ada, text)).status, 409)
  // Another user's proof is nobody's here.
  assert.equal((await post(bob, text)).status, 403)
  const cheat = await createProof(
    secret,
    { ...action, actionData: { completion_time: 0.1, moves: 20 }, expectedPoints: 119 },
    { clock: ada.clock }
  )
  assert.deepEqual(await post(ada, cheat.text), { status: 422, body: { error: 'implausible' } })
  assert.equal((await post(ada, text.replace('"completion_time":12.5', '"completion_time":3.5'))).status, 403)

  assert.deepEqual(await submitAction(bob, action), { status: 'ok', points: 107 })
  const soon = await submitAction(bob, action)
  assert.equal(soon.status, 'rate_limited')
  assert.equal(soon.retryAfterMs > 0 && soon.retryAfterMs <= 3000, true)

  const board = await (await ada.fetch('/api/score/board')).json()
  assert.deepEqual(
    board.top.map(({ rank, points }) => [rank, points]),
    [
      [1, 107],
      [2, 107]
    ]
  )
  assert.equal(JSON.stringify(board).includes('@'), false, 'no address on the board')
  const metrics = await (await fetch(`${gateway.url}/metrics`)).text()
  assert.match(metrics, /countersign_action_proofs_total\{stage="accepted",outcome="accepted"\} 2/)
})

test('gateways that start at once on one folder issue the same secrets', async (t) => {
  const dataDir = await mkdtemp(joinPath(tmpdir(), 'countersign-scores-'))
  t.after(() => rm(dataDir, { recursive: true, force: true }))
  const log = { line: () => {} }
  const shared = {
    dataDir,
    replay: memoryReplayStore({ capacity: 16 }),
    codes: memoryCodeStore(),
    log,
    now: () => 1e12
  }
  const all = await Promise.all(Array.from({ length: 8 }, () => createScores({ ...shared, publish: async () => {} })))
  const issued = all.map(({ actionSecret }) => actionSecret({ session: { id: 's' } }).payload)
  assert.equal(new Set(issued).size, 1)
  assert.deepEqual(await readdir(dataDir), ['action.key'])
  // A player's name tells nobody who guesses the address that they are right.
  const { player } = JSON.parse(all[0].routes['score.watch']({ userId: 'ada@example.com' }).payload)
  assert.match(player, /^player-[0-9a-f]{6}$/)
  assert.notEqual(player, `player-${createHash('sha256').update('ada@example.com').digest('hex').slice(0, 6)}`)
})
