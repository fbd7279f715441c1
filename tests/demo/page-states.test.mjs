// SPDX-License-Identifier: MIT
// The less sunny states of the page: an exchange overtaken, a session the gateway forgot or revoked, an insecure origin.
import assert from 'node:assert/strict'
import { networkInterfaces } from 'node:os'
import { test } from 'node:test'
import { signIn, startGateway, until } from './harness.mjs'
import { CALM, CLIENT, dark, engineOptions, GATEWAY, ladder, openBrowser, visit } from './page-driver.mjs'

const options = engineOptions('chromium')
const arrive = async (t, gateway, search = CALM) => {
  const view = await visit(await openBrowser(t, 'chromium'), gateway.url + search)
  await view.signIn()
  return view
}

test(
  'a held packet that is overtaken shows nothing any more, and does not disarm its successor',
  options,
  async (t) => {
    const view = await arrive(t, await startGateway(t))
    await view.click('[data-attack="wait"]')
    await view.waitFor('held')
    assert.deepEqual(await view.lamps(), { gateway: dark(GATEWAY), client: dark(CLIENT) })
    assert.match(await view.text('#hold'), /^held · \d+ s$/)
    assert.match(await view.text('#verdict'), /^Held by the man in the middle/)
    await view.press('[data-attack="unsigned-401"]')
    assert.deepEqual(await view.lamps(), { gateway: dark(GATEWAY), client: ladder(CLIENT, 'parse') })
    assert.equal(await view.text('[data-attack="wait"] small'), '')
  }
)

test('a playback that is overtaken lights no more lamps', options, async (t) => {
  const view = await arrive(t, await startGateway(t), '?patience=20')
  await view.click('#send-button')
  await until(async () => (await view.lamps()).gateway.version === 'pass', 'the first lamps')
  await view.press('[data-attack="change-type"]')
  assert.deepEqual(await view.lamps(), { gateway: ladder(GATEWAY, 'parse'), client: ladder(CLIENT, 'parse') })
  await new Promise((resolve) => setTimeout(resolve, 1500))
  assert.deepEqual(await view.lamps(), { gateway: ladder(GATEWAY, 'parse'), client: ladder(CLIENT, 'parse') })
})

test('a gateway that knows no such session says so, and one press signs in anew', options, async (t) => {
  const first = await startGateway(t)
  const view = await arrive(t, first)
  await first.stop()
  await startGateway(t, { PORT: String(first.port) })
  await view.page.reload()
  await view.waitFor('ready')
  await view.press('#send-button')
  assert.match(await view.text('#notice'), /^ERR_UNAUTHENTICATED/)
  assert.equal(await view.text('#chip-text'), 'ready')
  await view.click('#notice button')
  await view.signIn()
  await view.press('#send-button')
  assert.match(await view.text('#verdict'), /^Answered: ok/)
})

test('a revoked session is shown as revoked and can sign in again', options, async (t) => {
  const gateway = await startGateway(t)
  const view = await visit(await openBrowser(t, 'chromium'), `${gateway.url}/${CALM}`)
  await view.waitFor('signed-out')
  await view.page.evaluate(() => {
    document.getElementById('email').value = 'ada@example.org'
  })
  await view.signIn()
  const other = await signIn(t, gateway, { email: 'ada@example.org' })
  const { deviceSessionId } = (await other.sessions()).find(({ isCurrent }) => !isCurrent)
  await other.revoke(deviceSessionId)
  await view.click('#send-button')
  await view.waitFor('signed-out')
  assert.equal(await view.text('#chip-text'), 'revoked')
  assert.match(await view.text('#verdict'), /ERR_SESSION_REVOKED · revoked$/)
  await view.signIn()
  await view.press('#send-button')
  assert.match(await view.text('#verdict'), /^Answered: ok/)
})

test('a wrong code is refused and asked for again', options, async (t) => {
  const gateway = await startGateway(t)
  const view = await visit(await openBrowser(t, 'chromium'), `${gateway.url}/${CALM}`)
  await view.waitFor('signed-out')
  await view.click('#get-code')
  await view.waitFor('code')
  await view.page.evaluate(() => {
    document.getElementById('code').value = '000000x'
  })
  await view.click('#enter')
  await view.waitFor('signed-out')
  assert.match(await view.text('#notice'), /^ERR_ENROLLMENT_REFUSED/)
  await view.signIn()
})

const lanAddress = () =>
  Object.values(networkInterfaces())
    .flat()
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address

test('a phone on the LAN without https is told why nothing works', {
  ...options,
  skip: options.skip || (lanAddress() ? false : 'no address but loopback')
}, async (t) => {
  const { port } = await startGateway(t, { HOST: '0.0.0.0' })
  const view = await visit(await openBrowser(t, 'chromium'), `http://${lanAddress()}:${port}/`)
  const state = () => view.page.evaluate(() => document.documentElement.dataset.state)
  await until(async () => (await state()) === 'error', 'the page says so')
  assert.match(await view.text('#notice'), /^ERR_INSECURE_(URL|CONTEXT): /)
})
