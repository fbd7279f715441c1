// SPDX-License-Identifier: MIT
// The message types that every gateway answers itself (PROTOCOL.md, R87).

import { encodeBase64, isText } from '../support/encoding.ts'
import { parseFlatObject } from '../support/flat-json.ts'
import type { Handler, HandlerContext, HandlerResult, KeyManifest, SessionRecord, SessionStore } from '../types.ts'
import { createRotation, type RotationOptions } from './rotate-key.ts'

const describe = (session: SessionRecord, currentId: string) => ({
  device_session_id: session.id,
  ...(session.name === undefined ? {} : { name: session.name }),
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
      public_key: encodeBase64(publicKey, 'base64'),
      ...(notBefore === undefined ? {} : { not_before: notBefore }),
      not_after: notAfter
    }))
  })

// Another user's session and an unknown id get the same answer, so that a client cannot probe ids.
async function ofUser(
  sessions: SessionStore,
  { userId }: HandlerContext,
  id: string | undefined,
  work: (id: string) => Promise<unknown>
): Promise<HandlerResult> {
  if (id === undefined) return { resultCode: 'invalid_payload' }
  const session = await sessions.get(id)
  if (session?.userId !== userId) return { resultCode: 'not_found' }
  await work(id)
  return {}
}

function createRename(sessions: SessionStore): Handler {
  return (context) => {
    const { device_session_id: id, name } = parseFlatObject(context.payload, ['device_session_id', 'name']) ?? {}
    return ofUser(
      sessions,
      context,
      isText(name) ? id : undefined,
      (ownId) => sessions.rename?.(ownId, name as string) as Promise<boolean>
    )
  }
}

/** The parts that the built-in handlers need. */
export type BuiltinOptions = RotationOptions & { manifest: KeyManifest | undefined }

/**
 * Returns the handlers of `cs.time`, `cs.sessions`, `cs.revoke` and `cs.freeze`. It adds `cs.keys` where there is a manifest, and
 * `cs.rotate_key` and `cs.rename` where the session store supports them.
 */
export function createBuiltins(options: BuiltinOptions): { readonly [type: string]: Handler } {
  const { sessions, nowMs, manifest } = options
  return {
    ...(manifest ? { 'cs.keys': () => ({ payload: writeManifest(manifest) }) } : {}),
    ...(typeof sessions.replaceKey === 'function' ? { 'cs.rotate_key': createRotation(options) } : {}),
    ...(typeof sessions.rename === 'function' ? { 'cs.rename': createRename(sessions) } : {}),

    // The client reads the timestamp of the signed answer.
    'cs.time': () => ({}),

    'cs.sessions': async ({ session, userId }) => {
      const all = await sessions.listByUser(userId)
      const list = all
        .map((entry) => describe(entry, session.id))
        .sort((one, other) => other.created_ms - one.created_ms)
      return { payload: JSON.stringify({ sessions: list }) }
    },

    // The key before a rotation may sign it, so it ends no session but its own (R151).
    'cs.freeze': async ({ session, payload }) => {
      if (payload.length > 0) return { resultCode: 'invalid_payload' }
      await sessions.revoke(session.id, 'frozen', nowMs())
      return {}
    },

    'cs.revoke': (context) =>
      ofUser(sessions, context, parseFlatObject(context.payload, ['device_session_id'])?.device_session_id, (id) =>
        sessions.revoke(id, 'user', nowMs())
      )
  }
}
