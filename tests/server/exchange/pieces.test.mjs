// SPDX-License-Identifier: MIT
// What adapters, handlers and signers hand the gateway as bytes: these bytes, or a refusal. Never others in their place.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runInNewContext } from 'node:vm'
import { nodeHandler } from 'countersign/server'
import { createSigner, createWorld, FRAME, frameRequest, isPlain, openAnswer, serve } from '../kit.mjs'

const strange = {
  texts: (bytes) => [bytes.toString('latin1')],
  'bytes, then a text': (bytes) => [bytes.subarray(0, 1), bytes.subarray(1).toString('latin1')],
  ArrayBuffers: (bytes) => [new Uint8Array(bytes).buffer],
  arrays: (bytes) => [[...bytes]],
  DataViews: (bytes) => [new DataView(new Uint8Array(bytes).buffer)]
}

/** An adapter of the application, which hands the body over in pieces. */
const inboundOf = (pieces, { method = 'POST', target = '/exchange', headers }) => {
  const left = [...pieces]
  return {
    method,
    target,
    header: (name) => headers[name] ?? null,
    read: async () => left.shift() ?? null,
    onGone: () => () => {},
    remoteAddress: '192.0.2.1'
  }
}

for (const [what, cut] of Object.entries(strange)) {
  test(`H20 R92 an adapter whose pieces are ${what} gets a plain 503 and no handler runs, in each binding`, async () => {
    const world = await createWorld()
    const payload = Buffer.from('{"amount":100}')
    const framed = world.requestOf({ payload })
    const headed = world.requestOf({ type: 'POST /api/echo', payload })
    const exchanges = [
      inboundOf(cut(Buffer.from(framed.frame)), { headers: { 'content-type': FRAME } }),
      inboundOf(cut(Buffer.from('{"a":"b"}')), { headers: { 'content-type': 'application/json' } }),
      inboundOf(cut(payload), {
        target: '/api/echo',
        headers: { countersign: Buffer.from(headed.envelope).toString('base64url') }
      })
    ]
    for (const inbound of exchanges) {
      const { status, body } = await world.gateway.exchange(inbound)
      assert.deepEqual([status, body.length], [503, 0])
      assert.deepEqual([world.refusals.at(-1).code, world.refusals.at(-1).error.name], ['fault', 'PieceError'])
    }
    assert.equal(world.handled.length, 0)
  })
}

test('H20 pieces of another realm are bytes', async () => {
  const world = await createWorld()
  const { frame, requestId } = world.requestOf({ payload: 'hello' })
  const pieces = runInNewContext(`[new Uint8Array([${[...frame]}])]`)
  const { status, headers, body } = await world.gateway.exchange(
    inboundOf(pieces, { headers: { 'content-type': FRAME } })
  )
  const answer = await openAnswer(new Response(body, { status, headers }), requestId, world.signer)
  assert.equal(answer.text, 'hello')
})

test('H20 a Request whose body is a stream of texts is no request', async () => {
  const world = await createWorld()
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue('CS')
      controller.close()
    }
  })
  await isPlain(await world.gateway.handle(frameRequest(body)), 503)
  assert.equal(world.refusals.at(-1).error.name, 'PieceError')
})

test('H20 a stream of node:http with an encoding gives texts: the request ends before it is read', async (t) => {
  const world = await createWorld({ now: Date.now })
  const listener = nodeHandler(world.gateway)
  const errors = []
  const { url } = await serve(t, (request, response) => {
    request.setEncoding('utf8')
    if (request.url === '/next') {
      listener(request, response, (error) => {
        errors.push(error.code)
        response.writeHead(418).end()
      })
    } else listener(request, response)
  })
  const send = (path) =>
    fetch(url + path, { method: 'POST', body: world.requestOf().frame, headers: { 'content-type': FRAME } })
  assert.equal((await send('/exchange')).status, 500)
  assert.equal((await send('/next')).status, 418)
  assert.deepEqual(errors, ['ERR_BODY_CONSUMED'])
  assert.equal(world.handled.length, 0)
})

const detached = () => {
  const bytes = new Uint8Array([1, 2, 3])
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] })
  return bytes
}

test('H20 a handler whose payload is neither text nor bytes has no answer; detached bytes are none', async () => {
  let payload
  const world = await createWorld({ routes: { 'demo.give': () => ({ payload: payload() }) } })
  for (const strangely of [
    detached,
    () => detached().buffer,
    () => [1, 2],
    () => 5,
    () => null,
    () => ({ length: 2 })
  ]) {
    payload = strangely
    const { resultCode } = await world.call({ type: 'demo.give' })
    assert.equal(resultCode, 'cs.internal', String(strangely))
    assert.equal(world.refusals.at(-1).stage, 'handler')
  }
  const foreign = () => runInNewContext('new Uint8Array([104, 105]).buffer')
  for (const fine of [
    () => 'hi',
    foreign,
    () => new Uint16Array([0x6968]),
    () => new DataView(Buffer.from('hi').buffer)
  ]) {
    payload = fine
    assert.equal((await world.call({ type: 'demo.give' })).resultCode, 'ok', String(fine))
  }
})

for (const [what, result] of Object.entries({
  'a number': () => 64,
  'a text': () => 'x'.repeat(64),
  'an array': () => Array(64).fill(1),
  'too few bytes': () => new Uint8Array(63),
  'a promise of too many': async () => new Uint8Array(65)
})) {
  test(`H20 a server's signer that returns ${what} has signed nothing: a plain 503 in each binding`, async () => {
    const world = await createWorld({ signer: { ...createSigner(), sign: result } })
    await isPlain(await world.sendFrame(world.requestOf().frame), 503)
    const headed = world.requestOf({ type: 'POST /api/echo' })
    await isPlain(await world.sendHeader('POST', '/api/echo', headed), 503)
  })
}

test('H20 a signer may use its buffer again: each answer keeps its own signature', async () => {
  const honest = createSigner()
  const buffer = new Uint8Array(64)
  const sign = (bytes) => {
    buffer.set(honest.sign(bytes))
    return buffer
  }
  const world = await createWorld({ signer: { ...honest, sign } })
  const answers = await Promise.all(Array.from({ length: 8 }, () => world.call()))
  assert.deepEqual(new Set(answers.map(({ resultCode }) => resultCode)), new Set(['ok']))
})

test('H20 keys that are no bytes are refused when the gateway is made', async () => {
  const { keyId, sign } = createSigner()
  for (const publicKey of ['x'.repeat(32), Array(32).fill(1), new Uint16Array(32), { length: 32 }]) {
    await assert.rejects(createWorld({ signer: { keyId, publicKey, sign } }), { code: 'ERR_INVALID_ARGUMENT' })
    const serverKeys = { serial: 1, keys: [{ id: 'k2', publicKey, notAfter: 1_775_000_001_000 }] }
    await assert.rejects(createWorld({ serverKeys }), { code: 'ERR_INVALID_ARGUMENT' })
  }
})
