// SPDX-License-Identifier: MIT
// The signed messages. Both are made from the event's JSON form, without its signatures.

import { encodeText } from '../../common/text.ts'
import type { Bytes } from '../../common/types.ts'
import { badArgument } from '../../core/args.ts'
import { cleanJson, isJsonObject, type JsonObject, writeCanonical } from '../common/canonical-json.ts'
import { STRICT_LABEL } from './keys.ts'
import type { EventLike } from './types.ts'

/**
 * Returns a fresh clean copy of an event.
 * @throws ERR_INVALID_ARGUMENT, with the path, when JSON would change or drop a part of it.
 */
export function cleanEvent(event: unknown): JsonObject {
  const clean = cleanJson(event, 'event')
  if (!isJsonObject(clean)) throw badArgument('event must be an object')
  return clean
}

/** Does compatibleMessage's work for a clean event. */
export function writeCompatible(event: JsonObject): string {
  const { signature: _, ...signed } = event
  // StatsCode passes the names to sort the members. An array here also drops all other names, at every depth.
  return JSON.stringify(signed, Object.keys(signed).sort())
}

/** Does strictMessage's work for a clean event. */
export function writeStrict(event: JsonObject): Bytes {
  const { signature: _, ...signed } = event
  if (isJsonObject(signed.data)) {
    const { strict_signature: _, ...data } = signed.data
    signed.data = data
  }
  const label = encodeText(STRICT_LABEL)
  const body = encodeText(writeCanonical(signed))
  const message = new Uint8Array(1 + label.length + body.length)
  message[0] = label.length
  message.set(label, 1)
  message.set(body, 1 + label.length)
  return message
}

/**
 * Returns the text that StatsCode signs, for an event with or without its signature. Members of `data` are not part
 * of it, unless the event itself has a member of that name. This signature does not protect them.
 * @throws ERR_INVALID_ARGUMENT, with the path, when JSON would change or drop a part of the event.
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
 * Returns the bytes of the strict signature: the length and the label `stats-event-v2`, then the canonical JSON (RFC
 * 8785) of the event without `signature` and `data.strict_signature`.
 * @throws ERR_INVALID_ARGUMENT as compatibleMessage does.
 */
export function strictMessage(event: EventLike): Bytes {
  return writeStrict(cleanEvent(event))
}
