// SPDX-License-Identifier: MIT
// The code that the page of the profile shows, run: an event signed and verified, a server that takes its sync.
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { memoryReplayStore, memorySessionStore, serverKeyFile } from 'countersign/server'
import { codeOf, runCode } from './shown-code.mjs'

test('docs/profiles/stats-event.md: its event verifies, and its server judges a user', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-profile-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const [client, server] = codeOf('docs/profiles/stats-event.md', 'js')
  const { ok, key, text } = await runCode(client, { id: 'a' }, { results: ['ok', 'key', 'text'] })
  assert.equal(ok, true)
  // The page's store lies in the folder it runs in.
  const load = async (name) => {
    const module = await import(name)
    return 'lmdbStatsStore' in module
      ? { lmdbStatsStore: ({ path }) => module.lmdbStatsStore({ path: join(folder, path) }) }
      : module
  }
  const shared = {
    label: 'shop',
    signer: await serverKeyFile(join(folder, 'server.key')),
    sessions: memorySessionStore(),
    replay: memoryReplayStore({ capacity: 64 })
  }
  const userId = 'ada'
  // A user nothing is known of has no standing yet: the page asks for one that is there.
  const code = server.replace(/^const \{ trustLevel.*$/m, '')
  assert.notEqual(code, server)
  const { stats, gateway } = await runCode(code, { shared, routes: {} }, { load, results: ['stats', 'gateway'] })
  t.after(() => gateway.close())
  await stats.enrol({ userId, key: text })
  const body = { totalHours: 0, totalSessions: 0, totalInteractions: 0, deviceId: key.deviceId, signedEvents: [] }
  await stats.sync({ userId, body: JSON.stringify(body) })
  const [shown] = server.match(/^const \{ trustLevel.*$/m)
  const names = { stats, userId }
  const { isRanked, reasons } = await runCode(shown, names, { results: ['trustLevel', 'reasons', 'isRanked'] })
  assert.deepEqual([isRanked, reasons], [false, ['unsigned']])
})
