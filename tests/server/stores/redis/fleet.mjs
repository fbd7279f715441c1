// SPDX-License-Identifier: MIT
// Several gateway processes behind one label, and the requests that a test sends them.
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { Agent, request as httpRequest } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { serverKeyFile } from 'countersign/server'
import { until as untilSo } from '../../../unit/harness/wait.mjs'
import { core, FRAME, label } from '../../kit.mjs'

const child = fileURLToPath(new URL('./gateway-child.mjs', import.meta.url))
const agent = new Agent({ keepAlive: true, maxSockets: 64 })

/** Sends a frame. Resolves to `{ status, headers, body, ms }`. Rejects when no answer came. */
export const post = (port, frame) =>
  new Promise((resolve, reject) => {
    const startedAt = performance.now()
    const headers = { 'content-type': FRAME, 'content-length': frame.length }
    const asked = httpRequest({ host: '127.0.0.1', port, path: '/exchange', method: 'POST', agent, headers })
    asked.on('error', reject)
    asked.on('response', (response) => {
      const pieces = []
      response.on('data', (bytes) => pieces.push(bytes))
      response.on('error', reject)
      response.on('end', () => {
        const { statusCode: status, headers: given } = response
        resolve({ status, headers: given, body: Buffer.concat(pieces), ms: performance.now() - startedAt })
      })
    })
    asked.end(frame)
  })

/** until waits for a condition. */
export const until = (what, condition) => untilSo(condition, what)

const startGateway = async (options, running) => {
  const gateway = fork(child, [JSON.stringify(options)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  running.add(gateway)
  const waiting = new Map()
  const states = []
  const exited = new Promise((resolve) => gateway.once('exit', resolve)).then(() => running.delete(gateway))
  const port = await new Promise((resolve, reject) => {
    gateway.on('message', ({ id, value, error, port: own, state }) => {
      if (own) resolve(own)
      else if (state !== undefined) states.push(state)
      else waiting.get(id)?.({ value, error })
    })
    exited.then(() => reject(new Error('the gateway ended at its start')))
  })
  let ids = 0
  return {
    port,
    states,
    exited,
    kill() {
      gateway.kill('SIGKILL')
      return exited
    },
    async ask(task, ...values) {
      const id = ++ids
      const replying = new Promise((resolve) => waiting.set(id, resolve))
      gateway.send({ id, task, values })
      const { value, error } = await replying
      waiting.delete(id)
      if (error) throw new Error(error)
      return value
    }
  }
}

/**
 * Creates gateways over one store: `start()` starts one more, `send(port, request)` sends a signed request and
 * verifies the answer, and `effects()` lists the ids that reached the application.
 */
export const createFleet = (t, { store, ...options } = {}) => {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-fleet-'))
  const keyPath = join(folder, 'server.key')
  const effectsPath = join(folder, 'effects')
  const signer = serverKeyFile(keyPath)
  const keys = [{ id: signer.keyId, publicKey: signer.publicKey }]
  const running = new Set()
  t.after(async () => {
    for (const gateway of [...running]) gateway.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  })
  return {
    folder,
    signer,
    start: () => startGateway({ store: store ?? join(folder, 'stores'), keyPath, effectsPath, ...options }, running),
    async send(port, request) {
      const { status, body, headers, ms } = await post(port, request.frame)
      assert.equal(headers['content-type'], FRAME, `an unsigned ${status}`)
      const { resultCode, payload } = core.openResponse(body, { label, keys, requestId: request.requestId })
      return { status, resultCode, text: Buffer.from(payload).toString(), ms }
    },
    effects: () => readFileSync(effectsPath, 'utf8').split('\n').filter(Boolean)
  }
}

/** Returns a quantile of some numbers. */
export const quantile = (numbers, share) =>
  numbers.toSorted((a, b) => a - b)[Math.min(numbers.length - 1, Math.floor(numbers.length * share))]
