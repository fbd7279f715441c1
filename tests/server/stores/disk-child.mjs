// SPDX-License-Identifier: MIT
// All stores of one folder in a process of their own, which is told over IPC to write to each of them once, or to read.
import { createHash, randomBytes } from 'node:crypto'
import { lmdbStores } from 'countersign/server/lmdb'
import { lmdbStatsStore } from 'countersign/stats-event/server/lmdb'

const [, , folder] = process.argv
const stores = lmdbStores({ path: `${folder}/all.lmdb` })
const stats = lmdbStatsStore({ path: `${folder}/stats` })
const unhandled = []
process.on('unhandledRejection', (error) => unhandled.push(String(error)))

const keyOf = (text) => new Uint8Array(createHash('sha256').update(text).digest())
const textOf = (name) => createHash('sha256').update(name).digest('base64url').slice(0, 22)
const startMs = Date.now()

/** Each writes once, under a name of its own, and resolves to what the store came to. */
const writes = {
  session: (name) =>
    stores.sessions.create({
      id: textOf(name),
      userId: 'ada',
      algorithm: 'ed25519',
      publicKey: new Uint8Array(32),
      createdMs: startMs,
      lastSeenMs: startMs,
      status: 'active'
    }),
  reserve: (name) => stores.replay.reserve(keyOf(name), startMs + 1000, startMs + 600_000, startMs, 'session'),
  code: (name) =>
    stores.codes.create({
      id: textOf(name),
      email: 'ada@example.org',
      createdMs: startMs,
      expiresMs: startMs + 600_000
    }),
  counter: (name) => stores.codes.take(name, { limit: 5, windowMs: 600_000, nowMs: startMs }),
  claim: (name) =>
    stores.answers.claim({
      ...{ key32: keyOf(name), fingerprint32: keyOf('print'), owner: 'ada', token: name },
      ...{ holdMs: 60_000, keepMs: 600_000, nowMs: startMs, repeatable: true }
    }),
  event: (name) => stores.events.append(textOf('one'), { type: 'demo.note', payload: Buffer.from(name) }),
  stats: (name) =>
    stats.update('ada', name, ({ user }) => ({
      user: user ?? { userId: 'ada', floorMs: 1 },
      device: undefined,
      result: 'kept'
    }))
}

const reads = {
  session: async (name) => (await stores.sessions.get(textOf(name))) !== null,
  list: async () => (await stores.sessions.listByUser('ada')).length,
  code: async (name) => (await stores.codes.get(textOf(name), startMs)) !== null,
  ids: async () => stores.replay.size(),
  stats: async () => (await stats.user('ada'))?.userId
}

const outcomeOf = (promise) =>
  promise.then(
    (value) => (typeof value === 'object' ? (value.state ?? 'ok') : value),
    (error) => `${error.code}: ${error.cause?.message ?? ''}`
  )

const each = async (work, name) => {
  const outcomes = {}
  // At once, as requests do: they share a commit.
  await Promise.all(
    Object.entries(work).map(async ([what, run]) => {
      outcomes[what] = await outcomeOf(run(name))
    })
  )
  return outcomes
}

process.on('message', async ({ command, name }) => {
  if (command === 'write') process.send(await each(writes, name))
  if (command === 'read') process.send(await each(reads, name))
  if (command === 'fill') {
    // Until the store itself has no room: the file grows by whole pages.
    let refused
    for (let count = 0; !refused && count < 20_000; count++)
      await stores.events
        .append(textOf(`fill ${count % 50}`), { type: 'demo.fill', payload: randomBytes(4000) })
        .catch((error) => {
          refused = error.code
        })
    process.send({ refused })
  }
  if (command === 'end') {
    await stores.close().catch(() => {})
    await stats.close().catch(() => {})
    process.send({ unhandled })
    process.disconnect()
  }
})
process.send({ ready: true })
