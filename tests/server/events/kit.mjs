// SPDX-License-Identifier: MIT
// A reader of streams for the gateway's tests. It opens one on any carrier and checks every event as a client must,
// with the core and node:crypto alone.
import assert from 'node:assert/strict'
import { request as httpRequest } from 'node:http'
import { memoryEventStore } from 'countersign/server'
import { core, createWorld, FRAME, frameRequest, label, sha256, signRequest } from '../kit.mjs'

export const SSE = 'text/event-stream'

/** Creates a world with events in memory, on the system's clock. */
export const createEventWorld = (options = {}) => createWorld({ now: Date.now, events: memoryEventStore(), ...options })

const fieldOf = (text) => {
  const bytes = Buffer.from(text)
  return Buffer.concat([Buffer.from([bytes.length]), bytes])
}

/** Returns the id of an event by R95, written independently of the core. */
export const eventIdOf = (stream, sequence, type) => {
  const number = Buffer.alloc(8)
  number.writeBigUInt64BE(BigInt(sequence))
  const digest = sha256(Buffer.concat([fieldOf(stream), number, fieldOf(type)]))
  return Buffer.from(digest).toString('base64url').slice(0, 22)
}

/** Returns the checker of one connection's events: order, stream, session, signature, time. */
export const createChecker = ({ signer, device }, { stream, last, sinceMs = 0 }) => {
  let at = last
  let timeMs = sinceMs
  return (frame) => {
    const { signingInput, keyId, signature, payload } = core.parseFrame(frame)
    const fields = core.parseSigningInput(signingInput)
    assert.deepEqual([fields.kind, fields.label, fields.protocolVersion], ['event', label, 'v1'])
    assert.equal(keyId, signer.keyId)
    assert.ok(core.verifyEd25519(signer.publicKey, signingInput, signature), 'signature')
    assert.equal(fields.deviceSessionId, device.id)
    assert.equal(fields.eventId, eventIdOf(stream, fields.sequence, fields.eventType), 'event_id')
    assert.deepEqual(Buffer.from(fields.payloadHash), Buffer.from(sha256(payload)))
    assert.ok(fields.timestampMs >= timeMs, 'time goes back')
    timeMs = fields.timestampMs
    const type = fields.eventType
    const text = Buffer.from(payload).toString()
    const isNumbered = !['cs.time', 'cs.gap', 'cs.revoked'].includes(type)
    assert.equal(fields.sequence, isNumbered ? at + 1 : at, `the sequence of ${type}`)
    if (isNumbered) at = fields.sequence
    if (type === 'cs.gap') at = JSON.parse(text).oldest - 1
    return { type, text, sequence: fields.sequence, timestampMs: fields.timestampMs }
  }
}

/** Signs a `cs.subscribe`. */
export const subscriptionOf = (world, { after, stream, device = world.device, ...options } = {}) =>
  signRequest(device, {
    type: 'cs.subscribe',
    payload: JSON.stringify({ after, stream }),
    nowMs: world.now(),
    ...options
  })

/** Verifies the signed answer that is the first item of a stream. */
export const openFirst = (world, frame, requestId) => {
  const keys = [{ id: world.signer.keyId, publicKey: world.signer.publicKey }]
  const { resultCode, payload, timestampMs } = core.openResponse(frame, { label, keys, requestId })
  return { resultCode, payload, timestampMs, text: Buffer.from(payload).toString() }
}

/** Reads frames from `pull` (a frame, or null at the end) as one connection. */
export const createReader = async (world, request, pull, { after, device = world.device } = {}) => {
  const frame = await pull()
  if (!frame) throw new Error('the connection ended before it began')
  const { resultCode, text, timestampMs: sinceMs } = openFirst(world, frame, request.requestId)
  assert.equal(resultCode, 'ok')
  const first = JSON.parse(text)
  const check = createChecker({ ...world, device }, { stream: first.stream, last: after ?? first.next - 1, sinceMs })
  const next = async () => {
    const item = await pull()
    return item && check(item)
  }
  return {
    first,
    next,
    /** Resolves to the next `count` events, without heartbeats. */
    async take(count) {
      const events = []
      while (events.length < count) {
        const event = await next()
        assert.ok(event, `the stream ended after ${events.length} of ${count}`)
        if (event.type !== 'cs.time') events.push(event)
      }
      return events
    },
    /** Resolves to all events to the end. */
    async rest() {
      const events = []
      for (let event = await next(); event; event = await next()) events.push(event)
      return events
    }
  }
}

