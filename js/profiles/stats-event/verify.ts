// SPDX-License-Identifier: MIT
// Verifies events. Each mode is one definite check and never falls back to another. The reader in C++ judges an event
// and makes what is signed of it; the holder of the key compares the signatures.

import { isCountersignError } from '../../common/errors.ts'
import { encodeText } from '../../common/text.ts'
import { optionsOf } from '../../core/args.ts'
import { cleanText } from '../common/canonical-json.ts'
import { deviceKeyOf, type StatsDeviceKey } from './keys.ts'
import { modeOf } from './sign.ts'
import type { EventLike, EventMode, StatsVerdict } from './types.ts'

/** Returns the JSON text of an event, or undefined when JSON would change or drop a part of it. */
export function textOfEvent(event: unknown): string | undefined {
  try {
    return cleanText(event, 'event')
  } catch (error) {
    if (isCountersignError(error)) return undefined
    throw error
  }
}

/** Does verifyEvent's work for the text of an event and checked arguments. */
export async function verifyText(text: string, key: StatsDeviceKey, mode: EventMode): Promise<StatsVerdict> {
  const { loadJsonCore } = await import('../common/json-core.ts')
  const { verdict, claims } = (await loadJsonCore()).event(encodeText(text), mode, key)
  if (verdict !== 'ok') return { ok: false, reason: verdict }
  const held = await Promise.all(claims.map(({ key: purpose, message, tag }) => key.isTag(purpose, message, tag)))
  return held.every(Boolean) ? { ok: true } : { ok: false, reason: 'signature_mismatch' }
}

/**
 * Verifies a device's signature of an event in one mode, in constant time. Default of `mode`: `strict`. `compatible`
 * does not cover the members of `data`. A refused event resolves to a verdict with a reason.
 * Rejects with ERR_INVALID_ARGUMENT for an invalid key or mode, and with ERR_LOAD_FAILED when the reader is not there.
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
  const text = textOfEvent(event)
  return text === undefined ? { ok: false, reason: 'malformed' } : verifyText(text, device, mode)
}
