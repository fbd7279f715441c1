// SPDX-License-Identifier: MIT
// Events for the demo: one at a time, or a few of them one after the other, whoever is listening by then.

const MAX_TICKS = 60
const LEAST_MS = 100

const isWithin = (value, lowest, highest) => Number.isInteger(value) && value >= lowest && value <= highest

const read = (payload) => {
  try {
    return Object(JSON.parse(new TextDecoder().decode(payload)))
  } catch {
    return {}
  }
}

/**
 * pushRoutes returns `demo.publish`, which sends `{"text"}` to every session of the user as `demo.note`, and `demo.ticker`,
 * which sends `count` events `demo.tick` to its own session, one every `every_ms`. An event says when it was published.
 */
export const pushRoutes = ({ publish, now }) => {
  const tickers = new Map()
  const tick = (sessionId, { count, every_ms: everyMs }) => {
    clearInterval(tickers.get(sessionId))
    let n = 0
    const timer = setInterval(() => {
      n += 1
      if (n >= count) stop()
      publish(sessionId, 'demo.tick', JSON.stringify({ n, at_ms: now() })).catch(stop)
    }, everyMs)
    const stop = () => {
      clearInterval(timer)
      if (tickers.get(sessionId) === timer) tickers.delete(sessionId)
    }
    tickers.set(sessionId, timer)
    timer.unref()
  }
  return {
    'demo.publish': async ({ userId, payload }) => {
      const { text = '' } = read(payload)
      if (typeof text !== 'string' || text.length > 200) return { resultCode: 'invalid_payload' }
      await publish({ userId }, 'demo.note', JSON.stringify({ text, at_ms: now() }))
      return {}
    },
    'demo.ticker': ({ session, payload }) => {
      const asked = read(payload)
      if (!isWithin(asked.count, 1, MAX_TICKS) || !isWithin(asked.every_ms, LEAST_MS, 60_000))
        return { resultCode: 'invalid_payload' }
      tick(session.id, asked)
      return {}
    }
  }
}
