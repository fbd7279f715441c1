// SPDX-License-Identifier: MIT
// What an application writes on its server: compiled strictly, never run.
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { test } from 'node:test'
import {
  createGateway,
  enrollment,
  memoryReplayStore,
  memorySessionStore,
  nodeHandler,
  type ReplayStore,
  type SessionStore,
  serverKeyFile
} from 'countersign/server'
import { storeConformance } from 'countersign/server/conformance'
import { lmdbStores } from 'countersign/server/lmdb'
import { type RedisStores, redisStores } from 'countersign/server/redis'
import { webSocketHandler } from 'countersign/server/websocket'
import { createStats, type DistributionHook, memoryStatsStore, statsRoutes } from 'countersign/stats-event/server'

const sessions: SessionStore = memorySessionStore()
const replay: ReplayStore = memoryReplayStore({ capacity: 1024 })

storeConformance(test, assert, () => ({ sessions, replay, close: () => replay.close() }), { name: 'mine' })

export const open = (): Promise<RedisStores> => redisStores({ url: 'rediss://redis.example', label: 'shop' })

const distribution: DistributionHook = ({ sessions }) => (sessions.length > 1000 ? ['unusually_many'] : [])

export const start = async (): Promise<void> => {
  const shared = { label: 'shop', signer: serverKeyFile('server.key'), ...lmdbStores({ path: 'shop.lmdb' }) }
  const gateway = createGateway({
    ...shared,
    routes: {
      'cart.add': async ({ userId, payload, idempotencyKey }) => ({
        resultCode: 'ok',
        payload: new TextEncoder().encode(`${userId} ${payload.length} ${idempotencyKey}`)
      }),
      'GET /api/orders': async () => ({ payload: '[]', contentType: 'application/json' }),
      ...statsRoutes(createStats({ store: memoryStatsStore(), phase: 3, distribution }))
    },
    enrollment: enrollment({ ...shared, mailer: async (mail) => console.log(mail.code) })
  })
  createServer(nodeHandler(gateway)).on('upgrade', webSocketHandler(gateway)).listen(0)
  const told: number = await gateway.publish({ userId: 'a@b.example' }, 'order.sent', '{}')
  console.log(told)
  const answer: Response = await gateway.handle(new Request('https://a.example/exchange'), { remoteAddress: '::1' })
  console.log(answer.status, sessions, replay)
}
