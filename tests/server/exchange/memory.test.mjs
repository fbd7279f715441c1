// SPDX-License-Identifier: MIT
// Requests of nobody, of each kind, leave nothing behind: what a gateway keeps does not grow with them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { enrollment } from 'countersign/server'
import { createWorld, FRAME, jsonOf, label, randomId, signRequest } from '../kit.mjs'

const REQUESTS = process.env.COUNTERSIGN_LONG === '1' ? 200_000 : 2000
const AT_ONCE = 50
/** Far less than a few bytes a request would come to: 200,000 of them with 100 bytes each are 19 MiB. */
const GROWTH_BYTES = (process.env.COUNTERSIGN_LONG === '1' ? 8 : 4) * 2 ** 20
const SOURCES = 97

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc')

const post = (body, type = FRAME, target = '/exchange', headers = {}) =>
  new Request(`http://gateway${target}`, { method: 'POST', body, headers: { 'content-type': type, ...headers } })

const forged = (world, options) =>
  signRequest(world.device, { nowMs: world.now(), signature: new Uint8Array(64), ...options })

const KINDS = {
  'no frame': { make: () => post(randomId()), status: 400 },
  'a frame of an unknown session': {
    make: (world) => post(forged(world, { sessionId: randomId() }).frame),
    status: 401
  },
  'a frame with a wrong signature': { make: (world) => post(forged(world).frame), status: 401 },
  'json that is none': { make: () => post(`{"${randomId()}`, 'application/json'), status: 400 },
  'json with a wrong signature': {
    make: (world) => post(JSON.stringify(jsonOf(forged(world))), 'application/json'),
    status: 401
  },
  'a header with a wrong signature': {
    make(world) {
      const { envelope, payload } = forged(world, { type: 'POST /api/echo' })
      return post(payload, 'text/plain', '/api/echo', { countersign: Buffer.from(envelope).toString('base64url') })
    },
    status: 401
  },
  'a confirmation of an unknown challenge': {
    make: () => post(`{"challenge_id":"${randomId()}"}`, 'application/json', '/api/v1/public/auth/confirm-email-code'),
    status: 400
  }
}

const play = async (world, { make, status }, from, to) => {
  for (let at = from; at < to; at += AT_ONCE) {
    const answers = Array.from({ length: Math.min(AT_ONCE, to - at) }, async (_, offset) => {
      const remoteAddress = `192.0.2.${(at + offset) % SOURCES}`
      const answer = await world.gateway.handle(make(world), { remoteAddress })
      await answer.arrayBuffer()
      return answer.status
    })
    for (const seen of await Promise.all(answers)) assert.equal(seen, status)
    // Hooks of the test's world, not of the gateway.
    world.stages.length = 0
    world.refusals.length = 0
  }
}

for (const [name, kind] of Object.entries(KINDS)) {
  test(`H2 ${REQUESTS} requests of nobody, each ${name}, leave the memory flat`, async () => {
    const { signer, sessions, replay, now } = await createWorld()
    const shared = { signer, sessions, replay, now }
    const mount = enrollment({ ...shared, label, mailer: () => {} })
    const fast = { perSource: 1e9, perSourceFailures: 1e9 }
    const world = await createWorld({ enrollment: mount, rates: fast })
    const used = () => {
      collect()
      return process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers
    }
    await play(world, kind, 0, 500)
    const before = used()
    await play(world, kind, 500, 500 + REQUESTS)
    const growth = used() - before
    assert.ok(growth < GROWTH_BYTES, `${(growth / 2 ** 20).toFixed(1)} MiB more`)
    assert.match(world.gateway.metrics(), /^countersign_requests_in_place 0$/m)
    assert.match(world.gateway.metrics(), /^countersign_replay_ids 0$/m)
  })
}
