// SPDX-License-Identifier: MIT
// The whole flow of the demo page in each engine: signed in in two clicks, every attack stopped by exactly its lamp.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { engines } from '../runners/browsers/launch.mjs'
import { makeFolder, startGateway, until } from './harness.mjs'
import { CALM, CLIENT, dark, engineOptions, GATEWAY, ladder, openBrowser, visit } from './page-driver.mjs'

// What stops each attack: a lamp of the gateway, a lamp of the client, or one of each.
const attacks = {
  'flip-payload': {
    gateway: ladder(GATEWAY, 'payload_hash'),
    client: ladder(CLIENT),
    result: 'gateway · payload_hash'
  },
  'change-type': { gateway: ladder(GATEWAY, 'parse'), client: ladder(CLIENT, 'parse'), result: 'gateway · parse' },
  rebind: {
    gateway: ladder(GATEWAY, 'signature'),
    client: ladder(CLIENT, 'request_id'),
    result: 'gateway · signature'
  },
  replay: { gateway: ladder(GATEWAY, 'replay'), client: ladder(CLIENT), result: 'gateway · replay' },
  wait: { gateway: ladder(GATEWAY, 'freshness'), client: ladder(CLIENT), result: 'gateway · freshness' },
  'flip-answer': { gateway: ladder(GATEWAY), client: ladder(CLIENT, 'payload_hash'), result: 'browser · payload_hash' },
  'forge-key': { gateway: ladder(GATEWAY), client: ladder(CLIENT, 'signature'), result: 'browser · signature' },
  'unsigned-401': { gateway: dark(GATEWAY), client: ladder(CLIENT, 'parse'), result: 'browser · parse' }
}

// For the packet that is held until its window is over, and for nothing else: a slow machine would meet it too.
const BRIEF = { PAST_MS: '3000', FUTURE_MS: '3000' }

