// SPDX-License-Identifier: MIT
// The code that docs/guide/own-login.md shows runs as it stands there (R83, R84).
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { connect, memoryStore } from 'countersign'
import { writeModules } from '../interop/shown-code.mjs'
import { createSigner } from '../server/kit.mjs'

const { load, remove } = writeModules('docs/guide/own-login.md', ['server', 'page'])
const closing = []
after(async () => {
  for (const close of closing) await close()
  remove()
})

const { startServer } = await load('server')
const { enrollDevice } = await load('page')

const PAGE = 'https://app.example'

/** The guide's server, with a login whose cookies are `session=` and a name. */
const start = async () => {
  const signer = createSigner()
  const userOf = ({ headers: { cookie = '' } }) => /(?:^|; )session=(\w+)/.exec(cookie)?.[1]
  const server = startServer({ origin: PAGE, signer, userOf })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${server.address().port}`, signer }
}
const open = ({ url, signer: { keyId: id, publicKey } }) =>
  connect({ url, label: 'myapp', serverKeys: [{ id, publicKey }], store: memoryStore() })

/** fetch of a page: relative paths, the browser's cookie and origin. `sent` keeps the bodies. */
const pageOf = ({ url }, { cookie = '', from = PAGE, sent = [] }) => ({
  fetch(path, init) {
    sent.push(init.body)
    return fetch(url + path, { ...init, headers: { ...init.headers, origin: from, ...(cookie ? { cookie } : {}) } })
  }
})

test('R83 a user with a session cookie enrols a device, and its requests are that user’s', async () => {
  const world = await start()
  const client = await open(world)
  await enrollDevice(client, pageOf(world, { cookie: 'a=b; session=Ada' }))
  assert.equal(client.state, 'ready')
  assert.deepEqual((await client.request('profile.read')).json(), { userId: 'Ada' })
  await client.close()
})

test('R83 without the cookie, with another site’s origin or with a stranger’s challenge nothing is enrolled', async () => {
  const world = await start()
  const client = await open(world)
  for (const visit of [{}, { cookie: 'session=Ada', from: 'https://evil.example' }])
    await assert.rejects(enrollDevice(client, pageOf(world, visit)), /no challenge: 403/)
  const sent = []
  await enrollDevice(client, pageOf(world, { cookie: 'session=Ada', sent }))
  // Eve has seen Ada's confirmation, and repeats it with her own cookie.
  const { fetch: ofEve } = pageOf(world, { cookie: 'session=Eve' })
  const init = { method: 'POST', headers: { 'content-type': 'application/json' } }
  const stolen = await ofEve('/device/confirm', { ...init, body: sent.at(-1) })
  assert.deepEqual([stolen.status, (await stolen.json()).code], [400, 'invalid_code'])
  assert.equal((await ofEve('/device/confirm', { ...init, body: '{' })).status, 400)
  assert.equal((await ofEve('/device/confirm', { ...init, body: `"${'x'.repeat(20_000)}"` })).status, 400)
  await client.close()
})
