// SPDX-License-Identifier: MIT
// WebKitGTK's MiniBrowser through WebKitWebDriver (W3C WebDriver over fetch), on a display of its own.

import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { setTimeout as inMs } from 'node:timers/promises'
import { HUNG_MS, within } from '../../unit/harness/wait.mjs'
import { outcomeOf, scriptOf, startProcess } from './process.mjs'

const freePort = () =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })

// Without an X display session creation hangs, so one is started even where DISPLAY is set: it may be somebody's screen.
const startDisplay = async () => {
  const display = await startProcess('Xvfb', ['-displayfd', '3', '-screen', '0', '1600x2400x24', '-nolisten', 'tcp'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    ready: /^(\d+)\n/
  })
  return { name: `:${display.match[1]}`, stop: display.stop }
}

const startDriver = async (display) => {
  const port = await freePort()
  // No machine of the tests has a graphics card: compositing in software took most of the engine's time.
  const env = { DISPLAY: display, GDK_BACKEND: 'x11', WEBKIT_DISABLE_COMPOSITING_MODE: '1' }
  const driver = await startProcess('WebKitWebDriver', [`--port=${port}`], { env })
  const call = async (method, path, body, timeoutMs = HUNG_MS) => {
    const limit = new AbortController()
    const timer = setTimeout(() => limit.abort(), timeoutMs)
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      body: body && JSON.stringify(body),
      signal: limit.signal
    }).catch((error) => {
      clearTimeout(timer)
      throw new Error(`webkit ${method} ${path}: ${error.message}`)
    })
    const { value } = await response.json().finally(() => clearTimeout(timer))
    if (!response.ok) throw new Error(`webkit ${method} ${path}: ${value?.error}: ${value?.message}`)
    return value
  }
  const answers = async () => {
    for (;;) {
      const status = await call('GET', '/status', undefined, 2000).catch(() => undefined)
      if (status?.ready) return
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  try {
    await within('WebKitWebDriver did not answer', answers())
  } catch (error) {
    await driver.stop('SIGKILL')
    throw error
  }
  return { call, stop: driver.stop }
}

// A WebDriver session has one current window: commands of several pages take turns.
const turns = () => {
  let last = Promise.resolve()
  return (work) => {
    const next = last.then(work)
    last = next.catch(() => {})
    return next
  }
}

const pageOf = (call, inTurn, handle) => {
  const run = (method, path, body) =>
    inTurn(async () => {
      await call('POST', '/window', { handle })
      return call(method, path, body)
    })
  const evaluate = async (code, ...args) => {
    const script = `const done = arguments[arguments.length - 1]; ${scriptOf(code, args)}.then(done)`
    return outcomeOf(await run('POST', '/execute/async', { script, args: [] }))
  }
  return {
    goto: async (url) => void (await run('POST', '/url', { url })),
    reload: async () => void (await run('POST', '/refresh', {})),
    evaluate,
    tap: async (selector) => {
      const element = await run('POST', '/element', { using: 'css selector', value: selector })
      await run('POST', `/element/${Object.values(element)[0]}/click`, {})
    },
    // A window is larger than its page by its own frame and tool bar, follows some time after it was told, and is never
    // narrower than its tool bar (447 pixels): that is as far as it goes.
    setViewport: async ({ width, height }) => {
      const inner = () => evaluate(() => ({ width: innerWidth, height: innerHeight }))
      const outer = (wanted, shown) => Math.max(wanted, 2 * wanted - shown)
      for (let tries = 0; tries < 5; tries++) {
        await run('POST', '/window/rect', { width, height })
        await inMs(200)
        const shown = await inner()
        await run('POST', '/window/rect', { width: outer(width, shown.width), height: outer(height, shown.height) })
        await inMs(200)
        if ((await inner()).width === width) return
      }
    },
    screenshot: async ({ path } = {}) => {
      const image = Buffer.from(await run('GET', '/screenshot'), 'base64')
      if (path) await writeFile(path, image)
      return image
    },
    close: async () => void (await run('DELETE', '/window'))
  }
}

/** launchWebkit starts a display, the driver and one MiniBrowser, whose storage lasts as long as it runs. */
export const launchWebkit = async ({ executable, args = [] }) => {
  const display = await startDisplay()
  const driver = await startDriver(display.name).catch(async (error) => {
    await display.stop('SIGKILL')
    throw error
  })
  const stop = async () => {
    await driver.stop()
    await display.stop()
  }
  try {
    const capabilities = {
      alwaysMatch: { 'webkitgtk:browserOptions': { binary: executable, args: ['--automation', ...args] } }
    }
    const session = await driver.call('POST', '/session', { capabilities }, 60_000)
    const call = (method, path, ...rest) => driver.call(method, `/session/${session.sessionId}${path}`, ...rest)
    await call('POST', '/timeouts', { script: HUNG_MS, pageLoad: HUNG_MS })
    const inTurn = turns()
    let first = await call('GET', '/window')
    return {
      version: session.capabilities.browserVersion,
      newPage: async () => {
        const handle = first ?? (await inTurn(() => call('POST', '/window/new', { type: 'tab' }))).handle
        first = undefined
        return pageOf(call, inTurn, handle)
      },
      close: async () => {
        await call('DELETE', '').catch(() => {})
        await stop()
      }
    }
  } catch (error) {
    await stop()
    throw error
  }
}
