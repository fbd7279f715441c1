// SPDX-License-Identifier: MIT
// Verifies events. Each mode is one definite check and never falls back to another.

import { isCountersignError } from '../../common/errors.ts'
import { encodeText } from '../../common/text.ts'
import { optionsOf } from '../../core/args.ts'
import { decodeTag } from '../common/bytes.ts'
import { isJsonObject, type JsonObject } from '../common/canonical-json.ts'
import { deviceKeyOf, type StatsDeviceKey } from './keys.ts'
import { cleanEvent, writeCompatible, writeStrict } from './messages.ts'
import { modeOf } from './sign.ts'
import type { EventLike, EventMode, StatsVerdict, VerifyReason } from './types.ts'

function refuse(reason: VerifyReason): StatsVerdict {
  return { ok: false, reason }
}

async function isCompatible(event: JsonObject, key: StatsDeviceKey): Promise<boolean> {
  const tag = decodeTag(event.signature)
  return tag !== undefined && key.isTag('compatible', encodeText(writeCompatible(event)), tag)
}

async function isStrict(event: JsonObject, key: StatsDeviceKey, signature: unknown): Promise<boolean> {
  const tag = decodeTag(signature)
  return tag !== undefined && key.isTag('strict', writeStrict(event), tag)
}

function innerOf({ data }: JsonObject): unknown {
  return isJsonObject(data) ? data.strict_signature : undefined
}

const checks: { readonly [Mode in EventMode]: (event: JsonObject, key: StatsDeviceKey) => Promise<boolean> } = {
  compatible: isCompatible,
  // The strict message leaves `data.strict_signature` out. A strict event with that member has an unsigned part.
  strict: async (event, key) => innerOf(event) === undefined && isStrict(event, key, event.signature),
  covered: async (event, key) => {
    const verdicts = await Promise.all([isCompatible(event, key), isStrict(event, key, innerOf(event))])
    return verdicts.every(Boolean)
  }
}

/** Does verifyEvent's work for a clean event and checked arguments. */
export async function verifyClean(event: JsonObject, key: StatsDeviceKey, mode: EventMode): Promise<StatsVerdict> {
  if (mode !== 'compatible') {
    if (!key.isStrong) return refuse('weak_key')
    if (event.deviceId !== key.deviceId) return refuse('device_mismatch')
  }
  return (await checks[mode](event, key)) ? { ok: true } : refuse('signature_mismatch')
}

/**
 * Verifies a device's signature of an event in one mode, in constant time. Default of `mode`: `strict`. `compatible`
 * does not cover the members of `data`. A refused event resolves to a verdict with a reason.
 * Rejects with ERR_INVALID_ARGUMENT only for an invalid key or mode.
 *
 * @example
 * ```ts
 * const { ok, reason } = await verifyEvent(event, key, { mode: 'covered' })
 * ```
 */
export async function verifyEvent(
  event: EventLike,
  key: StatsDeviceKey,
  options: { mode?: EventMode } = {}
): Promise<StatsVerdict> {
  const device = deviceKeyOf(key)
  const mode = modeOf(optionsOf(options, 'options').mode)
  let clean: JsonObject
  try {
    clean = cleanEvent(event)
  } catch (error) {
    if (isCountersignError(error)) return refuse('malformed')
    throw error
  }
  return verifyClean(clean, device, mode)
}
