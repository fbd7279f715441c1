// SPDX-License-Identifier: MIT
// Drives the demo page the way a visitor does: by its buttons, reading what it shows.
import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { browsersRequired, launch, missingEngine } from '../runners/browsers/launch.mjs'
import { until } from './harness.mjs'

const SHOTS = fileURLToPath(new URL('../../build/screenshots/', import.meta.url))

/** CALM is the page without movement and with limits that only a hung run meets. */
export const CALM = '?motion=off&patience=20'

export const GATEWAY = [
  'parse',
  'version',
  'session',
  'signature',
  'freshness',
  'replay',
  'payload_hash',
  'rate',
  'handler'
]
export const CLIENT = ['parse', 'signature', 'request_id', 'payload_hash', 'freshness']

/** ladder writes what lamps should show: all pass up to the failing one, which fails, and the rest stay dark. */
export const ladder = (stages, failing) => {
  const at = failing === undefined ? stages.length : stages.indexOf(failing)
  const verdictOf = (index) => (index < at ? 'pass' : index === at ? 'fail' : 'off')
  return Object.fromEntries(stages.map((stage, index) => [stage, verdictOf(index)]))
}

/** dark is a ladder nobody reported to. */
export const dark = (stages) => Object.fromEntries(stages.map((stage) => [stage, 'off']))

/** engineOptions skips a test whose engine is missing, unless engines are required here. */
export const engineOptions = (engine) => {
  const command = missingEngine(engine)
  return { skip: command && !browsersRequired ? `${engine} is missing: ${command}` : false }
}

/** openBrowser starts an engine that ends with the test. */
export const openBrowser = async (t, engine, options) => {
  const browser = await launch(engine, options)
  let isOpen = true
  const close = async () => {
    if (isOpen) {
      isOpen = false
      await browser.close()
    }
  }
  t.after(close)
  return { ...browser, close }
}

/** visit opens the page and gives the visitor's view of it. */
export const visit = async (browser, url) => {
  const page = await browser.newPage()
  // While the page is being replaced there is nothing to ask.
  const state = () => page.evaluate(() => document.documentElement.dataset.state).catch(() => 'gone')
  const waitFor = (...states) =>
    until(
      async () => {
        const now = await state()
        if (now === 'error') throw new Error(await page.evaluate(() => document.getElementById('notice').textContent))
        return states.includes(now)
      },
      `the page is ${states.join(' or ')}`
    )
  /** click presses a button as soon as a person could: the page shows its next state before all of its buttons. */
  const click = (selector) =>
    until(
      () =>
        page.evaluate((target) => {
          const node = document.querySelector(target)
          if (!node || node.disabled || node.offsetParent === null) return false
          node.click()
          return true
        }, selector),
      `a press of ${selector}`
    )
  /**
   * record keeps every value that a node shows from now on, its text or one of its attributes, and gives a function that reads
   * them all. What is shown for a moment only is missed by whoever looks now and then.
   */
  const record = async (selector, attribute) => {
    const key = `${selector} ${attribute}`
    await page.evaluate(
      (target, name, at) => {
        const node = document.querySelector(target)
        const read = () => (name ? node.getAttribute(name) : node.textContent)
        globalThis.recorded ??= {}
        const shown = [read()]
        globalThis.recorded[at] = shown
        const note = () => shown.at(-1) !== read() && shown.push(read())
        new MutationObserver(note).observe(node, {
          subtree: true,
          childList: true,
          characterData: true,
          attributes: true
        })
      },
      selector,
      attribute,
      key
    )
    return () => page.evaluate((at) => globalThis.recorded[at], key)
  }
  /** complaint gives what the page says went wrong, and throws it where a test waits for something else. */
  const complaint = () =>
    page.evaluate(() => {
      const notice = document.getElementById('notice')
      return notice.hidden ? '' : notice.textContent
    })
  const text = (selector) => page.evaluate((target) => document.querySelector(target).textContent, selector)
  const lamps = () =>
    page.evaluate(() => {
      const shown = { gateway: {}, client: {} }
      for (const lamp of document.querySelectorAll('[data-lamp]')) {
        const [side, stage] = lamp.dataset.lamp.split(':')
        shown[side][stage] = lamp.dataset.verdict
      }
      return shown
    })
  const press = async (selector) => {
    await click(selector)
    await waitFor('ready')
  }
  const signIn = async () => {
    await waitFor('signed-out')
    await click('#get-code')
    await waitFor('code')
    await click('#enter')
    await waitFor('ready')
  }
  /** enter goes to a gateway's page and signs in there, if nobody is. */
  const enter = async (address) => {
    await page.goto(address)
    await waitFor('signed-out', 'ready')
    if ((await state()) === 'signed-out') await signIn()
  }
  const overflow = () =>
    page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
  const shoot = async (name, fullPage = true) => {
    mkdirSync(SHOTS, { recursive: true })
    const image = await page.screenshot({ fullPage })
    await writeFile(join(SHOTS, `${browser.engine}-${name}.png`), image)
  }
  /** show takes pictures of one section, on a desk and on a phone, where nothing may be wider than the screen. */
  const show = async (name, selector) => {
    for (const [width, height] of [
      [360, 780],
      [1280, 860]
    ]) {
      await page.setViewport({ width, height })
      await page.evaluate((target) => document.querySelector(target).scrollIntoView({ behavior: 'instant' }), selector)
      await shoot(`${name}-${width}`, false)
      assert.equal(await overflow(), 0, `${name} at ${width} px`)
    }
  }
  await page.goto(url)
  return { page, state, waitFor, click, press, enter, record, complaint, text, lamps, signIn, overflow, shoot, show }
}
