// SPDX-License-Identifier: MIT
// Sessions in LMDB: one record each, and an index by user.

import type { RootDatabase } from 'lmdb'
import type { SessionRecord, SessionStore } from '../../types.ts'
import { decodeBytes, encodeBytes } from '../common.ts'
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

// Replaces the key of a session. With a time, the present key becomes the previous one.
function withKey(
  entry: SessionEntry,
  next: Pick<SessionEntry, 'algorithm' | 'publicKey'>,
  atMs: number | undefined
): SessionEntry {
  const { previous: _, ...rest } = entry
  const { algorithm, publicKey } = entry
  return { ...rest, ...next, ...(atMs === undefined ? {} : { previous: { algorithm, publicKey, replacedMs: atMs } }) }
}

/** Creates a SessionStore in an open environment. It records in `changes` what other processes must hear of. */
export function createLmdbSessions(root: RootDatabase, changes: LmdbChanges): SessionStore {
  const records = root.openDB<SessionEntry, string>({ name: 'sessions', encoding: 'json' })
  const byUser = root.openDB<string, string>({ name: 'sessions-by-user', encoding: 'string', dupSort: true })

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
    async create(session) {
      const { id, userId } = session
      checkKeys({ id, userId })
      // Now, because the transaction runs later, when the caller may have changed the record.
      const entry = encodeSession(session)
      return transact(root, () => {
        if (records.doesExist(id)) return false
        records.put(id, entry)
        byUser.put(userId, id)
        return true
      })
    },
    revoke: (id, reason, atMs = Date.now()) =>
      updateAndNotify(id, (entry) =>
        entry.status === 'revoked' ? entry : { ...entry, status: 'revoked', revokedReason: reason, revokedMs: atMs }
      ),
    async listByUser(userId) {
      const ids = [...byUser.getValues(userId)]
      return ids.flatMap((id) => records.get(id) ?? []).map(decodeSession)
    },
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
    async isEmpty() {
      return [...records.getKeys({ limit: 1 })].length === 0
    }
  }
}
