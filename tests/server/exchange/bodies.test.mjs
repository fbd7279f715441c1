// SPDX-License-Identifier: MIT
// Bodies that are too long, too slow, cut off, too many or compressed.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { HUNG_MS } from '../../unit/harness/wait.mjs'
import { FRAME, openAnswer } from '../kit.mjs'
import { createServed, head, post, raw, statuses, until } from './socket-kit.mjs'

test('R47 the envelope is judged before the body comes: a refusal does not wait for it', async (t) => {
  const world = await createServed(t, { limits: { bodyMs: HUNG_MS, idleMs: HUNG_MS } })
  const forged = world.requestOf({ payload: Buffer.alloc(1_000_000), signature: new Uint8Array(64) })
  const text = await raw(world.port, [post(forged.frame.length), forged.envelope])
  assert.deepEqual(statuses(text), [401])
  assert.match(text, /connection: close/i)
  const stale = world.requestOf({ type: 'POST /api/echo', payload: Buffer.alloc(1_000_000), timestampMs: 1 })
  const countersign = `countersign: ${Buffer.from(stale.envelope).toString('base64url')}`
  assert.deepEqual(statuses(await raw(world.port, post(1_000_000, [countersign], '/api/echo'))), [401])
})

test('R47 a large body that is still coming does not cost the sender its refusal', async (t) => {
  const world = await createServed(t)
  const payload = Buffer.alloc(4_000_000, 1)
  const forged = world.requestOf({ payload, signature: new Uint8Array(64) })
  const response = await fetch(`${world.url}/exchange`, {
    method: 'POST',
    body: forged.frame,
    headers: { 'content-type': FRAME }
  })
  assert.equal((await openAnswer(response, forged.requestId, world.signer)).resultCode, 'cs.unauthenticated')
})

test('E9 a declared length over the limit is a plain 413, one exceeded in streaming a signed cs.too_large that burns the id', async (t) => {
  const world = await createServed(t, { limits: { payloadBytes: 1000 } })
  assert.deepEqual(statuses(await raw(world.port, post(1_000_000_000))), [413])
  const request = world.requestOf({ payload: Buffer.alloc(1001) })
  const chunk = (bytes) => [`${bytes.length.toString(16)}\r\n`, bytes, '\r\n']
  const sent = [post(undefined, ['transfer-encoding: chunked']), ...chunk(request.frame), '0\r\n\r\n']
  const text = await raw(world.port, sent)
  assert.deepEqual(statuses(text), [413])
  assert.ok(text.includes(FRAME), 'signed')
  assert.equal(world.refusals.at(-1).code, 'cs.too_large')
  assert.deepEqual(statuses(await raw(world.port, sent)), [409])
  const fits = world.requestOf({ payload: Buffer.alloc(1000) })
  assert.equal(
    (await fetch(`${world.url}/exchange`, { method: 'POST', body: fits.frame, headers: { 'content-type': FRAME } }))
      .status,
    200
  )
})

test('E9 an endless body of a verified request ends at the limit', async (t) => {
  const world = await createServed(t, { limits: { payloadBytes: 100_000 } })
  const request = world.requestOf({ payload: 'x' })
  const piece = Buffer.alloc(16_384, 1)
  const pieces = Array.from({ length: 40 }, () => Buffer.concat([Buffer.from('4000\r\n'), piece, Buffer.from('\r\n')]))
  const text = await raw(world.port, [
    post(undefined, ['transfer-encoding: chunked']),
    `${request.envelope.length.toString(16)}\r\n`,
    request.envelope,
    '\r\n',
    ...pieces
  ])
  assert.deepEqual(statuses(text), [413])
})

