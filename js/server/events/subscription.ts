// SPDX-License-Identifier: MIT
// What a subscriber asks for, and where in a session's stream that is (PROTOCOL.md, R101 to R103).

import { readOptionalMembers } from '../support/flat-json.ts'
import type { EventPage } from '../types.ts'

/** The payload of `cs.subscribe` and `cs.poll`; `waitMs` is the latter's. */
export type Subscription = { after: number | undefined; stream: string | undefined; waitMs: number }

export const MAX_WAIT_MS = 25_000

/** readSubscription reads a payload; undefined for one that is none. `{}` asks for what comes from now on. */
export function readSubscription(payload: Uint8Array, isPoll: boolean): Subscription | undefined {
  const members = readOptionalMembers(payload, { after: 'number', stream: 'string', wait_ms: 'number' })
  if (!members) return undefined
  const { after, stream, wait_ms: waitMs } = members
  if (waitMs !== undefined && (!isPoll || waitMs > MAX_WAIT_MS)) return undefined
  if (stream !== undefined && (after === undefined || !/^[A-Za-z0-9_-]{22}$/.test(stream))) return undefined
  return { after, stream, waitMs: waitMs ?? 0 }
}

/** isBehind tells whether events after number `last` are no longer kept, or were never numbered. */
export function isBehind({ oldest, next }: EventPage, last: number): boolean {
  return last < oldest - 1 || last >= next
}

/** startOf gives the number after which a subscriber goes on, and whether a `cs.gap` has to be said first whatever it is. */
export function startOf(page: EventPage, { after, stream }: Subscription): { last: number; isOther: boolean } {
  return {
    last: after ?? page.next - 1,
    isOther: stream !== undefined && stream !== page.stream
  }
}

/** writePosition is the payload of the first answer and of `cs.gap`. */
export function writePosition({ stream, next, oldest }: EventPage): Uint8Array {
  return Buffer.from(JSON.stringify({ stream, next, oldest }))
}
