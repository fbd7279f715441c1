// SPDX-License-Identifier: MIT
// Serves the suites to a page: one bundle under a strict policy, the vectors, a place for results, and everything else
// from the reference gateway, so that the page and its gateway have one origin.

import { readFile } from 'node:fs/promises'
import { createServer, request as httpRequest } from 'node:http'
import { connect as netConnect } from 'node:net'
import { join } from 'node:path'
import { build } from 'esbuild'
import { nameOf, root, suiteFiles } from '../suites.mjs'

export const POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "connect-src 'self'",
  "worker-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "require-trusted-types-for 'script'",
  'trusted-types tests'
].join('; ')

const BASE = '/__suites/'
const PAGE = `<!doctype html><html lang="en"><meta charset="utf-8"><title>suites</title><script type="module" src="${BASE}run.js"></script></html>`

const bundle = async (options) => {
  const common = { bundle: true, format: 'esm', platform: 'browser', target: 'es2022', logLevel: 'error', write: false }
  const { outputFiles } = await build({ ...common, ...options })
  return outputFiles[0].contents
}

/** bundleSuites makes the page's one script, from the built package as a bundler of an application would. */
const bundleSuites = async () => {
  const imports = suiteFiles.map((file, index) => `import { suite as suite${index} } from './${file}'`)
  const entries = suiteFiles.map((file, index) => `[${JSON.stringify(nameOf(file))}, suite${index}]`)
  const contents = `${imports.join('\n')}
import { runSuites } from './tests/runners/browsers/run-suites.mjs'
runSuites([${entries.join(', ')}], new URL('${BASE}', location.href))`
  return bundle({ stdin: { contents, resolveDir: root }, sourcemap: 'inline' })
}

/** bundleScripts makes every script the page can ask for, by name. */
const bundleScripts = async () => {
  const worker = { entryPoints: [join(root, 'tests/runners/browsers/worker.mjs')] }
  return {
    'run.js': await bundleSuites(),
    'worker.js': await bundle(worker),
    'service-worker.js': await bundle({ ...worker, format: 'iife' })
  }
}

const send = (response, type, body, status = 200) => {
  response.writeHead(status, { 'content-type': type, 'content-security-policy': POLICY, 'cache-control': 'no-store' })
  response.end(body)
}

const bodyOf = async (request) => {
  const chunks = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

// Passed on as it came, Host included, as if the page had been served by the gateway.
const passOn = (gatewayUrl, request, response) => {
  const { hostname, port } = new URL(gatewayUrl)
  const { method, url: path, headers } = request
  const onward = httpRequest({ hostname, port, method, path, headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.rawHeaders)
    answer.pipe(response)
  })
  onward.on('error', () => response.destroy())
  response.on('close', () => onward.destroy())
  request.pipe(onward)
}

// A WebSocket is passed on in the same way, its head written again and its bytes untouched.
const passOnUpgrade = (gatewayUrl, { method, url, rawHeaders }, socket, head) => {
  const { hostname, port } = new URL(gatewayUrl)
  const onward = netConnect(Number(port), hostname, () => {
    const lines = [`${method} ${url} HTTP/1.1`]
    for (let at = 0; at < rawHeaders.length; at += 2) lines.push(`${rawHeaders[at]}: ${rawHeaders[at + 1]}`)
    onward.write(`${lines.join('\r\n')}\r\n\r\n`)
    onward.write(head)
    onward.pipe(socket).pipe(onward)
  })
  for (const end of [onward, socket]) end.on('error', () => end.destroy())
  onward.on('close', () => socket.destroy())
  socket.on('close', () => onward.destroy())
}

/** startPageServer resolves to `{ url, onResult, close() }`; `onResult` is called with every message of the page. */
export const startPageServer = async (gatewayUrl) => {
  const scripts = await bundleScripts()
  // Read together with the scripts: a build that runs meanwhile must not mix its files with these.
  const wasm = {}
  for (const name of ['countersign.wasm', 'countersign-client.wasm', 'countersign-knock.wasm'])
    wasm[name] = await readFile(join(root, 'dist/core/platform', name))
  const served = { url: '', onResult: () => {}, close: async () => {} }
  const handle = async (request, response) => {
    const { pathname } = new URL(request.url, 'http://page')
    if (!pathname.startsWith(BASE)) return passOn(gatewayUrl, request, response)
    const name = pathname.slice(BASE.length)
    if (request.method === 'POST' && name === 'results') {
      served.onResult(JSON.parse(await bodyOf(request)))
      return send(response, 'text/plain', '')
    }
    if (name === '') return send(response, 'text/html; charset=utf-8', PAGE)
    if (Object.hasOwn(scripts, name)) return send(response, 'text/javascript', scripts[name])
    if (Object.hasOwn(wasm, name)) {
      return send(response, request.url.endsWith('?plain') ? 'text/plain' : 'application/wasm', wasm[name])
    }
    const vector = /^vectors\/([A-Za-z0-9_.-]+(?:\/[A-Za-z0-9_.-]+)*)$/.exec(name)
    if (vector && !vector[1].includes('../..')) {
      return send(response, 'application/json', await readFile(join(root, 'tests/vectors', vector[1])))
    }
    send(response, 'text/plain', 'not here', 404)
  }
  const server = createServer((request, response) => {
    handle(request, response).catch((error) => send(response, 'text/plain', String(error), 500))
  })
  server.on('upgrade', (request, socket, head) => passOnUpgrade(gatewayUrl, request, socket, head))
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  served.url = `http://127.0.0.1:${server.address().port}${BASE}`
  served.close = () => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  }
  return served
}
