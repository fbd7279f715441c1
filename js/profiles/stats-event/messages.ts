// SPDX-License-Identifier: MIT
// What is signed. Both messages are made of the event as JSON has it, without its signatures.

import type { Bytes } from '../../common/types.ts'
import { badArgument } from '../../core/args.ts'
import { cleanJson, isJsonObject, type JsonObject, writeCanonical } from '../common/canonical-json.ts'
import { STRICT_LABEL } from './keys.ts'
import type { EventLike } from './types.ts'

const encoder = new TextEncoder()

/** Gives a fresh clean copy of an event; throws ERR_INVALID_ARGUMENT, naming the path. */
export function cleanEvent(event: unknown): JsonObject {
  const clean = cleanJson(event, 'event')
  if (!isJsonObject(clean)) throw badArgument('event must be an object')
  return clean
}

/** writeCompatible is compatibleMessage for a clean event. */
export function writeCompatible(event: JsonObject): string {
  const { signature: _, ...signed } = event
  // The names are meant to sort the members, and do more: an array here keeps only these names, at every depth.
  return JSON.stringify(signed, Object.keys(signed).sort())
}

/** writeStrict is strictMessage for a clean event. */
export function writeStrict(event: JsonObject): Bytes {
  const { signature: _, ...signed } = event
  if (isJsonObject(signed.data)) {
    const { strict_signature: _, ...data } = signed.data
    signed.data = data
  }
  const label = encoder.encode(STRICT_LABEL)
  const body = encoder.encode(writeCanonical(signed))
  const message = new Uint8Array(1 + label.length + body.length)
  message[0] = label.length
  message.set(label, 1)
  message.set(body, 1 + label.length)
  return message
}

/**
 * Gives the text StatsCode signs, of an event with or without its signature. The members of `data` are not
 * in it, unless they bear the name of a member of the event itself: this signature does not protect them. It throws
 * ERR_INVALID_ARGUMENT for what does not come back from JSON as it went, naming the path.
 *
 * @example
 * ```ts
 * compatibleMessage(event) // '{"data":{},"deviceId":"438b0255b839481c","nonce":…,"timestamp":…,"type":"session"}'
 * ```
 */
export function compatibleMessage(event: EventLike): string {
  return writeCompatible(cleanEvent(event))
}

/**
 * Gives the bytes of the strict signature: the length and the label `stats-event-v2`, then the canonical JSON
 * (RFC 8785) of the event without `signature` and `data.strict_signature`. It throws as compatibleMessage does.
 */
export function strictMessage(event: EventLike): Bytes {
  return writeStrict(cleanEvent(event))
}
