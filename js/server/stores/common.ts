// SPDX-License-Identifier: MIT
// Bounds and small steps that several stores share.

import { CountersignError } from '../../common/errors.ts'
import { encodeBase64 } from '../support/encoding.ts'
import type { PruneBounds, ReplayShare, SessionRecord } from '../types.ts'

/** Request ids that a store holds by default: one session at 200 requests a second never fills its share. */
export const REPLAY_CAPACITY = 2 ** 20
/** Challenges and counters that a lasting store holds. */
export const CODE_CAPACITY = 2 ** 17
/** Idempotent answers that a lasting store holds by default. */
export const ANSWER_CAPACITY = 2 ** 17
/**
 * The version of the form in which a store keeps an answer. Version 1 has no number and no headers. An answer in a later
 * form cannot be told, so its outcome counts as unknown.
 */
export const ANSWER_FORMAT = 2
/** Events that a store keeps for one session by default. */
export const EVENTS_PER_SESSION = 256
/** Bytes of events that a store keeps for one session by default. */
export const EVENT_BYTES_PER_SESSION = 2 ** 20
/** Bytes that an event costs beside its payload, roughly. */
export const EVENT_OVERHEAD = 128

/** Keys that a session may replace in its life. Then its user enrols anew (R149). */
export const MAX_REPLACED_KEYS = 64

const OWNER_SHARE = 64
const REPLAY_KEY_SIZE = 32

/** Returns how many entries of a store one owner may hold: a 64th of its capacity, 1 at least. */
export function quotaOf(capacity: number): number {
  return Math.max(1, Math.floor(capacity / OWNER_SHARE))
}

/**
 * Returns the room of a share: for all entries, and for ids. The difference is kept for session floors, so that a request
 * beyond the share can be refused for good (R142, R163).
 */
export function roomOf(capacity: number, { part }: ReplayShare): { most: number; ids: number } {
  const most = Math.max(1, Math.floor(capacity / part))
  return { most, ids: most - Math.floor(most / 8) }
}

/** The reason of a revocation that made room for a new session (R143). */
export const REPLACED = 'replaced'

/** Returns the active sessions that a new one of the same user replaces, so that at most `maxLive` are active (R143). */
export function replacedBy<Session extends Pick<SessionRecord, 'id' | 'status' | 'createdMs' | 'lastSeenMs'>>(
  sessions: Session[],
  maxLive = Number.POSITIVE_INFINITY
): Session[] {
  const live = sessions.filter(({ status }) => status === 'active')
  const oldestFirst = live.sort(
    (one, other) => one.lastSeenMs - other.lastSeenMs || one.createdMs - other.createdMs || (one.id < other.id ? -1 : 1)
  )
  return oldestFirst.slice(0, Math.max(0, live.length + 1 - maxLive))
}

/** The beginning of a guest's user id (R161). */
export const GUEST = 'guest:'

/** The beginning of the source of a guest whose page has no origin of its own (R168). */
export const OPAQUE = 'opaque/'

/** The reason of a revocation that ended an idle session (R144). */
export const IDLE = 'idle'

/** Returns what `prune` does with a session (R144, R162). */
export function pruningOf(
  { userId, status, lastSeenMs, revokedMs }: Pick<SessionRecord, 'userId' | 'status' | 'lastSeenMs' | 'revokedMs'>,
  { idleBeforeMs, guestIdleBeforeMs = idleBeforeMs, revokedBeforeMs }: PruneBounds
): 'revoke' | 'remove' | 'keep' {
  const sinceMs = userId.startsWith(GUEST) ? Math.max(idleBeforeMs, guestIdleBeforeMs) : idleBeforeMs
  if (status === 'active') return lastSeenMs < sinceMs ? 'revoke' : 'keep'
  return (revokedMs ?? lastSeenMs) < revokedBeforeMs ? 'remove' : 'keep'
}

/** Checks the size of a request id's key. @throws ERR_INVALID_ARGUMENT when it is not 32 bytes. */
export function checkReplayKey(key32: Uint8Array): void {
  if (key32.length === REPLAY_KEY_SIZE) return
  throw new CountersignError('ERR_INVALID_ARGUMENT', { detail: 'reserve: key32 must be 32 bytes' })
}

/** Encodes bytes as base64url, for stores that keep text. */
export function encodeBytes(bytes: Uint8Array): string {
  return encodeBase64(bytes, 'base64url')
}

/** Decodes base64url that `encodeBytes` wrote. */
export function decodeBytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64url'))
}

/** Returns a copy of a session that shares no bytes with it. */
export function copySession(session: SessionRecord): SessionRecord {
  const { previous, publicKey, replacedKeys } = session
  return {
    ...session,
    publicKey: publicKey.slice(),
    ...(previous ? { previous: { ...previous, publicKey: previous.publicKey.slice() } } : {}),
    ...(replacedKeys ? { replacedKeys: [...replacedKeys] } : {})
  }
}

/** The keys of a session as text, as `encodeBytes` writes them. */
type KeyTexts = { publicKey: string; previous?: { publicKey: string }; replacedKeys?: readonly string[] }

/**
 * Returns a session's replaced keys after `next` has replaced its present key. Returns undefined where it must not: the
 * session has or had that key, or it had too many (R149). A record that was written before there was this list has
 * its previous key only.
 */
export function replacedKeysAfter(session: KeyTexts, next: string): readonly string[] | undefined {
  const { publicKey, previous, replacedKeys = previous ? [previous.publicKey] : [] } = session
  const keys = [...replacedKeys, publicKey]
  return keys.includes(next) || keys.length > MAX_REPLACED_KEYS ? undefined : keys
}
