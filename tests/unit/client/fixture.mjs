// SPDX-License-Identifier: MIT
import { connect, emailEnrollment, memoryStore } from 'countersign'
import { HUNG_MS } from '../harness/wait.mjs'
import { fakeGateway } from './fake-gateway.mjs'

export const utf8 = (text) => new TextEncoder().encode(text)
export const text = (bytes) => new TextDecoder().decode(bytes)

/** A clock that a test sets: wall, monotonic and the gateway's own, all driven by one real monotonic clock. */
export const createClocks = (skewMs = 0) => {
  const clocks = {
    skewMs,
    serverSkewMs: 0,
    /** Added to the monotonic clock: a negative one is a clock that stood still during sleep. */
    monotonicMs: 0,
    now: () => Date.now() + clocks.skewMs,
    monotonicNow: () => performance.now() + clocks.monotonicMs,
    serverNow: () => Date.now() + clocks.serverSkewMs
  }
  return clocks
}

/**
 * The operations of WebCrypto that are under way. They run on other threads: however long they take on a busy machine, a
 * program that waits for one is not idle.
 */
const countCrypto = () => {
  const prototype = Object.getPrototypeOf(globalThis.crypto.subtle)
  const pending = { count: 0 }
  for (const name of ['digest', 'sign', 'verify', 'generateKey', 'importKey', 'exportKey']) {
    const original = prototype[name]
    prototype[name] = async function (...given) {
      pending.count++
      try {
        return await original.apply(this, given)
      } finally {
        pending.count--
      }
    }
  }
  return pending
}
const pending = countCrypto()

/**
 * Timers that fire when nothing else has happened for a while: backoff and time limits without waiting for them. `fired`
 * lists the waits; the monotonic clock moves with them.
 */
export const createTimers = (clocks = createClocks()) => {
  let waiting = []
  const fired = []
  const schedule = (run, afterMs) => {
    const timer = { run, dueMs: clocks.monotonicNow() + afterMs, afterMs }
    waiting.push(timer)
    return () => {
      waiting = waiting.filter((other) => other !== timer)
    }
  }
  /** Runs a promise to its end, firing the earliest timer when 25 ms pass without it, or 500 ms where that is a call's limit. */
  const run = async (promise) => {
    let isDone = false
    let last
    let patience = 0
    const done = promise.finally(() => {
      isDone = true
    })
    done.catch(() => {})
    while (!isDone) {
      await Promise.race([done.catch(() => {}), new Promise((resolve) => setTimeout(resolve, 25))])
      const next = waiting.toSorted((one, other) => one.dueMs - other.dueMs)[0]
      if (isDone || !next || pending.count > 0) continue
      if (next !== last) patience = next.afterMs < 1000 ? 1 : 20
      last = next
      if (--patience > 0) continue
      waiting = waiting.filter((timer) => timer !== next)
      clocks.monotonicMs += Math.max(0, next.dueMs - clocks.monotonicNow())
      fired.push(next.afterMs)
      next.run()
    }
    return done
  }
  return { schedule, run, fired, clocks, waiting: () => waiting.length }
}

/** Options of a client. A busy machine must not end a call: it has all the time there is, unless a test moves the timers. */
export const optionsFor = (gateway, options = {}) => ({
  url: gateway.origin,
  label: gateway.label,
  serverKeys: gateway.keys,
  fetch: gateway.fetch,
  store: memoryStore(),
  ...(options.schedule ? {} : { timeoutMs: HUNG_MS }),
  ...options
})

export const enrol = (client, gateway, options = {}) =>
  emailEnrollment(client, { email: 'ada@example.com', code: gateway.code, ...options })

/** A client with a session at a fake gateway of its own. */
export const enrolled = async (options = {}, given = undefined) => {
  const gateway = given ?? (await fakeGateway())
  const all = optionsFor(gateway, options)
  const client = await connect(all)
  await enrol(client, gateway)
  gateway.calls.length = 0
  return { client, gateway, store: all.store, options: all }
}

const isCallers = ({ messageType }) => messageType !== 'cs.time' && messageType !== 'cs.keys'

/** Fails one exchange after the other as told, then answers honestly: each fault is what `intercept` may return. */
export const faults = (gateway, list, isMeant = isCallers) => {
  const rest = [...list]
  gateway.intercept = async (exchange, answer) =>
    isMeant(exchange) && rest.length > 0 ? rest.shift()(exchange, answer) : undefined
}

export const lost = () => {
  throw new TypeError('the connection broke')
}
