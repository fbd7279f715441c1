// SPDX-License-Identifier: MIT
// Firefox through WebDriver BiDi, spoken directly: there is no geckodriver for it in Debian.

import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import WebSocket from 'ws'
import { within } from '../../unit/harness/wait.mjs'
import { outcomeOf, scriptOf, startProcess } from './process.mjs'

const PREFERENCES = {
  'app.normandy.enabled': false,
  'app.update.disabledForTesting': true,
  'browser.aboutwelcome.enabled': false,
  'browser.shell.checkDefaultBrowser': false,
  'browser.startup.homepage_override.mstone': 'ignore',
  'datareporting.policy.dataSubmissionEnabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'remote.active-protocols': 1,
  'services.settings.server': 'data:,',
  'toolkit.telemetry.enabled': false
}

const connect = async (url) => {
  const socket = new WebSocket(url, { perMessageDeflate: false, maxPayload: 1 << 28 })
  await new Promise((resolve, reject) => {
    socket.once('open', resolve)
    socket.once('error', reject)
  })
  const waiting = new Map()
  socket.on('message', (data) => {
    const { id, error, message, result } = JSON.parse(data.toString())
    const call = waiting.get(id)
    waiting.delete(id)
    if (error) call?.reject(new Error(`firefox: ${error}: ${message}`))
    else call?.resolve(result)
  })
  socket.on('close', () => {
    for (const call of waiting.values()) call.reject(new Error('firefox closed the connection'))
    waiting.clear()
  })
  let last = 0
  const send = async (method, params = {}) => {
    // What is sent over a closed connection is dropped without a word.
    if (socket.readyState !== WebSocket.OPEN) throw new Error(`firefox has gone: ${method}`)
    const id = ++last
    const answer = new Promise((resolve, reject) => waiting.set(id, { resolve, reject }))
    socket.send(JSON.stringify({ id, method, params }))
    return within(`firefox ${method}`, answer)
  }
  return { send, close: () => socket.close() }
}

const pageOf = (send, context) => ({
  goto: async (url) => void (await send('browsingContext.navigate', { context, url, wait: 'complete' })),
  reload: async () => void (await send('browsingContext.reload', { context, wait: 'complete' })),
  evaluate: async (run, ...args) => {
    const expression = scriptOf(run, args)
    const { result, exceptionDetails } = await send('script.evaluate', {
      expression,
      target: { context },
      awaitPromise: true
    })
    if (exceptionDetails) throw new Error(`in the page: ${exceptionDetails.text}`)
    return outcomeOf(result.value)
  },
  tap: async (selector) => {
    // A page that still scrolls or grows would be pressed beside the node.
    const expression = `(async () => {
      const node = document.querySelector(${JSON.stringify(selector)})
      for (let last, at; last !== at || at === undefined; ) {
        last = at
        node.scrollIntoView({ block: 'center', behavior: 'instant' })
        await new Promise((resolve) => setTimeout(resolve, 100))
        const { x, y } = node.getBoundingClientRect()
        at = x + ' ' + y
      }
      return node
    })()`
    const { result } = await send('script.evaluate', { expression, target: { context }, awaitPromise: true })
    const origin = { type: 'element', element: { sharedId: result.sharedId } }
    const actions = [
      { type: 'pointerMove', x: 0, y: 0, origin },
      { type: 'pointerDown', button: 0 },
      { type: 'pointerUp', button: 0 }
    ]
    await send('input.performActions', { context, actions: [{ type: 'pointer', id: 'mouse', actions }] })
  },
  setViewport: async ({ width, height }) =>
    void (await send('browsingContext.setViewport', { context, viewport: { width, height } })),
  screenshot: async ({ path, fullPage = false } = {}) => {
    const origin = fullPage ? 'document' : 'viewport'
    const { data } = await send('browsingContext.captureScreenshot', { context, origin })
    const image = Buffer.from(data, 'base64')
    if (path) await writeFile(path, image)
    return image
  },
  close: async () => void (await send('browsingContext.close', { context }))
})

/** launchFirefox starts Firefox headless with a profile folder and gives pages over one BiDi session. */
export const launchFirefox = async ({ executable, profile, args = [], preferences = {} }) => {
  const file = join(profile, 'user.js')
  if (!existsSync(file)) {
    const all = Object.entries({ ...PREFERENCES, ...preferences })
    const lines = all.map(([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});`)
    await writeFile(file, `${lines.join('\n')}\n`)
  }
  const browser = await startProcess(
    executable,
    ['--headless', '--no-remote', '--profile', profile, '--remote-debugging-port', '0', ...args],
    { ready: /WebDriver BiDi listening on (ws:\/\/\S+)/, env: { MOZ_CRASHREPORTER_DISABLE: '1' } }
  )
  try {
    const { send, close } = await connect(`${browser.match[1]}/session`)
    const { capabilities } = await send('session.new', { capabilities: {} })
    return {
      version: capabilities.browserVersion,
      newPage: async () => pageOf(send, (await send('browsingContext.create', { type: 'tab' })).context),
      close: async () => {
        // A closed browser has written its storage; the process group is ended all the same.
        await send('browser.close').catch(() => {})
        close()
        // It is given ten seconds to end by itself, and is ended otherwise. (A signal of AbortSignal.timeout that nothing
        // else refers to may be collected before it fires.)
        const patience = setTimeout(browser.stop, 10_000)
        await browser.exited
        clearTimeout(patience)
        await browser.stop()
      }
    }
  } catch (error) {
    await browser.stop('SIGKILL')
    throw error
  }
}
