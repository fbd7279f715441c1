// SPDX-License-Identifier: MIT
// The list of a user's sessions.

import { CountersignError } from '../../common/errors.ts'
import { parseJson } from '../../common/text.ts'
import type { Algorithm, Bytes } from '../../common/types.ts'

/** One of the user's sessions, as the gateway lists them. Times are in Unix milliseconds. */
export type SessionInfo = {
  deviceSessionId: string
  /** The user's name for the device; absent until it has one. */
  name?: string
  algorithm: Algorithm
  status: 'active' | 'revoked'
  createdMs: number
  lastSeenMs: number
  revokedMs?: number
  /** True for this client's own session. */
  isCurrent: boolean
}

type ListedSession = {
  device_session_id: string
  name?: string
  algorithm: Algorithm
  status: SessionInfo['status']
  created_ms: number
  last_seen_ms: number
  revoked_ms?: number
  current: boolean
}

/**
 * Parses the verified answer to `cs.sessions`.
 * @throws ERR_BAD_JSON when it is no such list.
 */
export function readSessions(payload: Bytes): SessionInfo[] {
  try {
    const { sessions } = parseJson(payload) as { sessions: ListedSession[] }
    return sessions.map((listed) => ({
      deviceSessionId: listed.device_session_id,
      ...(listed.name === undefined ? {} : { name: listed.name }),
      algorithm: listed.algorithm,
      status: listed.status,
      createdMs: listed.created_ms,
      lastSeenMs: listed.last_seen_ms,
      ...(listed.revoked_ms === undefined ? {} : { revokedMs: listed.revoked_ms }),
      isCurrent: listed.current
    }))
  } catch (cause) {
    throw new CountersignError('ERR_BAD_JSON', { cause, detail: 'the list of sessions' })
  }
}
