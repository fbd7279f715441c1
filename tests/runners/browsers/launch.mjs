// SPDX-License-Identifier: MIT
// Three real browser engines behind one small interface.

import { existsSync, readdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { launchChromium } from './chromium.mjs'
import { launchFirefox } from './firefox.mjs'
import { launchWebkit } from './webkit.mjs'

const onPath = (...names) => {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    for (const name of names) if (existsSync(join(folder, name))) return join(folder, name)
  }
  return undefined
}

// MiniBrowser lies outside PATH, in a folder that names the machine's architecture.
const miniBrowser = () => {
  if (!onPath('WebKitWebDriver') || !onPath('Xvfb') || !existsSync('/usr/lib')) return undefined
  for (const folder of readdirSync('/usr/lib')) {
    for (const version of ['4.1', '4.0']) {
      const file = join('/usr/lib', folder, `webkit2gtk-${version}`, 'MiniBrowser')
      if (existsSync(file)) return file
    }
  }
  return undefined
}

// COUNTERSIGN_FIREFOX=/path/firefox runs the tests in another one than the one on PATH; the same for the other engines.
const ENGINES = {
  chromium: { find: () => onPath('chromium'), packages: 'chromium', start: launchChromium },
  firefox: { find: () => onPath('firefox-esr', 'firefox'), packages: 'firefox-esr', start: launchFirefox },
  webkit: { find: miniBrowser, packages: 'webkit2gtk-driver xvfb', start: launchWebkit }
}

/** engines names the browser engines the tests know. */
export const engines = Object.keys(ENGINES)

const findEngine = (engine) => {
  const given = process.env[`COUNTERSIGN_${engine.toUpperCase()}`]
  if (given && !existsSync(given)) throw new Error(`COUNTERSIGN_${engine.toUpperCase()}: there is no ${given}`)
  return given || ENGINES[engine].find()
}

/** missingEngine gives the command that installs an engine, or undefined where it is installed. */
export const missingEngine = (engine) =>
  findEngine(engine) ? undefined : `apt-get install -y --no-install-recommends ${ENGINES[engine].packages}`

/** browsersRequired tells whether a missing engine is a failure here, not a skipped test. */
export const browsersRequired = Boolean(process.env.CI || process.env.BROWSERS_REQUIRED)

/**
 * launch starts an engine and resolves to `{ engine, version, newPage(), close() }`; a page is `{ goto(url), reload(),
 * evaluate(run, ...jsonArguments), tap(selector), setViewport({ width, height }), screenshot({ path?, fullPage? }), close() }`:
 * `tap` presses with the browser's own pointer, as a person would, which lets a page open a window. Chromium's pages have `command(method, params)` of its DevTools protocol too. `profile` names a folder that outlives the browser (Chromium, Firefox); without it a fresh one is made and removed. `preferences` are what a
 * person sets in the engine's settings, by the engine's own names, for a fresh profile. It rejects where the engine is missing
 * or does not start in time.
 */
export const launch = async (engine, { profile, args, preferences } = {}) => {
  const { start } = ENGINES[engine]
  const executable = findEngine(engine)
  if (!executable) throw new Error(`${engine} is not installed: ${missingEngine(engine)}`)
  const folder = profile ?? (await mkdtemp(join(tmpdir(), `countersign-${engine}-`)))
  const clean = () =>
    profile ? undefined : rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
  try {
    const browser = await start({ executable, profile: folder, args, preferences })
    return {
      engine,
      version: browser.version,
      newPage: browser.newPage,
      close: async () => {
        await browser.close()
        await clean()
      }
    }
  } catch (error) {
    await clean()
    throw error
  }
}
