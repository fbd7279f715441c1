// SPDX-License-Identifier: MIT
// The message types that every gateway answers by itself (PROTOCOL.md, R87).

import { encodeText } from './encoding.ts'
import { readFlatObject } from './strict-json.ts'
import type { Handler, KeyManifest, Session, SessionStore } from './types.ts'

const describe = (session: Session, currentId: string) => ({
  device_session_id: session.id,
  algorithm: session.algorithm,
  status: session.status,
  created_ms: session.createdMs,
  last_seen_ms: session.lastSeenMs,
  ...(session.revokedMs === undefined ? {} : { revoked_ms: session.revokedMs }),
  current: session.id === currentId
})

const writeManifest = ({ serial, keys }: KeyManifest): string =>
  JSON.stringify({
    serial,
    keys: keys.map(({ id, publicKey, notBefore, notAfter }) => ({
      id,
      public_key: encodeText(publicKey, 'base64'),
      ...(notBefore === undefined ? {} : { not_before: notBefore }),
      not_after: notAfter
    }))
  })

/** createBuiltins makes the handlers of `cs.time`, `cs.sessions`, `cs.revoke` and, where there is a manifest, `cs.keys`. */
export const createBuiltins = (
  sessions: SessionStore,
  nowMs: () => number,
  manifest: KeyManifest | undefined
): { readonly [type: string]: Handler } => ({
  ...(manifest ? { 'cs.keys': () => ({ payload: writeManifest(manifest) }) } : {}),

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
