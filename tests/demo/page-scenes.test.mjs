// SPDX-License-Identifier: MIT
// The scenes below the board, in each engine: one browser, one session, each scene with a picture of its state.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { engines } from '../browsers/launch.mjs'
import { startGateway } from './harness.mjs'
import { engineOptions, openBrowser, visit } from './page-driver.mjs'
import { clocks } from './scenes/clocks.mjs'
import { tour } from './scenes/tour.mjs'
import { usedIds } from './scenes/used-ids.mjs'

const scenes = { clocks, 'used ids': usedIds, tour }

for (const engine of engines) {
  test(`${engine}: scenes`, engineOptions(engine), async (t) => {
    const gateway = await startGateway(t, { PAST_MS: '3000', FUTURE_MS: '3000' })
    const browser = await openBrowser(t, engine)
    const view = await visit(browser, `${gateway.url}/?motion=off`)
    const { page } = view
    await page.setViewport({ width: 1280, height: 860 })
    await view.signIn()
    for (const [name, scene] of Object.entries(scenes)) {
      await t.test(name, (t) => scene(t, { view, gateway, browser }))
      await page.setViewport({ width: 1280, height: 860 })
    }
    await t.test('the policy was never violated', async () => {
      assert.equal(await page.evaluate(() => document.documentElement.dataset.violation ?? 'none'), 'none')
    })
  })
}
