// SPDX-License-Identifier: MIT
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import { HUNG_MS, within } from '../../unit/harness/wait.mjs'
import { outcomeOf, scriptOf } from './process.mjs'

const ARGS = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync'
]

const pageOf = (page) => {
  let devtools
  return {
    goto: async (url) => void (await page.goto(url, { waitUntil: 'load' })),
    reload: async () => void (await page.reload({ waitUntil: 'load' })),
    evaluate: async (run, ...args) => outcomeOf(await page.evaluate(scriptOf(run, args))),
    tap: (selector) => page.click(selector),
    setViewport: ({ width, height }) => page.setViewportSize({ width, height }),
    screenshot: (options = {}) => page.screenshot(options),
    command: async (method, params) => {
      devtools ??= page.context().newCDPSession(page)
      return (await devtools).send(method, params)
    },
    close: () => page.close()
  }
}

/** launchChromium starts Debian's Chromium with a profile folder, through playwright's own protocol client. */
export const launchChromium = async ({ executable, profile, args = [], preferences }) => {
  if (preferences) {
    await mkdir(join(profile, 'Default'), { recursive: true })
    await writeFile(join(profile, 'Default', 'Preferences'), JSON.stringify(preferences))
  }
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: executable,
    headless: true,
    // Root has no namespace to sandbox in.
    chromiumSandbox: process.getuid?.() !== 0,
    args: [...ARGS, ...args],
    timeout: HUNG_MS
  })
  context.setDefaultTimeout(HUNG_MS)
  return {
    version: context.browser()?.version() ?? 'unknown',
    newPage: async () => pageOf(await context.newPage()),
    close: () => within('chromium did not close', context.close())
  }
}
