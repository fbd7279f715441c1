// SPDX-License-Identifier: MIT
// R145: what one source or one session may hold of the gateway. Nobody fills it for the others.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { turns } from '../../unit/harness/wait.mjs'
import { createWorld, enrol, FRAME, openAnswer, signRequest } from '../kit.mjs'
import { until } from './socket-kit.mjs'

const from = (last) => `192.0.2.${last}`

/** A request whose body stops before its end, until `finish` is called. */
const openRequest = (world, source, type, pieces, rest = []) => {
  let go
  const gate = new Promise((resolve) => {
    go = resolve
  })
  const queue = [...pieces]
  let reads = 0
  const out = world.gateway.exchange({
    method: 'POST',
    target: '/exchange',
    header: (name) => (name === 'content-type' ? type : null),
    async read() {
      reads += 1
      const piece = queue.shift()
      if (piece) return piece
      await gate
      return rest.shift() ?? null
    },
    onGone: () => () => {},
    remoteAddress: from(source)
  })
  return {
    out,
    /** Whether all that was there has been read, or the request is over. */
    isStuck: () => reads > pieces.length,
    finish() {
      go()
      return out
    }
  }
}

const openJson = (world, source, bytes) => openRequest(world, source, 'application/json', [Buffer.alloc(bytes, 0x20)])

const openUpload = (world, source, device, bytes) => {
  const request = signRequest(device, { nowMs: world.now(), payload: Buffer.alloc(bytes) })
  const frame = Buffer.from(request.frame)
  const upload = openRequest(world, source, FRAME, [frame.subarray(0, -1)], [frame.subarray(-1)])
  return { ...upload, request }
}

const codeOf = async (world, out, { requestId }) => {
  const { status, headers, body } = await out
  return (await openAnswer(new Response(body, { status, headers }), requestId, world.signer)).resultCode
}

/** Sends a whole request of a device. Resolves to its result code. */
const send = (world, source, device, bytes) => {
  const { request, finish } = openUpload(world, source, device, bytes)
  return codeOf(world, finish(), request)
}

const limits = {
  payloadBytes: 10_000,
  bufferedBytes: 160_000,
  sourceBufferedBytes: 80_000,
  sessionBufferedBytes: 30_000
}

test('H12 R145 bodies of nobody fill half of a source, and the other half stays for signed ones', async () => {
  const world = await createWorld({ limits })
  const held = Array.from({ length: 4 }, () => openJson(world, 1, 10_000))
  await until(() => held.every(({ isStuck }) => isStuck()))
  const refused = await openJson(world, 1, 10_000).out
  assert.deepEqual([refused.status, refused.body.length], [429, 0])
  assert.deepEqual([world.refusals.at(-1).stage, world.refusals.at(-1).code], ['parse', 'busy'])
  assert.equal(await send(world, 1, world.device, 10_000), 'ok')
  const other = openJson(world, 2, 10_000)
  await until(other.isStuck)
  await Promise.all([...held, other].map(({ finish }) => finish()))
  const again = openJson(world, 1, 10_000)
  await until(again.isStuck)
  await turns()
  assert.equal((await again.finish()).status, 400, 'the share is free again: what came was no JSON')
})

test('H12 R145 bodies of nobody, from any number of sources, fill half of the memory', async () => {
  const world = await createWorld({ limits })
  const held = Array.from({ length: 8 }, (_, source) => openJson(world, source, 10_000))
  await until(() => held.every(({ isStuck }) => isStuck()))
  assert.equal((await openJson(world, 99, 10_000).out).status, 429)
  assert.equal(await send(world, 100, world.device, 10_000), 'ok')
  await Promise.all(held.map(({ finish }) => finish()))
})

test('H12 R145 one session fills its share alone: its next body may come again, and others find room', async () => {
  const world = await createWorld({ limits })
  const other = await enrol(world.sessions, { nowMs: world.now() })
  const held = Array.from({ length: 3 }, (_, source) => openUpload(world, source, world.device, 10_000))
  await until(() => held.every(({ isStuck }) => isStuck()))
  const { request, finish } = openUpload(world, 50, world.device, 10_000)
  assert.equal(await codeOf(world, finish(), request), 'cs.rate_limited')
  assert.deepEqual([world.refusals.at(-1).stage, world.refusals.at(-1).status], ['payload_hash', 429])
  const copy = openRequest(world, 50, FRAME, [request.frame])
  assert.equal(await codeOf(world, copy.finish(), request), 'cs.replayed', 'the id is used up')
  assert.equal(await send(world, 50, other, 10_000), 'ok')
  for (const upload of held) assert.equal(await codeOf(world, upload.finish(), upload.request), 'ok')
  assert.equal(await send(world, 50, world.device, 10_000), 'ok')
})

test('H12 R145 sessions of one source fill its share alone', async () => {
  const world = await createWorld({ limits })
  const devices = await Promise.all(Array.from({ length: 5 }, () => enrol(world.sessions, { nowMs: world.now() })))
  const held = devices.flatMap((device) => [0, 1].map(() => openUpload(world, 1, device, 10_000))).slice(0, 8)
  await until(() => held.every(({ isStuck }) => isStuck()))
  assert.equal(await send(world, 1, world.device, 10_000), 'cs.rate_limited')
  assert.equal(await send(world, 2, world.device, 10_000), 'ok')
  await Promise.all(held.map(({ finish }) => finish()))
})

test('H12 R145 when all of the memory is full the refusal says that it is not the sender', async () => {
  const world = await createWorld({ limits: { ...limits, sessionBufferedBytes: 160_000 } })
  const held = Array.from({ length: 16 }, (_, at) => openUpload(world, at % 2, world.device, 10_000))
  await until(() => held.every(({ isStuck }) => isStuck()))
  assert.equal(await send(world, 3, world.device, 10_000), 'cs.unavailable')
  assert.equal(world.refusals.at(-1).stage, 'payload_hash')
  await Promise.all(held.map(({ finish }) => finish()))
})
