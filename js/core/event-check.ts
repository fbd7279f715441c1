// SPDX-License-Identifier: MIT
// Checks an event. This file checks no arguments and imports no code, so a page that listens downloads little.

import type { OpenedEvent } from '../common/types.ts'
import type { Keys } from './frames.ts'
import type { Wasm } from './wasm.ts'

/** The rules of one check. The caller has checked them. */
export type EventRules = {
  readonly label: string
  /** The id of the device session that the event must name. */
  readonly session: string
  readonly stream: string
  readonly ring: Keys
  readonly timeFloorMs: number
  /** The number of the last accepted event. Without it the core does not check the order. */
  readonly last: number | undefined
  readonly sinceMs: number
  /** The present time, the maximum age and the maximum lead, in milliseconds. */
  readonly window?: readonly [number, number, number] | undefined
}

/** Stands for a time or a number that the caller did not give. */
const NONE = -1

/**
 * Makes all checks of an event whose payload is hashed, and returns its fields.
 * @throws the error of the first check that refuses.
 */
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
  rules.ring.trust(wasm)
  const { timeFloorMs, last = NONE, sinceMs, window = [NONE, 0, 0] as const } = rules
  wasm.check(wasm.call.open_event(size, label, session, stream, timeFloorMs, last, sinceMs, ...window))
  return { eventType: wasm.textAt(2), sequence: wasm.number(1), timestampMs: wasm.number(0), eventId: wasm.textAt(4) }
}
