// SPDX-License-Identifier: MIT
// A gateway's life: its key, its restarts and its end.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmod, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { connect, memoryStore } from 'countersign'
import { loadCore } from 'countersign/core'
import { describe, makeFolder, openSocket, runGateway, send, signIn, startGateway, until, utf8 } from './harness.mjs'

const FRAME = 'application/vnd.countersign.v1'
const keyOf = (folder) => join(folder, 'server.key')

test('the server key is made at the first start with mode 0600 and kept', async (t) => {
  const first = await startGateway(t)
  const { mode } = await stat(keyOf(first.folder))
  assert.equal(mode & 0o777, 0o600)
  assert.equal((await stat(first.folder)).mode & 0o077, 0)
  const key = await readFile(keyOf(first.folder))
  const { serverKeys } = await describe(first.url)
  await first.stop()
  const second = await startGateway(t, { DATA_DIR: first.folder })
  assert.deepEqual((await describe(second.url)).serverKeys, serverKeys)
  assert.deepEqual(await readFile(keyOf(first.folder)), key)
  assert.notDeepEqual((await describe((await startGateway(t)).url)).serverKeys, serverKeys)
})

test('nothing in DATA_DIR is for others to read, even in a folder that is', async (t) => {
  const folder = await makeFolder(t)
  await chmod(folder, 0o755)
  await startGateway(t, { DATA_DIR: folder })
  const entries = await readdir(folder, { recursive: true })
  assert.ok(entries.length > 1)
  for (const entry of entries) assert.equal((await stat(join(folder, entry))).mode & 0o077, 0, entry)
})

test('a key file that others may read is refused', async (t) => {
  const { folder, stop } = await startGateway(t)
  await stop()
  await chmod(keyOf(folder), 0o644)
  const { how, output } = await runGateway(t, { DATA_DIR: folder })
  assert.equal(how, 'ended with 1')
  assert.match(output, /^countersign: [^\n]*server key file[^\n]*chmod 600[^\n]*\n$/)
})

test('a session outlives a restart and a kill, and a used id stays used', async (t) => {
  const first = await startGateway(t)
  const store = memoryStore()
  const client = await signIn(t, first, { store })
  const { frame, requestId } = await client.sign('demo.echo', utf8('x'))
  const core = await loadCore()
  const post = async ({ url }) => {
    const init = { method: 'POST', headers: { 'content-type': FRAME }, body: frame }
    const answer = new Uint8Array(await (await fetch(`${url}/exchange`, init)).arrayBuffer())
    return core.openResponse(answer, { label: 'demo', keys: (await describe(url)).serverKeys, requestId }).resultCode
  }
  assert.equal(await post(first), 'ok')
  await first.stop('SIGKILL')
  const second = await startGateway(t, { DATA_DIR: first.folder })
  assert.equal(await post(second), 'cs.replayed')
  const again = await connect({ url: second.url, ...(await describe(second.url)), store })
  t.after(() => again.close())
  assert.equal((await again.request('demo.echo', utf8('y'))).resultCode, 'ok')
})

const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n'

const startSlowRequest = async (t, gateway) => {
  const client = await signIn(t, gateway)
  const { frame, requestId } = await client.sign('demo.echo', utf8('x'.repeat(4000)))
  const { socket, closed, received } = openSocket(t, gateway.port)
  socket.write(
    `POST /exchange HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: ${FRAME}\r\nContent-Length: ${frame.length}\r\nExpect: 100-continue\r\n\r\n`
  )
  socket.write(frame.subarray(0, 1000))
  // Said once the envelope was accepted: from here on the request is under way.
  await until(() => received().includes(CONTINUE), 'the gateway asks for the body')
  return { socket, closed, received, rest: frame.subarray(1000), requestId }
}

test('SIGTERM drains: what was accepted is answered, nothing new is taken, and it ends with 0', async (t) => {
  const gateway = await startGateway(t)
  const { socket, closed, rest, requestId } = await startSlowRequest(t, gateway)
  gateway.child.kill('SIGTERM')
  const refusal = () =>
    send(gateway, '/healthz').then(
      () => undefined,
      ({ code }) => code
    )
  await until(async () => (await refusal()) === 'ECONNREFUSED', 'nothing new is taken')
  socket.write(rest)
  const answer = Buffer.from((await closed).replace(CONTINUE, ''), 'latin1')
  assert.match(answer.toString('latin1'), /^HTTP\/1\.1 200 /)
  const body = answer.subarray(answer.indexOf('\r\n\r\n') + 4)
  const core = await loadCore()
  const fields = core.parseSigningInput(core.parseFrame(body).signingInput)
  assert.equal(fields.requestId, requestId)
  assert.equal(fields.resultCode, 'ok')
  assert.equal(await gateway.exited, 'ended with 0')
})

test('SIGTERM ends within ten seconds whatever a client does', async (t) => {
  const gateway = await startGateway(t)
  await startSlowRequest(t, gateway)
  const idle = openSocket(t, gateway.port)
  idle.socket.write('GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
  const silent = openSocket(t, gateway.port)
  await once(silent.socket, 'connect')
  await until(() => idle.received().startsWith('HTTP/1.1 200 '), 'the idle connection was used')
  const started = Date.now()
  gateway.child.kill('SIGTERM')
  await idle.closed
  // What is under way is cut off at the end of its time, and an idle connection does not wait for that.
  assert.doesNotMatch(gateway.output(), /drain\.cut/)
  assert.equal(await gateway.exited, 'ended with 0')
  assert.match(gateway.output(), /drain\.cut/)
  t.diagnostic(`it took ${Date.now() - started} ms`)
  await silent.closed
})

test('SIGINT ends it like SIGTERM', async (t) => {
  const gateway = await startGateway(t)
  gateway.child.kill('SIGINT')
  assert.equal(await gateway.exited, 'ended with 0')
})

test('npm start hands its signals on to the gateway', async () => {
  const { scripts } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'))
  // Without exec the shell between npm and the gateway takes the signal and leaves the gateway running.
  assert.match(scripts.start, /&& exec node demo\/gateway\/main\.mjs$/)
})
