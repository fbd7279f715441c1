// SPDX-License-Identifier: MIT
// The gateway behind node:http2, over real connections. There a body needs no `content-length`, and nothing else tells
// that it will come.
import assert from 'node:assert/strict'
import { connect, createServer } from 'node:http2'
import { test } from 'node:test'
import { memoryEventStore, nodeHandler } from 'countersign/server'
import { createWorld, FRAME, jsonOf, openAnswer } from '../kit.mjs'

const createServed = async (t, options = {}, next = undefined) => {
  const world = await createWorld({ now: Date.now, ...options })
  const listener = nodeHandler(world.gateway)
  const server = createServer(
    next ? (request, response) => listener(request, response, () => next(request, response)) : listener
  )
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const session = connect(`http://127.0.0.1:${server.address().port}`)
  t.after(() => {
    session.destroy()
    return new Promise((resolve) => server.close(resolve))
  })
  /** Sends pieces without a length: each in a frame of its own, the end apart from them. */
  const send = (method, path, headers, ...pieces) =>
    new Promise((resolve, reject) => {
      const request = session.request(
        { ':method': method, ':path': path, ...headers },
        { endStream: pieces.length === 0 }
      )
      const chunks = []
      let head
      request.on('response', (given) => {
        head = given
      })
      request.on('data', (chunk) => chunks.push(chunk)).on('error', reject)
      request.on('end', () => {
        const status = head[':status']
        const given = Object.entries(head).filter(([name]) => !name.startsWith(':'))
        const body = [204, 304].includes(status) ? null : Buffer.concat(chunks)
        resolve(new Response(body, { status, headers: given }))
      })
      const write = () => {
        const piece = pieces.shift()
        if (piece === undefined) request.end()
        else request.write(piece, () => setImmediate(write))
      }
      if (pieces.length > 0) write()
    })
  return { ...world, server, session, send }
}

const headerOf = ({ envelope }) => ({ countersign: Buffer.from(envelope).toString('base64url') })

test('R152 each binding reads a body that declares no length, in one piece and in many', async (t) => {
  const world = await createServed(t)
  const large = Buffer.alloc(300_000, 7)
  for (const payload of [Buffer.from('hello'), large]) {
    const cut = (bytes) => [bytes.subarray(0, 100), bytes.subarray(100, 200), bytes.subarray(200)]
    for (const pieces of [(bytes) => [bytes], cut]) {
      const framed = world.requestOf({ payload })
      const answers = [
        [framed, await world.send('POST', '/exchange', { 'content-type': FRAME }, ...pieces(Buffer.from(framed.frame)))]
      ]
      const headed = world.requestOf({ type: 'POST /api/echo', payload })
      answers.push([headed, await world.send('POST', '/api/echo', headerOf(headed), ...pieces(payload))])
      const json = world.requestOf({ payload })
      const text = Buffer.from(JSON.stringify(jsonOf(json)))
      answers.push([
        json,
        await world.send('POST', '/exchange', { 'content-type': 'application/json' }, ...pieces(text))
      ])
      for (const [{ requestId }, response] of answers) {
        const answer = await openAnswer(response, requestId, world.signer)
        assert.equal(answer.status, 200)
        assert.deepEqual(Buffer.from(answer.payload), payload)
      }
    }
  }
})

test('R152 a request without a body has none, and one that ends apart from its headers has an empty one', async (t) => {
  const world = await createServed(t)
  const got = world.requestOf({ type: 'GET /api/time', payload: '' })
  const answer = await openAnswer(await world.send('GET', '/api/time', headerOf(got)), got.requestId, world.signer)
  assert.equal(answer.text, '{"t":1}')
  const empty = world.requestOf({ type: 'POST /api/echo', payload: '' })
  const echoed = await world.send('POST', '/api/echo', headerOf(empty), Buffer.alloc(0))
  assert.equal((await openAnswer(echoed, empty.requestId, world.signer)).resultCode, 'http.200')
})

test('R152 R48 a body that was not signed is refused at payload_hash: where none was signed, another, a cut one', async (t) => {
  const world = await createServed(t)
  for (const [signed, sent] of [
    ['', 'x'],
    ['x', 'y'],
    ['xy', 'x']
  ]) {
    const request = world.requestOf({ type: 'POST /api/echo', payload: signed })
    const response = await world.send('POST', '/api/echo', headerOf(request), Buffer.from(sent))
    assert.equal((await openAnswer(response, request.requestId, world.signer)).resultCode, 'cs.payload_mismatch')
    assert.equal(world.refusals.at(-1).stage, 'payload_hash')
  }
  assert.equal(world.handled.length, 0)
})

test('R152 E9 a body over the limit is refused while it comes, at payload_hash', async (t) => {
  const world = await createServed(t, { limits: { payloadBytes: 1000 } })
  const request = world.requestOf({ type: 'POST /api/echo', payload: Buffer.alloc(100_000) })
  const response = await world.send('POST', '/api/echo', headerOf(request), Buffer.alloc(50_000), Buffer.alloc(50_000))
  assert.equal((await openAnswer(response, request.requestId, world.signer)).resultCode, 'cs.too_large')
  assert.equal(world.refusals.at(-1).stage, 'payload_hash')
})

test('R152 R140 a request that is passed on keeps its whole body', async (t) => {
  const seen = []
  const old = async (request, response) => {
    const chunks = []
    for await (const chunk of request) chunks.push(chunk)
    seen.push([Buffer.concat(chunks).toString(), request.countersign.code])
    response.end('old')
  }
  const world = await createServed(t, { phase: 'observe', endpoint: '/exchange' }, old)
  for (const pieces of [['abcdef'], ['abc', 'def'], ['a', 'b', 'c', 'd', 'ef']]) {
    const cut = pieces.map((piece) => Buffer.from(piece))
    assert.equal(await (await world.send('POST', '/old', {}, ...cut)).text(), 'old')
    const request = world.requestOf({ type: 'POST /old', payload: 'abcdef' })
    assert.equal(await (await world.send('POST', '/old', headerOf(request), ...cut)).text(), 'old')
    assert.deepEqual(seen.splice(0), [
      ['abcdef', 'unsigned'],
      ['abcdef', 'http.404']
    ])
  }
})

test('R152 R101 a stream of events runs over HTTP/2, and ends when its reader leaves', async (t) => {
  const world = await createServed(t, { events: memoryEventStore() })
  const request = world.requestOf({ type: 'cs.subscribe', payload: '{}' })
  const headers = { ':method': 'POST', ':path': '/exchange', 'content-type': FRAME, accept: 'text/event-stream' }
  const stream = world.session.request(headers)
  stream.end(Buffer.from(request.frame))
  let text = ''
  const lines = (count) =>
    new Promise((resolve) => {
      const look = () => (text.match(/^data: /gm) ?? []).length >= count && resolve()
      stream.on('data', look)
      look()
    })
  stream.setEncoding('utf8').on('data', (piece) => {
    text += piece
  })
  await lines(1)
  assert.equal(await world.gateway.publish({ sessionId: world.device.id }, 'demo.moved', 'x'), 1)
  await lines(2)
  const gone = new Promise((resolve) => stream.on('close', resolve))
  stream.close()
  await gone
  await world.gateway.close({ drainMs: 1 })
})
