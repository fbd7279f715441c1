// SPDX-License-Identifier: MIT
// The signed message: five members of a proof in one fixed order, as the text that is sent. It is built once and
// never serialised again.

import { badArgument, optionsOf } from '../../core/args.ts'
import { cleanJson } from '../common/canonical-json.ts'
import type { ActionFields } from './types.ts'

/** The signed members, in the order of the message. */
export const MEMBERS = ['action_type', 'timestamp', 'action_data', 'expected_points', 'nonce'] as const
export const SIGNATURE = 'client_signature'
export const OUTER = 'action_proof'

/** Returns whether a value can name an action: 1 to 128 characters without control characters. */
export function isActionType(value: unknown): value is string {
  return (
    typeof value === 'string' && value.length > 0 && value.length <= 128 && !/[\u0000-\u001f\u007f]|\p{Cs}/u.test(value)
  )
}

/** Returns whether a value is a nonce: 8 to 128 characters from `!` to `~`. */
export function isNonce(value: unknown): value is string {
  return typeof value === 'string' && /^[!-~]{8,128}$/.test(value)
}

const TIMESTAMP = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{3})?Z$/

/**
 * Parses `YYYY-MM-DDTHH:MM:SS[.fff]Z` to Unix milliseconds. Returns undefined for a day that does not exist and for
 * every other format.
 */
export function timeOfTimestamp(value: unknown): number | undefined {
  const [text, fraction] = (typeof value === 'string' && TIMESTAMP.exec(value)) || []
  if (text === undefined) return undefined
  const ms = Date.parse(text)
  // Date takes 31 February for a day of March. A time before 1970 is not a time of the protocol.
  if (!(ms >= 0)) return undefined
  const same = new Date(ms).toISOString()
  return same === (fraction === undefined ? text.replace('Z', '.000Z') : text) ? ms : undefined
}

function timestampOf(value: unknown): string {
  if (typeof value === 'string') {
    if (timeOfTimestamp(value) === undefined) throw badArgument('timestamp must be YYYY-MM-DDTHH:MM:SS[.fff]Z')
    return value
  }
  const ms = value instanceof Date ? value.getTime() : value
  const isTime = typeof ms === 'number' && Number.isFinite(ms) && ms >= 0 && ms <= 253_402_300_799_999
  if (!isTime) throw badArgument('timestamp must be a time before the year 10000')
  return new Date(ms).toISOString()
}

/**
 * Returns the text that is signed.
 * @throws ERR_INVALID_ARGUMENT when JSON would change or drop a part of the fields. The error names the field, or the
 * path in `actionData`.
 *
 * @example
 * const actionData = { moves: 127 }
 * proofMessage({ actionType: 'puzzle_complete', timestamp: Date.now(), actionData, expectedPoints: 100, nonce })
 */
export function proofMessage(fields: ActionFields): string {
  const { actionType, timestamp, actionData, expectedPoints, nonce } = optionsOf(fields, 'fields')
  if (!isActionType(actionType)) throw badArgument('actionType must be 1 to 128 characters')
  if (!isNonce(nonce)) throw badArgument('nonce must be 8 to 128 characters from ! to ~')
  if (typeof expectedPoints !== 'number' || !Number.isFinite(expectedPoints)) {
    throw badArgument('expectedPoints must be a finite number')
  }
  const values = [actionType, timestampOf(timestamp), cleanJson(actionData, 'actionData'), expectedPoints, nonce]
  return `{${MEMBERS.map((name, at) => `"${name}":${JSON.stringify(values[at])}`).join(',')}}`
}
