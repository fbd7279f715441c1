// SPDX-License-Identifier: MIT
// The call that judges an event. It checks no arguments and imports nothing, so that a page which listens downloads just this.

import type { OpenedEvent } from '../common/types.ts'
import type { TrustedKeyBytes, Wasm } from './wasm.ts'

/** What the call takes, checked by whoever makes it. */
export type EventRules = {
  readonly label: string
  readonly session: string
  readonly stream: string
  readonly keys: readonly TrustedKeyBytes[]
  readonly timeFloorMs: number
  /** Not judged where there is none. */
  readonly last: number | undefined
  readonly sinceMs: number
  /** Now, how far back, how far ahead. */
  readonly window?: readonly [number, number, number] | undefined
}

/** Stands for a time or a number that was not given. */
const NONE = -1

/** judgeEvent makes all checks of an event whose payload was hashed; throws the error of the first that refuses. */
export function checkEvent(
  w: Wasm,
  envelope: Uint8Array,
  payloadHash: Uint8Array,
  rules: EventRules
): Omit<OpenedEvent, 'payload'> {
  w.begin().put(payloadHash)
  const size = w.put(envelope)
  const label = w.text(rules.label, 'label')
  const session = w.text(rules.session, 'deviceSessionId')
  const stream = w.text(rules.stream, 'stream')
  w.trust(rules.keys)
  const { timeFloorMs, last = NONE, sinceMs, window = [NONE, 0, 0] as const } = rules
  w.check(w.call.open_event(size, label, session, stream, timeFloorMs, last, sinceMs, ...window))
  return { eventType: w.textAt(2), sequence: w.number(1), timestampMs: w.number(0), eventId: w.textAt(4) }
}
