// SPDX-License-Identifier: MIT
// Sessions in LMDB: one record each, and an index by user.

import type { RootDatabase } from 'lmdb'
import type { SessionRecord, SessionStore } from '../../types.ts'
import { decodeBytes, encodeBytes, IDLE, pruningOf, REPLACED, replacedBy, replacedKeysAfter } from '../common.ts'
import type { LmdbChanges } from './changes.ts'
import { checkKeys, transact } from './environment.ts'

// Bytes are entry as text, because decoded bytes may lie in memory that the next read overwrites.
type SessionEntry = Omit<SessionRecord, 'publicKey' | 'previous'> & {
  publicKey: string
  previous?: Omit<NonNullable<SessionRecord['previous']>, 'publicKey'> & { publicKey: string }
}

const encodeKey = <Key extends { publicKey: Uint8Array }>(key: Key) => ({
  ...key,
  publicKey: encodeBytes(key.publicKey)
})
const decodeKey = <Key extends { publicKey: string }>(key: Key) => ({
  ...key,
  publicKey: decodeBytes(key.publicKey)
})
const encodeSession = ({ previous, ...session }: SessionRecord): SessionEntry => ({
  ...encodeKey(session),
  ...(previous ? { previous: encodeKey(previous) } : {})
})
const decodeSession = ({ previous, ...entry }: SessionEntry): SessionRecord => ({
  ...decodeKey(entry),
  ...(previous ? { previous: decodeKey(previous) } : {})
})

const withRevocation = (entry: SessionEntry, reason: string, atMs: number): SessionEntry => ({
  ...entry,
  status: 'revoked',
  revokedReason: reason,
  revokedMs: atMs
})

// Replaces the key of a session, unless it may not have that key. With a time, the present key becomes the previous one.
function withKey(
  entry: SessionEntry,
  next: Pick<SessionEntry, 'algorithm' | 'publicKey'>,
  atMs: number | undefined
): SessionEntry | undefined {
  const replacedKeys = replacedKeysAfter(entry, next.publicKey)
  if (!replacedKeys) return undefined
  const { previous: _, ...rest } = entry
  const { algorithm, publicKey } = entry
  const previous = atMs === undefined ? {} : { previous: { algorithm, publicKey, replacedMs: atMs } }
  return { ...rest, ...next, ...previous, replacedKeys }
}

/** Creates a SessionStore in an open environment. It records in `changes` what other processes must hear of. */
export function createLmdbSessions(root: RootDatabase, changes: LmdbChanges): SessionStore {
  const records = root.openDB<SessionEntry, string>({ name: 'sessions', encoding: 'json' })
  const byUser = root.openDB<string, string>({ name: 'sessions-by-user', encoding: 'string', dupSort: true })

  // Not getValues: inside a write transaction, lmdb 3.5 decodes a key there that it has not read.
  const idsOf = (userId: string): string[] => {
    const ids: string[] = []
    for (const { key, value } of byUser.getRange({ start: userId })) {
      if (key !== userId) break
      ids.push(value)
    }
    return ids
  }
  const ofUser = (userId: string): SessionEntry[] => idsOf(userId).flatMap((id) => records.get(id) ?? [])

  let cursor: string | undefined
  const nextEntries = (limit: number): SessionEntry[] => {
    const range = cursor === undefined ? { limit } : { start: cursor, exclusiveStart: true, limit }
    const entries = [...records.getRange(range)].map(({ value }) => value)
    cursor = entries.length < limit ? undefined : entries.at(-1)?.id
    return entries
  }

  const update = (id: string, change: (entry: SessionEntry) => SessionEntry | undefined): Promise<boolean> =>
    transact(root, () => {
      const entry = records.get(id)
      const next = entry && change(entry)
      if (next) records.put(id, next)
      return next !== undefined
    })

  const updateAndNotify = async (
    id: string,
    change: (entry: SessionEntry) => SessionEntry | undefined
  ): Promise<boolean> => {
    let notify: (() => void) | undefined
    const isChanged = await update(id, (entry) => {
      const next = change(entry)
      if (next && next !== entry) notify = changes.record('sessions', id)
      return next
    })
    notify?.()
    return isChanged
  }

  return {
    async get(id) {
      // LMDB reads from one snapshot for a while, but a revocation by another process must count at once.
      root.resetReadTxn()
      const entry = records.get(id)
      return entry ? decodeSession(entry) : null
    },
    async create(session, { maxLive } = {}) {
      // Now, because the transaction runs later, when the caller may have changed the record.
      const entry = encodeSession(session)
      checkKeys({ id: entry.id, userId: entry.userId })
      const notices: (() => void)[] = []
      const created = await transact(root, () => {
        if (records.doesExist(entry.id)) return false
        const replaced = replacedBy(ofUser(entry.userId), maxLive)
        records.put(entry.id, entry)
        byUser.put(entry.userId, entry.id)
        for (const old of replaced) {
          records.put(old.id, withRevocation(old, REPLACED, entry.createdMs))
          notices.push(changes.record('sessions', old.id))
        }
        return maxLive === undefined ? true : replaced.map(({ id }) => id)
      })
      for (const notify of notices) notify()
      return created
    },
    revoke: (id, reason, atMs = Date.now()) =>
      updateAndNotify(id, (entry) => (entry.status === 'revoked' ? entry : withRevocation(entry, reason, atMs))),
    listByUser: async (userId) => ofUser(userId).map(decodeSession),
    replaceKey(id, expectedKey, { atMs, ...given }) {
      // Encodes now, because the transaction runs later, when the caller may have changed its bytes.
      const next = encodeKey(given)
      const expected = encodeBytes(expectedKey)
      return updateAndNotify(id, (entry) =>
        entry.status === 'active' && entry.publicKey === expected ? withKey(entry, next, atMs) : undefined
      )
    },
    rename: (id, name) => update(id, (entry) => ({ ...entry, name })),
    async touch(id, ms) {
      await update(id, (entry) => (ms > entry.lastSeenMs ? { ...entry, lastSeenMs: ms } : undefined))
    },
    watch: (listener) => changes.watch('sessions', listener),
    async prune(bounds) {
      const notices: (() => void)[] = []
      const removed = await transact(root, () => {
        const entries = nextEntries(bounds.limit)
        const toRemove = entries.filter((entry) => pruningOf(entry, bounds) === 'remove')
        for (const entry of entries.filter((one) => pruningOf(one, bounds) === 'revoke')) {
          records.put(entry.id, withRevocation(entry, IDLE, bounds.nowMs))
          notices.push(changes.record('sessions', entry.id))
        }
        for (const { id, userId } of toRemove) {
          records.remove(id)
          byUser.remove(userId, id)
        }
        return toRemove.map(({ id }) => id)
      })
      for (const notify of notices) notify()
      return removed
    },
    async forgetUser(userId) {
      const notices: (() => void)[] = []
      const removed = await transact(root, () => {
        const ids = idsOf(userId)
        for (const id of ids) {
          records.remove(id)
          byUser.remove(userId, id)
          notices.push(changes.record('sessions', id))
        }
        return ids
      })
      for (const notify of notices) notify()
      return removed
    },
    async isEmpty() {
      return [...records.getKeys({ limit: 1 })].length === 0
    }
  }
}
