// SPDX-License-Identifier: MIT
// The payload of a subscription, and the position in a session's stream that it asks for (R101 to R103).

import { encodeJson } from '../../common/text.ts'
import { parseOptionalMembers } from '../support/flat-json.ts'
import type { EventPage } from '../types.ts'

/** The payload of `cs.subscribe` and `cs.poll`. `waitMs` belongs to `cs.poll`. */
export type SubscribePayload = { after: number | undefined; stream: string | undefined; waitMs: number }

const MAX_WAIT_MS = 25_000

/** Parses a payload. Returns undefined when it is malformed. `{}` asks for the events from now on. */
export function parseSubscribePayload(payload: Uint8Array, isPoll: boolean): SubscribePayload | undefined {
  const members = parseOptionalMembers(payload, { after: 'number', stream: 'string', wait_ms: 'number' })
  if (!members) return undefined
  const { after, stream, wait_ms: waitMs } = members
  if (waitMs !== undefined && (!isPoll || waitMs > MAX_WAIT_MS)) return undefined
  if (stream !== undefined && (after === undefined || !/^[A-Za-z0-9_-]{22}$/.test(stream))) return undefined
  return { after, stream, waitMs: waitMs ?? 0 }
}

/** Returns whether events after number `last` are no longer kept, or were never numbered. */
export function isBehind({ oldest, next }: EventPage, last: number): boolean {
  return last < oldest - 1 || last >= next
}

/** Returns the number after which a subscriber goes on, and whether a `cs.gap` must come first in any case. */
export function startOf(page: EventPage, { after, stream }: SubscribePayload): { last: number; isOther: boolean } {
  return { last: after ?? page.next - 1, isOther: stream !== undefined && stream !== page.stream }
}

/** Writes the payload of a subscription's answer and of `cs.gap`. */
export function writePosition({ stream, next, oldest }: EventPage): Uint8Array {
  return encodeJson({ stream, next, oldest })
}
