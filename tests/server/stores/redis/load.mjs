// SPDX-License-Identifier: MIT
// Load on gateways while a test breaks the store behind them: new requests, and every accepted one again and again.
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { randomOf } from '../../../unit/harness/random.mjs'
import { signRequest } from '../../kit.mjs'
import { quantile, until } from './fleet.mjs'

const random = randomOf('load')

/** signNow signs a request that leaves a trace when it is handed on. */
export const signNow = (device, options) => signRequest(device, { type: 'demo.effect', nowMs: Date.now(), ...options })

/**
 * Sends requests from now on. `phase(name)` begins a part whose answers are counted apart. `stop()` ends the load,
 * asserts that nothing was accepted twice, and returns the parts: codes with their counts, and the times of refusals.
 */
export const startLoad = (fleet, gateways, devices, { senders = 4 } = {}) => {
  const accepted = []
  const parts = new Map()
  let part
  let isOver = false
  const phase = (name) => {
    part = { codes: {}, refusedMs: [], pending: 0 }
    parts.set(name, part)
  }
  phase('before')

  const send = async (request) => {
    const mine = part
    const port = random.pick(gateways).port
    mine.pending++
    const answer = await fleet.send(port, request)
    mine.pending--
    mine.codes[answer.resultCode] = (mine.codes[answer.resultCode] ?? 0) + 1
    if (answer.resultCode === 'cs.unavailable') mine.refusedMs.push(answer.ms)
    return answer.resultCode
  }
  const play = async () => {
    while (!isOver) {
      const request = signNow(random.pick(devices))
      if ((await send(request)) === 'ok') accepted.push(request)
      const earlier = random.pick(accepted)
      if (earlier) assert.notEqual(await send(earlier), 'ok', 'accepted twice')
      await sleep(2)
    }
  }
  const playing = Promise.all(Array.from({ length: senders }, play))
  // Its rejection is handled when the load is stopped.
  playing.catch(() => {})

  return {
    phase,
    /** Resolves when so many requests were refused in the present part. */
    refused: (count) => until('refusals', () => part.refusedMs.length >= count),
    /** Ends the present part. Resolves when all of its requests are answered. */
    async settle() {
      const ending = part
      phase('between')
      await until('answers', () => ending.pending === 0)
    },
    /** Resolves when so many requests were accepted in the present part. */
    served: (what, count = 1) => until(what, () => part.codes.ok >= count),
    async stop() {
      isOver = true
      await playing
      for (const request of accepted) assert.notEqual(await send(request), 'ok', 'accepted twice, at the end')
      const effects = fleet.effects()
      assert.equal(new Set(effects).size, effects.length, 'an id reached the application twice')
      for (const { requestId } of accepted) assert.ok(effects.includes(requestId))
      return Object.fromEntries(parts)
    }
  }
}

/** Writes a part as one line. */
export const describePart = ({ codes, refusedMs }) => {
  const bounds = refusedMs.length > 0 ? [0.5, 0.99, 1].map((share) => quantile(refusedMs, share).toFixed(0)) : []
  const times =
    bounds.length > 0 ? `; refused in ${bounds[0]} ms (median), ${bounds[1]} ms (p99), ${bounds[2]} ms (most)` : ''
  return `${JSON.stringify(codes)}${times}`
}
