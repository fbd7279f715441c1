// SPDX-License-Identifier: MIT
// What a record in the store amounts to: nothing, a lost key, a key that was not enrolled yet, or a session.

import { CountersignError } from '../../common/errors.ts'
import type { Stored } from '../../common/types.ts'
import { textOf } from '../../core/args.ts'
import type { ClientCore } from '../../core/client-core.ts'
import type { ClockNotes } from '../server-clock.ts'
import { type DeviceKey, doesKeySign, keyOfRecord, thumbprintOf } from './device-key.ts'

/** An enrolled key and the session it signs for. */
export type Session = {
  readonly id: string
  readonly key: DeviceKey
  /** A key that may have replaced it: which of the two the server has is to be asked. */
  readonly next?: DeviceKey | undefined
}

/** What is remembered beside a session's key: of the server's time and of its keys. */
export type Notes = ClockNotes & Pick<Stored, 'serverKeys'>

/** What a record turned out to be; `new` is a key that was stored and not enrolled yet. */
export type RecordState =
  | { readonly is: 'none' }
  | { readonly is: 'lost'; readonly cause: CountersignError }
  | { readonly is: 'new'; readonly key: DeviceKey }
  | { readonly is: 'ready' | 'revoked'; readonly session: Session; readonly notes: Notes }

/** isSessionId tells whether a value is a session id: 22 base64url characters, any text with an existing galaxy gateway. */
export function isSessionId(value: unknown, compatible: boolean): value is string {
  if (!compatible) return typeof value === 'string' && /^[A-Za-z0-9_-]{22}$/.test(value)
  try {
    return textOf(value, 'device_session_id') === value
  } catch {
    return false
  }
}

const lost = (detail: string): RecordState => ({
  is: 'lost',
  cause: new CountersignError('ERR_KEY_UNUSABLE', { detail })
})

/** usableKey reads the key of a record, or of its `next`, and tries it; undefined where it does not sign. */
export async function usableKey(core: ClientCore, record: Stored['next']): Promise<DeviceKey | undefined> {
  const key = record && keyOfRecord(record)
  return key && (await doesKeySign(core, key)) ? key : undefined
}

/** judge reads a record; a corrupt one is a lost key, never a reason to make a new one. */
export async function readKeyRecord(
  core: ClientCore,
  record: Stored | null,
  compatible: boolean
): Promise<RecordState> {
  if (record === null || record === undefined) return { is: 'none' }
  const key = keyOfRecord(record)
  if (!key) return lost('the record is damaged')
  const { sessionId, revoked, clock, timeFloorMs, thumbprint, next, serverKeys } = record
  if (thumbprint !== undefined && thumbprint !== thumbprintOf(core, key))
    return { is: 'lost', cause: new CountersignError('ERR_KEY_MISMATCH') }
  if (!(await doesKeySign(core, key))) return lost('the key does not sign')
  if (sessionId === undefined) return { is: 'new', key }
  if (!isSessionId(sessionId, compatible)) return lost('the record is damaged')
  const notes = {
    ...(clock ? { clock } : {}),
    ...(timeFloorMs === undefined ? {} : { timeFloorMs }),
    ...(serverKeys ? { serverKeys } : {})
  }
  const session = { id: sessionId, key, next: await usableKey(core, next) }
  return { is: revoked ? 'revoked' : 'ready', session, notes }
}
