// SPDX-License-Identifier: MIT
// The other processes of answers.test.mjs.
import { createHash } from 'node:crypto'
import { lmdbStores } from 'countersign/server/lmdb'
import { claimOf } from './claim.mjs'

const [, , role, path, rounds] = process.argv
const { answers } = lmdbStores({ path })
const keyOf = (round) => new Uint8Array(createHash('sha256').update(String(round)).digest())

const roles = {
  async race() {
    process.send('ready')
    process.once('message', async () => {
      const states = []
      for (let round = 0; round < Number(rounds); round += 20) {
        const batch = Array.from({ length: 20 }, (_, at) =>
          answers.claim(claimOf({ key32: keyOf(round + at), owner: `u${round}` }))
        )
        states.push(...(await Promise.all(batch)).map(({ state }) => state))
      }
      process.send(states)
    })
  },

  async claim() {
    const { state } = await answers.claim(claimOf({ key32: new Uint8Array(32).fill(5) }))
    process.send(state)
    setInterval(() => {}, 1000)
  }
}

process.once('disconnect', () => process.exit())
await roles[role]()
