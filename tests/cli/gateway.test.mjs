// SPDX-License-Identifier: MIT
// The gateway for development, run as a person runs it: a frontend needs the lines that it prints, and nothing else.
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { connect, emailEnrollment, guestEnrollment, memoryStore } from 'countersign'
import WebSocket from 'ws'
import { startProcess } from '../runners/browsers/process.mjs'
import { until } from '../unit/harness/wait.mjs'
import { main, run } from './kit.mjs'

const folderOf = (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-dev-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** start runs the command in a folder, and reads what is to be pasted: `{ options, said(), stop() }`. */
const start = async (t, folder, ...args) => {
  const ready = /url: '(.+)',\s+label: '(.+)',\s+serverKeys: \[\{ id: '(.+)', publicKey: '(.+)' \}\]/
  const words = [main, 'gateway', '--dev', '--port', '0', ...args]
  const child = await startProcess(process.execPath, words, { ready, cwd: folder, env: process.env })
  t.after(() => child.stop())
  const [, url, label, id, publicKey] = child.match
  return { ...child, options: { url, label, serverKeys: [{ id, publicKey }], store: memoryStore() } }
}

/** A fetch as a page of this origin makes it: a browser sends the header, and reads an answer that allows the origin. */
const pageFetch = (origin) => async (url, init) => {
  const headers = new Headers(init?.headers)
  headers.set('origin', origin)
  const answer = await fetch(url, { ...init, headers })
  if (answer.headers.get('access-control-allow-origin') !== origin) throw new TypeError('CORS')
  return answer
}

test('a guest of any loopback origin echoes and hears events over every carrier; other origins do not', async (t) => {
  const { options } = await start(t, folderOf(t))
  const webSocket = (url, protocol) => new WebSocket(url, protocol, { origin: 'http://localhost:5173' })
  const pages = ['http://localhost:5173', 'http://127.0.0.1:3000', 'http://app.localhost']
  for (const [index, origin] of pages.entries()) {
    const client = await connect({ ...options, store: memoryStore(), fetch: pageFetch(origin), webSocket })
    await guestEnrollment(client)
    const events = client.events({ carrier: ['websocket', 'sse', 'poll'][index] })
    const next = events.next()
    await until(() => client.connection.state === 'live', 'the stream')
    const reply = await client.request('echo.event', { json: { origin } }, { idempotencyKey: 'one' })
    assert.deepEqual(reply.json(), { origin })
    const { value } = await next
    assert.equal(value.type, 'echo')
    assert.deepEqual(JSON.parse(new TextDecoder().decode(value.payload)), { origin })
    const answer = await client.fetch('/api/echo', { method: 'POST', body: 'hello', idempotencyKey: 'two' })
    assert.equal(await answer.text(), 'hello')
    assert.match((await (await client.fetch('/api/whoami')).json()).userId, /^guest:/)
    await client.close()
  }
  for (const origin of [
    'https://evil.example',
    'http://localhost.evil.example',
    'http://127.0.0.1.evil.example',
    'null'
  ]) {
    const client = await connect({ ...options, store: memoryStore(), fetch: pageFetch(origin) })
    await assert.rejects(guestEnrollment(client), { code: /^ERR_(NETWORK|OUTCOME_UNKNOWN)$/ })
    await client.close()
  }
})

test('a code is printed, the key and the sessions last, and the folder keeps out of repositories', async (t) => {
  const folder = folderOf(t)
  const first = await start(t, folder, '--label', 'mine')
  assert.equal(first.options.label, 'mine')
  const client = await connect(first.options)
  const code = async () =>
    (await until(() => /code (\d+) signs in: ada@example\.com/.exec(first.output()), 'a code'))[1]
  await emailEnrollment(client, { email: 'ada@example.com', code })
  const { sessionId } = client
  await client.close()
  await first.stop()
  assert.deepEqual(readdirSync(join(folder, '.countersign')).slice(0, 2), ['.gitignore', 'server.key'])
  assert.equal(statSync(join(folder, '.countersign/server.key')).mode & 0o777, 0o600)
  const second = await start(t, folder, '--label', 'mine')
  assert.deepEqual(second.options.serverKeys, first.options.serverKeys)
  const again = await connect({ ...second.options, store: first.options.store })
  assert.equal(again.sessionId, sessionId)
  assert.equal((await again.request('echo', { json: 1 }, { idempotencyKey: 'x' })).json(), 1)
  await again.close()
})

test('what it may not or cannot do is one line and exit code 2, and leaves nothing', async (t) => {
  const folder = folderOf(t)
  const taken = createServer()
  await new Promise((resolve) => taken.listen(0, '127.0.0.1', resolve))
  t.after(() => taken.close())
  const data = ['--data', join(folder, 'kept')]
  for (const [args, said, env] of [
    [[], /needs --dev/],
    [['--dev', 'more'], /needs --dev/],
    [['--dev', '--host', '0.0.0.0', ...data], /127\.0\.0\.1, ::1, localhost only/],
    [['--dev', '--host', '192.168.0.1', ...data], /127\.0\.0\.1, ::1, localhost only/],
    [['--dev', '--label', 'X Y', ...data], /ERR_INVALID_LABEL/],
    [['--dev', '--port', '70000', ...data], /at most 65535/],
    [['--dev', '--port', 'x', ...data], /--port must be a number/],
    [['--dev', '--data', join(folder, 'no/such/parent')], /cannot use the folder/],
    [['--dev', ...data], /NODE_ENV is production/, { NODE_ENV: 'production' }]
  ]) {
    const { status, stdout, stderr } = await run(['gateway', ...args], '', env)
    assert.deepEqual([status, stdout, stderr.split('\n').length], [2, '', 2], stderr)
    assert.match(stderr, said)
  }
  assert.deepEqual(readdirSync(folder), [])
  const { port } = taken.address()
  const { status, stderr } = await run(['gateway', '--dev', '--port', String(port), ...data])
  assert.equal(status, 2)
  assert.match(stderr, /is in use; choose another with --port/)
})
