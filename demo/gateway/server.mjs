// SPDX-License-Identifier: MIT
// The reference gateway put together: stores, key, enrolment, gateway, page, in front of one HTTP server.
import { mkdir } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createGateway, enrollment, nodeHandler, serverKeyFile } from 'countersign/server'
import { lmdbStores } from 'countersign/server/lmdb'
import { devEndpoints } from './dev.mjs'
import { createMailer } from './mailer.mjs'
import { createOutbox } from './outbox.mjs'
import { demoRoutes } from './routes.mjs'
import { isLoopbackAddress, sourceOf } from './source.mjs'
import { pageFiles } from './static.mjs'
import { createTrace } from './trace.mjs'

const PAGE = fileURLToPath(new URL('../../build/demo/public/', import.meta.url))
const REPLAY_CAPACITY = 2 ** 20
const DRAIN_MS = 10_000

const answer = (res, status, type, body) =>
  res
    .writeHead(status, { 'content-type': type, 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
    .end(body)

const answerJson = (res, value) =>
  value === undefined
    ? answer(res, 404, 'text/plain', 'not found\n')
    : answer(res, 200, 'application/json', JSON.stringify(value))

/** description is the public half of the configuration: what a client has to know to talk to this gateway. */
const description = ({ label, window }, signer) => ({
  label,
  server_keys: [
    { id: signer.keyId, algorithm: 'ed25519', public_key: Buffer.from(signer.publicKey).toString('base64') }
  ],
  bindings: ['frame', 'header', 'json'],
  past_ms: window.pastMs,
  future_ms: window.futureMs
})

const createParts = async (config, log) => {
  await mkdir(config.dataDir, { recursive: true, mode: 0o700 })
  const signer = await serverKeyFile(join(config.dataDir, 'server.key'))
  // One label is one session registry and one replay store: another LABEL over the same folder starts its own.
  const stores = lmdbStores({ path: join(config.dataDir, `${config.label}.lmdb`), capacity: REPLAY_CAPACITY })
  const outbox = createOutbox()
  const trace = createTrace()
  const mailer = await createMailer(config, outbox)
  const { label, window, origins, rates } = config
  const enrolling = enrollment({
    label,
    signer,
    sessions: stores.sessions,
    codes: stores.codes,
    mailer: mailer.send,
    onFailure: (error) => log.line('enrolment failed', { error: textOf(error) })
  })
  const gateway = createGateway({
    label,
    signer,
    window,
    origins,
    sessions: stores.sessions,
    replay: stores.replay,
    enrollment: enrolling,
    routes: demoRoutes({ sessions: stores.sessions }),
    rates,
    onStage: trace.note,
    onRefusal: ({ error, ...refusal }) => log.line('refused', error ? { ...refusal, error: textOf(error) } : refusal)
  })
  await gateway.ready()
  const close = async () => {
    await gateway.close()
    await stores.close()
    mailer.close()
  }
  return { signer, outbox, trace, gateway, close }
}

const textOf = (error) => String(error?.message ?? error)

const isExchange = (pathname) => pathname === '/exchange' || pathname.startsWith('/api/')

const createDispatch = async (config, parts, state) => {
  const exchange = nodeHandler(parts.gateway, { remoteAddress: sourceOf(config.trustedProxies) })
  const page = await pageFiles(PAGE)
  const isOpen = () => state.isLoopback && !config.smtpUrl
  const dev = devEndpoints({ outbox: parts.outbox, trace: parts.trace, isOpen })
  const wellKnown = description(config, parts.signer)
  return (req, res) => {
    if (state.isDraining) res.setHeader('connection', 'close')
    // The path as it stands in the request line: nothing is decoded or normalised into another endpoint.
    const [pathname, query = ''] = req.url.split('?', 2)
    if (isExchange(pathname)) return exchange(req, res)
    if (pathname.startsWith('/dev/')) return answerJson(res, dev(req, pathname, query))
    if (pathname === '/.well-known/countersign.json') return answerJson(res, wellKnown)
    if (pathname === '/metrics')
      return answer(res, 200, 'text/plain; version=0.0.4; charset=utf-8', parts.gateway.metrics())
    if (pathname === '/healthz')
      return answer(res, state.isDraining ? 503 : 200, 'text/plain', state.isDraining ? 'draining\n' : 'ok\n')
    if (page) return page(req, res, pathname)
    answer(res, 404, 'text/plain', pathname === '/' ? 'the page is not built: npm run build\n' : 'not found\n')
  }
}

const listen = (server, { host, port }) =>
  new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port }, resolve)
  })

// Answers what was accepted, takes nothing new, and is gone within DRAIN_MS whatever a client does.
const drain = (server) =>
  new Promise((resolve) => {
    const deadline = setTimeout(() => server.closeAllConnections(), DRAIN_MS - 1000)
    // A connection whose answer was under way when the signal came turns idle later.
    const sweep = setInterval(() => server.closeIdleConnections(), 50)
    server.close(() => {
      clearTimeout(deadline)
      clearInterval(sweep)
      resolve()
    })
  })

/** startGateway listens and resolves to `{ address, isLoopback, stop }`; what it opened is closed again where it fails. */
export const startGateway = async (config, log) => {
  const parts = await createParts(config, log)
  const state = { isLoopback: false, isDraining: false }
  const server = createServer({ requestTimeout: 75_000, headersTimeout: 15_000, keepAliveTimeout: 65_000 })
  const dispatch = await createDispatch(config, parts, state)
  // A body that waits for `100 Continue` is asked for once its envelope was accepted.
  server.on('request', dispatch).on('checkContinue', dispatch)
  try {
    await listen(server, config)
  } catch (error) {
    await parts.close()
    throw error
  }
  const { address, family, port } = server.address()
  state.isLoopback = isLoopbackAddress(address)
  const stop = async () => {
    state.isDraining = true
    await drain(server)
    await parts.close()
  }
  return {
    address: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
    isLoopback: state.isLoopback,
    stop
  }
}
