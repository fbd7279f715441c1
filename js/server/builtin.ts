// SPDX-License-Identifier: MIT
// The message types that every gateway answers by itself (PROTOCOL.md, R87).

import { readFlatObject } from './strict-json.ts'
import type { Handler, Session, SessionStore } from './types.ts'

const describe = (session: Session, currentId: string) => ({
  device_session_id: session.id,
  algorithm: session.algorithm,
  status: session.status,
  created_ms: session.createdMs,
  last_seen_ms: session.lastSeenMs,
  ...(session.revokedMs === undefined ? {} : { revoked_ms: session.revokedMs }),
  current: session.id === currentId
})

/** createBuiltins makes the handlers of `cs.time`, `cs.sessions` and `cs.revoke` over a session store. */
export const createBuiltins = (sessions: SessionStore, nowMs: () => number): { readonly [type: string]: Handler } => ({
  // The answer's own timestamp is the point.
  'cs.time': () => ({}),

  'cs.sessions': async ({ session, userId }) => {
    const all = await sessions.listByUser(userId)
    const list = all.map((entry) => describe(entry, session.id)).sort((one, other) => other.created_ms - one.created_ms)
    return { payload: JSON.stringify({ sessions: list }) }
  },

  // Somebody else's session and none at all are one answer: ids are not to be probed.
  'cs.revoke': async ({ userId, payload }) => {
    const id = readFlatObject(payload, ['device_session_id'])?.device_session_id
    if (id === undefined) return { resultCode: 'invalid_payload' }
    const session = await sessions.get(id)
    if (session?.userId !== userId) return { resultCode: 'not_found' }
    await sessions.revoke(id, 'user', nowMs())
    return {}
  }
})