test('E9 slow senders are cut: before the envelope plainly, within the body signed, and the id is burnt', async (t) => {
  const world = await createServed(t, { limits: { envelopeMs: 2000, bodyMs: 2000, idleMs: 2500 } })
  const request = world.requestOf({ payload: Buffer.alloc(1000) })
  const slow = (bytes, count) => Array.from({ length: count }, (_, at) => bytes.subarray(at, at + 1))
  const early = await raw(world.port, [post(request.frame.length), ...slow(request.frame, 210)], { pauseMs: 10 })
  assert.deepEqual(statuses(early), [400])
  assert.equal(world.refusals.at(-1).code, 'ERR_TIMEOUT')
  const late = await raw(world.port, [post(request.frame.length), request.envelope, ...slow(Buffer.alloc(1000), 210)], {
    pauseMs: 10
  })
  assert.deepEqual(statuses(late), [400])
  assert.equal(world.refusals.at(-1).code, 'cs.payload_mismatch')
  const idle = world.requestOf({ payload: Buffer.alloc(1000) })
  assert.deepEqual(statuses(await raw(world.port, [post(idle.frame.length), idle.envelope])), [400])
  for (const burnt of [request, idle]) {
    const again = await fetch(`${world.url}/exchange`, {
      method: 'POST',
      body: burnt.frame,
      headers: { 'content-type': FRAME }
    })
    assert.equal((await openAnswer(again, burnt.requestId, world.signer)).resultCode, 'cs.replayed')
  }
  const json = await raw(world.port, [
    head(['POST /exchange HTTP/1.1', 'host: gateway', 'content-type: application/json', 'content-length: 500']),
    '{"a'
  ])
  assert.deepEqual(statuses(json), [400])
})

test('R48 a sender that leaves in the middle burns its id', async (t) => {
  const world = await createServed(t)
  const request = world.requestOf({ payload: Buffer.alloc(1000) })
  const socket = connect(world.port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write(Buffer.concat([Buffer.from(post(request.frame.length)), request.frame.subarray(0, -1)]))
  await until(() => world.stages.some(({ stage }) => stage === 'replay'))
  socket.destroy()
  await until(() => world.refusals.some(({ code }) => code === 'cs.payload_mismatch'))
  const again = await fetch(`${world.url}/exchange`, {
    method: 'POST',
    body: request.frame,
    headers: { 'content-type': FRAME }
  })
  assert.equal(again.status, 409)
  assert.equal(world.handled.length, 0)
})

test('E9 all bodies together are bounded: what is too much is refused for the moment, signed', async (t) => {
  const world = await createServed(t, { limits: { bufferedBytes: 150_000 } })
  const held = world.requestOf({ payload: Buffer.alloc(100_000) })
  const socket = connect(world.port, '127.0.0.1')
  t.after(() => socket.destroy())
  await once(socket, 'connect')
  socket.write(Buffer.concat([Buffer.from(post(held.frame.length)), held.frame.subarray(0, -1)]))
  await until(() => world.stages.some(({ stage }) => stage === 'replay'))
  const send = async (size) => {
    const request = world.requestOf({ payload: Buffer.alloc(size) })
    const response = await fetch(`${world.url}/exchange`, {
      method: 'POST',
      body: request.frame,
      headers: { 'content-type': FRAME }
    })
    return (await openAnswer(response, request.requestId, world.signer)).resultCode
  }
  await until(async () => (await send(100_000)) === 'cs.unavailable')
  assert.equal(await send(1000), 'ok')
  socket.write(held.frame.subarray(-1))
  await until(async () => (await send(100_000)) === 'ok')
})

test('E10 compressed bodies are refused in every binding: 415, plainly', async (t) => {
  const world = await createServed(t)
  const request = world.requestOf({ type: 'POST /api/echo', payload: 'x' })
  const bomb = gzipSync(Buffer.alloc(1_000_000))
  const countersign = `countersign: ${Buffer.from(request.envelope).toString('base64url')}`
  for (const coding of ['gzip', 'br', 'deflate', 'identity', 'gzip, identity', 'x-unknown', '']) {
    for (const lines of [[`content-type: ${FRAME}`], ['content-type: application/json'], [countersign]]) {
      const text = await raw(world.port, [
        head([
          'POST /api/echo HTTP/1.1',
          'host: gateway',
          `content-length: ${bomb.length}`,
          `content-encoding: ${coding}`,
          ...lines
        ]),
        bomb
      ])
      assert.deepEqual(statuses(text), [415], coding)
    }
  }
})
