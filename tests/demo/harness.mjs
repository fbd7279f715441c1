// SPDX-License-Identifier: MIT
// A gateway of one's own for a test: its process, its folder, and a client that is signed in to it.
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { connect as connectSocket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { connect, emailEnrollment, memoryStore } from 'countersign'
import { startProcess } from '../runners/browsers/process.mjs'
import { HUNG_MS, until } from '../unit/harness/wait.mjs'

export { until }

export const MAIN = fileURLToPath(new URL('../../demo/gateway/main.mjs', import.meta.url))

// Whatever the shell has set must not reach a test; an empty variable counts as none.
const NAMES =
  'PORT HOST DATA_DIR LABEL PAST_MS FUTURE_MS SMTP_URL MAIL_FROM TRUSTED_PROXY ORIGINS SOURCE_RATE SESSION_RATE STATS_PHASE STORE METRICS_HOSTS'
const blank = Object.fromEntries(NAMES.split(' ').map((name) => [name, '']))

/** makeFolder makes a folder that the test removes at its end. */
export const makeFolder = async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-demo-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** startGateway starts the reference gateway on a free port; it ends with the test. */
export const startGateway = async (t, env = {}) => {
  const folder = env.DATA_DIR ?? (await makeFolder(t))
  const started = await startProcess(process.execPath, [MAIN], {
    env: { ...blank, PORT: '0', DATA_DIR: folder, ...env },
    ready: /ready at (http:\/\/\S+)/
  })
  t.after(() => started.stop('SIGKILL'))
  const url = started.match[1]
  return { ...started, url, folder, port: Number(new URL(url).port) }
}

/** runGateway runs a gateway that is expected not to start and gives its status and output. */
export const runGateway = async (t, env) => {
  const started = await startProcess(process.execPath, [MAIN], {
    env: { ...blank, PORT: '0', DATA_DIR: env.DATA_DIR ?? (await makeFolder(t)), ...env }
  })
  t.after(() => started.stop('SIGKILL'))
  const how = await started.exited
  return { how, output: started.output() }
}

export const getJson = async (url, init) => {
  const response = await fetch(url, init)
  assert.equal(response.status, 200, `${url} answered ${response.status}`)
  return response.json()
}

/** describe reads what a client needs from a gateway's public description. */
export const describe = async (url) => {
  const { label, server_keys: keys } = await getJson(`${url}/.well-known/countersign.json`)
  return { label, serverKeys: keys.map(({ id, public_key: publicKey }) => ({ id, publicKey })) }
}

/** codeFor reads the code of a challenge from the outbox, where it may arrive after the answer. */
export const codeFor = (url, email, challengeId) =>
  until(async () => {
    const mails = await getJson(`${url}/dev/outbox?email=${encodeURIComponent(email)}`)
    return mails.find((mail) => mail.challenge_id === challengeId)?.code
  }, 'a code in the outbox')

/** signIn connects a client with a new key and enrols it by the outbox's code. */
export const signIn = async (t, { url }, { email = 'ada@example.org', ...options } = {}) => {
  const client = await connect({ url, ...(await describe(url)), store: memoryStore(), timeoutMs: HUNG_MS, ...options })
  t.after(() => client.close())
  const enrol = () => emailEnrollment(client, { email, code: (challengeId) => codeFor(url, email, challengeId) })
  // A busy machine lets a store be late. The gateway then refuses, and the call may be repeated.
  const isLate = ({ cause }) => cause?.status === 503
  for (let tries = 1; client.state !== 'ready'; tries++)
    await enrol().catch((error) => (isLate(error) && tries < 5 ? wait(1000) : Promise.reject(error)))
  return client
}

/** send makes a request with exactly these headers, which fetch would not let pass, and gives status, headers and text. */
export const send = ({ port, host = '127.0.0.1' }, path, { method = 'GET', headers = {}, body } = {}) =>
  new Promise((resolve, reject) => {
    const asked = request({ host, port, path, method, headers, agent: false }, async (response) => {
      const chunks = []
      for await (const chunk of response) chunks.push(chunk)
      const bytes = Buffer.concat(chunks)
      resolve({ status: response.statusCode, headers: response.headers, bytes, text: bytes.toString() })
    })
    asked.on('error', reject)
    asked.end(body)
  })

/** openSocket gives a plain socket and a promise of everything it received until it was closed. */
export const openSocket = (t, port) => {
  const socket = connectSocket(port, '127.0.0.1')
  t.after(() => socket.destroy())
  let received = ''
  socket.on('data', (chunk) => {
    received += chunk.toString('latin1')
  })
  socket.on('error', () => {})
  const closed = new Promise((resolve) => socket.once('close', () => resolve(received)))
  return { socket, closed, received: () => received }
}

export const utf8 = (text) => new TextEncoder().encode(text)
export const textOf = (bytes) => new TextDecoder().decode(bytes)
