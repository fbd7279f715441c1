// SPDX-License-Identifier: MIT
// Sessions in LMDB: one record each, an index by user, and the active sessions of guests with their number.

import type { RootDatabase } from 'lmdb'
import type { SessionRecord, SessionStore } from '../../types.ts'
import { decodeBytes, encodeBytes, GUEST, IDLE, pruningOf, REPLACED, replacedBy, replacedKeysAfter } from '../common.ts'
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

/** The record with the number of guests. No id of a guest's session is as short. */
const COUNT = '*'

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

// The active sessions of guests. Each function runs inside a transaction. Their number is a record of its own, so that no
// step counts them.
function openGuests(root: RootDatabase, name: string) {
  const ids = root.openDB<number, string>({ name, encoding: 'json' })
  const count = (): number => ids.get(COUNT) ?? 0
  return {
    count,
    add(id: string): void {
      ids.put(id, 1)
      ids.put(COUNT, count() + 1)
    },
    drop(id: string): void {
      if (!ids.doesExist(id)) return
      ids.remove(id)
      ids.put(COUNT, count() - 1)
    }
  }
}

// The tables, and the steps on several of them at once. The steps that change something run inside a transaction.
function openTables(root: RootDatabase, changes: LmdbChanges) {
  const records = root.openDB<SessionEntry, string>({ name: 'sessions', encoding: 'json' })
  const byUser = root.openDB<string, string>({ name: 'sessions-by-user', encoding: 'string', dupSort: true })

  const guests = openGuests(root, 'guest-sessions')
  // Those whose pages have no origin count apart.
  const opaqueGuests = openGuests(root, 'opaque-guest-sessions')
  const dropGuest = (id: string): void => {
    guests.drop(id)
    opaqueGuests.drop(id)
  }

  // Returns the function that tells the other processes.
  const revokeEntry = (entry: SessionEntry, reason: string, atMs: number): (() => void) => {
    records.put(entry.id, withRevocation(entry, reason, atMs))
    dropGuest(entry.id)
    return changes.record('sessions', entry.id)
  }
  const removeEntry = (id: string, userId: string): void => {
    records.remove(id)
    byUser.remove(userId, id)
    dropGuest(id)
  }

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

  return { records, byUser, guests, opaqueGuests, dropGuest, idsOf, ofUser, revokeEntry, removeEntry }
}

/** Creates a SessionStore in an open environment. It records in `changes` what other processes must hear of. */
export function createLmdbSessions(root: RootDatabase, changes: LmdbChanges): SessionStore {
  const tables = openTables(root, changes)
  const { records, byUser, idsOf, ofUser, revokeEntry, removeEntry } = tables

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
    guests: true,
    async get(id) {
      // LMDB reads from one snapshot for a while, but a revocation by another process must count at once.
      root.resetReadTxn()
      const entry = records.get(id)
      return entry ? decodeSession(entry) : null
    },
    async create(session, { maxLive, maxGuests, maxOpaqueGuests, ends } = {}) {
      // Now, because the transaction runs later, when the caller may have changed the record.
      const entry = encodeSession(session)
      checkKeys({ id: entry.id, userId: entry.userId })
      const notices: (() => void)[] = []
      const created = await transact(root, () => {
        if (records.doesExist(entry.id)) return false
        const ended = ends && records.get(ends.id)
        if (ends && ended?.status !== 'active') return 'gone'
        const isGuest = entry.status === 'active' && entry.userId.startsWith(GUEST)
        const pool = maxOpaqueGuests === undefined ? tables.guests : tables.opaqueGuests
        if (isGuest && pool.count() >= (maxOpaqueGuests ?? maxGuests ?? Number.POSITIVE_INFINITY)) return 'full'
        const others = ofUser(entry.userId).filter(({ id }) => id !== ended?.id)
        const replaced = replacedBy(others, maxLive)
        records.put(entry.id, entry)
        byUser.put(entry.userId, entry.id)
        if (isGuest) pool.add(entry.id)
        for (const old of replaced) notices.push(revokeEntry(old, REPLACED, entry.createdMs))
        if (ends && ended) notices.push(revokeEntry(ended, ends.reason, entry.createdMs))
        if (maxLive === undefined && !ends) return true
        return [...replaced, ...(ended ? [ended] : [])].map(({ id }) => id)
      })
      for (const notify of notices) notify()
      return created
    },
    revoke: (id, reason, atMs = Date.now()) =>
      updateAndNotify(id, (entry) => {
        if (entry.status === 'revoked') return entry
        tables.dropGuest(id)
        return withRevocation(entry, reason, atMs)
      }),
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
        for (const entry of entries.filter((one) => pruningOf(one, bounds) === 'revoke'))
          notices.push(revokeEntry(entry, IDLE, bounds.nowMs))
        for (const { id, userId } of toRemove) removeEntry(id, userId)
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
          removeEntry(id, userId)
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
