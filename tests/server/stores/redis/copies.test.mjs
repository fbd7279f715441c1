// SPDX-License-Identifier: MIT
// D2 at its hardest: copies of one frame, all at once, from everywhere, at two gateways that share a Redis.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { cachedSessions, createGateway } from 'countersign/server'
import { redisStores } from 'countersign/server/redis'
import { createSigner, enrol, frameRequest, label, openAnswer, signRequest } from '../../kit.mjs'
import { until } from './fleet.mjs'
import { startRedis } from './server.mjs'

const COPIES = 2000
/** A source has fewer than 64 of them, so none waits for its turn. */
const SOURCES = 100

const redis = await startRedis()
after(() => redis.stop())

const openGateway = async (t, signer, handled) => {
  const stores = await redisStores({ url: redis.url, label, deadlineMs: 1000 })
  const sessions = cachedSessions(stores.sessions)
  const routes = { 'demo.echo': ({ requestId }) => void handled.push(requestId) }
  const window = { pastMs: 60_000, futureMs: 1000 }
  // Two gateways and the sender share this process, so each takes a part of the usual requests at a time.
  const limits = { inFlight: 16 }
  const gateway = createGateway({ label, signer, sessions, replay: stores.replay, routes, window, limits })
  t.after(async () => {
    await gateway.close()
    sessions.close()
    await stores.close()
  })
  return { gateway, sessions, replay: stores.replay }
}

test(`D2 of ${COPIES} copies of one frame at two gateways, exactly one is handled`, async (t) => {
  const signer = createSigner()
  const handled = []
  const parts = [await openGateway(t, signer, handled), await openGateway(t, signer, handled)]
  const [first] = parts
  await first.replay.fence(0)
  const device = await enrol(first.sessions, { nowMs: Date.now() })
  const codeOf = async (gateway, request, remoteAddress) =>
    (await openAnswer(await gateway.handle(frameRequest(request.frame), { remoteAddress }), request.requestId, signer))
      .resultCode
  for (const { gateway } of parts)
    await until('service', async () => {
      const request = signRequest(device, { nowMs: Date.now() })
      return (await codeOf(gateway, request, '192.0.2.1')) === 'ok'
    })

  // Where a busy machine made every copy late, all were refused, which proves nothing. Another frame follows.
  await until('a frame that is handled', async () => {
    const request = signRequest(device, { nowMs: Date.now() })
    const codes = await Promise.all(
      Array.from({ length: COPIES }, (_, at) =>
        codeOf(parts[at % 2].gateway, request, `198.51.100.${Math.floor(at / 2) % SOURCES}`)
      )
    )
    const counts = {}
    for (const code of codes) counts[code] = (counts[code] ?? 0) + 1
    t.diagnostic(JSON.stringify(counts))
    const times = handled.filter((id) => id === request.requestId).length
    assert.ok(times <= 1, `handled ${times} times`)
    assert.equal(counts.ok ?? 0, times)
    for (const code of Object.keys(counts)) assert.match(code, /^(ok|cs\.replayed|cs\.unavailable)$/)
    return times === 1 && (counts['cs.replayed'] ?? 0) > 0
  })
})
