// SPDX-License-Identifier: MIT
// The stream of events of a fake gateway, over the three carriers, with every fault a test asks for. Independent of
// countersign/server on purpose.

import { base64Url } from './fake-gateway.mjs'

const FRAME = 'application/vnd.countersign.v1'
const utf8 = (text) => new TextEncoder().encode(text)
const text = (bytes) => new TextDecoder().decode(bytes)
const bytesOf = async (response) => new Uint8Array(await response.arrayBuffer())

const field = (bytes) => {
  const length = []
  let rest = bytes.length
  for (; rest > 0x7f; rest >>= 7) length.push((rest & 0x7f) | 0x80)
  return [...length, rest, ...bytes]
}

/** makeStreamId makes a value that names a stream. */
export const makeStreamId = () => base64Url(crypto.getRandomValues(new Uint8Array(16)))

/** One connection: what it sends next is made when it is taken. */
class Connection {
  isEnded = false
  #streams
  #queue = []
  #wake = () => {}

  constructor(streams, exchange, carrier, first) {
    this.#streams = streams
    this.session = exchange.deviceSessionId
    this.carrier = carrier
    const { after, stream = streams.stream } = JSON.parse(text(exchange.payload))
    this.asked = { after, stream }
    const next = streams.log.length + 1
    const isKept = after === undefined || (stream === streams.stream && after >= streams.oldest - 1 && after < next)
    this.last = after ?? next - 1
    if (first) this.#queue.push(first)
    if (!isKept) this.#queue.push(() => this.gap())
  }

  async gap() {
    const frame = await this.#streams.frame({ type: 'cs.gap', sequence: this.last, payload: this.#streams.position() })
    this.last = this.#streams.oldest - 1
    return frame
  }

  /** Sends what a test made: frames, or functions that make one. */
  send(...frames) {
    this.#queue.push(...frames)
    this.#wake()
  }

  wake() {
    this.#wake()
  }

  end() {
    this.isEnded = true
    this.#streams.connections.delete(this)
    this.#wake()
  }

  /** Gives the next frame, undefined at the end; `waits` says whether to wait for one. */
  async take(waits = true) {
    for (;;) {
      const next = this.#queue.shift()
      if (next) return typeof next === 'function' ? next() : next
      if (this.isEnded) return undefined
      if (this.last < this.#streams.log.length) {
        const sequence = ++this.last
        const made = { ...this.#streams.log[sequence - 1], sequence, session: this.session }
        this.#queue.push(...(await this.#streams.change(made, this)))
        continue
      }
      if (!waits) return undefined
      await new Promise((resolve) => {
        this.#wake = resolve
      })
    }
  }
}

const eventStream = (connection, buffered = 0) => {
  const lines = new ReadableStream(
    {
      start: (controller) => controller.enqueue(utf8(`:${' '.repeat(2048)}\n\n`)),
      async pull(controller) {
        const frame = await connection.take()
        if (frame) controller.enqueue(utf8(`data: ${base64Url(frame)}\n\n`))
        else controller.close()
      },
      cancel: () => connection.end()
    },
    { highWaterMark: buffered }
  )
  return new Response(lines, { headers: { 'content-type': 'text/event-stream' } })
}

/** A WebSocket to the fake gateway, in the parts that the client uses. */
const socketClass = (gateway, streams) =>
  class {
    readyState = 0
    constructor(url, protocol) {
      this.protocol = protocol
      this.url = url
      streams.sockets.push(this)
      queueMicrotask(() => this.#open())
    }

    async #open() {
      if (streams.blocked.websocket instanceof Response) return this.#finish(1006)
      this.readyState = 1
      this.onopen?.()
    }

    #finish(code) {
      if (this.readyState === 3) return
      this.readyState = 3
      this.connection?.end()
      if (code === 1006) this.onerror?.({})
      this.onclose?.({ code })
    }

