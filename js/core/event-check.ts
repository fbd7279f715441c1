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
  wasm: Wasm,
  envelope: Uint8Array,
  payloadHash: Uint8Array,
  rules: EventRules
): Omit<OpenedEvent, 'payload'> {
  wasm.begin().put(payloadHash)
  const size = wasm.put(envelope)
  const label = wasm.text(rules.label, 'label')
  const session = wasm.text(rules.session, 'deviceSessionId')
  const stream = wasm.text(rules.stream, 'stream')
  wasm.trust(rules.keys)
  const { timeFloorMs, last = NONE, sinceMs, window = [NONE, 0, 0] as const } = rules
  wasm.check(wasm.call.open_event(size, label, session, stream, timeFloorMs, last, sinceMs, ...window))
  return { eventType: wasm.textAt(2), sequence: wasm.number(1), timestampMs: wasm.number(0), eventId: wasm.textAt(4) }
}
