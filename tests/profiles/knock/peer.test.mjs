// SPDX-License-Identifier: MIT
// Knocks between this project and an implementation in Python that shares no code with it, in both directions.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { sendKnock } from 'countersign/knock/node'
import { missingPython } from '../../interop/run.mjs'
import { randomOf } from '../../unit/harness/random.mjs'
import { fields, key, listen, nowSeconds, rsaPair, secret, sendTo } from './kit.mjs'

const missing = missingPython()
const skip = missing && !process.env.CI ? missing : false

const start = async (t, mode, config) => {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-knock-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'config.json')
  await writeFile(file, JSON.stringify(config), { mode: 0o600 })
  const script = fileURLToPath(new URL('peer.py', import.meta.url))
  const child = spawn('/usr/bin/python3', ['-B', script, mode, file], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => child.kill())
  return createInterface({ input: child.stdout })[Symbol.asyncIterator]()
}

const payloads = ['', 'x', 'Zugang bitte ✓', randomOf('a payload').bytes(191)]

test('what Python knocks, the listener accepts: versions 1 to 4, payloads up to the limit', { skip }, async (t) => {
  const daemon = await listen(t)
  const knocks = [1, 2, 3, 4].flatMap((version) =>
    payloads.map((payload, index) => ({
      version,
      timestamp: nowSeconds(),
      user: 7,
      action: 1,
      challenge: version * 1000 + index,
      payload: Buffer.from(payload).toString('hex')
    }))
  )
  const lines = await start(t, 'knock', { key: secret.toString('hex'), public_pem: rsaPair().publicKey, knocks })
  for (const [index, knock] of knocks.entries()) {
    const { value } = await lines.next()
    await sendTo(daemon.listener, Buffer.from(value, 'hex'))
    await daemon.until(index + 1, 'accepted')
    const { version, challenge, payload } = daemon.knocks.at(-1)
    assert.deepEqual(
      [version, challenge, Buffer.from(payload).toString('hex')],
      [knock.version, knock.challenge, knock.payload]
    )
  }
})

test('what we knock, Python accepts, and its replies are read: versions 1 to 4', { skip }, async (t) => {
  const config = {
    key: secret.toString('hex'),
    private_pem: rsaPair().privateKey,
    user_public_pem: rsaPair(2048, 'user').publicKey,
    count: 4 * payloads.length
  }
  const lines = await start(t, 'serve', config)
  const { port } = JSON.parse((await lines.next()).value)
  for (const version of [1, 2, 3, 4]) {
    for (const payload of payloads) {
      const knock = fields({ version, payload })
      const reply = await sendKnock(knock, {
        host: '127.0.0.1',
        port,
        key,
        serverPublicKeyPem: rsaPair().publicKey,
        userPrivateKeyPem: rsaPair(2048, 'user').privateKey,
        replyWithinMs: 20_000
      })
      const size = Buffer.from(payload).length
      assert.deepEqual(reply, { status: 1, action: 1, truncated: false, text: `read ${size}` })
      const seen = JSON.parse((await lines.next()).value)
      assert.deepEqual(seen, {
        ok: true,
        version,
        challenge: knock.challenge,
        payload: Buffer.from(payload).toString('hex')
      })
    }
  }
})
