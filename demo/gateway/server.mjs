// SPDX-License-Identifier: MIT
// The reference gateway put together: stores, key, enrolment, gateway, page, in front of one HTTP server.
import { mkdir } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { knockRelay } from 'countersign/knock/server'
import { createGateway, enrollment, nodeHandler, nodeServer } from 'countersign/server'
import { webSocketHandler } from 'countersign/server/websocket'
import { createStats, statsRoutes } from 'countersign/stats-event/server'
import { devEndpoints } from './dev.mjs'
import { devActions } from './dev-actions.mjs'
import { createDoor } from './door.mjs'
import { trusted } from './keys.mjs'
import { createMailer } from './mailer.mjs'
import { createOutbox } from './outbox.mjs'
import { demoRoutes } from './routes.mjs'
import { createScores } from './scores.mjs'
import { isLocalHost, isLoopbackAddress, sourceOf } from './source.mjs'
import { pageFiles } from './static.mjs'
import { openStores } from './stores.mjs'
import { createTrace } from './trace.mjs'

const PAGE = fileURLToPath(new URL('../../build/demo/public/', import.meta.url))
const DRAIN_MS = 10_000
const RESTART_MS = 1000
const ANSWER_MS = 50

const ENDPOINT = '/exchange'
const CORS_CHECK = '/.well-known/countersign-cors'

const answer = (res, status, type, body) =>
  res
    .writeHead(status, {
      'content-type': type,
      'cache-control': 'no-store, no-transform',
      'x-content-type-options': 'nosniff'
    })
    .end(body)

const answerJson = (res, value) =>
  value === undefined
    ? answer(res, 404, 'text/plain', 'not found\n')
    : answer(res, 200, 'application/json', JSON.stringify(value))

/** description is the public half of the configuration: what a client has to know to talk to this gateway. */
const description = ({ label, window }, ring) => ({
  label,
  server_keys: trusted(ring).map(({ keyId, publicKey }) => ({
    id: keyId,
    algorithm: 'ed25519',
    public_key: Buffer.from(publicKey).toString('base64')
  })),
  bindings: ['frame', 'header', 'json'],
  carriers: ['sse', 'websocket', 'poll'],
  past_ms: window.pastMs,
  future_ms: window.futureMs
})

// One folder at a time: Node's own `recursive` never returns where a file system refuses new folders (/proc).
const makeFolder = async (path) => {
  try {
    await mkdir(path, { mode: 0o700 })
  } catch (error) {
    if (error.code === 'EEXIST') return
    if (error.code !== 'ENOENT' || dirname(path) === path) throw error
    await makeFolder(dirname(path))
    await mkdir(path, { mode: 0o700 })
  }
}

/** tryWrite writes to the store and takes it back, or rejects. */
const tryWrite = async (codes) => {
  await codes.take('start', { limit: Number.MAX_SAFE_INTEGER, windowMs: 1000, nowMs: Date.now() })
  await codes.giveBack('start')
}

