// SPDX-License-Identifier: MIT
// Reads each option of `events()` once and checks it.

import { badArgument, integerOf, optionsOf, textOf } from '../../core/args.ts'
import { signalOf } from '../call-options.ts'
import type { Wanted } from './event-hub.ts'
import type { Carrier, EventCursor, EventsOptions } from './types.ts'

const afterOf = (value: EventsOptions['after']): Partial<EventCursor> | undefined => {
  if (value === undefined) return undefined
  if (typeof value === 'number') return { sequence: integerOf(value, 0, Number.MAX_SAFE_INTEGER, 'after') }
  const { stream, sequence } = optionsOf(value, 'after', ['stream', 'sequence'])
  if (typeof stream !== 'string' || !/^[A-Za-z0-9_-]{22}$/.test(stream))
    throw badArgument('after.stream must be 22 characters of base64url')
  return { stream, sequence: integerOf(sequence, 0, Number.MAX_SAFE_INTEGER, 'after.sequence') }
}

const typesOf = (value: unknown): readonly string[] | undefined => {
  if (value === undefined) return undefined
  if (!Array.isArray(value)) throw badArgument('types must be an array')
  return Array.from(value, (type) => textOf(type, 'a type'))
}

const carrierOf = (value: unknown): Carrier | undefined => {
  if (value === undefined || value === 'auto') return undefined
  if (value === 'sse' || value === 'websocket' || value === 'poll') return value
  throw badArgument('carrier must be auto, sse, websocket or poll')
}

/** Checks the options of `events()`. Throws usage errors. */
export function readEventsOptions(options: EventsOptions): Wanted & { signal: AbortSignal | undefined } {
  const { after, types, signal, carrier } = optionsOf(options, 'options', ['after', 'types', 'signal', 'carrier'])
  return {
    after: afterOf(after),
    types: typesOf(types),
    signal: signalOf(signal),
    carrier: carrierOf(carrier)
  }
}
