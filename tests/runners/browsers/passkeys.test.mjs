// SPDX-License-Identifier: MIT
// The passkey login that docs/guide/own-login.md shows, in Chromium with its virtual authenticator (R83).

import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync } from 'node:crypto'
import { after, test } from 'node:test'
import { build } from 'esbuild'
import { freePort } from '../../consumers/stage.mjs'
import { writeModules } from '../../interop/shown-code.mjs'
import { createSigner } from '../../server/kit.mjs'
import { browsersRequired, launch, missingEngine } from './launch.mjs'

const command = missingEngine('chromium')
const skip = command && !browsersRequired && `not installed: ${command}`

const NAMES = ['server', 'page', 'passkeys', 'passkey-page']
const { folder, load, remove } = writeModules('docs/guide/own-login.md', NAMES, ['@simplewebauthn'])
after(remove)

// `sent` keeps what the page sends, for those who repeat it.
const ENTRY = `
import { connect } from 'countersign'
import * as passkeys from './passkey-page.mjs'
const sent = []
const platformFetch = globalThis.fetch
globalThis.fetch = (url, init) => {
  sent.push([String(url), init?.body])
  return platformFetch(url, init)
}
globalThis.app = { connect, sent, ...passkeys }`

const AUTHENTICATOR = {
  ...{ protocol: 'ctap2', transport: 'internal', automaticPresenceSimulation: true },
  ...{ hasResidentKey: true, hasUserVerification: true, isUserVerified: true }
}

/** open starts the guide's server and a page of it, with a client and an authenticator. */
const open = async (t) => {
  const { startServer } = await load('server')
  const { passkeyLogin } = await load('passkeys')
  const bundled = await build({
    stdin: { contents: ENTRY, resolveDir: folder },
    ...{ bundle: true, format: 'esm', platform: 'browser', target: 'es2022', write: false, logLevel: 'error' }
  })
  const files = {
    '/': ['text/html', '<!doctype html><meta charset="utf-8"><script type="module" src="/app.js"></script>'],
    '/app.js': ['text/javascript', bundled.outputFiles[0].contents]
  }
  const port = await freePort()
  const origin = `http://localhost:${port}`
  const passkeys = passkeyLogin({ origin })
  const login = (request, response, next) => {
    const [type, body] = files[request.url] ?? []
    if (!type) return passkeys.login(request, response, next)
    response.writeHead(200, { 'content-type': type }).end(body)
  }
  const signer = createSigner()
  const server = startServer({ origin, signer, userOf: passkeys.userOf, login })
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const browser = await launch('chromium')
  t.after(() => browser.close())
  const page = await browser.newPage()
  await page.goto(origin)
  await page.command('WebAuthn.enable')
  const { authenticatorId } = await page.command('WebAuthn.addVirtualAuthenticator', { options: AUTHENTICATOR })
  const start = () =>
    page.evaluate(
      async (key) => {
        const { app } = globalThis
        app.client = await app.connect({ url: location.origin, label: 'myapp', serverKeys: [key] })
        return app.client.state
      },
      { id: signer.keyId, publicKey: Buffer.from(signer.publicKey).toString('base64') }
    )
  assert.equal(await start(), 'no-session')
  return { page, origin, authenticatorId }
}

/** login signs up or in, and resolves to the user that the gateway then sees; `error` where that fails. */
const login = (page, step, ...args) =>
  page.evaluate(
    async (name, rest) => {
      const { app } = globalThis
      try {
        await app[name](app.client, ...rest)
        return { state: app.client.state, ...(await app.client.request('profile.read')).json() }
      } catch (error) {
        return { state: app.client.state, error: `${error.name}: ${error.message}` }
      }
    },
    step,
    args
  )

const post = (origin, path, body, headers = {}) =>
  fetch(origin + path, { method: 'POST', body, headers: { origin, 'content-type': 'application/json', ...headers } })
const cookieOf = (answer) => answer.headers.get('set-cookie')?.split(';', 1)[0]

test('R83 a passkey signs up and in, and the device of that user signs the requests', { skip }, async (t) => {
  const { page, authenticatorId } = await open(t)
  const first = await login(page, 'signUp', 'Ada')
  assert.equal(first.state, 'ready', first.error)
  const { credentials } = await page.command('WebAuthn.getCredentials', { authenticatorId })
  assert.deepEqual(
    credentials.map(({ userHandle }) => Buffer.from(userHandle, 'base64').toString('base64url')),
    [first.userId]
  )
  await page.evaluate(() => globalThis.app.client.signOut())
  assert.deepEqual(await login(page, 'signIn'), first)

  await page.evaluate(() => globalThis.app.client.signOut())
  await page.command('WebAuthn.removeCredential', { authenticatorId, credentialId: credentials[0].credentialId })
  const without = await login(page, 'signIn')
  assert.match(without.error, /^NotAllowedError/)
  assert.notEqual(without.state, 'ready')
})

