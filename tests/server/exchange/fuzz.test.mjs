// SPDX-License-Identifier: MIT
// Mutated requests: nothing is accepted, nothing ends in a 5xx, the gateway lives.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { memoryReplayStore, nodeHandler } from 'countersign/server'
import { runSeed } from '../../unit/harness/random.mjs'
import { HUNG_MS } from '../../unit/harness/wait.mjs'
import { createWorld, FRAME, jsonOf, openAnswer, serve } from '../kit.mjs'

const isLong = process.env.COUNTERSIGN_LONG === '1'
const IN_PROCESS = isLong ? 2_000_000 : 100_000
const OVER_SOCKETS = isLong ? 20_000 : 2000
const seed = runSeed

/** mulberry32: a run is repeated by its seed. */
const createRandom = (start) => {
  let state = start
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
  return { below: (limit) => Math.floor(next() * limit), pick: (list) => list[Math.floor(next() * list.length)] }
}

const INTERESTING = [
  '00',
  'ff',
  '7f',
  '80',
  '8000',
  'ffff03',
  '8008',
  'ffffffff0f',
  '40',
  '20',
  '76310a',
  '0000',
  'c0af',
  'eda080',
  'efbbbf',
  '435301'
]

const mutations = {
  flip(bytes, { below }) {
    bytes[below(bytes.length)] ^= 1 << below(8)
    return bytes
  },
  set(bytes, { below }) {
    bytes[below(bytes.length)] = below(256)
    return bytes
  },
  cut: (bytes, { below }) => bytes.subarray(0, below(bytes.length)),
  drop(bytes, { below }) {
    const at = below(bytes.length)
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + below(8))])
  },
  insert(bytes, { below, pick }) {
    const at = below(bytes.length + 1)
    return Buffer.concat([bytes.subarray(0, at), Buffer.from(pick(INTERESTING), 'hex'), bytes.subarray(at)])
  },
  overwrite(bytes, { below, pick }) {
    const piece = Buffer.from(pick(INTERESTING), 'hex')
    piece.copy(bytes, below(bytes.length))
    return bytes
  },
  repeat(bytes, { below }) {
    const at = below(bytes.length)
    const piece = bytes.subarray(at, at + 1 + below(64))
    return Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at)])
  },
  splice(bytes, { below, pick }, others) {
    const other = pick(others)
    return Buffer.concat([bytes.subarray(0, below(bytes.length)), other.subarray(below(other.length))])
  },
  swap(bytes, { below }) {
    const [one, two] = [below(bytes.length), below(bytes.length)]
    const kept = bytes[one]
    bytes[one] = bytes[two]
    bytes[two] = kept
    return bytes
  }
}

// White space between the members of JSON, and the unsigned traceId, are nobody's mutation.
const meaningOf = (bytes) => {
  try {
    const { traceId: _, ...signed } = JSON.parse(bytes.toString())
    return JSON.stringify(Object.entries(signed).sort())
  } catch {
    return bytes.toString('latin1')
  }
}

const mutate = (original, random, others) => {
  for (;;) {
    let bytes = Buffer.from(original)
    for (let count = 1 + random.below(3); count > 0 && bytes.length > 0; count--) {
      bytes = random.pick(Object.values(mutations))(bytes, random, others)
    }
    // What is some honest request again is not a mutation of one.
    if (!others.some((other) => meaningOf(other) === meaningOf(bytes))) return bytes
  }
}

const createFuzzed = async (now) => {
  const world = await createWorld({
    now,
    replay: memoryReplayStore({ capacity: 262_144, sessionQuota: 262_144 }),
    rates: { perSource: 1e9, perSourceFailures: 1e9, perSession: 1e9 },
    onStage: undefined,
    limits: { payloadBytes: 4096 }
  })
  const types = ['demo.echo', 'demo.other', 'cs.time', 'é', 'x'.repeat(128)]
  const framed = types.map((type, at) =>
    world.requestOf({ type, payload: 'p'.repeat(at * 20), ...(at % 2 ? { idempotencyKey: 'k' } : {}) })
  )
  const headed = world.requestOf({ type: 'POST /api/echo', payload: 'hello' })
  return {
    world,
    frames: framed.map(({ frame }) => Buffer.from(frame)),
    jsons: framed.map((request) => Buffer.from(JSON.stringify(jsonOf(request, { traceId: 't' })))),
    envelopes: [Buffer.from(headed.envelope), ...framed.map(({ envelope }) => Buffer.from(envelope))]
  }
}

const inboundOf = (headers, body) => {
  let left = body
  return {
    method: 'POST',
    target: '/api/echo',
    header: (name) => headers[name] ?? null,
    async read() {
      const piece = left
      left = null
      return piece
    },
    onGone: () => () => {},
    remoteAddress: '192.0.2.1'
  }
}