const createParts = async (config, log) => {
  await makeFolder(resolve(config.dataDir))
  const { ring, ...stores } = await openStores(config, log)
  const { signer, keySigner, set } = ring
  const stats = createStats({ store: stores.stats, phase: config.statsPhase })
  const outbox = createOutbox()
  const trace = createTrace()
  const mailer = await createMailer(config, outbox)
  const { label, window, origins, rates } = config
  const enrolling = enrollment({
    label,
    signer: keySigner,
    sessions: stores.sessions,
    codes: stores.codes,
    mailer: mailer.send,
    mailsPerHour: config.mailsPerHour,
    pepper: [signer, ring.previous, ring.next].filter(Boolean),
    onFailure: (error) => log.line('enrolment failed', { error: textOf(error) })
  })
  const publish = (...event) => gateway.publish(...event)
  const { replay, codes } = stores
  const scores = await createScores({ dataDir: config.dataDir, replay, codes, publish, log })
  // A toy on this machine, for the page on this machine.
  const door = isLoopbackAddress(config.host) ? await createDoor({ publish, log }) : undefined
  const targets = { ...(door && { door: door.target }), ...config.knockTargets }
  const gateway = createGateway({
    label,
    signer,
    keySigner,
    serverKeys: set.serial > 0 ? set : undefined,
    window,
    origins,
    endpoint: ENDPOINT,
    sessions: stores.sessions,
    replay: stores.replay,
    events: stores.events,
    enrollment: enrolling,
    routes: {
      ...demoRoutes({ sessions: stores.sessions, publish }),
      ...statsRoutes(stats),
      ...scores.routes,
      ...door?.routes,
      'knock.relay': knockRelay({ targets })
    },
    actionSecret: scores.actionSecret,
    rates,
    onStage: trace.note,
    onWarning: ({ code, message }) => log.line(code, { warning: message }),
    onRefusal: ({ error, ...refusal }) => log.line('refused', error ? { ...refusal, error: textOf(error) } : refusal)
  })
  // A full disk is no reason not to start: what needs no write is served, and the rest is tried again with each request.
  await gateway
    .ready()
    .then(() => tryWrite(codes))
    .catch((error) => log.line('store.unwritable', { error: reasonOf(error) }))
  const close = async () => {
    await gateway.close()
    await stores.close()
    await door?.close()
    mailer.close()
  }
  const metrics = () => gateway.metrics() + scores.metrics()
  return { ring, outbox, trace, gateway, metrics, close }
}

const textOf = (error) => String(error?.message ?? error)
/** The error and what it was caused by, which names the disk's own trouble. */
const reasonOf = (error) => [error, error?.cause].filter(Boolean).map(textOf).join(': ')

const isExchange = (pathname) => pathname === ENDPOINT || pathname === CORS_CHECK || pathname.startsWith('/api/')

// What the gateway says of its own answers (PROTOCOL.md, R34) holds for the documents beside it.
const addCors = (req, res, origins) => {
  res.setHeader('vary', 'origin')
  const { origin } = req.headers
  if (origin === undefined || !origins.includes(origin)) return
  res.setHeader('access-control-allow-origin', origin)
  res.setHeader('access-control-expose-headers', 'countersign')
}

const createDispatch = async (config, parts, { state, actions, log }) => {
  const exchange = nodeHandler(parts.gateway, { remoteAddress: sourceOf(config.trustedProxies) })
  const page = await pageFiles(PAGE)
  const isOpen = () => state.isLoopback && !config.smtpUrl
  const dev = devEndpoints({ outbox: parts.outbox, trace: parts.trace, isOpen, actions })
  const wellKnown = description(config, parts.ring)
  const metricsHosts = [config.host.toLowerCase(), ...config.metricsHosts]
  const dispatch = (req, res) => {
    if (state.isDraining) res.setHeader('connection', 'close')
    // The path as it stands in the request line: nothing is decoded or normalised into another endpoint.
    const [pathname, query = ''] = req.url.split('?', 2)
    if (pathname.startsWith('/dev/')) return answerJson(res, dev(req, pathname, query))
    // Preflights are the gateway's to answer, whatever they are for.
    if (isExchange(pathname) || req.method === 'OPTIONS') return exchange(req, res)
    addCors(req, res, config.origins)
    if (req.method !== 'GET' && req.method !== 'HEAD') return answer(res, 405, 'text/plain', 'method not allowed\n')
    // Discovery (R91).
    if (pathname === '/.well-known/countersign.json') return answerJson(res, wellKnown)
    if (pathname === '/metrics' && !isLocalHost(req, metricsHosts))
      return answer(res, 421, 'text/plain', 'unknown host: set METRICS_HOSTS\n')
    if (pathname === '/metrics') return answer(res, 200, 'text/plain; version=0.0.4; charset=utf-8', parts.metrics())
    if (pathname === '/healthz')
      return answer(res, state.isDraining ? 503 : 200, 'text/plain', state.isDraining ? 'draining\n' : 'ok\n')
    if (page) return page(req, res, pathname)
    answer(res, 404, 'text/plain', pathname === '/' ? 'the page is not built: npm run build\n' : 'not found\n')
  }
  // What throws here would end the process.
  return (req, res) => {
    try {
      dispatch(req, res)
    } catch (error) {
      log.line('fault', { error: textOf(error) })
      if (res.headersSent) res.destroy()
      else answer(res, 503, 'text/plain', 'not available\n')
    }
  }
}

