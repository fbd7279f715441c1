// SPDX-License-Identifier: MIT
// Sessions in LMDB: one record each, and an index by user.

import type { RootDatabase } from 'lmdb'
import { encodeText } from '../../support/encoding.ts'
import type { SessionRecord, SessionStore } from '../../types.ts'
import type { Changes } from './changes.ts'

// Bytes as text: what a decoder gives back may lie in memory that the next read writes over.
type Kept = Omit<SessionRecord, 'publicKey' | 'previous'> & {
  publicKey: string
  previous?: Omit<NonNullable<SessionRecord['previous']>, 'publicKey'> & { publicKey: string }
}

const keepKey = <Key extends { publicKey: Uint8Array }>(key: Key) => ({
  ...key,
  publicKey: encodeText(key.publicKey, 'base64url')
})
const giveKey = <Key extends { publicKey: string }>(key: Key) => ({
  ...key,
  publicKey: new Uint8Array(Buffer.from(key.publicKey, 'base64url'))
})
const keep = ({ previous, ...session }: SessionRecord): Kept => ({
  ...keepKey(session),
  ...(previous ? { previous: keepKey(previous) } : {})
})
const give = ({ previous, ...kept }: Kept): SessionRecord => ({
  ...giveKey(kept),
  ...(previous ? { previous: giveKey(previous) } : {})
})

// The key of a session changes, and with a time the present one becomes the one before.
function withKey(kept: Kept, next: Pick<Kept, 'algorithm' | 'publicKey'>, atMs: number | undefined): Kept {
  const { previous: _, ...rest } = kept
  const { algorithm, publicKey } = kept
  return { ...rest, ...next, ...(atMs === undefined ? {} : { previous: { algorithm, publicKey, replacedMs: atMs } }) }
}

/** lmdbSessions makes a SessionStore in an open environment, which notes what others have to hear of in `changes`. */
export function lmdbSessions(root: RootDatabase, changes: Changes): SessionStore {
  const records = root.openDB<Kept, string>({ name: 'sessions', encoding: 'json' })
  const byUser = root.openDB<string, string>({ name: 'sessions-by-user', encoding: 'string', dupSort: true })

  const update = (id: string, change: (kept: Kept) => Kept | undefined): Promise<boolean> =>
    root.transaction(() => {
      const kept = records.get(id)
      const next = kept && change(kept)
      if (next) records.put(id, next)
      return next !== undefined
    })

  const updateAndTell = async (id: string, change: (kept: Kept) => Kept | undefined): Promise<boolean> => {
    let tell: (() => void) | undefined
    const isChanged = await update(id, (kept) => {
      const next = change(kept)
      if (next && next !== kept) tell = changes.note('sessions', id)
      return next
    })
    tell?.()
    return isChanged
  }

  return {
    async get(id) {
      // LMDB reads from one snapshot for a while; a revocation by another process has to be seen at once.
      root.resetReadTxn()
      const kept = records.get(id)
      return kept ? give(kept) : null
    },
    create: (session) =>
      root.transaction(() => {
        if (records.doesExist(session.id)) return false
        records.put(session.id, keep(session))
        byUser.put(session.userId, session.id)
        return true
      }),
    revoke: (id, reason, atMs = Date.now()) =>
      updateAndTell(id, (kept) =>
        kept.status === 'revoked' ? kept : { ...kept, status: 'revoked', revokedReason: reason, revokedMs: atMs }
      ),
    async listByUser(userId) {
      const ids = [...byUser.getValues(userId)]
      return ids.flatMap((id) => records.get(id) ?? []).map(give)
    },
    replaceKey(id, expectedKey, { atMs, ...given }) {
      // Encoded at entry: a transaction runs later, when the caller may have changed its bytes.
      const next = keepKey(given)
      const expected = encodeText(expectedKey, 'base64url')
      return updateAndTell(id, (kept) =>
        kept.status === 'active' && kept.publicKey === expected ? withKey(kept, next, atMs) : undefined
      )
    },
    rename: (id, name) => update(id, (kept) => ({ ...kept, name })),
    async touch(id, ms) {
      await update(id, (kept) => (ms > kept.lastSeenMs ? { ...kept, lastSeenMs: ms } : undefined))
    },
    watch: (listener) => changes.listen('sessions', listener),
    async isEmpty() {
      return [...records.getKeys({ limit: 1 })].length === 0
    }
  }
}
