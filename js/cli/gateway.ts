// SPDX-License-Identifier: MIT
// `countersign gateway --dev`: a gateway for a frontend that has no server yet. Whoever reads its terminal can sign in as
// anybody, so it binds a loopback address, and nothing else.

import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import type { Server } from 'node:http'
import { join } from 'node:path'
import { labelOf } from '../core/args.ts'
import { type Enrollment, enrollment } from '../server/enrollment/endpoints.ts'
import type { Mail } from '../server/enrollment/mails.ts'
import { createGateway } from '../server/gateway.ts'
import { nodeHandler } from '../server/http/node-handler.ts'
import { nodeServer } from '../server/http/node-server.ts'
import { serverKeyFile } from '../server/server-key.ts'
import { memoryStores } from '../server/stores/memory/stores.ts'
import { isOrigin, LOOPBACK } from '../server/support/origins.ts'
import type { Gateway, Handler, Inbound } from '../server/types.ts'
import { CliError, printable } from './input.ts'
import { keyLine } from './keygen.ts'

export type DevOptions = {
  host: string
  port: number
  label: string
  /** The folder that keeps the key, and the sessions where `lmdb` is installed. */
  data: string
}

const LOOPBACK_HOSTS = ['127.0.0.1', '::1', 'localhost']
/** The one origin that the gateway is told of. Pages of all loopback origins stand for it. */
const ORIGIN = 'http://localhost'

const isLoopbackPage = (origin: string): boolean => {
  if (!isOrigin(origin)) return false
  const { protocol, hostname } = new URL(origin)
  return protocol === 'http:' && LOOPBACK.test(hostname)
}

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND'

/** Imports a part of the package whose peer may be missing; resolves to undefined then. */
const optional = <Part>(load: () => Promise<Part>): Promise<Part | undefined> =>
  load().catch((error) => {
    if (isMissing(error)) return undefined
    throw error
  })

/** A gateway lists origins with their ports. Development servers choose theirs, so that any port is one origin here. */
function forLoopbackPages(gateway: Gateway): Pick<Gateway, 'exchange' | 'upgrade'> {
  const mapped = (inbound: Inbound): Inbound => ({
    ...inbound,
    header: (name) => {
      const value = inbound.header(name)
      return name === 'origin' && value !== null && isLoopbackPage(value) ? ORIGIN : value
    }
  })
  return {
    async exchange(inbound) {
      const out = await gateway.exchange(mapped(inbound))
      const name = 'access-control-allow-origin'
      if (out.headers[name] !== ORIGIN) return out
      return { ...out, headers: { ...out.headers, [name]: inbound.header('origin') ?? ORIGIN } }
    },
    upgrade: (inbound) => gateway.upgrade(mapped(inbound))
  }
}

function printMail(write: (text: string) => void, { email, code, purpose, thumbprint }: Mail): void {
  const what = purpose === 'enroll' ? 'signs in' : `confirms the new key ${thumbprint}`
  write(`code ${code} ${what}: ${printable(email)}\n`)
}

async function openStores(data: string) {
  const lmdb = await optional(() => import('../server/stores/lmdb/index.ts'))
  if (lmdb) {
    const stores = lmdb.lmdbStores({ path: join(data, 'sessions.lmdb') })
    return { stores, kept: `in ${join(data, 'sessions.lmdb')}`, close: () => stores.close() }
  }
  return {
    stores: memoryStores(),
    kept: 'in memory until it ends (npm install lmdb keeps them)',
    close: async () => {}
  }
}

function echoRoutes(publish: Gateway['publish']): { [type: string]: Handler } {
  const echo: Handler = ({ payload }) => ({ payload })
  return {
    echo,
    'echo.event': async ({ payload, userId }) => {
      await publish({ userId }, 'echo', payload)
      return { payload }
    },
    'POST /api/echo': ({ payload }) => ({ payload, contentType: 'application/octet-stream' }),
    'GET /api/whoami': ({ userId }) => ({ json: { userId } })
  }
}

function listen(server: Server, { host, port }: DevOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', ({ code, message }: NodeJS.ErrnoException) =>
      reject(new CliError(code === 'EADDRINUSE' ? `port ${port} is in use; choose another with --port` : message))
    )
    server.listen(port, host, () => resolve((server.address() as { port: number }).port))
  })
}

function checkOptions({ host, port, label, data }: DevOptions): void {
  if (!LOOPBACK_HOSTS.includes(host))
    throw new CliError(
      `gateway --dev listens on ${LOOPBACK_HOSTS.join(', ')} only: its terminal shows everybody's codes`
    )
  if (port > 65_535) throw new CliError('--port must be at most 65535')
  labelOf(label)
  if (process.env.NODE_ENV === 'production')
    throw new CliError('gateway --dev is for development, and NODE_ENV is production; see countersign/server')
  try {
    // Not with its parents: Node's own `recursive` never returns where a file system refuses new folders (/proc).
    if (!existsSync(data)) mkdirSync(data, { mode: 0o700 })
    // A key in a repository is no secret any more.
    if (!existsSync(join(data, '.gitignore'))) writeFileSync(join(data, '.gitignore'), '*\n')
  } catch (error) {
    throw new CliError(`cannot use the folder ${data} (${(error as NodeJS.ErrnoException).code})`)
  }
}

/**
 * Starts the gateway and prints what a frontend needs. Resolves to a function that ends it.
 * Rejects with a CliError when it may not or cannot listen.
 */
export async function startDevGateway(
  options: DevOptions,
  write: (text: string) => void
): Promise<() => Promise<void>> {
  checkOptions(options)
  const { label, data } = options
  const signer = await serverKeyFile(join(data, 'server.key'))
  const { stores, kept, close } = await openStores(data)
  const shared = { ...stores, label, signer }
  const mailer = (mail: Mail): void => printMail(write, mail)
  const enrolling: Enrollment = enrollment({ ...shared, mailer, guests: true, enrollmentLimits: 'development' })
  const routes = echoRoutes((...event) => gateway.publish(...event))
  const gateway: Gateway = createGateway({ ...shared, routes, enrollment: enrolling, origins: [ORIGIN] })
  const open = forLoopbackPages(gateway)
  const server = nodeServer(nodeHandler(open))
  const webSockets = await optional(() => import('../server/http/websocket.ts'))
  if (webSockets) server.on('upgrade', webSockets.webSocketHandler(open))
  const stop = async (): Promise<void> => {
    server.close()
    await gateway.close()
    server.closeAllConnections()
    await close()
  }
  const port = await listen(server, options).catch(async (error) => {
    await stop()
    throw error
  })
  const host = options.host === '::1' ? '[::1]' : options.host
  write(`countersign: a gateway for development, for this machine only; Ctrl+C ends it
  key       in ${join(data, 'server.key')}
  sessions  ${kept}
  events    over ${webSockets ? 'WebSocket, ' : ''}server-sent events and long-poll${webSockets ? '' : ' (npm install ws adds WebSocket)'}
  pages     of localhost and 127.0.0.1, any port
  guests    guestEnrollment(client); codes for emailEnrollment(client, …) are printed here
  routes    ${Object.keys(routes).join(', ')}

Paste into connect():

  url: 'http://${host}:${port}',
  label: '${label}',
  ${keyLine(signer)}

`)
  return stop
}
