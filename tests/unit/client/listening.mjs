// SPDX-License-Identifier: MIT
// A client that listens to a fake gateway, and the waits of its tests.

import { until } from '../harness/wait.mjs'
import { fakeGateway } from './fake-gateway.mjs'
import { fakeStreams } from './fake-streams.mjs'
import { enrolled } from './fixture.mjs'

export { until }

export const CARRIERS = ['sse', 'websocket', 'poll']

const text = (bytes) => new TextDecoder().decode(bytes)

/** Timers of which short waits, those between two tries, are hurried. */
export const hurried = (run, ms) => {
  const timer = setTimeout(run, ms <= 1000 ? ms / 50 : ms)
  return () => clearTimeout(timer)
}

/** listening gives a client with a session, its gateway and that one's streams. */
export const listening = async (options = {}) => {
  const gateway = await fakeGateway()
  const streams = fakeStreams(gateway)
  const { webSocket } = streams
  return { ...(await enrolled({ schedule: hurried, webSocket, ...options }, gateway)), streams }
}

/** listen collects what an iterator gives: `got` as `type sequence payload`, and `error` when it ends with one. */
export const listen = (iterator) => {
  const heard = { got: [], events: [], error: undefined, isDone: false, iterator }
  heard.done = (async () => {
    try {
      for await (const event of iterator) {
        heard.events.push(event)
        heard.got.push(`${event.type} ${event.sequence} ${text(event.payload)}`)
      }
    } catch (error) {
      heard.error = error
    }
    heard.isDone = true
  })()
  heard.count = (count) =>
    until(
      () => heard.got.length >= count || heard.isDone,
      () => `${count} events, has ${heard.got.length}`
    )
  heard.ended = () => until(() => heard.isDone, 'the end of the events')
  return heard
}

export const live = (client) => until(() => client.connection.state === 'live', 'the stream to be live')
