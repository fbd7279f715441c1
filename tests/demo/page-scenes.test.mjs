// SPDX-License-Identifier: MIT
// The scenes below the board, in each engine: one browser, one session, each scene with a picture of its state. The scenes
// wait more than they work, so the engines go through them side by side.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { wanted } from '../../tools/test/grep.mjs'
import { engines } from '../runners/browsers/launch.mjs'
import { startGateway } from './harness.mjs'
import { CALM, engineOptions, openBrowser, visit } from './page-driver.mjs'
import { clocks } from './scenes/clocks.mjs'
import { explain } from './scenes/explain.mjs'
import { game } from './scenes/game.mjs'
import { knock } from './scenes/knock.mjs'
import { push } from './scenes/push.mjs'
import { rotation } from './scenes/rotation.mjs'
import { stats } from './scenes/stats.mjs'
import { tabs } from './scenes/tabs.mjs'
import { tour } from './scenes/tour.mjs'
import { usedIds } from './scenes/used-ids.mjs'

const scenes = { clocks, 'used ids': usedIds, push, tabs, rotation, explain, game, stats, knock, tour }

// COUNTERSIGN_SCENES=push,tabs picks scenes, and --grep those whose name matches; COUNTERSIGN_ENGINES picks engines.
const isWanted = wanted()
const picked = process.env.COUNTERSIGN_SCENES?.split(',') ?? Object.keys(scenes).filter(isWanted)
const chosen = process.env.COUNTERSIGN_ENGINES?.split(',') ?? engines

const playScenes = async (t, engine) => {
  const gateway = await startGateway(t, { PAST_MS: '60000', FUTURE_MS: '10000' })
  // For what shows the end of a window. Everything else must not meet it, however slow the machine is.
  const brief = await startGateway(t, { PAST_MS: '5000', FUTURE_MS: '3000' })
  const browser = await openBrowser(t, engine)
  const view = await visit(browser, `${gateway.url}/${CALM}`)
  const { page } = view
  await page.setViewport({ width: 1280, height: 860 })
  await view.signIn()
  for (const name of picked) {
    await t.test(name, (t) => scenes[name](t, { view, gateway, brief, browser }))
    await page.setViewport({ width: 1280, height: 860 })
  }
  await t.test('the policy was never violated', async () => {
    assert.equal(await page.evaluate(() => document.documentElement.dataset.violation ?? 'none'), 'none')
  })
}

test('scenes', { concurrency: true }, async (t) => {
  const played = engines
    .filter((name) => chosen.includes(name))
    .map((engine) => t.test(engine, engineOptions(engine), (t) => playScenes(t, engine)))
  await Promise.all(played)
})
