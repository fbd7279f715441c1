// SPDX-License-Identifier: MIT
// Sessions in LMDB: one record each, and an index by user.

import type { RootDatabase } from 'lmdb'
import { encodeText, isSameBytes } from './encoding.ts'
import type { Session, SessionStore } from './types.ts'

// Bytes as text: what a decoder gives back may lie in memory that the next read writes over.
type Kept = Omit<Session, 'publicKey'> & { publicKey: string }

const keep = (session: Session): Kept => ({ ...session, publicKey: encodeText(session.publicKey, 'base64url') })
const give = (kept: Kept): Session => ({ ...kept, publicKey: new Uint8Array(Buffer.from(kept.publicKey, 'base64url')) })

/** lmdbSessions makes a SessionStore in an open environment. */
export const lmdbSessions = (root: RootDatabase): SessionStore => {
  const records = root.openDB<Kept, string>({ name: 'sessions', encoding: 'json' })
  const byUser = root.openDB<string, string>({ name: 'sessions-by-user', encoding: 'string', dupSort: true })

  const update = (id: string, change: (kept: Kept) => Kept | undefined): Promise<boolean> =>
    root.transaction(() => {
      const kept = records.get(id)
      const next = kept && change(kept)
      if (next) records.put(id, next)
      return next !== undefined
    })

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
      update(id, (kept) =>
        kept.status === 'revoked' ? kept : { ...kept, status: 'revoked', revokedReason: reason, revokedMs: atMs }
      ),
    async listByUser(userId) {
      const ids = [...byUser.getValues(userId)]
      return ids.flatMap((id) => records.get(id) ?? []).map(give)
    },
    replaceKey: (id, expectedKey, { algorithm, publicKey }) =>
      update(id, (kept) =>
        isSameBytes(give(kept).publicKey, expectedKey)
          ? { ...kept, algorithm, publicKey: encodeText(publicKey, 'base64url') }
          : undefined
      ),
    async touch(id, ms) {
      await update(id, (kept) => (ms > kept.lastSeenMs ? { ...kept, lastSeenMs: ms } : undefined))
    },
    async isEmpty() {
      return [...records.getKeys({ limit: 1 })].length === 0
    }
  }
}
