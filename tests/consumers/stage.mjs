// SPDX-License-Identifier: MIT
// Where consumers are tried: a real gateway of another origin, a server for pages, and a real Chromium.

import { equal, match } from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { extname, join } from 'node:path'
import { connect, emailEnrollment, memoryStore } from 'countersign'
import { nodeHandler } from 'countersign/server'
import { createWorld } from '../runners/browsers/lab.mjs'
import { launch } from '../runners/browsers/launch.mjs'
import { until } from '../unit/harness/wait.mjs'
import { run } from './projects/flow.js'

const EXPECTED = 'hello, an answer'

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.css': 'text/css',
  '.wasm': 'application/wasm'
}

/** PAGE is the page of a tool that makes scripts alone. */
const PAGE = '<!doctype html><html lang="en"><meta charset="utf-8"><title>page</title>'

/** htmlOf writes a page with these elements. */
export const htmlOf = (...elements) => ['text/html; charset=utf-8', `${PAGE}${elements.join('')}</html>`]

const listen = async (server, port = 0) => {
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve))
  return `http://127.0.0.1:${server.address().port}`
}

const closeServer = (server) => {
  server.closeAllConnections()
  return new Promise((resolve) => server.close(resolve))
}

/** freePort gives a port that nothing listens on. */
export const freePort = async () => {
  const server = createServer()
  const { port } = new URL(await listen(server))
  await closeServer(server)
  return Number(port)
}

/** startGateway resolves to `{ url, search, close() }`; `search` is what the flow needs to know of it. */
export const startGateway = async (origins = [], options = {}) => {
  const codes = []
  const { gateway, signer } = createWorld({ mailer: ({ code }) => void codes.push(code), origins, ...options })
  const signed = nodeHandler(gateway)
  const server = createServer(async (request, response) => {
    if (request.url !== '/code') return signed(request, response)
    response.writeHead(200, { 'access-control-allow-origin': '*' })
    // Read, and not taken: happy-dom asks with a preflight first.
    response.end(await until(() => codes.at(-1), 'a mailed code'))
  })
  const url = await listen(server)
  const key = Buffer.from(signer.publicKey).toString('base64')
  return {
    url,
    search: `?${new URLSearchParams({ gateway: url, id: signer.keyId, key })}`,
    close: () => closeServer(server)
  }
}

/** startRedirect makes a server that redirects every request: `{ search, close() }`. */
export const startRedirect = async () => {
  const server = createServer((_request, response) => response.writeHead(307, { location: '/elsewhere' }).end())
  const url = await listen(server)
  const key = Buffer.alloc(32, 1).toString('base64')
  return { search: `?${new URLSearchParams({ gateway: url, id: 'k1', key })}`, close: () => closeServer(server) }
}

const readFrom = async (folder, pathname) => {
  try {
    const body = await readFile(join(folder, decodeURIComponent(pathname)))
    return [TYPES[extname(pathname)] ?? 'application/octet-stream', body]
  } catch {
    return undefined
  }
}

const askServer = async (base, { url, headers }) => {
  const answer = await fetch(base + url, { headers: { accept: headers.accept ?? '*/*' } })
  return [answer.headers.get('content-type') ?? '', Buffer.from(await answer.arrayBuffer()), answer.status]
}

const POLICY = { 'default-src': "'none'", 'script-src': "'self' 'wasm-unsafe-eval'" }

const policyOf = (gateway, policy) =>
  Object.entries({ ...POLICY, 'connect-src': gateway.url, ...policy })
    .map((directive) => directive.join(' '))
    .join('; ')

/**
 * servePage serves a page: `files` by path as `[type, body]`, what lies in `folder`, or what the server at `base` answers.
 * All of it has a policy that names the gateway alone; `policy` replaces parts of it. It resolves to `{ url, close() }`.
 */
const servePage = async ({ files = {}, folder, base, policy }) => {
  const made = {}
  const find = async (request) => {
    const { pathname } = new URL(request.url, 'http://page')
    const name = pathname === '/' && !Object.hasOwn(files, '/') ? '/index.html' : pathname
    if (Object.hasOwn(files, name)) return files[name]
    if (base) return askServer(base, request)
    return (folder && (await readFrom(folder, name))) ?? ['text/plain', 'not here', 404]
  }
  const server = createServer(async (request, response) => {
    const [type, body, status = 200] = await find(request)
    response.writeHead(status, { 'content-type': type, 'content-security-policy': policyOf(made.gateway, policy) })
    response.end(body)
  })
  const origin = await listen(server)
  made.gateway = await startGateway([origin])
  const close = () => Promise.all([closeServer(server), made.gateway.close()])
  return { url: `${origin}/${made.gateway.search}`, close }
}

/** check expects what the flow gives, or an error with these words. */
const check = (outcome, error) => {
  if (error) match(outcome.error ?? '', error)
  else equal(outcome.value, EXPECTED, outcome.error)
}

/** createStage makes the checks of pages and servers. They share one browser, which the first page starts. */
export const createStage = () => {
  const shared = {}
  const browserOf = () => {
    shared.browser ??= launch('chromium')
    return shared.browser
  }

  const closeBrowser = async () => {
    const { browser } = shared
    delete shared.browser
    await (await browser)?.close()
  }

  /** visit opens an address and expects the outcome of the flow in that page, or this error. */
  const visit = async (url, { browser, error } = {}) => {
    const page = await (browser ?? (await browserOf())).newPage()
    try {
      await page.goto(url)
      const outcome = await until(() => page.evaluate(() => globalThis.outcome ?? null), `the outcome of ${url}`)
      check(outcome, error)
      await page.close()
    } catch (failure) {
      // The next consumer gets a browser that this one has not touched.
      if (!browser) await closeBrowser().catch(() => {})
      throw failure
    }
  }

  /** checkPage serves a page and expects the outcome of its flow. */
  const checkPage = async (content, error) => {
    const { url, close } = await servePage(content)
    try {
      await visit(url, { error })
    } finally {
      await close()
    }
  }

  /** checkClient asks a server for what its own client got of a gateway. */
  const checkClient = async (url) => {
    const gateway = await startGateway()
    try {
      match(await (await fetch(url + gateway.search)).text(), new RegExp(EXPECTED))
    } finally {
      await gateway.close()
    }
  }

  /** checkServer makes signed requests to a server, and has its own client make some. */
  const checkServer = async (url) => {
    const key = await (await fetch(`${url}/key`)).text()
    const search = `?${new URLSearchParams({ gateway: url, id: 'k1', key })}`
    check(await run({ connect, emailEnrollment, memoryStore }, search, false))
    await checkClient(`${url}/client`)
  }

  /** version gives the browser's, once a page has started it. */
  const version = async () => (await shared.browser)?.version
  return { visit, checkPage, checkClient, checkServer, version, close: closeBrowser }
}
