// SPDX-License-Identifier: MIT
// The other processes of the tests of events: gateways over one folder of LMDB, which messages control.
import { createServer } from 'node:http'
import { join } from 'node:path'
import { createGateway, nodeHandler, serverKeyFile } from 'countersign/server'
import { lmdbStores } from 'countersign/server/lmdb'
import { webSocketHandler } from 'countersign/server/websocket'

const [, , folder] = process.argv
const signer = serverKeyFile(join(folder, 'server.key'))
const stores = lmdbStores({ path: join(folder, 'stores'), eventsPerSession: 20_000, capacity: 65_536 })
const gateway = createGateway({ label: 'test', signer, ...stores, routes: {} })

const orders = {
  /** Appends `count` events: no deadline of a gateway's leaves open whether one of them has a number. */
  append: ({ sessionId, from, count }) =>
    Promise.all(
      Array.from({ length: count }, (_, at) =>
        stores.events.append(sessionId, { type: 'demo.note', payload: Buffer.from(String(from + at)) })
      )
    ),
  /** Publishes `count` events from `from` on, some at once, and reports each when it has its number. */
  async publish({ sessionId, from, count, atOnce = 8 }) {
    let next = from
    const work = async () => {
      while (next < from + count) {
        const text = String(next++)
        // Where a busy machine misses the store's deadline, it is unknown whether the event has a number.
        const isKnown = await gateway.publish(sessionId, 'demo.note', text).then(
          () => true,
          () => false
        )
        if (isKnown) process.send({ published: text })
      }
    }
    await Promise.all(Array.from({ length: atOnce }, work))
  },
  revoke: ({ sessionId }) => stores.sessions.revoke(sessionId, 'elsewhere'),
  metrics: async () => process.send({ metrics: gateway.metrics() })
}

process.on('message', ({ order, ...what }) => orders[order](what))
process.once('disconnect', () => process.exit())
await gateway.ready()
const server = createServer(nodeHandler(gateway))
server.on('upgrade', webSocketHandler(gateway))
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }))
