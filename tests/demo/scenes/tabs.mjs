// SPDX-License-Identifier: MIT
// Scene: two tabs share one stream. The crown moves when its holder closes; a restart ends nothing; a revocation ends both.
import assert from 'node:assert/strict'
import { until } from '../harness.mjs'
import { CALM } from '../page-driver.mjs'

const cards = (page) =>
  page.evaluate(() =>
    Array.from(document.querySelectorAll('#tab-list li'), ({ dataset, children }) => ({
      ...dataset,
      name: children[1].textContent,
      said: children[2].textContent,
      event: children[4].textContent,
      hasCrown: getComputedStyle(children[0]).display !== 'none'
    }))
  )

const click = (page, id) => page.evaluate((target) => document.getElementById(target).click(), id)
const textOf = (page, id) => page.evaluate((target) => document.getElementById(target).textContent, id)

/** tabs opens a second tab, takes the crown from it, restarts the gateway under both, and revokes the device. */
export const tabs = async (t, { view, gateway }) => {
  const { page } = view
  const agreed = (check, what) =>
    until(async () => {
      const found = await cards(page)
      return check(found) && found
    }, what)
  await page.goto(`${gateway.url}/${CALM}&tabs#tabs`)
  await view.waitFor('ready')
  await agreed(([only]) => only?.role === 'leader' && only.connection === 'live', 'one tab leads')

  await t.test('the second tab follows: one crown, one stream, both hear', async () => {
    await page.tap('#tab-open')
    const both = await agreed(
      (all) => all.length === 2 && all.every(({ connection }) => connection === 'live'),
      'two tabs'
    )
    assert.deepEqual(
      both.map(({ name, role, hasCrown, state }) => ({ name, role, hasCrown, state })),
      [
        { name: 'tab 1 · this one', role: 'leader', hasCrown: true, state: 'ready' },
        { name: 'tab 2', role: 'follower', hasCrown: false, state: 'ready' }
      ]
    )
    await click(page, 'push-one')
    await agreed(
      (all) => new Set(all.map(({ event }) => event)).size === 1 && /^event #\d+$/.test(all[0].event),
      'one event, both tabs'
    )
    const metrics = await (await fetch(`${gateway.url}/metrics`)).text()
    assert.match(metrics, /^countersign_streams\{carrier="sse"\} 1$/m)
  })

  await t.test('the leader steps down and the crown moves; the leader closes and it moves back', async () => {
    await click(page, 'tab-close')
    const moved = await agreed(
      (all) =>
        all.length === 2 && all[1].role === 'leader' && all[0].role === 'follower' && all[0].connection === 'live',
      'the crown has moved'
    )
    assert.equal(moved[1].hasCrown, true)
    await view.show('tabs', '#scene-tabs')
    assert.equal(await view.text('#tab-close'), 'Close the leader')
    await click(page, 'tab-close')
    await agreed(
      (all) => all.length === 1 && all[0].role === 'leader' && all[0].connection === 'live',
      'the crown is back'
    )
    await page.tap('#tab-open')
    await agreed((all) => all.length === 2 && all[1].connection === 'live', 'another tab')
  })

  await t.test('a restart of the gateway signs nobody out', async () => {
    await click(page, 'tab-restart')
    await until(
      async () => /^restarted, live again after \d+\.\d s, still ready$/.test(await textOf(page, 'tab-note')),
      'it is back'
    )
    await agreed(
      (all) => all.every(({ state, connection }) => state === 'ready' && connection === 'live'),
      'both are live'
    )
  })

  await t.test('a revocation ends both at once', async () => {
    await click(page, 'tab-revoke')
    const fallen = await agreed(
      (all) => all.length >= 2 && all.filter(({ state }) => state === 'revoked').length >= 2,
      'both have fallen'
    )
    for (const { said, state } of fallen.filter(({ state }) => state === 'revoked')) {
      assert.match(said, /^revoked after \d+ ms$/, state)
      t.diagnostic(said)
    }
    await view.show('tabs-revoked', '#scene-tabs')
    assert.equal(await view.text('#chip-text'), 'revoked')
    await view.waitFor('signed-out')
    await view.signIn()
    await agreed((all) => all.length === 2 && all.every(({ state }) => state === 'ready'), 'both are signed in')
    // The tab that the page has opened closes where it is asked to.
    await page.evaluate((to) => {
      const channel = new BroadcastChannel('countersign-demo:demo')
      channel.postMessage({ about: 'close', to })
      channel.close()
    }, fallen[1].tab)
    await agreed((all) => all.length === 1, 'it has closed')
  })
}
