// SPDX-License-Identifier: MIT
// Reading a sync: its JSON, its members, and what its events say of sessions and interactions.

import { isJsonObject, type Json, type JsonObject } from '../../common/canonical-json.ts'
import { scanJson } from '../../common/json-scanner.ts'
import { roundHours, type Totals } from '../sync.ts'
import type { SeenInteraction, SeenSession } from './types.ts'

const MAX_BODY_CHARACTERS = 1024 * 1024
const MAX_EVENTS = 1000
/** Two clock readings of one program. */
export const ROUNDING_MS = 1000

/** A sync whose members have the right shapes; nothing of it is verified. The outer signature is not even read. */
export type ParsedSync = { totals: Totals; deviceId: string; events: JsonObject[] }

function textOf(body: Uint8Array | string): string {
  return typeof body === 'string' ? body : new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body)
}

/** Reads a JSON object, each name in it once; undefined for anything else. */
export function parseObject(body: Uint8Array | string): JsonObject | undefined {
  if (body.length > MAX_BODY_CHARACTERS) return undefined
  try {
    const text = textOf(body)
    // JSON.parse keeps the last of two equal names, and a reader in front of this one may have gone by the first.
    scanJson(text, 0)
    const value: unknown = JSON.parse(text)
    return isJsonObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/** Reads a body; undefined for anything that is none. Unknown members are StatsCode's business. */
export function parseSync(body: Uint8Array | string): ParsedSync | undefined {
  const given = parseObject(body)
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

/** A session as its event tells it; `durationMs` is what it claims, `seen` what its times say. */
export type ClaimedSession = {
  seen: SeenSession
  durationMs: number
  /** Whether it ends before it starts, or its times and its duration differ. */
  isOff: boolean
}

/** Reads a session of an event; undefined where it has no time. Without an id its nonce names it. */
export function sessionOf(event: JsonObject, deviceId: string): ClaimedSession | undefined {
  const data = isJsonObject(event.data) ? event.data : {}
  const startMs = numberOf(data.start_time) ?? numberOf(event.timestamp)
  const id = idOf(data.id) ?? idOf(event.nonce)
  if (startMs === undefined || id === undefined) return undefined
  const claimed = numberOf(data.duration_ms)
  const endMs = numberOf(data.end_time) ?? startMs + (claimed ?? 0)
  const durationMs = claimed ?? endMs - startMs
  const isOff = endMs < startMs || (endMs > startMs && Math.abs(endMs - startMs - durationMs) > ROUNDING_MS)
  // What is remembered never ends before it starts: it would hide other sessions from the sums.
  return { seen: [id, startMs, Math.max(startMs, endMs), deviceId], durationMs, isOff }
}

/** Reads an interaction of an event; undefined where it has no time or no nonce. */
export function interactionOf(event: JsonObject): SeenInteraction | undefined {
  const timestampMs = numberOf(event.timestamp)
  const nonce = idOf(event.nonce)
  return timestampMs === undefined || nonce === undefined ? undefined : [nonce, timestampMs]
}
