// SPDX-License-Identifier: MIT
// The stores of statistics: one atomic step, in memory, in LMDB, and between processes; the file of a device's key.
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { deviceKeyFile } from 'countersign/stats-event/node'
import { memoryStatsStore } from 'countersign/stats-event/server'
import { lmdbStatsStore } from 'countersign/stats-event/server/lmdb'
import { createDevice, createWorld, HOUR, NOW } from './kit.mjs'
import { statsStoreSuite } from './store-suite.mjs'

const child = fileURLToPath(new URL('./child.mjs', import.meta.url))

const folder = (t) => {
  const path = mkdtempSync(join(tmpdir(), 'countersign-stats-'))
  t.after(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** run starts a child in a role and gives what it tells when it ends well. */
const run = (role, env, ...args) =>
  new Promise((resolve, reject) => {
    const process_ = fork(child, [role, ...args], { env: { ...process.env, ...env } })
    let told
    process_.on('message', (message) => {
      told = message
    })
    process_.on('exit', (status) => (status === 0 ? resolve(told) : reject(new Error(`${role}: ${status}`))))
  })

const makers = { memory: () => memoryStatsStore(), lmdb: (t) => lmdbStatsStore({ path: folder(t) }) }

for (const [name, make] of Object.entries(makers)) statsStoreSuite(test, name, make)

test('lmdb: what was said outlives the process, and two processes lose no change of each other', async (t) => {
  const path = folder(t)
  await Promise.all([run('count', {}, path, '300'), run('count', {}, path, '300')])
  const store = lmdbStatsStore({ path })
  assert.equal((await store.user('ada')).floorMs, 600)
  await store.close()
  assert.throws(() => lmdbStatsStore({ path: '' }), { code: 'ERR_INVALID_ARGUMENT' })
})

test('a device record that changes while its events are verified: they are verified again by the new one', async () => {
  const real = memoryStatsStore()
  let isFirst = true
  const store = {
    ...real,
    async device(id) {
      const device = await real.device(id)
      if (isFirst && device) {
        isFirst = false
        const raised = { ...device, lowestMode: 'strict' }
        await real.update('ada', id, () => ({ device: raised, result: undefined }))
      }
      return device
    }
  }
  const world = createWorld({ store })
  const device = await createDevice(world, { mode: 'compatible' })
  const { answer } = await world.sync(device, [await device.session(NOW - 3 * HOUR, HOUR)])
  assert.deepEqual([answer.trustLevel, answer.warnings.includes('signature_mismatch')], ['untrusted', true])
  const restless = {
    ...real,
    device: async () => ({ deviceId: 'x', userId: 'ada', lowestMode: String(Math.random()) })
  }
  const other = createWorld({ store: restless })
  await assert.rejects(other.sync(device, [], { totalHours: 1 }), { code: 'ERR_UNAVAILABLE' })
})

test('the key file is made once, 0600 in a folder of 0700, and read again', async (t) => {
  const path = join(folder(t), 'a', '.statscode', 'device.key')
  const [first, second] = [await deviceKeyFile({ path }), await deviceKeyFile({ path })]
  assert.equal(second.key.deviceId, first.key.deviceId)
  assert.equal(readFileSync(path, 'utf8'), first.text)
  assert.ok(/^[0-9a-f]{64}$/.test(first.text))
  assert.equal(statSync(path).mode & 0o777, 0o600)
  assert.equal(statSync(join(path, '..')).mode & 0o777, 0o700)
  rmSync(path)
  assert.notEqual((await deviceKeyFile({ path })).key.deviceId, first.key.deviceId)
})

test('eight programs that start at once have one key, and leave nothing half-made behind', async (t) => {
  const home = folder(t)
  const ids = await Promise.all(Array.from({ length: 8 }, () => run('key', { HOME: home })))
  assert.equal(new Set(ids).size, 1)
  assert.deepEqual(readdirSync(join(home, '.statscode')), ['device.key'])
  assert.equal(statSync(join(home, '.statscode/device.key')).mode & 0o777, 0o600)
})

test('a key file of StatsCode is taken as it is; a blank one is refused and left alone', async (t) => {
  const path = join(folder(t), 'device.key')
  writeFileSync(path, '\ufeff000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n')
  assert.equal((await deviceKeyFile({ path })).key.deviceId, '438b0255b839481c')
  writeFileSync(path, ' \n')
  await assert.rejects(deviceKeyFile({ path }), { code: 'ERR_INVALID_ARGUMENT' })
  assert.equal(readFileSync(path, 'utf8'), ' \n')
  chmodSync(path, 0o600)
  await assert.rejects(deviceKeyFile({ path: join(path, 'inside') }), { code: 'ERR_STORAGE_FAILED' })
  await assert.rejects(deviceKeyFile({ path: '' }), { code: 'ERR_INVALID_ARGUMENT' })
})