test(`H4 ${IN_PROCESS} mutated requests in process: nothing accepted, no 5xx (seed ${seed})`, async () => {
  const { world, frames, jsons, envelopes } = await createFuzzed()
  const random = createRandom(seed)
  const seen = {}
  const makers = [
    () => inboundOf({ 'content-type': FRAME }, mutate(random.pick(frames), random, frames)),
    () => inboundOf({ 'content-type': FRAME }, mutate(random.pick(frames), random, frames)),
    () => inboundOf({ 'content-type': 'application/json' }, mutate(random.pick(jsons), random, jsons)),
    () =>
      inboundOf(
        { countersign: mutate(random.pick(envelopes), random, envelopes).toString('base64url') },
        Buffer.from('hello')
      ),
    () =>
      inboundOf(
        {
          countersign: mutate(Buffer.from(random.pick(envelopes).toString('base64url')), random, [
            Buffer.from('x')
          ]).toString('latin1')
        },
        Buffer.from('other')
      )
  ]
  for (let count = 0; count < IN_PROCESS; count++) {
    const { status } = await world.gateway.exchange(makers[count % makers.length]())
    seen[status] = (seen[status] ?? 0) + 1
    if (status >= 500 || status < 400 || world.handled.length > 0) assert.fail(`status ${status} at ${count}`)
  }
  // The harness reaches what it is meant to reach: parsing, signatures and payloads.
  assert.ok(seen[400] > IN_PROCESS / 2 && seen[401] > IN_PROCESS / 100, JSON.stringify(seen))
  assert.equal((await world.call()).resultCode, 'ok')
})

const exchangeRaw = async (port, bytes) => {
  const socket = connect(port, '127.0.0.1')
  const received = []
  socket.on('data', (piece) => received.push(piece)).on('error', () => {})
  const closed = new Promise((resolve) => socket.once('close', resolve))
  await once(socket, 'connect')
  // Half-closed: the server knows that nothing more is coming.
  socket.end(bytes)
  const timer = setTimeout(() => socket.destroy(), HUNG_MS)
  await closed
  clearTimeout(timer)
  return Buffer.concat(received).toString('latin1')
}

test(`H4 ${OVER_SOCKETS} mutated requests over sockets: nothing accepted, no 5xx (seed ${seed})`, async (t) => {
  const { world, frames, envelopes } = await createFuzzed(Date.now)
  const { port } = await serve(t, nodeHandler(world.gateway))
  const random = createRandom(seed)
  const post = (body, lines) =>
    Buffer.concat([
      Buffer.from(
        [
          'POST /api/echo HTTP/1.1',
          'host: gateway',
          'connection: close',
          ...lines,
          `content-length: ${body.length}`,
          '',
          ''
        ].join('\r\n')
      ),
      body
    ])
  const makers = [
    () => post(mutate(random.pick(frames), random, frames), [`content-type: ${FRAME}`]),
    () =>
      mutate(post(random.pick(frames), [`content-type: ${FRAME}`]), random, [Buffer.from('GET / HTTP/1.1\r\n\r\n')]),
    () =>
      post(Buffer.from('other'), [
        `countersign: ${mutate(random.pick(envelopes), random, envelopes).toString('base64url')}`
      ])
  ]
  // A request whose HTTP alone was changed, and not its frame, is honest: what it may not do is anything else.
  const honest = new Set(frames.map((frame) => frame.toString('latin1')))
  const statuses = {}
  const work = async (worker) => {
    for (let count = worker; count < OVER_SOCKETS; count += 16) {
      const bytes = makers[count % makers.length]()
      const text = await exchangeRaw(port, bytes)
      for (const [, status] of text.matchAll(/HTTP\/1\.1 (\d{3}) /g)) {
        statuses[status] = (statuses[status] ?? 0) + 1
        const isHonest = count % makers.length === 1 && [...honest].some((frame) => bytes.includes(frame, 0, 'latin1'))
        if (Number(status) >= 500 || (Number(status) < 400 && !isHonest))
          assert.fail(`status ${status}: ${bytes.toString('latin1')}`)
      }
    }
  }
  await Promise.all(Array.from({ length: 16 }, (_, worker) => work(worker)))
  assert.ok(statuses[400] > OVER_SOCKETS / 4, JSON.stringify(statuses))
  const last = world.requestOf()
  const response = await fetch(`http://127.0.0.1:${port}/exchange`, {
    method: 'POST',
    body: last.frame,
    headers: { 'content-type': FRAME }
  })
  assert.equal((await openAnswer(response, last.requestId, world.signer)).resultCode, 'ok')
})
