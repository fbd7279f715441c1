#!/usr/bin/env node
// SPDX-License-Identifier: MIT
// The reference gateway: `node demo/gateway/main.mjs`, configured by environment variables (README.md beside it).
import { ConfigError, readConfig } from './config.mjs'
import { createLog } from './log.mjs'
import { startGateway } from './server.mjs'

const MAX_TEXT = 500

const explain = (error, { host, port, dataDir } = {}) => {
  if (error instanceof ConfigError) return error.message
  if (error.syscall === 'listen' || error.syscall === 'getaddrinfo') {
    if (error.code === 'EADDRINUSE')
      return `port ${port} of ${host} is in use; set PORT to another one, or to 0 for any free one`
    if (error.code === 'EACCES')
      return `port ${port} of ${host} needs privileges this user does not have; set PORT to 1024 or more`
    return `HOST ${host} is not an address of this machine (${error.code})`
  }
  if (typeof error.path === 'string') return `DATA_DIR ${dataDir} cannot be used (${error.code})`
  return String(error.message)
}

const fail = (error, config) => {
  process.stderr.write(`countersign: ${explain(error, config).replaceAll(/\s+/g, ' ')}\n`)
  process.exit(1)
}

// One promise that nobody handles, of a dependency's, must not end everybody's service; nor must a log that cannot be written.
const keepAlive = (log) => {
  process.on('unhandledRejection', (error) =>
    log.line('unhandled rejection', { error: String(error?.message ?? error) })
  )
  // What a package writes on its own, as `lmdb` does when a commit fails, is a line among the others.
  const textOf = (words) => words.map((word) => String(word?.message ?? word)).join(' ')
  for (const name of ['error', 'warn'])
    console[name] = (...words) => log.line('console', { text: textOf(words).slice(0, MAX_TEXT) })
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
}

const main = async () => {
  // The key, the sessions and the addresses in DATA_DIR are nobody else's to read.
  process.umask(0o077)
  let config
  try {
    config = readConfig(process.env)
    const log = createLog()
    keepAlive(log)
    const gateway = await startGateway(config, log)
    const stop = () => gateway.stop().then(() => process.exit(0), fail)
    // In place before anybody hears that it is ready; a second signal ends it at once, as it would any process.
    process.once('SIGTERM', stop)
    process.once('SIGINT', stop)
    const store = config.store.kind === 'lmdb' ? '' : `, store ${config.store.shown}`
    process.stdout.write(
      `countersign: ready at ${gateway.address} (label ${config.label}, data in ${config.dataDir}${store})\n`
    )
    if (!gateway.isLoopback && !config.smtpUrl) {
      process.stderr.write('countersign: SMTP_URL is not set, so sign-in codes do not leave this machine\n')
    }
  } catch (error) {
    fail(error, config)
  }
}

await main()