    close() {
      queueMicrotask(() => this.#finish(1000))
    }

    async send(frame) {
      const headers = { 'content-type': FRAME, 'x-carrier': 'websocket' }
      const answer = await gateway.fetch(`${gateway.origin}/exchange`, { method: 'POST', headers, body: frame })
      if (answer instanceof Response) {
        this.onmessage?.({ data: await answer.arrayBuffer() })
        return this.#finish(4401)
      }
      this.connection = answer
      for (;;) {
        const next = await answer.take()
        if (!next || this.readyState === 3) return this.#finish(next ? 1000 : 1006)
        this.onmessage?.({ data: next.slice().buffer })
      }
    }
  }

/**
 * fakeStreams gives a fake gateway a stream of events: `publish`, `beat` (a `cs.time` on every connection), `cut` (ends every
 * connection), `revoke`, `lose` (another stream, and nothing kept). `change(event, connection)` gives the frames that are sent
 * for a published event; `blocked[carrier]`, a Response or a function, is what a connection gets in place of a stream.
 */
export const fakeStreams = (gateway) => {
  const { core, label } = gateway
  const streams = {
    stream: makeStreamId(),
    log: [],
    oldest: 1,
    connections: new Set(),
    /** Every subscription and poll: `{ carrier, after, stream }`. */
    opened: [],
    sockets: [],
    blocked: {},
    buffered: 0,
    pollSize: 64,
    change: async (event) => [await streams.frame(event)]
  }

  streams.position = () =>
    JSON.stringify({ stream: streams.stream, next: streams.log.length + 1, oldest: streams.oldest })

  /** Makes an event's frame; everything of it can be told. */
  streams.frame = async ({ type, payload = '', sequence, ...changes }) => {
    const bytes = typeof payload === 'string' ? utf8(payload) : payload
    const fields = {
      label,
      deviceSessionId: changes.session ?? [...gateway.sessions.keys()].at(-1),
      eventType: type,
      sequence,
      timestampMs: changes.timestampMs ?? gateway.now(),
      eventId: core.eventId(changes.stream ?? streams.stream, sequence, type),
      payloadHash: core.sha256(bytes)
    }
    const signingInput = core.eventSigningInput(fields)
    const signature = await (changes.sign ?? gateway.sign)(signingInput)
    const keyId = changes.keyId ?? 'k1'
    return core.buildFrame({ signingInput, keyId, signature, payload: changes.sent ?? bytes })
  }

  const wakeAll = () => {
    for (const connection of streams.connections) connection.wake()
  }

  streams.publish = (type, payload = '') => {
    streams.log.push({ type, payload })
    wakeAll()
    return streams.log.length
  }

  streams.beat = () => {
    for (const connection of streams.connections)
      connection.send(() => streams.frame({ type: 'cs.time', sequence: connection.last, session: connection.session }))
  }

  streams.cut = () => {
    for (const connection of [...streams.connections]) connection.end()
  }

  streams.lose = () => {
    streams.stream = makeStreamId()
    streams.log = []
    streams.oldest = 1
    streams.cut()
  }

  streams.revoke = () => {
    for (const session of gateway.sessions.values()) session.isRevoked = true
    for (const connection of [...streams.connections]) {
      const { session } = connection
      connection.send(() => streams.frame({ type: 'cs.revoked', sequence: connection.last, session }))
      connection.end()
    }
  }

  const open = async (exchange, answer, carrier) => {
    const first = await bytesOf(await answer({ payload: streams.position() }))
    const connection = new Connection(streams, exchange, carrier, first)
    streams.opened.push({ carrier, ...connection.asked })
    streams.connections.add(connection)
    return connection
  }

  const poll = async (exchange, answer) => {
    const connection = new Connection(streams, exchange, 'poll')
    streams.opened.push({ carrier: 'poll', ...connection.asked })
    streams.connections.add(connection)
    const { wait_ms: waitMs = 0 } = JSON.parse(text(exchange.payload))
    const events = []
    const first = waitMs > 0 ? await connection.take() : undefined
    if (first) events.push(first)
    while (events.length < streams.pollSize) {
      const frame = await connection.take(false)
      if (!frame) break
      events.push(frame)
    }
    if (events.length === 0 && waitMs === 0) {
      const { last: sequence, session } = connection
      events.push(await streams.frame({ type: 'cs.time', sequence, session }))
    }
    streams.connections.delete(connection)
    const head = await bytesOf(await answer({ payload: streams.position() }))
    return answer({ payload: Uint8Array.from([head, ...events].flatMap(field)) })
  }

  const others = gateway.intercept
  gateway.intercept = async (exchange, answer) => {
    const { messageType, result, request } = exchange
    if (result?.resultCode === undefined && (messageType === 'cs.subscribe' || messageType === 'cs.poll')) {
      const isSocket = request.headers.has('x-carrier')
      const carrier = isSocket ? 'websocket' : messageType === 'cs.poll' ? 'poll' : 'sse'
      const blocked = streams.blocked[carrier]
      const given = await (typeof blocked === 'function' ? blocked(exchange, answer) : blocked?.clone())
      if (given) return given
      if (carrier === 'poll') return poll(exchange, answer)
      const connection = await open(exchange, answer, carrier)
      return isSocket ? connection : eventStream(connection, streams.buffered)
    }
    return others?.(exchange, answer)
  }
  const Socket = socketClass(gateway, streams)
  streams.webSocket = (url, protocol) => new Socket(url, protocol)
  return streams
}