/** Returns a function that reads the frames of a body of server-sent events. The first item must be a comment of 2 KiB. */
export const framesOfSse = (body) => {
  const pieces = body[Symbol.asyncIterator]()
  let text = ''
  let comment
  return async () => {
    for (;;) {
      const end = text.indexOf('\n\n')
      if (end >= 0) {
        const item = text.slice(0, end)
        text = text.slice(end + 2)
        if (item.startsWith('data: ')) {
          assert.ok(comment?.length >= 2048, 'a comment comes first')
          return Buffer.from(item.slice(6), 'base64url')
        }
        assert.match(item, /^: +$/)
        comment = item
        continue
      }
      const { done, value } = await pieces.next()
      if (done) return null
      text += Buffer.from(value).toString('latin1')
    }
  }
}

/** Opens a stream in process, by `gateway.handle`. */
export const subscribe = async (world, options = {}) => {
  const request = subscriptionOf(world, options)
  const response = await world.gateway.handle(frameRequest(request.frame, { headers: { accept: SSE } }))
  assert.equal(response.headers.get('content-type'), SSE)
  assert.equal(response.headers.get('cache-control'), 'no-store, no-transform')
  assert.equal(response.headers.get('x-accel-buffering'), 'no')
  const reader = response.body.getReader()
  const body = {
    [Symbol.asyncIterator]: () => ({ next: () => reader.read() })
  }
  const opened = await createReader(world, request, framesOfSse(body), options)
  return { ...opened, response, leave: () => reader.cancel() }
}

/** Sends a frame over a socket of its own. Resolves to the response when its head is there. */
export const post = (port, frame, { headers = {}, host = '127.0.0.1' } = {}) =>
  new Promise((resolve, reject) => {
    const asked = httpRequest({
      host,
      port,
      path: '/exchange',
      method: 'POST',
      agent: false,
      headers: { 'content-type': FRAME, accept: SSE, 'content-length': frame.length, ...headers }
    })
    asked.on('response', (response) => resolve({ response, request: asked, socket: asked.socket }))
    asked.on('error', reject)
    asked.end(frame)
  })

/** Opens a stream over HTTP. */
export const subscribeOver = async (world, port, options = {}) => {
  const request = subscriptionOf(world, options)
  const { response, socket } = await post(port, request.frame, options)
  assert.equal(response.headers['content-type'], SSE)
  const opened = await createReader(world, request, framesOfSse(response), options)
  return { ...opened, response, socket, leave: () => socket.destroy() }
}

/** Parses repeated `field(frame)` (R4). */
export const splitFields = (bytes) => {
  const fields = []
  for (let at = 0; at < bytes.length; ) {
    let size = 0
    let shift = 0
    for (;;) {
      const byte = bytes[at++]
      size |= (byte & 0x7f) << shift
      shift += 7
      if (byte < 0x80) break
    }
    assert.ok(at + size <= bytes.length)
    fields.push(bytes.subarray(at, at + size))
    at += size
  }
  return fields
}

/** Sends a frame over HTTP. Resolves to the whole answer. */
export const pollOver = (port) => async (frame) => {
  const { response } = await post(port, frame, { headers: { accept: '*/*' } })
  const pieces = []
  for await (const piece of response) pieces.push(piece)
  return Buffer.concat(pieces)
}

const pollIn = (world) => async (frame) =>
  new Uint8Array(await (await world.gateway.handle(frameRequest(frame))).arrayBuffer())

/** Polls once, in process or by `send`. Resolves to the position and the checked events. */
export const poll = async (world, { after, stream, waitMs, device = world.device, send = pollIn(world) } = {}) => {
  const payload = JSON.stringify({ after, stream, wait_ms: waitMs })
  const request = signRequest(device, { type: 'cs.poll', payload, nowMs: world.now() })
  const outer = openFirst(world, await send(request.frame), request.requestId)
  assert.equal(outer.resultCode, 'ok')
  const frames = splitFields(outer.payload).values()
  const pull = async () => frames.next().value ?? null
  const reader = await createReader(world, request, pull, { after, device })
  return { first: reader.first, events: await reader.rest() }
}

/**
 * timed says how long a round took, for what is promised within a second. It judges nothing: that would judge the machine. How
 * often the gateway looks is asserted with timers that a test runs, and what is pushed to it waits for no timer.
 */
export const timed = async (t, round) => t.diagnostic(`it took ${(await round(0)).toFixed(0)} ms, promised are 1000`)
