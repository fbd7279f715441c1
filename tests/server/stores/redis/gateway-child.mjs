// SPDX-License-Identifier: MIT
// A gateway process of these tests, with its stores in Redis or in LMDB. Messages over IPC control it.
import { openSync, writeSync } from 'node:fs'
import { createServer } from 'node:http'
import { cachedSessions, createGateway, nodeHandler, serverKeyFile } from 'countersign/server'

const { store, keyPath, effectsPath, window, deadlineMs } = JSON.parse(process.argv[2])
const label = 'test'

const openStores = async () => {
  if (!store.startsWith('redis://')) {
    const { lmdbStores } = await import('countersign/server/lmdb')
    return lmdbStores({ path: store })
  }
  const { redisStores } = await import('countersign/server/redis')
  const onState = ({ isUp, error }) => process.send({ state: isUp, error: error && String(error.message) })
  const stores = await redisStores({ url: store, label, onState, ...(deadlineMs ? { deadlineMs } : {}) })
  return { ...stores, sessions: cachedSessions(stores.sessions) }
}

const stores = await openStores()
const effects = openSync(effectsPath, 'a')
const gateway = createGateway({
  ...stores,
  label,
  signer: serverKeyFile(keyPath),
  ...(window ? { window } : {}),
  // The sockets of one test all come from one address.
  rates: { perSource: 1_000_000, perSourceFailures: 1_000_000, perSession: 1_000_000 },
  routes: {
    'demo.effect': ({ requestId }) => {
      writeSync(effects, `${requestId}\n`)
      return { resultCode: 'ok' }
    }
  }
})

const tasks = {
  publish: (target, type, payload) => gateway.publish(target, type, payload),
  revoke: (id) => stores.sessions.revoke(id, 'test'),
  metrics: () => gateway.metrics()
}
process.on('message', async ({ id, task, values }) => {
  try {
    process.send({ id, value: await tasks[task](...values) })
  } catch (error) {
    process.send({ id, error: String(error.message) })
  }
})
process.once('disconnect', () => process.exit())
const server = createServer(nodeHandler(gateway)).listen(0, '127.0.0.1', async () => {
  await gateway.ready()
  process.send({ port: server.address().port })
})