test('R83 a passkey’s answer serves once, in its own visit, from its own origin; nobody else enrols', {
  skip
}, async (t) => {
  const { page, origin } = await open(t)
  assert.equal((await login(page, 'signUp', 'Ada')).state, 'ready')
  await page.evaluate(() => globalThis.app.client.signOut())
  assert.equal((await login(page, 'signIn')).state, 'ready')
  const sent = await page.evaluate(() => globalThis.app.sent)
  const bodyOf = (path) => sent.findLast(([url]) => url === path)[1]
  const [signUp, signIn] = ['/passkey/sign-up', '/passkey/sign-in'].map(bodyOf)

  // Whoever has seen the answers begins visits of his own, and repeats them there.
  for (const [path, body] of [
    ['/passkey/sign-up', signUp],
    ['/passkey/sign-in', signIn]
  ])
    for (const begun of ['sign-up', 'sign-in']) {
      const cookie = cookieOf(await post(origin, `/passkey/${begun}/options`, '{"name":"Eve"}'))
      assert.match(cookie, /^visit=/)
      const answer = await post(origin, path, body, { cookie })
      assert.deepEqual([answer.status, cookieOf(answer)], [400, undefined], `${path} after ${begun}`)
      assert.equal((await post(origin, '/device/challenge', '{}', { cookie })).status, 403)
    }
  assert.equal((await post(origin, '/passkey/sign-in', signIn)).status, 400)
  assert.equal((await post(origin, '/passkey/sign-in', signIn, { origin: 'https://evil.example' })).status, 403)
  assert.equal((await post(origin, '/device/challenge', '{}')).status, 403)
  assert.equal((await post(origin, '/passkey/sign-in', '{')).status, 400)
})

/** forgedSignUp makes the answer of an authenticator that gives its new key the id of another passkey. */
const forgedSignUp = (origin, challenge, id) => {
  const { x, y } = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' })
  const hex = (text) => Buffer.from(text, 'hex')
  // The key in COSE, and what is around it in CBOR: ES256 over P-256, attestation `none`.
  const key = [hex('a5010203262001215820'), Buffer.from(x, 'base64url'), hex('225820'), Buffer.from(y, 'base64url')]
  const name = Buffer.from(id, 'base64url')
  const rp = createHash('sha256').update('localhost').digest()
  const data = Buffer.concat([rp, hex(`4500000000${'00'.repeat(16)}00`), Buffer.from([name.length]), name, ...key])
  const begin = hex(`a363${Buffer.from('fmt').toString('hex')}64${Buffer.from('none').toString('hex')}`)
  const middle = hex(`67${Buffer.from('attStmt').toString('hex')}a068${Buffer.from('authData').toString('hex')}58`)
  const attestationObject = Buffer.concat([begin, middle, Buffer.from([data.length]), data]).toString('base64url')
  const clientData = JSON.stringify({ type: 'webauthn.create', challenge, origin })
  const response = { attestationObject, clientDataJSON: Buffer.from(clientData).toString('base64url') }
  return JSON.stringify({ id, rawId: id, type: 'public-key', clientExtensionResults: {}, response })
}

test('R83 a sign-up with the id of another passkey takes nothing from its owner', { skip }, async (t) => {
  const { page, origin, authenticatorId } = await open(t)
  const ada = await login(page, 'signUp', 'Ada')
  const { credentials } = await page.command('WebAuthn.getCredentials', { authenticatorId })
  const idOf = (text) => Buffer.from(text, 'base64').toString('base64url')
  for (const [id, status] of [
    [idOf(credentials[0].credentialId), 400],
    [Buffer.alloc(32, 7).toString('base64url'), 200]
  ]) {
    const begun = await post(origin, '/passkey/sign-up/options', '{"name":"Eve"}')
    const { challenge } = await begun.json()
    const answer = await post(origin, '/passkey/sign-up', forgedSignUp(origin, challenge, id), {
      cookie: cookieOf(begun)
    })
    assert.equal(answer.status, status)
  }
  await page.evaluate(() => globalThis.app.client.signOut())
  assert.deepEqual(await login(page, 'signIn'), ada)
})
