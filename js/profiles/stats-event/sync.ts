// SPDX-License-Identifier: MIT
// What a client sends to POST /api/stats/sync, and what it reads of the answer.

import { CountersignError } from '../../common/errors.ts'
import { badArgument, optionsOf, timeOf } from '../../core/args.ts'
import { cleanJson, isJsonObject, type JsonObject } from '../common/canonical-json.ts'
import { encodeHex } from '../common/hex.ts'
import { importMacKey } from '../common/hmac.ts'
import { detectAnomalies } from './anomalies.ts'
import { statsLimits } from './limits.ts'
import type { EventLike, TrustLevel } from './types.ts'

export type Totals = { totalHours: number; totalSessions: number; totalInteractions: number }

/** The body, its members in the order StatsCode sends them. */
export type SyncBody = Totals & { deviceId: string; signedEvents: JsonObject[]; signature: string }

const encoder = new TextEncoder()

function numberOf(value: unknown, name: string): number {
  if (!Number.isFinite(value)) throw badArgument(`${name} must be a finite number`)
  return value as number
}

/** Rounds to two digits as `toFixed` does: by the exact binary value, ties away from zero. */
export function roundHours(hours: number): number {
  return Number(numberOf(hours, 'totalHours').toFixed(2))
}

/**
 * Makes the body of a sync. Its outer signature is keyed by the public device id, over a time that is not sent:
 * anybody can make it and nobody can check it. It is here for servers that look for it, and evidence of nothing. It rejects
 * with ERR_INVALID_ARGUMENT or ERR_INVALID_TIME.
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
  const key = await importMacKey(encoder.encode(deviceId))
  const signature = encodeHex(await key.tag(encoder.encode(message)))
  return { ...claimed, signedEvents: events as JsonObject[], signature }
}

/** Picks what StatsCode sends: of the last hundred events those without an anomaly. */
export function eventsToSync<Event extends EventLike>(events: readonly Event[], nowMs: number): Event[] {
  return events.slice(-statsLimits.sentSessions).filter((event) => detectAnomalies(event, nowMs).length === 0)
}

/** A server's answer; what it left out is `false`, empty or absent. */
export type SyncAnswer = { success: boolean; verified: boolean; trustLevel?: TrustLevel; warnings: string[] }

function isTrustLevel(value: unknown): value is TrustLevel {
  return value === 'verified' || value === 'suspicious' || value === 'untrusted'
}

/**
 * Reads the answer of a sync, an object or its text. Missing and unknown values are tolerated and never taken
 * for trust; it throws ERR_BAD_JSON where there is no object at all.
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
  const told: unknown[] = Array.isArray(warnings) ? warnings : []
  return {
    success: success === true,
    verified: verified === true,
    ...(isTrustLevel(trustLevel) ? { trustLevel } : {}),
    warnings: told.filter((warning): warning is string => typeof warning === 'string')
  }
}
