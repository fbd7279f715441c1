// SPDX-License-Identifier: MIT
// Checks the arguments of the calls about events: their checks, and the ids that bind them to their streams.

import type { BytesLike, EventOptions, OpenedEvent } from '../common/types.ts'
import { bytesOf, copyOf, integerOf, lengthOf, optionsOf, partOf, textOf, timeOf } from './args.ts'
import type { HeldKeys } from './client-core.ts'
import { hashOf } from './client-core.ts'
import { checkEvent, NONE } from './event-check.ts'
import { parseHead, readTrust } from './frames.ts'
import { withKeys } from './key-list.ts'
import type { Wasm } from './wasm.ts'

const sequenceOf = (value: unknown, name: string): number => integerOf(value, 0, Number.MAX_SAFE_INTEGER, name)

/**
 * Returns the id of an event at its place in a stream.
 * @throws ERR_INVALID_TEXT when a text is not valid, and usage errors.
 */
export function eventId(wasm: Wasm, stream: string, sequence: number, eventType: string): string {
  const place = sequenceOf(sequence, 'sequence')
  wasm.begin()
  const size = wasm.call.event_id(place, wasm.text(stream, 'stream'), wasm.text(eventType, 'eventType'))
  return wasm.outAscii(0, wasm.check(size))
}

const readEventRules = (ring: HeldKeys, options: EventOptions) => {
  const given = optionsOf(options, 'options')
  const { deviceSessionId, stream, lastSequence, sinceMs = 0 } = given
  const { window = [NONE, 0, 0] as const, ...trust } = readTrust(ring, given)
  const rules = {
    ...trust,
    session: textOf(deviceSessionId, 'deviceSessionId'),
    stream: textOf(stream, 'stream')
  }
  const last = lastSequence === undefined ? NONE : sequenceOf(lastSequence, 'lastSequence')
  return { rules, place: [last, timeOf(sinceMs, 'sinceMs'), ...window] as const }
}

/**
 * Makes all checks of an event in their order and returns the event.
 * @throws the error of the first check that refuses, and usage errors.
 */
export function openEvent(wasm: Wasm, bytes: BytesLike, options: EventOptions): OpenedEvent {
  const frame = bytesOf(bytes, 'frame')
  return withKeys(wasm, optionsOf(options, 'options').keys, (ring) => {
    const { rules, place } = readEventRules(ring, options)
    const size = parseHead(wasm, frame)
    const payload = copyOf(partOf(frame, size, lengthOf(frame)), 'frame')
    return { ...checkEvent(wasm, partOf(frame, 0, size), hashOf(wasm, payload), rules, place), payload }
  })
}
