// SPDX-License-Identifier: MIT
// A gateway with WebSockets and its clients, for the tests of streams over WebSocket.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { nodeHandler } from 'countersign/server'
import { webSocketHandler } from 'countersign/server/websocket'
import WebSocket from 'ws'
import { until } from '../exchange/socket-kit.mjs'
import { serve } from '../kit.mjs'
import { createEventWorld, createReader, subscriptionOf } from './kit.mjs'

const dialled = new Set()

/** Serves a gateway with events on a free port. */
export const createServed = async (t, options = {}) => {
  const world = await createEventWorld({ endpoint: '/exchange', ...options })
  // The server does not close upgraded sockets, so they end before it waits for them.
  t.after(() => {
    for (const socket of dialled) socket.terminate()
    return world.gateway.close()
  })
  const served = await serve(t, nodeHandler(world.gateway))
  served.server.on('upgrade', webSocketHandler(world.gateway))
  return { ...world, ...served }
}

/** Reads one series of a gateway's metrics. */
export const metric = ({ gateway }, series) => {
  const line = gateway
    .metrics()
    .split('\n')
    .find((text) => text.startsWith(`${series} `))
  return line && Number(line.slice(series.length + 1))
}

/** A socket, its messages one at a time (null at the end), and how it was closed. */
export const dial = (port, { path = '/exchange', protocol = 'countersign.v1', ...options } = {}) => {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, protocol, options)
  dialled.add(socket)
  const queue = []
  let wake = () => {}
  let code
  let status
  socket.on('message', (data, isBinary) => {
    // Version 7 of the package gives text as a string instead.
    assert.ok(isBinary ?? typeof data !== 'string')
    queue.push(data)
    wake()
  })
  // Whoever waits for a refusal learns at once that there is none.
  socket.on('open', () => {
    status = 101
  })
  socket.on('unexpected-response', (_request, response) => {
    status = response.statusCode
    code ??= 1006
    wake()
  })
  socket.on('error', () => wake())
  socket.on('close', (given) => {
    code = given
    wake()
  })
  const pull = async () => {
    while (queue.length === 0 && code === undefined) {
      await new Promise((resolve) => {
        wake = resolve
      })
    }
    return queue.shift() ?? null
  }
  return {
    socket,
    pull,
    opened: () => once(socket, 'open'),
    closed: async () => {
      await until(() => code !== undefined)
      return code
    },
    refused: async () => {
      await until(() => status !== undefined)
      return status
    }
  }
}

/** Opens a stream over a WebSocket. */
export const subscribeBy = async (world, { port = world.port, ...options } = {}) => {
  const opened = dial(port, options)
  await opened.opened()
  const request = subscriptionOf(world, options)
  opened.socket.send(request.frame)
  return { ...opened, ...(await createReader(world, request, opened.pull, options)) }
}
