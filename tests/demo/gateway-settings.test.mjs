// SPDX-License-Identifier: MIT
// Settings: what cannot be used ends the gateway with one line that names the variable, and status 1.
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { getJson, makeFolder, runGateway, startGateway } from './harness.mjs'

const refused = [
  ['PORT', 'http'],
  ['PORT', '65536'],
  ['PORT', '-1'],
  ['PORT', '80.5'],
  ['PORT', '0x50'],
  ['HOST', 'http://127.0.0.1'],
  ['HOST', '127.0.0.1:80'],
  ['HOST', 'a b'],
  ['LABEL', 'Demo'],
  ['LABEL', './/'],
  ['LABEL', 'a'.repeat(33)],
  ['PAST_MS', '0'],
  ['PAST_MS', '1e3'],
  ['PAST_MS', '86400001'],
  ['FUTURE_MS', 'ten'],
  ['SMTP_URL', 'mail.example'],
  ['SMTP_URL', 'http://mail.example'],
  ['TRUSTED_PROXY', 'proxy.example'],
  ['TRUSTED_PROXY', '10.0.0.0/33'],
  ['TRUSTED_PROXY', '127.0.0.1, ::1/129'],
  ['ORIGINS', '*'],
  ['ORIGINS', 'https://app.example/'],
  ['ORIGINS', 'app.example'],
  ['ORIGINS', 'http://app.example'],
  ['ORIGINS', 'https://*.app.example'],
  ['ORIGINS', 'capacitor://localhost/'],
  ['ORIGINS', 'wss://app.example'],
  ['SOURCE_RATE', '0'],
  ['SESSION_RATE', 'many'],
  ['STATS_PHASE', '5'],
  ['STORE', 'postgres'],
  ['STORE', 'redis:'],
  ['STORE', 'LMDB']
]

for (const [name, value] of refused) {
  test(`${name}=${value.slice(0, 24)} is refused in one line`, async (t) => {
    const { how, output } = await runGateway(t, { [name]: value })
    assert.equal(how, 'ended with 1')
    assert.match(output, new RegExp(`^countersign: ${name} must be [^\\n]+\\n$`))
  })
}

test('an SMTP_URL that cannot be used is refused without its password', async (t) => {
  const { how, output } = await runGateway(t, { SMTP_URL: 'imap://ada:hunter2@mail.example' })
  assert.equal(how, 'ended with 1')
  assert.doesNotMatch(output, /hunter2/)
})

test('a STORE that cannot be used is refused in one line, without its password', async (t) => {
  for (const store of ['http://:hunter2@127.0.0.1', 'redis://:hunter2@', 'redis://:hunter2@127.0.0.1:1']) {
    const { how, output } = await runGateway(t, { STORE: store })
    assert.equal(how, 'ended with 1')
    assert.match(output, /^countersign: STORE (must be|cannot be used:) [^\n]+\n$/)
    assert.doesNotMatch(output, /hunter2/)
  }
})

test('MAIL_FROM with a line of its own is refused', async (t) => {
  const { how, output } = await runGateway(t, {
    SMTP_URL: 'smtp://127.0.0.1',
    MAIL_FROM: 'a@b.example\r\nBcc: c@d.example'
  })
  assert.equal(how, 'ended with 1')
  assert.match(output, /^countersign: MAIL_FROM must be [^\n]+\n$/)
})

test('a port in use is named in one line, with the way out', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  t.after(() => server.close())
  const port = String(server.address().port)
  const { how, output } = await runGateway(t, { PORT: port })
  assert.equal(how, 'ended with 1')
  assert.equal(
    output,
    `countersign: port ${port} of 127.0.0.1 is in use; set PORT to another one, or to 0 for any free one\n`
  )
})

test('an address of another machine is named in one line', async (t) => {
  const { how, output } = await runGateway(t, { HOST: '192.0.2.1' })
  assert.equal(how, 'ended with 1')
  assert.match(output, /^countersign: HOST 192\.0\.2\.1 is not an address of this machine [^\n]+\n$/)
})

test('a DATA_DIR that is a file is named in one line', async (t) => {
  const path = join(await makeFolder(t), 'file')
  await writeFile(path, '')
  const { how, output } = await runGateway(t, { DATA_DIR: path })
  assert.equal(how, 'ended with 1')
  assert.match(output, /^countersign: DATA_DIR [^\n]+ cannot be used \([A-Z]+\)\n$/)
})

test('a server key that is none, or that others may read, is not started with', async (t) => {
  const folder = await makeFolder(t)
  const path = join(folder, 'server.key')
  await writeFile(path, 'not a key', { mode: 0o600 })
  const broken = await runGateway(t, { DATA_DIR: folder })
  assert.equal(broken.how, 'ended with 1')
  assert.match(broken.output, /^countersign: [^\n]*server key file[^\n]*\n$/)
})

test('LABEL, PAST_MS and FUTURE_MS reach the public description', async (t) => {
  const { url } = await startGateway(t, { LABEL: 'chess.v2', PAST_MS: '5000', FUTURE_MS: '2000' })
  const found = await getJson(`${url}/.well-known/countersign.json`)
  assert.equal(found.label, 'chess.v2')
  assert.equal(found.past_ms, 5000)
  assert.equal(found.future_ms, 2000)
})

test('the defaults are label demo, 60 s and 10 s, on 127.0.0.1', async (t) => {
  const { url, output } = await startGateway(t)
  const { server_keys: keys, ...found } = await getJson(`${url}/.well-known/countersign.json`)
  assert.deepEqual(found, {
    label: 'demo',
    bindings: ['frame', 'header', 'json'],
    carriers: ['sse', 'websocket', 'poll'],
    past_ms: 60_000,
    future_ms: 10_000
  })
  assert.equal(keys.length, 1)
  assert.equal(keys[0].algorithm, 'ed25519')
  assert.match(keys[0].id, /^.{1,128}$/)
  assert.equal(Buffer.from(keys[0].public_key, 'base64').length, 32)
  assert.equal(Buffer.from(keys[0].public_key, 'base64').toString('base64'), keys[0].public_key)
  assert.match(output(), /^countersign: ready at http:\/\/127\.0\.0\.1:\d+ [^\n]*\n$/)
})
