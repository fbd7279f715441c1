// SPDX-License-Identifier: MIT
// The other processes of stores.test.mjs.
import cluster from 'node:cluster'
import { createHash } from 'node:crypto'

const startMs = 1_775_000_000_000
const [, , role, path, rounds] = process.argv

const keyOf = (round) => new Uint8Array(createHash('sha256').update(String(round)).digest())

const roles = {
  async cluster() {
    if (cluster.isPrimary) {
      cluster.setupPrimary({ exec: process.argv[1], args: ['cluster'] })
      const worker = cluster.fork()
      worker.once('message', (message) => {
        process.send(message)
        worker.kill()
      })
      return
    }
    const { memoryReplayStore } = await import('countersign/server')
    let refused
    try {
      memoryReplayStore()
    } catch (error) {
      refused = error.code
    }
    const told = await memoryReplayStore({ capacity: 64, allowCluster: true }).reserve(
      keyOf(0),
      startMs,
      startMs + 1000,
      startMs
    )
    process.send({ refused, told })
  },

  async race() {
    const { lmdbStores } = await import('countersign/server/lmdb')
    const { replay } = lmdbStores({ path })
    process.send('ready')
    process.once('message', async () => {
      const verdicts = []
      for (let round = 0; round < Number(rounds); round += 20) {
        const batch = Array.from({ length: 20 }, (_, at) =>
          replay.reserve(keyOf(round + at), startMs, startMs + 67_000, startMs, 'one')
        )
        verdicts.push(...(await Promise.all(batch)))
      }
      process.send(verdicts)
    })
  },

  async revoke() {
    const { lmdbStores } = await import('countersign/server/lmdb')
    const { sessions } = lmdbStores({ path })
    process.on('message', async (id) => process.send(await sessions.revoke(id, 'elsewhere')))
    process.send('ready')
  }
}

await roles[role]()
