// SPDX-License-Identifier: MIT
// Raw sockets for tests of the gateway behind node:http.
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { nodeHandler } from 'countersign/server'
import { HUNG_MS, until as untilSo } from '../../unit/harness/wait.mjs'
import { createWorld, FRAME, serve } from '../kit.mjs'

/** statuses lists the status of every final answer in what a socket gave. */
export const statuses = (text) => [...text.matchAll(/HTTP\/1\.1 ([2-5]\d\d) /g)].map(([, status]) => Number(status))

/**
 * raw sends bytes over a socket and gives all that comes back: until the server closes it, or `waitMs` after `answers`
 * answers have begun, so that one too many is seen.
 */
export const raw = async (port, pieces, { answers = 1, waitMs = 60, pauseMs = 0, firstMs = HUNG_MS } = {}) => {
  const socket = connect(port, '127.0.0.1')
  let text = ''
  let last = Date.now()
  socket.on('data', (piece) => {
    text += piece.toString('latin1')
    last = Date.now()
  })
  socket.on('error', () => {})
  await once(socket, 'connect')
  for (const piece of [pieces].flat()) {
    if (socket.destroyed) break
    socket.write(piece)
    if (pauseMs > 0) await sleep(pauseMs)
  }
  last = Date.now()
  const isWaiting = () => Date.now() - last < (statuses(text).length < answers ? firstMs : waitMs)
  while (!socket.closed && isWaiting()) await sleep(5)
  socket.destroy()
  return text
}

/** until waits for something a test has caused. */
export const until = (isSo) => untilSo(isSo, () => String(isSo))

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
