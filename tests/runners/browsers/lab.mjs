// SPDX-License-Identifier: MIT
// A page with a client of its own, the gateway it talks to, and the steps that a test has it take.

import { generateKeyPairSync, sign } from 'node:crypto'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { createGateway, enrollment, memoryReplayStore, memorySessionStore, nodeHandler } from 'countersign/server'
import { build } from 'esbuild'
import { until } from '../../unit/harness/wait.mjs'
import { root } from '../suites.mjs'
import { POLICY } from './page-server.mjs'

const createSigner = () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const raw = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }).subarray(-32))
  return { keyId: 'k1', publicKey: raw, sign: (bytes) => new Uint8Array(sign(null, bytes, privateKey)) }
}

/**
 * createWorld makes a gateway in memory, with a login that asks for nothing, and one that mails codes to `mailer`.
 * `options` are more options of the gateway; `guests` lets people in as guests.
 */
export const createWorld = ({ mailer = () => {}, guests, ...options } = {}) => {
  const shared = { label: 'demo', signer: createSigner(), sessions: memorySessionStore() }
  const login = enrollment({ ...shared, mailer, guests })
  const routes = {
    'demo.key': ({ session }) => ({ payload: Buffer.from(session.publicKey).toString('base64') }),
    'demo.echo': ({ payload }) => ({ payload }),
    'demo.user': ({ userId }) => ({ payload: userId }),
    'GET /api/answer': () => ({ payload: 'an answer' })
  }
  // A hundred rounds are more than a user does in a week.
  const rates = { perSource: { perSecond: 1e5, burst: 1e5 }, perSession: { perSecond: 1e5, burst: 1e5 } }
  const replay = memoryReplayStore()
  const usual = { rates, replay, routes, rotation: 'trusted', enrollment: login }
  const gateway = createGateway({ ...shared, ...usual, ...options })
  return { ...shared, login, gateway }
}

const bodyOf = async (request) => {
  const chunks = []
  for await (const chunk of request) chunks.push(chunk)
  return JSON.parse(Buffer.concat(chunks).toString())
}

/** The page, for another path too. */
export const PAGE = [
  'text/html',
  '<!doctype html><html lang="en"><meta charset="utf-8"><title>page</title><script type="module" src="/run.js"></script></html>'
]

/**
 * serve serves a page whose one script is bundled from `script`, the gateway behind it, and what `others` answers by path:
 * `[type, body]`, or a function that resolves to it. It gives the address.
 */
export const serve = async (t, { gateway, login }, script, others = {}) => {
  const entryPoints = [join(root, 'tests/runners/browsers', script)]
  const bundle = { bundle: true, format: 'esm', platform: 'browser', target: 'es2022', write: false, logLevel: 'error' }
  const { outputFiles } = await build({ entryPoints, ...bundle })
  const files = {
    __proto__: null,
    '/': PAGE,
    '/run.js': ['text/javascript', outputFiles[0].contents],
    ...others
  }
  const onward = nodeHandler(gateway)
  const answer = async (request, response) => {
    const { url } = request
    const reply = (type, body, status = 200) => {
      response.writeHead(status, {
        'content-type': type,
        // WebKit takes 'self' for nothing in a sandboxed frame, so the origin is named as well.
        'content-security-policy': POLICY.replaceAll("'self'", `'self' http://${request.headers.host}`),
        // A frame with an opaque origin reads its own script and core as a stranger does.
        'access-control-allow-origin': '*',
        'cache-control': 'no-store'
      })
      response.end(body)
    }
    const file = files[url] ?? files[url.slice(0, url.indexOf('/', 1) + 1)]
    if (file) return reply(...(typeof file === 'function' ? await file(url) : file))
    if (url === '/login/challenge') return reply('text/plain', await login.challenge('user-1'))
    if (url !== '/login/confirm') return onward(request, response)
    const { challengeId, algorithm, publicKey, proof } = await bodyOf(request)
    const offer = {
      challengeId,
      algorithm,
      publicKey: Buffer.from(publicKey, 'base64'),
      proof: Buffer.from(proof, 'base64')
    }
    const confirmed = await login.confirm('user-1', offer)
    response.writeHead(confirmed.status, Object.fromEntries(confirmed.headers))
    response.end(Buffer.from(await confirmed.arrayBuffer()))
  }
  const server = createServer((request, response) => {
    answer(request, response).catch((error) => response.destroy(error))
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  return `http://127.0.0.1:${server.address().port}/`
}

/** begin has a page take a step; what comes of it is asked for with `outcomeOf`, for a driver may serve one page at a time. */
export const begin = (page, step, given) =>
  page.evaluate((name, values) => void globalThis.lab.begin(name, ...values), step, given)

/** outcomeOf resolves to what came of the page's step, and rejects with its failure. */
export const outcomeOf = async (page, step) => {
  const outcome = await until(() => page.evaluate(() => globalThis.lab.outcome ?? null), `the end of ${step}`)
  if (outcome.error) throw new Error(outcome.error)
  return outcome.value
}
