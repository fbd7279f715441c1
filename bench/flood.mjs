// SPDX-License-Identifier: MIT
// `npm run bench:flood`: how long an honest client waits while one other source floods the gateway at the default limit,
// on each store. Gateway, flood and client are three processes. Exit code 1 when the 99th percentile of the honest
// client's answers is more than three times its quiet value, or when one of them is refused. The client keeps its
// connection: Node accepts one connection in a turn of its event loop, so a new one waits behind those of the flood.

import { fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import {
  cachedSessions,
  createGateway,
  memoryReplayStore,
  memorySessionStore,
  nodeHandler,
  nodeServer
} from 'countersign/server'
import { createSigner, enrol, FRAME, label, signRequest } from '../tests/server/kit.mjs'
import { startRedis } from '../tests/server/stores/redis/server.mjs'
import { until } from '../tests/unit/harness/wait.mjs'

const SELF = fileURLToPath(import.meta.url)
const { values, positionals } = parseArgs({
  options: { seconds: { type: 'string', default: '10' }, stores: { type: 'string', default: 'memory,lmdb,redis' } },
  allowPositionals: true
})
const MEASURE_MS = Number(values.seconds) * 1000
const MAX_RATIO = 3
/** The rate of the flood, which is the gateway's default for a source, and its tick. */
const FLOOD_PER_SECOND = 2000
const TICK_MS = 10
const HONEST_EVERY_MS = 10

const openStores = {
  memory: async () => ({ sessions: memorySessionStore(), replay: memoryReplayStore() }),
  async lmdb(path) {
    const { lmdbStores } = await import('countersign/server/lmdb')
    return lmdbStores({ path: join(path, 'stores') })
  },
  async redis(url) {
    const { redisStores } = await import('countersign/server/redis')
    const stores = await redisStores({ url, label })
    return { ...stores, sessions: cachedSessions(stores.sessions) }
  }
}

/** The gateway's process. It sends its port and an honest device's session to the parent, which has the key. */
const serveGateway = async (kind, place) => {
  const { sessions, replay } = await openStores[kind](place)
  const window = { pastMs: 60_000, futureMs: 1000 }
  const routes = { 'demo.echo': ({ payload }) => ({ payload }) }
  const gateway = createGateway({ label, signer: createSigner(), sessions, replay, routes, window })
  process.on('message', async ({ session }) => {
    await sessions.create({ ...session, publicKey: Uint8Array.from(session.publicKey) })
    process.send({ isReady: true })
  })
  const server = nodeServer(nodeHandler(gateway)).listen(0, '127.0.0.1', () =>
    process.send({ port: server.address().port })
  )
}

const send = (port, frame, options = {}) =>
  new Promise((resolve) => {
    const headers = { 'content-type': FRAME, 'content-length': frame.length }
    request({ host: '127.0.0.1', port, method: 'POST', path: '/', headers, ...options }, (response) => {
      response.resume()
      response.on('end', () => resolve(response.statusCode))
    })
      .on('error', () => resolve(0))
      .end(frame)
  })

/** The flood's process: forged frames of its own address, as fast as the limit allows, whatever becomes of them. */
const flood = async (port) => {
  const sessions = memorySessionStore()
  const device = await enrol(sessions)
  const nowMs = Date.now()
  const frames = Array.from({ length: 1000 }, () => signRequest(device, { nowMs, signature: new Uint8Array(64) }).frame)
  const agent = new Agent({ keepAlive: true, maxSockets: 256 })
  let sent = 0
  let under = 0
  let answered = 0
  setInterval(() => {
    for (let count = 0; count < (FLOOD_PER_SECOND * TICK_MS) / 1000 && under < 1000; count++) {
      under += 1
      send(port, frames[sent++ % frames.length], { agent, localAddress: '127.0.0.2' }).then(() => {
        under -= 1
        answered += 1
        if (answered === frames.length) process.send({ isUnderWay: true })
      })
    }
  }, TICK_MS)
}

const measure = async (port, device, agent) => {
  const times = []
  const statuses = {}
  const endMs = performance.now() + MEASURE_MS
  while (performance.now() < endMs) {
    const { frame } = signRequest(device, { nowMs: Date.now() })
    const beganMs = performance.now()
    const status = await send(port, frame, { agent })
    times.push(performance.now() - beganMs)
    statuses[status] = (statuses[status] ?? 0) + 1
    await new Promise((resolve) => setTimeout(resolve, HONEST_EVERY_MS))
  }
  times.sort((one, other) => one - other)
  const at = (share) => times[Math.min(times.length - 1, Math.floor(times.length * share))]
  return { p50: at(0.5), p99: at(0.99), statuses }
}

const nextMessage = (child) => new Promise((resolve) => child.once('message', resolve))
const shown = ({ p50, p99, statuses }) =>
  `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, ${JSON.stringify(statuses)}`

const runStore = async (kind) => {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-flood-'))
  const redis = kind === 'redis' ? await startRedis() : undefined
  const gateway = fork(SELF, ['gateway', kind, redis?.url ?? folder])
  const children = [gateway]
  try {
    const { port } = await nextMessage(gateway)
    const device = await enrol(memorySessionStore(), { nowMs: Date.now() })
    gateway.send({ session: { ...device.session, publicKey: [...device.session.publicKey] } })
    await nextMessage(gateway)
    const agent = new Agent({ keepAlive: true })
    const isServed = async () => (await send(port, signRequest(device, { nowMs: Date.now() }).frame)) === 200
    await until(isServed, 'service')
    const quiet = await measure(port, device, agent)
    children.push(fork(SELF, ['flood', String(port)]))
    await nextMessage(children[1])
    const flooded = await measure(port, device, agent)
    agent.destroy()
    const ratio = flooded.p99 / quiet.p99
    const refused = Object.keys(flooded.statuses).some((status) => status !== '200')
    console.log(
      `${kind}: quiet ${shown(quiet)}\n${kind}: flood ${shown(flooded)}\n${kind}: p99 ${ratio.toFixed(2)} x quiet`
    )
    return ratio <= MAX_RATIO && !refused
  } finally {
    for (const child of children) child.kill('SIGKILL')
    await redis?.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

const [role, ...rest] = positionals
if (role === 'gateway') await serveGateway(...rest)
else if (role === 'flood') await flood(Number(rest[0]))
else {
  for (const kind of values.stores.split(',')) if (!(await runStore(kind))) process.exitCode = 1
}
