// SPDX-License-Identifier: MIT
// The reference gateway where the machine runs short: of room on its disk, and of file descriptors.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect as openConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { startProcess } from '../runners/browsers/process.mjs'
import { getJson, MAIN, makeFolder, send, signIn, startGateway, until } from './harness.mjs'

const askForCode = (gateway, number) =>
  send(gateway, '/api/v1/public/auth/send-email-code', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: `a${number}@example.org` })
  })

// The gateway writes meanwhile, so the room that was free a moment ago says nothing: a page at a time, until none is left.
const fill = (disk) => {
  const file = openSync(join(disk, 'ballast'), 'w')
  try {
    for (;;) writeSync(file, Buffer.alloc(4096))
  } catch (error) {
    if (error.code !== 'ENOSPC') throw error
  } finally {
    closeSync(file)
  }
}

test('H6 a full disk ends no gateway: it refuses, starts all the same, and is back when there is room', async (t) => {
  const disk = await mkdtemp(join(tmpdir(), 'countersign-disk-'))
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', disk], { encoding: 'utf8' })
  if (mounted.status !== 0) return t.skip(`no file system can be mounted here: ${mounted.stderr?.trim()}`)
  t.after(() => {
    spawnSync('umount', ['-l', disk])
    return rm(disk, { recursive: true })
  })
  const first = await startGateway(t, { DATA_DIR: disk })
  const client = await signIn(t, first, { retries: 0 })
  assert.equal((await client.request('demo.echo', 'x')).resultCode, 'ok')

  fill(disk)
  const refused = []
  // A page that LMDB has free already takes a few more.
  await until(async () => {
    const { status } = await askForCode(first, refused.length)
    refused.push(status)
    return refused.slice(-3).every((one) => one === 503) && refused.length >= 3
  }, 'refusals')
  await assert.rejects(client.request('demo.echo', 'x'), { code: 'ERR_OUTCOME_UNKNOWN' })
  assert.equal((await send(first, '/healthz')).status, 200)
  assert.match((await send(first, '/metrics')).text, /countersign_fail_closed_total\{reason="replay"\} [1-9]/)
  await first.stop()

  const second = await startGateway(t, { DATA_DIR: disk, PORT: String(first.port) })
  await until(() => /"event":"store\.unwritable"/.test(second.output()), 'the log says so')
  assert.equal((await getJson(`${second.url}/.well-known/countersign.json`)).label, 'demo')
  assert.equal((await askForCode(second, 'b')).status, 503)
  rmSync(join(disk, 'ballast'))
  await until(async () => {
    const { resultCode } = await client.request('demo.echo', 'x').catch(() => ({}))
    return resultCode === 'ok'
  }, 'service')
  await signIn(t, second, { email: 'eve@example.org' })
})

test('H6 a gateway without file descriptors takes no more connections, and goes on when there are some', async (t) => {
  const folder = await makeFolder(t)
  const gateway = await startProcess('/bin/sh', ['-c', `ulimit -n 96; exec "${process.execPath}" "${MAIN}"`], {
    env: { PORT: '0', DATA_DIR: folder },
    ready: /ready at (http:\/\/\S+)/
  })
  t.after(() => gateway.stop('SIGKILL'))
  const port = Number(new URL(gateway.match[1]).port)
  const held = Array.from({ length: 200 }, () => openConnection(port, '127.0.0.1').on('error', () => {}))
  t.after(() => {
    for (const socket of held) socket.destroy()
  })
  // Those that are not taken are closed by the gateway; it has taken all it can once the last one is either.
  await until(() => held.filter(({ connecting }) => !connecting).length === held.length, 'all have been tried')
  for (const socket of held) socket.destroy()
  const status = () =>
    send({ port }, '/healthz').then(
      (answer) => answer.status,
      () => 0
    )
  await until(async () => (await status()) === 200, 'service')
  const wellKnown = await getJson(`${gateway.match[1]}/.well-known/countersign.json`)
  assert.ok(wellKnown.label)
})
