// SPDX-License-Identifier: MIT
// The gateway that kill9.test.mjs kills: it writes each effect to a file, takes a moment, and answers.
import { openSync, writeSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { createGateway, idempotent, nodeHandler, serverKeyFile } from 'countersign/server'
import { lmdbStores } from 'countersign/server/lmdb'
import { randomOf } from '../../unit/harness/random.mjs'

const [, , folder] = process.argv
const random = randomOf('how long an order takes')
const effects = openSync(join(folder, 'effects'), 'a')
const { answers, sessions, replay } = lmdbStores({ path: join(folder, 'stores'), capacity: 2 ** 17 })

const place = async ({ idempotencyKey }) => {
  await pause(random.below(4))
  writeSync(effects, `${idempotencyKey}\n`)
  await pause(random.below(4))
  return { resultCode: 'placed', payload: `order of ${idempotencyKey}` }
}

const gateway = createGateway({
  label: 'test',
  signer: serverKeyFile(join(folder, 'server.key')),
  sessions,
  replay,
  routes: { order: idempotent(place, { answers, holdMs: 400, keepMs: 3_600_000, waitMs: 500 }) }
})
await gateway.ready()
const server = createServer(nodeHandler(gateway))
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }))
process.once('disconnect', () => process.exit())
