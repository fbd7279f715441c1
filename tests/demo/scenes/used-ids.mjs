// SPDX-License-Identifier: MIT
// Scene: every id that was used is a bar; a replay is refused by the very id, until its packet is too old anyway.
import assert from 'node:assert/strict'
import { until } from '../harness.mjs'
import { CALM } from '../page-driver.mjs'

const read = (page) =>
  page.evaluate(() =>
    Array.from(document.querySelectorAll('#ids-track .used'), ({ dataset, textContent }) => ({
      id: dataset.id,
      verdict: dataset.verdict,
      isAlive: dataset.alive === 'yes',
      text: textContent
    }))
  )

/** usedIds sends and replays, and lets an id burn down at the gateway of short windows: five seconds back, three ahead. */
export const usedIds = async (t, { view, gateway, brief, browser }) => {
  const { page } = view
  await page.goto(`${gateway.url}/${CALM}&ids#replay`)
  await view.waitFor('ready')
  const barOf = async (id) => (await read(page)).find((bar) => bar.id === id)

  await t.test('a request burns its id, and a replay makes that bar flash', async () => {
    await view.click('#ids-send')
    const [{ id }] = await until(async () => {
      const bars = (await read(page)).filter(({ text }) => text !== '')
      return bars.length > 0 && bars
    }, 'a bar')
    // 60 s + 10 s/2 + 2 s.
    assert.equal(await view.text('#ids-life'), '67 s')
    const sent = await until(async () => (await read(page)).at(-1), 'the last bar')
    await view.click('#ids-replay')
    await until(async () => (await barOf(sent.id)).verdict === 'replayed', 'a refused replay')
    assert.match((await barOf(sent.id)).text, /^.{6}replayed ×1$/)
    if (id !== sent.id) assert.equal((await barOf(id)).verdict, 'kept')

    // The bar itself is a button for its own frame.
    await view.click(`.used[data-id="${sent.id}"]`)
    await until(async () => (await barOf(sent.id)).text.endsWith('replayed ×2'), 'a second refusal')
    await view.show('replay', '#scene-replay')
  })

  const burnDown = async () => {
    await view.enter(`${brief.url}/${CALM}#replay`)
    assert.equal(await view.text('#ids-life'), '8.5 s')
    await view.click('#ids-send')
    const { id } = await until(async () => (await read(page)).find(({ text }) => text !== ''), 'a bar')
    const bar = `.used[data-id="${id}"]`
    const verdicts = await view.record(bar, 'data-verdict')
    // In the page: a bar that is burnt down is there for a few seconds only.
    await page.evaluate((target) => {
      const node = document.querySelector(target)
      new MutationObserver((_, observer) => {
        if (node.dataset.alive !== 'no') return
        observer.disconnect()
        node.click()
      }).observe(node, { attributes: true, attributeFilter: ['data-alive'] })
    }, bar)
    await until(async () => (await verdicts()).includes('stale'), 'its packet is too old by then')
    await page.goto(`${gateway.url}/${CALM}&back#replay`)
    await view.waitFor('ready')
  }
  // The same script in every engine, and nine seconds of waiting: once is enough.
  if (browser.engine === 'chromium') await t.test('a bar that has burnt down is refused as stale', burnDown)

  await t.test("the tamper bench's replay hits its bar too", async () => {
    await view.press('[data-attack="replay"]')
    await until(async () => (await read(page)).some(({ verdict }) => verdict === 'replayed'), 'a flash')
  })

  await t.test('an address is a replay', async () => {
    await page.goto(`${gateway.url}/${CALM}&ids=again#replay/again`)
    await view.waitFor('ready')
    await until(async () => (await read(page)).at(-1)?.verdict === 'replayed', 'the replay')
  })
}
