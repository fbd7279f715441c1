// SPDX-License-Identifier: MIT
// A queue over a client of the fake gateway, for the suites about queues. The gateway runs an intent once, as `idempotent` does.
import { connect } from 'countersign'
import { intentQueue, memoryIntents } from 'countersign/queue'
import { enrolled, lost, text } from '../client/fixture.mjs'

export { until } from '../harness/wait.mjs'

/** Timers that never take long: what a queue waits for is looked at every 20 ms. */
export const impatient = (run, ms) => {
  const timer = setTimeout(run, Math.min(ms, 20))
  return () => clearTimeout(timer)
}

/**
 * `it.effects` lists the payloads that took effect, `it.tries` every try that arrived. `it.fault(exchange, answer)` may answer
 * in place of the gateway, after the effect; `it.isDown` loses what is sent before it arrives, and `it.isHeld` lets no pause end.
 */
export const house = async (options = {}) => {
  const {
    client,
    gateway,
    store: keyStore,
    options: connectOptions
  } = await enrolled({ retries: 0, ...options.client })
  const done = new Map()
  const it = {
    client,
    gateway,
    keyStore,
    store: memoryIntents(),
    effects: [],
    tries: [],
    ended: [],
    isDown: false,
    isHeld: false
  }
  it.nowMs = Date.now()
  gateway.intercept = async (exchange, answer) => {
    if (!exchange.messageType.startsWith('demo.')) return undefined
    const key = exchange.requestId.split('.')[0].split('~')[1]
    it.tries.push({
      key,
      payload: text(exchange.payload),
      requestId: exchange.requestId,
      timestampMs: exchange.timestampMs
    })
    if (exchange.result.resultCode?.startsWith('cs.')) return undefined
    if (!done.has(key)) {
      it.effects.push(text(exchange.payload))
      done.set(key, `done ${it.effects.length}`)
    }
    return (await it.fault?.(exchange, answer)) ?? answer({ payload: done.get(key) })
  }
  const { fetch } = gateway
  gateway.fetch = async (...given) => {
    if (it.isDown) lost()
    return fetch(...given)
  }
  const all = { ...connectOptions, fetch: (...given) => gateway.fetch(...given) }
  await client.close()
  it.connect = (changes = {}) => connect({ ...all, ...changes })
  it.client = await it.connect()
  it.open = (changes = {}, by = it.client) => {
    // How long a pause between two tries is was drawn at random: no test waits for it, and none hopes that it is long.
    const schedule = (run) => {
      const timer = setTimeout(() => {
        if (it.isHeld) return
        queue.retry()
        run()
      }, 20)
      return () => clearTimeout(timer)
    }
    const queue = intentQueue(by, {
      store: it.store,
      schedule,
      now: () => it.nowMs,
      ...options.queue,
      ...changes
    })
    queue.on('settled', ({ intent, reply, error }) =>
      it.ended.push([text(intent.payload), error ? error.code : text(reply.payload)])
    )
    return queue
  }
  it.queue = it.open()
  it.stored = () => it.store.list('countersign')
  it.close = async () => {
    await it.queue.close()
    await it.client.close()
  }
  return it
}
