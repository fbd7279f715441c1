// SPDX-License-Identifier: MIT
// Verifying events. Each mode is one definite check; none falls back to another.

import { isCountersignError } from '../../common/errors.ts'
import { optionsOf } from '../../core/args.ts'
import { isJsonObject, type JsonObject } from '../common/canonical-json.ts'
import { decodeTag } from '../common/hex.ts'
import { deviceKeyOf, type StatsDeviceKey } from './keys.ts'
import { cleanEvent, writeCompatible, writeStrict } from './messages.ts'
import { modeOf } from './sign.ts'
import type { EventLike, EventMode, StatsVerdict, VerifyReason } from './types.ts'

const encoder = new TextEncoder()
function refuse(reason: VerifyReason): StatsVerdict {
  return { ok: false, reason }
}

async function isCompatible(event: JsonObject, key: StatsDeviceKey): Promise<boolean> {
  const tag = decodeTag(event.signature)
  return tag !== undefined && key.isTag('compatible', encoder.encode(writeCompatible(event)), tag)
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
  // The strict message leaves `data.strict_signature` out, so a strict event that has one has a part nobody signed.
  strict: async (event, key) => innerOf(event) === undefined && isStrict(event, key, event.signature),
  covered: async (event, key) => {
    const verdicts = await Promise.all([isCompatible(event, key), isStrict(event, key, innerOf(event))])
    return verdicts.every(Boolean)
  }
}

/** verifyClean is verifyEvent for a clean event and checked arguments. */
export async function verifyClean(event: JsonObject, key: StatsDeviceKey, mode: EventMode): Promise<StatsVerdict> {
  if (mode !== 'compatible') {
    if (!key.isStrong) return refuse('weak_key')
    if (event.deviceId !== key.deviceId) return refuse('device_mismatch')
  }
  return (await checks[mode](event, key)) ? { ok: true } : refuse('signature_mismatch')
}

/**
 * Tells whether an event carries the signature of a device in one mode, `strict` by default, compared in
 * constant time. `compatible` says nothing about the members of `data`. A refusal is a verdict with a reason; it rejects
 * with ERR_INVALID_ARGUMENT only for a key or a mode that is none.
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
