// SPDX-License-Identifier: MIT
// The other processes of stores.test.mjs.
const [, , role, path, rounds] = process.argv

const roles = {
  async count() {
    const { lmdbStatsStore } = await import('countersign/stats-event/server/lmdb')
    const store = lmdbStatsStore({ path })
    const add = ({ user }) => ({ user: { userId: 'ada', floorMs: (user?.floorMs ?? 0) + 1 }, result: undefined })
    for (let round = 0; round < Number(rounds); round++) await store.update('ada', 'd', add)
    await store.close()
  },

  async key() {
    const { deviceKeyFile } = await import('countersign/stats-event/node')
    process.send((await deviceKeyFile()).key.deviceId)
  }
}

await roles[role]()
process.disconnect()
