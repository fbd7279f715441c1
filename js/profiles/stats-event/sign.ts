// SPDX-License-Identifier: MIT
// Creates events. The signature covers the clean copy that is returned, so the event that is sent is the event that
// was signed.

import { type FillRandom, wallNow } from '../../common/platform.ts'
import { encodeText } from '../../common/text.ts'
import { badArgument, optionsOf } from '../../core/args.ts'
import { encodeHex, randomHex } from '../common/bytes.ts'
import { cleanJson, isJsonObject, type Json, type JsonObject } from '../common/canonical-json.ts'
import { deviceKeyOf, type StatsDeviceKey } from './keys.ts'
import { writeCompatible, writeStrict } from './messages.ts'
import type { EventMode, SignedEvent, StatsEventFields } from './types.ts'

const NONCE_BYTES = 8

export type SignOptions = {
  /** Default: `strict`. */
  mode?: EventMode
  /** The allowed members of `data`; any other is ERR_INVALID_ARGUMENT. Do not put personal data into an event. */
  allow?: readonly string[]
  /** Replaces the platform's randomness, in tests. */
  random?: FillRandom
}

/**
 * Checks a mode; undefined means `strict`.
 * @throws ERR_INVALID_ARGUMENT for any other value.
 */
export function modeOf(mode: unknown): EventMode {
  if (mode === undefined) return 'strict'
  if (mode === 'strict' || mode === 'covered' || mode === 'compatible') return mode
  throw badArgument('mode must be strict, covered or compatible')
}

function textOf(value: unknown, name: string): string {
  if (typeof value !== 'string' || value === '' || value.length > 128) {
    throw badArgument(`${name} must be a string of 1 to 128 characters`)
  }
  return value
}

function timestampOf(value: unknown, mode: EventMode): number {
  if (mode === 'compatible' ? Number.isFinite(value) : Number.isSafeInteger(value) && (value as number) >= 0) {
    return value as number
  }
  throw badArgument('timestamp must be Unix milliseconds', 'ERR_INVALID_TIME')
}

function checkData(data: Json, mode: EventMode, allow: readonly string[] | undefined): void {
  if (mode === 'covered' && !isJsonObject(data)) {
    throw badArgument('event.data must be an object in covered mode')
  }
  // The signed message leaves this member out, so an application's value in it would be unprotected.
  if (mode !== 'compatible' && isJsonObject(data) && Object.hasOwn(data, 'strict_signature')) {
    throw badArgument('event.data.strict_signature must not be set; signEvent writes it')
  }
  if (allow === undefined) return
  if (!isJsonObject(data)) throw badArgument('event.data must be an object if allow is set')
  for (const name of Object.keys(data)) {
    if (!allow.includes(name))
      throw badArgument(`event.data[${JSON.stringify(name)}] is not on the list of allowed members`)
  }
}

async function tagText(key: StatsDeviceKey, purpose: 'compatible' | 'strict', event: JsonObject): Promise<string> {
  const message = purpose === 'strict' ? writeStrict(event) : encodeText(writeCompatible(event))
  return encodeHex(await key.tag(purpose, message))
}

/**
 * Creates and signs an event of the device. `strict` is for servers of this package. `covered` works for old servers
 * and for this package. `compatible` does exactly as StatsCode: the members of `data` stay unprotected.
 * Rejects with ERR_INVALID_ARGUMENT or ERR_INVALID_TIME, with the path, when JSON would change a part of the event.
 *
 * @example
 * ```ts
 * const event = await signEvent(key, { type: 'session', data: { id, duration_ms: 3_600_000 } }, { mode: 'covered' })
 * ```
 */
export async function signEvent(
  key: StatsDeviceKey,
  fields: StatsEventFields,
  options: SignOptions = {}
): Promise<SignedEvent> {
  const device = deviceKeyOf(key)
  const { mode: wanted, allow, random } = optionsOf(options, 'options')
  const mode = modeOf(wanted)
  const {
    type,
    data: given,
    timestamp = wallNow(),
    nonce = randomHex(NONCE_BYTES, random)
  } = optionsOf(fields, 'event')
  // The event is read once; the messages, the signature and the result all use this copy.
  const clean = cleanJson(
    {
      type: textOf(type, 'event.type'),
      data: given,
      timestamp: timestampOf(timestamp, mode),
      deviceId: device.deviceId,
      nonce: textOf(nonce, 'event.nonce')
    },
    'event'
  ) as JsonObject
  const { data } = clean
  if (data === undefined) throw badArgument('event.data has no JSON form')
  checkData(data, mode, allow)
  if (mode === 'covered') {
    const strict = await tagText(device, 'strict', clean)
    clean.data = { ...(data as JsonObject), strict_signature: strict }
  }
  const signature = await tagText(device, mode === 'strict' ? 'strict' : 'compatible', clean)
  return { ...clean, signature } as SignedEvent
}

/** The members of StatsCode's own events, by type. Use it as a start for `allow`. */
export const statsCodeMembers: { readonly [type: string]: readonly string[] } = Object.freeze({
  session: Object.freeze(['id', 'assistant', 'start_time', 'end_time', 'duration_ms']),
  interaction: Object.freeze(['tool'])
})

/** Creates events of the listed types, with the listed members. */
export type EventBuilder = (type: string, data: JsonObject, timestamp?: number) => Promise<SignedEvent>

/**
 * Creates a function that signs only events of listed types, with listed members of `data`. A later change elsewhere
 * then cannot put personal data into an event. The function rejects with ERR_INVALID_ARGUMENT for a type or a member
 * that is not listed.
 * @throws ERR_INVALID_ARGUMENT for invalid options.
 *
 * @example
 * ```ts
 * const build = createEventBuilder(key, { mode: 'covered', allow: statsCodeMembers })
 * await build('interaction', { tool: 'Edit' })
 * ```
 */
export function createEventBuilder(
  key: StatsDeviceKey,
  options: { mode?: EventMode; allow: { readonly [type: string]: readonly string[] }; random?: FillRandom }
): EventBuilder {
  const device = deviceKeyOf(key)
  const { mode: wanted, allow: lists, random } = optionsOf(options, 'options')
  const mode = modeOf(wanted)
  const known = new Map(Object.entries(optionsOf(lists, 'allow')).map(([type, names]) => [type, [...names]]))
  return async (type, data, timestamp) => {
    const allow = known.get(type)
    if (!allow) throw badArgument('event.type is not on the list of allowed types')
    const fields = { type, data, ...(timestamp === undefined ? {} : { timestamp }) }
    return signEvent(device, fields, { mode, allow, ...(random === undefined ? {} : { random }) })
  }
}
