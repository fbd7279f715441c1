// SPDX-License-Identifier: MIT
// Challenges and counters over any table of records with transactions: written once for memory and for LMDB.

import { CountersignError } from '../../common/errors.ts'
import { encodeText } from '../support/encoding.ts'
import type { Challenge, CodeStore } from '../types.ts'
import type { Records } from './record-table.ts'

// Bytes are kept as text, so that any encoding of records will do.
type Kept = Omit<Challenge, 'codeHash'> & { codeHash?: string; binding?: string; sessionId?: string }
type Counter = { times: number[]; windowMs: number }

const SWEPT_EACH_TIME = 16

function isExpired(record: unknown, nowMs: number): boolean {
  const { expiresMs, times, windowMs } = record as Partial<Kept & Counter>
  if (expiresMs !== undefined) return expiresMs <= nowMs
  return (times?.at(-1) ?? 0) + (windowMs ?? 0) <= nowMs
}

const live = (kept: Kept | undefined, nowMs: number): Kept | undefined =>
  kept && !isExpired(kept, nowMs) ? kept : undefined

/** createCodeStore makes a CodeStore over records. */
export function createCodeStore(records: Records): CodeStore {
  let isClosed = false

  const transact = async <T>(work: () => T): Promise<T> => {
    if (isClosed) throw new CountersignError('ERR_CLOSED')
    return records.transact(work)
  }
  // Each new record looks at more old ones than it adds, so what has expired cannot pile up.
  const makeRoom = (nowMs: number): boolean => {
    for (const key of records.next(SWEPT_EACH_TIME)) {
      const record = records.get(key)
      if (record !== undefined && isExpired(record, nowMs)) records.remove(key)
    }
    return records.size() < records.capacity
  }
  const challengeKey = (id: string) => `challenge/${id}`
  const counterKey = (key: string) => `count/${key}`
  const read = (id: string, nowMs: number): Kept | undefined =>
    live(records.get(challengeKey(id)) as Kept | undefined, nowMs)

  return {
    create: ({ codeHash, ...challenge }) =>
      transact(() => {
        if (!makeRoom(challenge.createdMs) || records.get(challengeKey(challenge.id)) !== undefined) return false
        const kept: Kept = codeHash ? { ...challenge, codeHash: encodeText(codeHash, 'base64url') } : challenge
        records.put(challengeKey(challenge.id), kept)
        return true
      }),

    async get(id, nowMs) {
      if (isClosed) throw new CountersignError('ERR_CLOSED')
      const kept = live(records.latest(challengeKey(id)) as Kept | undefined, nowMs)
      if (!kept) return null
      const { email, createdMs, expiresMs, codeHash } = kept
      const challenge = { id, email, createdMs, expiresMs }
      return codeHash === undefined
        ? challenge
        : { ...challenge, codeHash: new Uint8Array(Buffer.from(codeHash, 'base64url')) }
    },

    take: (key, { limit, windowMs, nowMs }) =>
      transact(() => {
        const name = counterKey(key)
        const counter = records.get(name) as Counter | undefined
        if (!counter && !makeRoom(nowMs)) return windowMs
        const times = (counter?.times ?? []).filter((time) => time > nowMs - windowMs)
        const oldest = times[times.length - limit]
        if (oldest !== undefined) return Math.max(1, oldest + windowMs - nowMs)
        records.put(name, { times: [...times, nowMs], windowMs } satisfies Counter)
        return 0
      }),

    giveBack: (key) =>
      transact(() => {
        const counter = records.get(counterKey(key)) as Counter | undefined
        if (counter) records.put(counterKey(key), { ...counter, times: counter.times.slice(0, -1) })
      }),

    redeem: (id, binding, sessionId, nowMs) =>
      transact(() => {
        const kept = read(id, nowMs)
        if (!kept) return null
        if (kept.binding !== undefined) return kept.binding === binding ? (kept.sessionId ?? null) : null
        records.put(challengeKey(id), { ...kept, binding, sessionId })
        return sessionId
      }),

    async close() {
      isClosed = true
      await records.close()
    }
  }
}
