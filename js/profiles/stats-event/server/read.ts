// SPDX-License-Identifier: MIT
// Parses a sync: its JSON, its members, and the sessions and interactions of its events.

import { decodeText } from '../../../common/text.ts'
import { bytesOfBody } from '../../common/bytes.ts'
import { isJsonObject, type Json, type JsonObject } from '../../common/canonical-json.ts'
import { loadJsonCore } from '../../common/json-core.ts'
import { roundHours, type Totals } from '../sync.ts'
import type { SeenInteraction, SeenSession } from './types.ts'

const MAX_BODY_BYTES = 1024 * 1024
const MAX_EVENTS = 1000
/** The tolerated difference between two clock readings of one program. */
export const ROUNDING_MS = 1000

/** A sync whose members have the right types. Nothing in it is verified, and the outer signature is not read. */
export type ParsedSync = { totals: Totals; deviceId: string; events: JsonObject[] }

/** Parses a JSON object with unique names. Resolves to undefined for anything else. */
export async function parseObject(body: Uint8Array | string): Promise<JsonObject | undefined> {
  const bytes = bytesOfBody(body, 'body')
  // JSON.parse keeps the last of two equal names. Another parser in front of this one may have used the first.
  if (!bytes || bytes.length > MAX_BODY_BYTES || !(await loadJsonCore()).isJson(bytes)) return undefined
  const value: unknown = JSON.parse(decodeText(bytes))
  return isJsonObject(value) ? value : undefined
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/** Parses the body of a sync. Resolves to undefined for anything else. Unknown members are left to StatsCode. */
export async function parseSync(body: Uint8Array | string): Promise<ParsedSync | undefined> {
  const given = await parseObject(body)
  if (!given) return undefined
  const { totalHours, totalSessions, totalInteractions, deviceId, signedEvents } = given
  if (!Number.isFinite(totalHours) || (totalHours as number) < 0) return undefined
  if (!isCount(totalSessions) || !isCount(totalInteractions)) return undefined
  if (typeof deviceId !== 'string' || !/^[0-9a-f]{16}$/.test(deviceId)) return undefined
  const events: Json = signedEvents ?? []
  if (!Array.isArray(events) || events.length > MAX_EVENTS || !events.every(isJsonObject)) return undefined
  const totals = { totalHours: roundHours(totalHours as number), totalSessions, totalInteractions }
  return { totals, deviceId, events: events as JsonObject[] }
}

function numberOf(value: unknown): number | undefined {
  return Number.isFinite(value) ? (value as number) : undefined
}
function idOf(value: unknown): string | undefined {
  return typeof value === 'string' && value.length > 0 && value.length <= 128 ? value : undefined
}

/** A session as its event claims it. `durationMs` is its claimed duration; `seen` follows from its times. */
export type ClaimedSession = {
  seen: SeenSession
  durationMs: number
  /** Whether it ends before it starts, or its times do not fit its duration. */
  isOff: boolean
}

/** Parses the session of an event; its nonce replaces a missing id. Returns undefined when it has no time or no id. */
export function sessionOf(event: JsonObject, deviceId: string): ClaimedSession | undefined {
  const data = isJsonObject(event.data) ? event.data : {}
  const startMs = numberOf(data.start_time) ?? numberOf(event.timestamp)
  const id = idOf(data.id) ?? idOf(event.nonce)
  if (startMs === undefined || id === undefined) return undefined
  const claimed = numberOf(data.duration_ms)
  const endMs = numberOf(data.end_time) ?? startMs + (claimed ?? 0)
  const durationMs = claimed ?? endMs - startMs
  const isOff = endMs < startMs || (endMs > startMs && Math.abs(endMs - startMs - durationMs) > ROUNDING_MS)
  // A remembered session never ends before it starts. Otherwise it would reduce the sums of other sessions.
  return { seen: [id, startMs, Math.max(startMs, endMs), deviceId], durationMs, isOff }
}

/** Parses the interaction of an event. Returns undefined when it has no time or no nonce. */
export function interactionOf(event: JsonObject): SeenInteraction | undefined {
  const timestampMs = numberOf(event.timestamp)
  const nonce = idOf(event.nonce)
  return timestampMs === undefined || nonce === undefined ? undefined : [nonce, timestampMs]
}
