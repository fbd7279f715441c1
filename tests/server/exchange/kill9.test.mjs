// SPDX-License-Identifier: MIT
// kill -9 at random points, under load: no enrolled session is lost, no accepted request is accepted again.
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { serverKeyFile } from 'countersign/server'
import { randomOf } from '../../unit/harness/random.mjs'
import { until } from '../../unit/harness/wait.mjs'
import { core, createKey, FRAME, label, openAnswer, sha256, signRequest } from '../kit.mjs'

const random = randomOf('kill -9 under load')
const ROUNDS = process.env.COUNTERSIGN_LONG === '1' ? 500 : 50
const SENDERS = 6
const ENROLLERS = 3
const child = fileURLToPath(new URL('./kill9-child.mjs', import.meta.url))

/** A gateway process: `loaded`, then on `go` its port. Mails go to whoever waits for them. */
const spawnGateway = (folder) => {
  const gateway = fork(child, [folder], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const waiting = new Map()
  const events = { loaded: Promise.withResolvers?.() ?? deferred(), port: Promise.withResolvers?.() ?? deferred() }
  gateway.on('message', ({ loaded, port, email, code }) => {
    if (loaded) events.loaded.resolve()
    if (port) events.port.resolve(port)
    waiting.get(email)?.(code)
  })
  const exited = new Promise((resolve) => gateway.once('exit', resolve))
  // One that dies before it has loaded is not waited for.
  exited.then(() => {
    events.loaded.resolve()
    events.port.resolve(undefined)
  })
  return {
    loaded: events.loaded.promise,
    go: () => gateway.send('go'),
    port: events.port.promise,
    exited,
    kill: () => gateway.kill('SIGKILL'),
    codeFor: (email) => Promise.race([new Promise((resolve) => waiting.set(email, resolve)), exited])
  }
}

function deferred() {
  let resolve
  const promise = new Promise((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}

const postTo = (port) => async (path, body, headers) => {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST', body, headers })
  // All of it, or it was not an answer.
  return new Response(await response.arrayBuffer(), { status: response.status, headers: response.headers })
}

test(`D12 ${ROUNDS} rounds of kill -9 under load: no session lost, no accepted request accepted again`, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-kill9-'))
  const signer = serverKeyFile(join(folder, 'server.key'))
  const running = new Set()
  t.after(() => {
    for (const gateway of running) gateway.kill()
    rmSync(folder, { recursive: true, force: true })
  })
  const prepare = () => {
    const gateway = spawnGateway(folder)
    running.add(gateway)
    gateway.exited.then(() => running.delete(gateway))
    return gateway
  }
  const devices = []
  const accepted = []
  const unknown = []
  let names = 0

  const enrolOne = async (gateway, post) => {
    const name = `u${names++}`
    const email = `${name}@example.com`
    const headers = { 'content-type': 'application/json', 'x-source': name }
    const code = gateway.codeFor(email)
    const sent = await post('/api/v1/public/auth/send-email-code', JSON.stringify({ email }), headers)
    const { challenge_id: challengeId } = await sent.json()
    const key = createKey(names % 4 === 0 ? 'es256' : 'ed25519')
    const input = core.enrollSigningInput({
      label,
      challengeId,
      algorithm: key.algorithm,
      publicKey: key.publicKey,
      email
    })
    const body = {
      challenge_id: challengeId,
      code: await code,
      client_public_key: Buffer.from(key.publicKey).toString('base64'),
      algorithm: key.algorithm,
      proof: Buffer.from(key.sign(input)).toString('base64')
    }
    const response = await post('/api/v1/public/auth/confirm-email-code', JSON.stringify(body), headers)
    const answer = await openAnswer(response, Buffer.from(sha256(input)).toString('base64url'), signer)
    devices.push({ ...key, id: JSON.parse(answer.text).device_session_id })
  }

  const send = async (post, request) => {
    const response = await post('/exchange', request.frame, { 'content-type': FRAME, 'x-source': request.requestId })
    return openAnswer(response, request.requestId, signer)
  }

  const sendOne = async (post) => {
    const device = random.pick(devices)
    if (!device) return sleep(5)
    const request = signRequest(device, { type: 'demo.effect', nowMs: Date.now() })
    unknown.push(request)
    const { resultCode } = await send(post, request)
    // A store that did not answer in time, on a busy machine: the outcome stays unknown.
    if (resultCode === 'cs.unavailable') return
    assert.equal(resultCode, 'ok')
    unknown.splice(unknown.indexOf(request), 1)
    accepted.push(request)
  }

  // Until the process is gone; what was under way then is of unknown outcome.
  const load = async (gateway, post, work) => {
    let isGone = false
    gateway.exited.then(() => {
      isGone = true
    })
    while (!isGone) {
      try {
        await work(gateway, post)
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error
        await sleep(1)
      }
    }
  }

  // A gateway that is not able to tell is asked again.
  const codeOf = (post, request) =>
    until(async () => {
      const { resultCode } = await send(post, request())
      return resultCode !== 'cs.unavailable' && resultCode
    }, 'a gateway that can tell')

  const check = async (post, count) => {
    for (const device of devices.slice(-count)) {
      const ask = () => signRequest(device, { type: 'cs.time', payload: '', nowMs: Date.now() })
      assert.equal(await codeOf(post, ask), 'ok', 'a session was lost')
    }
    for (const request of accepted.slice(-count)) {
      assert.equal(await codeOf(post, () => request), 'cs.replayed', 'an accepted request was accepted again')
    }
    for (const request of unknown.splice(0)) {
      const resultCode = await codeOf(post, () => request)
      assert.ok(['ok', 'cs.replayed'].includes(resultCode), resultCode)
      accepted.push(request)
    }
  }

  let spare = prepare()
  for (let round = 0; round < ROUNDS; round++) {
    const gateway = spare
    await gateway.loaded
    gateway.go()
    spare = prepare()
    // Some die while they start.
    if (round % 10 === 9) {
      await sleep(random.below(15))
      gateway.kill()
      await gateway.exited
      continue
    }
    const port = await gateway.port
    const post = postTo(port)
    await check(post, 12)
    const loads = [
      ...Array.from({ length: SENDERS }, () => load(gateway, post, (_gateway, to) => sendOne(to))),
      ...Array.from({ length: ENROLLERS }, () => load(gateway, post, enrolOne))
    ]
    // At a random moment, and never before there was load: how much that is must not be up to the machine.
    const goal = accepted.length + 3 + random.below(40)
    const isDue = () => accepted.length >= goal && devices.length >= Math.min(10, round + 1)
    await Promise.race([until(isDue, 'load'), ...loads])
    await sleep(random.below(40))
    gateway.kill()
    await Promise.all(loads)
  }
  const last = spare
  await last.loaded
  last.go()
  const post = postTo(await last.port)
  await check(post, Number.POSITIVE_INFINITY)
  const effects = readFileSync(join(folder, 'effects'), 'utf8').trim().split('\n')
  assert.equal(new Set(effects).size, effects.length, 'no id reached the application twice')
  const seen = new Set(effects)
  // An unknown outcome may be a reservation whose process died before it was handed on: refused for good, without effect.
  const without = accepted.filter(({ requestId }) => !seen.has(requestId))
  t.diagnostic(`${devices.length} sessions, ${accepted.length} requests, ${without.length} reserved without an effect`)
  assert.ok(devices.length >= 10 && accepted.length >= 2 * ROUNDS, 'there was load')
  assert.ok(without.length <= ROUNDS * SENDERS)
})
