// SPDX-License-Identifier: MIT
// A network that cuts connections anywhere, on every carrier. After each resumption no event is lost, none comes
// twice, and none out of order (R101 to R105).
import assert from 'node:assert/strict'
import { connect, createServer } from 'node:net'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { memoryEventStore, memoryReplayStore } from 'countersign/server'
import { randomOf } from '../../unit/harness/random.mjs'
import { createServed, subscribeBy } from './dial.mjs'
import { poll, pollOver, subscribeOver } from './kit.mjs'

const LONG = process.env.COUNTERSIGN_LONG === '1'
const random = randomOf('cut connections')
const EVENTS = LONG ? 10_000 : 1000

/** A proxy that ends each connection after a number of bytes, in the middle of any message. */
const serveCuts = (t, port, bytesOf) => {
  const sockets = new Set()
  const proxy = createServer((near) => {
    const far = connect(port, '127.0.0.1')
    let left = bytesOf()
    const cut = () => {
      near.destroy()
      far.destroy()
    }
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => {}).on('close', cut)
    }
    near.on('data', (piece) => far.write(piece))
    far.on('data', (piece) => {
      near.write(piece.subarray(0, left), () => left <= 0 && cut())
      left -= piece.length
    })
  })
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise((resolve) => proxy.close(resolve))
  })
  return new Promise((resolve) => proxy.listen(0, '127.0.0.1', () => resolve(proxy.address().port)))
}

/** Each opens one connection at a cursor and passes its events to `take`, until that is done or the connection ends. */
const carriers = {
  async sse(world, port, cursor, take) {
    const stream = await subscribeOver(world, port, cursor)
    for (let event = await stream.next(); event && !take(event, stream.first); ) event = await stream.next()
    stream.leave()
  },
  async websocket(world, port, cursor, take) {
    const stream = await subscribeBy(world, { port, ...cursor })
    for (let event = await stream.next(); event && !take(event, stream.first); ) event = await stream.next()
    stream.socket.terminate()
  },
  async poll(world, port, cursor, take) {
    const { first, events } = await poll(world, { ...cursor, waitMs: 1000, send: pollOver(port) })
    for (const event of events) take(event, first)
  }
}

for (const [carrier, open] of Object.entries(carriers)) {
  test(`E12 R102 ${carrier}: ${EVENTS} events over cut connections: none lost, none twice, none out of order`, async (t) => {
    const replay = memoryReplayStore({ capacity: 65_536, sessionQuota: 65_536 })
    const events = memoryEventStore({ eventsPerSession: EVENTS, bytesPerSession: 2 ** 28, bytes: 2 ** 28 })
    const limits = { heartbeatMs: 200 }
    const world = await createServed(t, {
      replay,
      events,
      limits,
      rates: { perSource: 1e9, perSourceFailures: 1e9, perSession: 1e9 }
    })
    // Cuts from within the head of an answer to some dozens of events. An answer to a poll counts only when it is
    // whole.
    const most = carrier === 'poll' ? 25_000 : 10_000
    const port = await serveCuts(t, world.port, () => 200 + random.below(most))
    const seen = []
    let cursor = { after: 0 }
    let connections = 0
    const take = ({ type, sequence, text }, { stream }) => {
      if (type === 'cs.time') return false
      assert.equal(type, 'demo.note')
      seen.push(Number(text))
      assert.equal(sequence, seen.length)
      cursor = { after: sequence, stream }
      return seen.length === EVENTS
    }
    const publishing = (async () => {
      for (let number = 0; number < EVENTS; number++) {
        // Publishes some events ahead of the reader, never all, so that it must both resume and wait.
        while (number - seen.length > 50) await sleep(1)
        await world.gateway.publish(world.device.id, 'demo.note', String(number))
      }
    })()
    while (seen.length < EVENTS) {
      connections += 1
      try {
        await open(world, port, cursor, take)
      } catch (error) {
        // A cut is an error of the network or an answer that ends too early. A failed check is neither.
        if (error.code === 'ERR_ASSERTION') throw error
      }
    }
    await publishing
    assert.deepEqual(
      seen,
      Array.from({ length: EVENTS }, (_, at) => at)
    )
    t.diagnostic(`${EVENTS} events over ${connections} connections`)
    assert.ok(connections >= EVENTS / 50, `${connections} connections`)
  })
}
