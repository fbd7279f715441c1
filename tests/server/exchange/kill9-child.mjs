// SPDX-License-Identifier: MIT
// The gateway that kill9.test.mjs kills: loaded at once, its stores opened when told to go.
import { openSync, writeSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { createGateway, enrollment, nodeHandler, serverKeyFile } from 'countersign/server'
import { lmdbStores } from 'countersign/server/lmdb'

const [, , folder] = process.argv
const label = 'test'

const start = () => {
  const signer = serverKeyFile(join(folder, 'server.key'))
  const stores = lmdbStores({ path: join(folder, 'stores'), capacity: 2 ** 17 })
  const effects = openSync(join(folder, 'effects'), 'a')
  const gateway = createGateway({
    label,
    signer,
    sessions: stores.sessions,
    replay: stores.replay,
    // Nothing turns stale while the test runs: only the store stands between a replay and the application.
    window: { pastMs: 3_600_000, futureMs: 10_000 },
    routes: {
      'demo.effect': ({ requestId }) => {
        writeSync(effects, `${requestId}\n`)
        return { resultCode: 'ok' }
      }
    },
    enrollment: enrollment({
      label,
      signer,
      sessions: stores.sessions,
      codes: stores.codes,
      mailer: ({ email, code }) => process.send({ email, code })
    })
  })
  const listener = nodeHandler(gateway, { remoteAddress: (request) => request.headers['x-source'] ?? '' })
  const server = createServer(listener).listen(0, '127.0.0.1', () => process.send({ port: server.address().port }))
}

process.once('message', start)
process.once('disconnect', () => process.exit())
process.send({ loaded: true })
