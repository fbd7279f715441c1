// SPDX-License-Identifier: MIT
// Raw sockets for tests of the gateway behind node:http.
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { nodeHandler } from 'countersign/server'
import { createWorld, FRAME, serve } from './kit.mjs'

/** raw sends bytes over a socket and gives all that comes back until it closes, or `waitMs` after the last byte. */
export const raw = async (port, pieces, { waitMs = 300, pauseMs = 0 } = {}) => {
  const socket = connect(port, '127.0.0.1')
  const received = []
  let last = Date.now()
  socket.on('data', (piece) => {
    received.push(piece)
    last = Date.now()
  })
  socket.on('error', () => {})
  let closed = false
  socket.on('close', () => {
    closed = true
  })
  await once(socket, 'connect')
  for (const piece of [pieces].flat()) {
    if (socket.destroyed) break
    socket.write(piece)
    if (pauseMs > 0) await sleep(pauseMs)
  }
  last = Date.now()
  while (!closed && Date.now() - last < waitMs) await sleep(5)
  socket.destroy()
  return Buffer.concat(received).toString('latin1')
}

/** statuses lists the status of every final answer in what a socket gave. */
export const statuses = (text) => [...text.matchAll(/HTTP\/1\.1 ([2-5]\d\d) /g)].map(([, status]) => Number(status))

export const head = (lines) => `${lines.join('\r\n')}\r\n\r\n`

export const createServed = async (t, options = {}, serverOptions = {}) => {
  const world = await createWorld({ now: Date.now, ...options })
  const listener = nodeHandler(world.gateway)
  const served = await serve(t, listener, serverOptions)
  return { ...world, ...served }
}

export const post = (length, extra = [], target = '/exchange') =>
  head([
    `POST ${target} HTTP/1.1`,
    'host: gateway',
    `content-type: ${FRAME}`,
    ...(length === undefined ? [] : [`content-length: ${length}`]),
    ...extra
  ])
