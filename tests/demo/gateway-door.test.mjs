// SPDX-License-Identifier: MIT
// The demo's door: each session has a number and a key of its own, also where several ask at once.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { importKnockKey, randomChallenge } from 'countersign/knock'
import { sendKnock } from 'countersign/knock/node'
import { createDoor } from '../../demo/gateway/door.mjs'
import { until } from './harness.mjs'

test('sessions that ask for a key at once get numbers of their own, and each opens the door in its own name', async (t) => {
  const opened = []
  const lines = []
  const door = await createDoor({
    publish: async ({ sessionId }) => void opened.push(sessionId),
    log: { line: (...line) => lines.push(line) }
  })
  t.after(() => door.close())
  const ask = async (id) => JSON.parse((await door.routes['demo.door']({ session: { id } })).payload)
  const names = ['ada', 'bob', 'ada', 'eve']
  const keys = await Promise.all(names.map(ask))
  assert.equal(new Set(keys.map(({ user_id: id }) => id)).size, 3)
  assert.deepEqual(keys[2], keys[0])
  assert.deepEqual(await ask('eve'), keys[3])
  const { host, port } = door.target
  for (const [index, name] of names.entries()) {
    const { user_id: userId, action_id: actionId, key, server_key: serverPublicKeyPem } = keys[index]
    const timestamp = Math.floor(Date.now() / 1000)
    const options = { host, port, key: await importKnockKey(Buffer.from(key, 'hex')), serverPublicKeyPem }
    await sendKnock({ timestamp, userId, actionId, challenge: randomChallenge() }, options)
    await until(
      () => opened.length > index,
      () => JSON.stringify(lines)
    )
    assert.equal(opened[index], name, JSON.stringify(lines))
  }
})