const listen = (server, { host, port }) =>
  new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port }, resolve)
  })

// Answers what was accepted, takes nothing new, and is gone within DRAIN_MS whatever a client does.
const drain = (server, unused, log) =>
  new Promise((resolve) => {
    // Browsers open connections ahead of time; Node does not count one that never carried a request as idle.
    for (const socket of unused) socket.destroy()
    const deadline = setTimeout(() => {
      log.line('drain.cut')
      server.closeAllConnections()
    }, DRAIN_MS - 1000)
    // A connection whose answer was under way when the signal came turns idle later.
    const sweep = setInterval(() => server.closeIdleConnections(), 50)
    server.close(() => {
      clearTimeout(deadline)
      clearInterval(sweep)
      resolve()
    })
  })

const serve = async (config, log, actions) => {
  const parts = await createParts(config, log)
  const state = { isLoopback: false, isDraining: false }
  const dispatch = await createDispatch(config, parts, { state, actions, log })
  const server = nodeServer(dispatch, { requestTimeout: 75_000, headersTimeout: 15_000, keepAliveTimeout: 65_000 })
  server.on('upgrade', webSocketHandler(parts.gateway, { remoteAddress: sourceOf(config.trustedProxies) }))
  const unused = new Set()
  server.on('connection', (socket) => {
    unused.add(socket)
    socket.once('data', () => unused.delete(socket)).once('close', () => unused.delete(socket))
  })
  try {
    await listen(server, config)
  } catch (error) {
    await parts.close()
    throw error
  }
  // Without files or memory for another connection, the connections that are there go on.
  server.on('error', (error) => log.line('accept failed', { error: textOf(error) }))
  const { address, family, port } = server.address()
  state.isLoopback = isLoopbackAddress(address)
  const stop = async () => {
    state.isDraining = true
    // Streams end with the gateway; what it is answering keeps its connection until then.
    await Promise.all([drain(server, unused, log), parts.gateway.close()])
    await parts.close()
  }
  return {
    address: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
    port,
    isLoopback: state.isLoopback,
    stop
  }
}

/**
 * startGateway listens and resolves to `{ address, isLoopback, stop }`; what it opened is closed again where it fails. On
 * loopback it can be told to restart in its place, which is everything a restart is but a new process.
 */
export const startGateway = async (config, log) => {
  let serving
  let restarting = Promise.resolve()
  let isStopping = false
  const again = async (change) => {
    // The answer that says so goes out first.
    await pause(ANSWER_MS)
    await serving.stop()
    try {
      change()
    } catch (error) {
      log.line('change failed', { error: reasonOf(error) })
    }
    // What hinders a start, such as a full disk, may pass.
    for (let isServing = false; !isServing && !isStopping; ) {
      await pause(RESTART_MS)
      isServing = await serve({ ...config, port: serving.port }, log, actions).then(
        (next) => {
          serving = next
          log.line('restarted', { address: serving.address })
          return true
        },
        (error) => log.line('restart failed', { error: reasonOf(error) })
      )
    }
  }
  const restart = (change) => {
    restarting = restarting.then(() => again(change))
  }
  const actions = devActions({ dataDir: config.dataDir, restart })
  serving = await serve(config, log, actions)
  const { address, isLoopback } = serving
  const stop = async () => {
    isStopping = true
    await restarting
    await serving.stop()
  }
  return { address, isLoopback, stop }
}
