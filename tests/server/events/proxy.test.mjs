// SPDX-License-Identifier: MIT
// Streams through proxies that hold data back (R109), and readers that are slow (R108).
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { gunzipSync, gzipSync } from 'node:zlib'
import { memoryEventStore, memoryReplayStore } from 'countersign/server'
import { until } from '../exchange/socket-kit.mjs'
import { serve } from '../kit.mjs'
import { createServed } from './dial.mjs'
import { post, subscribe, subscribeOver, subscriptionOf } from './kit.mjs'

const MiB = 1024 * 1024
const LONG = process.env.COUNTERSIGN_LONG === '1'

/**
 * A proxy with a buffer of 2 KiB for each answer. The first piece leaves when the buffer is full, later ones at once.
 * With `isObedient` it follows `x-accel-buffering`, and fills no buffer. With `compresses` it compresses the answers
 * that `cache-control` allows, and sends them at their end.
 */
const serveProxy = (t, port, { isObedient = false, compresses = false } = {}) =>
  serve(t, (request, response) => {
    const { method, url, headers } = request
    const asked = httpRequest({ port, host: '127.0.0.1', method, path: url, headers }, async (answer) => {
      const mayChange = !/no-transform/.test(answer.headers['cache-control'] ?? '')
      if (compresses && mayChange) {
        const pieces = []
        for await (const piece of answer) pieces.push(piece)
        response.writeHead(answer.statusCode, { ...answer.headers, 'content-encoding': 'gzip' })
        return response.end(gzipSync(Buffer.concat(pieces)))
      }
      let held = isObedient && answer.headers['x-accel-buffering'] === 'no' ? undefined : []
      response.writeHead(answer.statusCode, answer.headers)
      answer.on('data', (piece) => {
        held?.push(piece)
        const size = held?.reduce((sum, { length }) => sum + length, 0)
        if (held && size < 2048) return
        response.write(held ? Buffer.concat(held) : piece)
        held = undefined
      })
      answer.on('end', () => response.end(held && Buffer.concat(held)))
      answer.on('error', () => response.destroy())
    })
    asked.on('error', () => response.destroy())
    response.on('close', () => asked.destroy())
    request.pipe(asked)
  })

const proxies = {
  'that fills 2 KiB first': {},
  'that obeys x-accel-buffering': { isObedient: true },
  'that compresses what it may': { compresses: true }
}
for (const [name, options] of Object.entries(proxies)) {
  test(`R109 through a proxy ${name} every event arrives by itself, and its end is seen`, async (t) => {
    const world = await createServed(t)
    const proxy = await serveProxy(t, world.port, options)
    const stream = await subscribeOver(world, proxy.port)
    for (let number = 1; number <= 5; number++) {
      await world.gateway.publish(world.device.id, 'demo.note', String(number))
      // No event waits for the next.
      assert.equal((await stream.take(1))[0].text, String(number))
    }
    stream.leave()
    await until(() => /countersign_streams\{carrier="sse"\} 0/.test(world.gateway.metrics()))
    const again = await subscribeOver(world, proxy.port)
    await world.sessions.revoke(world.device.id, 'user')
    assert.equal((await again.rest()).at(-1).type, 'cs.revoked')
  })
}

test('R109 the proxy of these tests does hold back and compress what does not say otherwise', async (t) => {
  const slow = await serve(t, (_request, response) => {
    response.write('early')
    setTimeout(() => response.end('late'), 300)
  })
  const read = async (options) => {
    const proxy = await serveProxy(t, slow.port, options)
    const { response } = await post(proxy.port, Buffer.from('x'))
    const [first] = await once(response, 'data')
    return [response, first]
  }
  const [, held] = await read()
  assert.equal(String(held), 'earlylate')
  const [compressed, bytes] = await read({ compresses: true })
  assert.equal(compressed.headers['content-encoding'], 'gzip')
  assert.equal(String(gunzipSync(bytes)), 'earlylate')
})

test('R109 a stream needs no HTTP/1.1 keep-alive and no chunks: HTTP/1.0 reads it to its end', async (t) => {
  const world = await createServed(t)
  const request = subscriptionOf(world)
  const socket = connect(world.port, '127.0.0.1')
  t.after(() => socket.destroy())
  socket.write(
    `POST /exchange HTTP/1.0\r\nhost: gateway\r\naccept: text/event-stream\r\ncontent-type: application/vnd.countersign.v1\r\ncontent-length: ${request.frame.length}\r\n\r\n`
  )
  socket.write(request.frame)
  let text = ''
  socket.on('data', (piece) => {
    text += piece.toString('latin1')
  })
  await until(() => text.includes('data: '))
  await world.sessions.revoke(world.device.id, 'user')
  await once(socket, 'close')
  assert.equal(text.match(/^data: /gm).length, 2)
  assert.doesNotMatch(text, /transfer-encoding/i)
})

test('E9 R108 a reader in process that takes nothing holds one page, and is let go', async (t) => {
  const events = memoryEventStore({ eventsPerSession: 1000, bytesPerSession: 100 * MiB, bytes: 200 * MiB })
  let read = 0
  const counting = {
    ...events,
    async read(...values) {
      const page = await events.read(...values)
      read += page.events.length
      return page
    }
  }
  const world = await createServed(t, { events: counting, limits: { stalledMs: 2000 } })
  const stream = await subscribe(world)
  for (let number = 0; number < 200; number++)
    await world.gateway.publish(world.device.id, 'demo.note', new Uint8Array(64 * 1024))
  await stream.take(1)
  await sleep(100)
  assert.ok(read <= 9, `${read} events were read for a reader that took one`)
  await until(() => /reason="slow"\} 1/.test(world.gateway.metrics()))
  await assert.rejects(stream.rest(), TypeError)
})

test('R108 memory is flat over many events and slow, quick and vanishing readers', async (t) => {
  const total = LONG ? 100_000 : 6000
  const replay = memoryReplayStore({ capacity: 65_536, sessionQuota: 65_536 })
  const world = await createServed(t, { replay, rates: { perSource: 1e9, perSourceFailures: 1e9, perSession: 1e9 } })
  const quick = await subscribeOver(world, world.port)
  const payload = 'x'.repeat(1024)
  const heap = () => {
    globalThis.gc?.()
    return process.memoryUsage().rss / MiB
  }
  let seen = 0
  let before
  for (let sent = 0; sent < total; sent += 100) {
    if (sent === total / 4) before = heap()
    const visitor = await subscribeOver(world, world.port)
    visitor.response.pause()
    const publishing = Array.from({ length: 100 }, () => world.gateway.publish(world.device.id, 'demo.note', payload))
    seen += (await quick.take(100)).length
    await Promise.all(publishing)
    visitor.leave()
  }
  assert.equal(seen, total)
  const grown = heap() - before
  t.diagnostic(`${total} events, ${total / 100} visitors: ${grown.toFixed(1)} MiB grown since the first quarter`)
  assert.ok(grown < 96, `${grown.toFixed(1)} MiB grown since the first quarter`)
  quick.leave()
  await until(() => /countersign_streams\{carrier="sse"\} 0/.test(world.gateway.metrics()))
})
