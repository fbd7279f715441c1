// SPDX-License-Identifier: MIT
// A redis-server of one test, on a free loopback port, with a folder of its own. It keeps nothing on the disk by
// default.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient } from 'redis'
import { until } from '../../../unit/harness/wait.mjs'

/** Resolves to a port that was free a moment ago. */
export const freePort = () =>
  new Promise((resolve, reject) => {
    const server = createServer().once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })

// Version 4 of the package has another name for it.
const end = (client) => (client.destroy ? client.destroy() : client.disconnect().catch(() => {}))

const answers = async (url) => {
  const client = createClient({ url, socket: { reconnectStrategy: false } }).on('error', () => {})
  try {
    await client.connect()
    return (await client.sendCommand(['PING'])) === 'PONG'
  } catch {
    return false
  } finally {
    end(client)
  }
}

/**
 * Starts a server. Resolves to `{ url, port, pid, cli, kill, pause, resume, restart, stop }` when it answers.
 * `settings` are lines of redis.conf as command-line words. A test may kill and pause it.
 */
export const startRedis = async (settings = [], { password } = {}) => {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-redis-'))
  const port = await freePort()
  const url = `redis://${password ? `:${password}@` : ''}127.0.0.1:${port}`
  const locked = password ? ['--requirepass', password] : []
  const words = ['--port', port, '--bind', '127.0.0.1', '--dir', folder, '--save', '', ...locked, ...settings].map(
    String
  )
  let child
  let exited = Promise.resolve()

  const start = async () => {
    child = spawn('redis-server', words, { stdio: ['ignore', 'ignore', 'inherit'] })
    const mine = child
    exited = new Promise((resolve, reject) => mine.once('exit', resolve).once('error', reject))
    await until(() => {
      if (mine.exitCode !== null) throw new Error(`redis-server ended with ${mine.exitCode}, port ${port}`)
      return answers(url)
    }, `redis-server on port ${port}`)
  }
  const kill = async () => {
    child.kill('SIGKILL')
    await exited
  }
  await start()

  return {
    url,
    port,
    folder,
    get pid() {
      return child.pid
    },
    kill,
    pause: () => child.kill('SIGSTOP'),
    resume: () => child.kill('SIGCONT'),
    /** Starts it again after `kill`. It is empty unless the settings keep data. */
    start,
    /** Runs one command. Resolves to its reply. */
    async cli(...command) {
      const client = createClient({ url, socket: { reconnectStrategy: false } }).on('error', () => {})
      await client.connect()
      try {
        return await client.sendCommand(command.map(String))
      } finally {
        end(client)
      }
    },
    async stop() {
      await kill()
      rmSync(folder, { recursive: true, force: true })
    }
  }
}