for (const engine of engines) {
  test(`${engine}: sign in, send, every attack, export, reload`, engineOptions(engine), async (t) => {
    const gateway = await startGateway(t)
    const brief = await startGateway(t, BRIEF)
    const browser = await openBrowser(t, engine)
    const view = await visit(browser, `${gateway.url}/?patience=20`)
    const { page } = view
    await page.setViewport({ width: 1280, height: 860 })

    await t.test('a visitor is in with two clicks: the code shows itself', async () => {
      await view.waitFor('signed-out')
      assert.deepEqual(await view.lamps(), { gateway: dark(GATEWAY), client: dark(CLIENT) })
      await view.shoot('sign-in-1280')
      await view.click('#get-code')
      await view.waitFor('code')
      assert.match(await page.evaluate(() => document.getElementById('code').value), /^\d{6,}$/)
      assert.match(await view.text('#code-hint'), /\/dev\/outbox/)
      await view.click('#enter')
      await view.waitFor('ready')
      assert.equal(await view.text('#chip-text'), 'ready')
    })

    await t.test('a packet goes through: every lamp passes, the packet is drawn from its own fields', async () => {
      await view.press('#send-button')
      assert.deepEqual(await view.lamps(), { gateway: ladder(GATEWAY), client: ladder(CLIENT) })
      assert.match(await view.text('#verdict'), /^Answered: ok 14 checks · sign /)
      const type = await page.evaluate(() =>
        Array.from(document.querySelectorAll('#hex [data-field="type"]'), (cell) => cell.textContent).join('')
      )
      assert.equal(type, `09${Buffer.from('demo.echo').toString('hex')}`)
      assert.equal(await page.evaluate(() => location.hash), '#wire')
    })

    await t.test('a field lights its bytes, a byte lights its field', async () => {
      const lit = (over) =>
        page.evaluate((selector) => {
          document.querySelector(selector).dispatchEvent(new PointerEvent('pointerover', { bubbles: true }))
          return Array.from(
            document.querySelectorAll('#hex .lit, #fields .lit, #strip .lit'),
            (node) => node.dataset.field
          )
        }, over)
      const fromRow = await lit('#fields [data-field="time"]')
      // Eight bytes, one row, one segment of the strip.
      assert.deepEqual(fromRow, Array(10).fill('time'))
      const fromByte = await lit('#hex [data-field="signature"]')
      assert.deepEqual(fromByte, Array(67).fill('signature'))
    })

    await t.test('attacks', async (t) => {
      const { search } = new URL(await page.evaluate(() => location.href))
      assert.equal(search, '?patience=20')
      await page.goto(`${gateway.url}/${CALM}`)
      await view.waitFor('ready')
      for (const [id, { result, ...expected }] of Object.entries(attacks)) {
        await t.test(`${id}: stopped by exactly ${result}`, async () => {
          if (id === 'wait') await view.enter(`${brief.url}/${CALM}`)
          await view.press(`[data-attack="${id}"]`)
          assert.deepEqual(await view.lamps(), expected)
          assert.equal(await view.text(`[data-attack="${id}"] small`), result)
          assert.equal(await page.evaluate(() => location.hash), `#tamper/${id}`)
          assert.match(await view.text('#verdict'), / · ready$/)
          if (id !== 'wait') return
          await page.goto(`${gateway.url}/${CALM}`)
          await view.waitFor('ready')
        })
      }
    })

    await t.test('what the middle changed is marked byte for byte', async () => {
      await view.press('[data-attack="flip-payload"]')
      assert.equal(await page.evaluate(() => document.getElementById('scene-wire').dataset.frame), 'altered')
      const changed = await page.evaluate(() =>
        Array.from(document.querySelectorAll('#hex [data-changed]'), (cell) => cell.dataset.field)
      )
      assert.deepEqual(changed, ['payload'])
    })

    await t.test('the browser itself refuses to export the key', async () => {
      await view.click('#export')
      const attempts = await until(async () => {
        const shown = await page.evaluate(() =>
          Array.from(document.querySelectorAll('#refusal > span'), (node) => [node.dataset.refused, node.textContent])
        )
        return shown.length >= 2 && shown
      }, 'two attempts')
      assert.equal(attempts.length, 2)
      for (const [refused, words] of attempts) {
        assert.equal(refused, 'true')
        assert.match(words, /InvalidAccessError: ./)
      }
      const facts = await view.text('#key-facts')
      assert.match(facts, /extractablefalse/)
      assert.match(facts, /storageIndexedDB/)
      await view.shoot('tampered-1280')
    })

    await t.test('nothing overflows, wide or narrow', async () => {
      for (const [width, height] of [
        [1280, 860],
        [768, 900],
        [360, 780]
      ]) {
        await page.setViewport({ width, height })
        // WebKit's window has a least width; there the page is looked at as narrow as it gets.
        if (engine !== 'webkit')
          await until(() => page.evaluate((wanted) => innerWidth === wanted, width), 'the new width')
        await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))))
        assert.equal(await view.overflow(), 0, `${width} px`)
      }
      await view.shoot('tampered-360')
    })

    await t.test('the session and its key are there after a reload', async () => {
      const before = await view.text('#key-facts')
      await page.reload()
      await view.waitFor('ready')
      assert.equal(await view.text('#key-facts'), before)
      await view.press('#send-button')
      assert.deepEqual(await view.lamps(), { gateway: ladder(GATEWAY), client: ladder(CLIENT) })
    })

    await t.test('an address is a state: an attack, a field of an answer, the refusal', async () => {
      await page.goto(`${gateway.url}/${CALM}#tamper/replay`)
      await view.waitFor('ready')
      assert.deepEqual(await view.lamps(), { gateway: ladder(GATEWAY, 'replay'), client: ladder(CLIENT) })
      await page.goto(`${gateway.url}/${CALM}&again#wire/answer/result`)
      await view.waitFor('ready')
      const pressed = () => page.evaluate(() => document.querySelector('#fields [aria-pressed="true"]')?.dataset.field)
      assert.equal(await until(pressed, 'a field of the answer'), 'result')
      await page.goto(`${gateway.url}/${CALM}&refusal#key/export`)
      await view.waitFor('ready')
      assert.match(await until(() => view.text('#refusal'), 'the refusal'), /InvalidAccessError/)
    })

    await t.test('the policy was never violated', async () => {
      assert.equal(await page.evaluate(() => document.documentElement.dataset.violation ?? 'none'), 'none')
    })

    await t.test('cleared site data means signing in again', async () => {
      await view.click('#clear')
      await view.waitFor('signed-out')
      assert.equal(await view.text('#chip-text'), 'no-session')
      await view.signIn()
      await view.press('#send-button')
      assert.match(await view.text('#verdict'), /^Answered: ok/)
      await view.click('#sign-out')
      await view.waitFor('signed-out')
    })
  })
}

for (const engine of ['chromium', 'firefox']) {
  test(`${engine}: the stored key signs after the browser itself was restarted`, engineOptions(engine), async (t) => {
    const gateway = await startGateway(t)
    const profile = await makeFolder(t)
    const first = await openBrowser(t, engine, { profile })
    const before = await visit(first, `${gateway.url}/${CALM}`)
    await before.signIn()
    const facts = await before.text('#key-facts')
    await first.close()
    const second = await openBrowser(t, engine, { profile })
    const after = await visit(second, `${gateway.url}/${CALM}`)
    await after.waitFor('ready')
    assert.equal(await after.text('#key-facts'), facts)
    await after.press('#send-button')
    assert.deepEqual(await after.lamps(), { gateway: ladder(GATEWAY), client: ladder(CLIENT) })
  })
}
