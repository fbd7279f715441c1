// SPDX-License-Identifier: MIT
// Challenges and counters over any table of records with transactions: written once for memory and for LMDB.

import type { Challenge, CodeStore } from '../types.ts'
import { decodeBytes, encodeBytes } from './common.ts'
import { closableTable, type RecordTable, SWEPT_KEYS } from './record-table.ts'

// Bytes are kept as text, so that any encoding of records will do.
type ChallengeEntry = Omit<Challenge, 'codeHash'> & { codeHash?: string; binding?: string; sessionId?: string }
type CounterEntry = { times: number[]; windowMs: number }

function isExpired(entry: unknown, nowMs: number): boolean {
  const { expiresMs, times, windowMs } = entry as Partial<ChallengeEntry & CounterEntry>
  if (expiresMs !== undefined) return expiresMs <= nowMs
  return (times?.at(-1) ?? 0) + (windowMs ?? 0) <= nowMs
}

const unlessExpired = (entry: unknown, nowMs: number): ChallengeEntry | undefined =>
  entry !== undefined && !isExpired(entry, nowMs) ? (entry as ChallengeEntry) : undefined

/** Creates a CodeStore over a table. */
export function createCodeStore(records: RecordTable): CodeStore {
  const table = closableTable(records)

  const makeRoom = (nowMs: number): boolean => {
    for (const key of table.nextKeys(SWEPT_KEYS)) {
      const entry = table.get(key)
      if (entry !== undefined && isExpired(entry, nowMs)) table.remove(key)
    }
    return table.size() < table.capacity
  }
  const challengeKey = (id: string) => `challenge/${id}`
  const counterKey = (key: string) => `count/${key}`

  return {
    create: ({ codeHash, ...challenge }) =>
      table.transact(() => {
        const key = challengeKey(challenge.id)
        if (!makeRoom(challenge.createdMs) || table.get(key) !== undefined) return false
        const entry: ChallengeEntry = codeHash ? { ...challenge, codeHash: encodeBytes(codeHash) } : challenge
        table.put(key, entry)
        return true
      }),

    async get(id, nowMs) {
      const entry = unlessExpired(table.latest(challengeKey(id)), nowMs)
      if (!entry) return null
      const { email, createdMs, expiresMs, codeHash, isOpaque } = entry
      const challenge = { id, email, createdMs, expiresMs, ...(isOpaque ? { isOpaque } : {}) }
      return codeHash === undefined ? challenge : { ...challenge, codeHash: decodeBytes(codeHash) }
    },

    take: (key, { limit, windowMs, nowMs, isProbe = false }) =>
      table.transact(() => {
        const name = counterKey(key)
        const counter = table.get(name) as CounterEntry | undefined
        if (!counter && !isProbe && !makeRoom(nowMs)) return windowMs
        const times = (counter?.times ?? []).filter((time) => time > nowMs - windowMs)
        const oldest = times[times.length - limit]
        if (oldest !== undefined) return Math.max(1, oldest + windowMs - nowMs)
        if (!isProbe) table.put(name, { times: [...times, nowMs], windowMs } satisfies CounterEntry)
        return 0
      }),

    giveBack: (key) =>
      table.transact(() => {
        const name = counterKey(key)
        const counter = table.get(name) as CounterEntry | undefined
        if (!counter) return
        const times = counter.times.slice(0, -1)
        if (times.length > 0) table.put(name, { ...counter, times })
        else table.remove(name)
      }),

    redeem: (id, binding, sessionId, nowMs) =>
      table.transact(() => {
        const entry = unlessExpired(table.get(challengeKey(id)), nowMs)
        if (!entry) return null
        if (entry.binding !== undefined) return entry.binding === binding ? (entry.sessionId ?? null) : null
        table.put(challengeKey(id), { ...entry, binding, sessionId })
        return sessionId
      }),

    close: table.close
  }
}
