// SPDX-License-Identifier: MIT
// The body that a client sends to POST /api/stats/sync, and the answer to it.

import { CountersignError } from '../../common/errors.ts'
import { encodeText } from '../../common/text.ts'
import { badArgument, optionsOf, timeOf } from '../../core/args.ts'
import { encodeHex } from '../common/bytes.ts'
import { cleanJson, isJsonObject, type JsonObject } from '../common/canonical-json.ts'
import { importMacKey } from '../common/hmac.ts'
import { detectAnomalies } from './anomalies.ts'
import { statsLimits } from './limits.ts'
import type { EventLike, TrustLevel } from './types.ts'

export type Totals = { totalHours: number; totalSessions: number; totalInteractions: number }

/** The body, with its members in StatsCode's order. */
export type SyncBody = Totals & { deviceId: string; signedEvents: JsonObject[]; signature: string }

function numberOf(value: unknown, name: string): number {
  if (!Number.isFinite(value)) throw badArgument(`${name} must be a finite number`)
  return value as number
}

/** Rounds to two digits as `toFixed` does: by the exact binary value, ties away from zero. */
export function roundHours(hours: number): number {
  return Number(numberOf(hours, 'totalHours').toFixed(2))
}

/**
 * Creates the body of a sync. Its outer signature is keyed by the public device id, over a time that is not sent. So
 * any sender can make it and no server can check it. It exists for servers that expect it, and proves nothing.
 * Rejects with ERR_INVALID_ARGUMENT or ERR_INVALID_TIME.
 *
 * @example
 * ```ts
 * const body = await syncBody(totals, eventsToSync(events, now), key.deviceId, now)
 * await client.fetch('/api/stats/sync', { method: 'POST', body: JSON.stringify(body) })
 * ```
 */
export async function syncBody(
  totals: Totals,
  signedEvents: readonly EventLike[],
  deviceId: string,
  timestampMs: number
): Promise<SyncBody> {
  const { totalHours, totalSessions, totalInteractions } = optionsOf(totals, 'totals')
  if (typeof deviceId !== 'string' || deviceId === '') throw badArgument('deviceId must be a non-empty string')
  const events = cleanJson(signedEvents, 'signedEvents')
  if (!Array.isArray(events)) throw badArgument('signedEvents must be an array')
  const claimed = {
    totalHours: roundHours(totalHours),
    totalSessions: numberOf(totalSessions, 'totalSessions'),
    totalInteractions: numberOf(totalInteractions, 'totalInteractions'),
    deviceId
  }
  const message = JSON.stringify({ ...claimed, timestamp: timeOf(timestampMs, 'timestampMs') })
  const key = await importMacKey(encodeText(deviceId))
  const signature = encodeHex(await key.tag(encodeText(message)))
  return { ...claimed, signedEvents: events as JsonObject[], signature }
}

/** Selects the events that StatsCode sends: of the last hundred those without an anomaly. */
export function eventsToSync<Event extends EventLike>(events: readonly Event[], nowMs: number): Event[] {
  return events.slice(-statsLimits.sentSessions).filter((event) => detectAnomalies(event, nowMs).length === 0)
}

/** A server's answer. A missing member is `false`, empty or absent. */
export type SyncAnswer = { success: boolean; verified: boolean; trustLevel?: TrustLevel; warnings: string[] }

function isTrustLevel(value: unknown): value is TrustLevel {
  return value === 'verified' || value === 'suspicious' || value === 'untrusted'
}

/**
 * Parses the answer of a sync, an object or its text. It tolerates missing and unknown values, and never takes them
 * for trust.
 * @throws ERR_BAD_JSON when the answer is not an object.
 *
 * @example
 * ```ts
 * const { verified, trustLevel, warnings } = readSyncAnswer(await response.text())
 * ```
 */
export function readSyncAnswer(answer: unknown): SyncAnswer {
  let given = answer
  try {
    if (typeof answer === 'string') given = JSON.parse(answer)
  } catch (cause) {
    throw new CountersignError('ERR_BAD_JSON', { cause })
  }
  if (!isJsonObject(given)) throw new CountersignError('ERR_BAD_JSON', { detail: 'the answer is not an object' })
  const { success, verified, trustLevel, warnings } = given
  const list: unknown[] = Array.isArray(warnings) ? warnings : []
  return {
    success: success === true,
    verified: verified === true,
    ...(isTrustLevel(trustLevel) ? { trustLevel } : {}),
    warnings: list.filter((warning): warning is string => typeof warning === 'string')
  }
}
