// SPDX-License-Identifier: MIT
// Checks which events of a sync are signed, and how much of them the signatures cover.

import { isJsonObject, type JsonObject } from '../../common/canonical-json.ts'
import { importDeviceKey, type StatsDeviceKey } from '../keys.ts'
import type { EventMode, StatsVerdict } from '../types.ts'
import { textOfEvent, verifyText } from '../verify.ts'
import type { DeviceRecord, StatsReason } from './types.ts'

/** An accepted event, and whether its `data` was signed. */
export type AcceptedEvent = { event: JsonObject; isDataSigned: boolean }

export type SyncEvidence = {
  accepted: AcceptedEvent[]
  reasons: StatsReason[]
  /** Whether there are events and every one of them is signed. */
  isSigned: boolean
}

const rank: { readonly [Mode in EventMode]: number } = { compatible: 0, covered: 1, strict: 2 }

function hasInner({ data }: JsonObject): boolean {
  return isJsonObject(data) && Object.hasOwn(data, 'strict_signature')
}

/**
 * Verifies an event in the mode that it is made for. An event with an inner signature must verify as covered; any
 * other as strict, or as compatible when the device's record allows that. A mode below the record's lowest is a
 * mismatch, even if the signature is right.
 */
async function verifyAtLeast(
  event: JsonObject,
  text: string,
  key: StatsDeviceKey,
  lowest: EventMode
): Promise<StatsVerdict & { mode?: EventMode }> {
  const modes: EventMode[] = hasInner(event) ? ['covered'] : ['strict', 'compatible']
  let verdict: StatsVerdict = { ok: false, reason: 'signature_mismatch' }
  for (const mode of modes.filter((name) => rank[name] >= rank[lowest])) {
    verdict = await verifyText(text, key, mode)
    if (verdict.ok) return { ok: true, mode }
  }
  return verdict
}

type EventCheck = (event: JsonObject, text: string) => Promise<{ reason?: StatsReason; isDataSigned: boolean }>

/** A session's signature covers the whole body. A device key verifies each event by itself. */
async function eventCheckOf(device: DeviceRecord, sessionId: string | undefined): Promise<EventCheck | undefined> {
  if (sessionId !== undefined && device.sessionId === sessionId) return async () => ({ isDataSigned: true })
  if (device.keyText === undefined) return undefined
  const key = await importDeviceKey(device.keyText)
  return async (event, text) => {
    const { ok, mode } = await verifyAtLeast(event, text, key, device.lowestMode)
    return ok ? { isDataSigned: mode !== 'compatible' } : { reason: 'signature_mismatch', isDataSigned: false }
  }
}

/**
 * Checks the events of a sync by the device's enrolled key, or by the exchange session that stands for it. Without
 * either, no event can be verified, and none counts.
 */
export async function checkEvents(
  events: readonly JsonObject[],
  deviceId: string,
  device: DeviceRecord | undefined,
  sessionId: string | undefined
): Promise<SyncEvidence> {
  if (events.length === 0) return { accepted: [], reasons: ['unsigned'], isSigned: false }
  const checkEvent = device && (await eventCheckOf(device, sessionId))
  if (!checkEvent) return { accepted: [], reasons: ['no_enrolled_key'], isSigned: false }
  const reasons = new Set<StatsReason>()
  const accepted: AcceptedEvent[] = []
  for (const event of events) {
    const text = textOfEvent(event)
    if (text === undefined) reasons.add('malformed')
    else if (event.deviceId !== deviceId) reasons.add('device_mismatch')
    else {
      const { reason, isDataSigned } = await checkEvent(event, text)
      if (reason) reasons.add(reason)
      else accepted.push({ event, isDataSigned })
    }
  }
  const isSigned = reasons.size === 0
  if (accepted.some(({ isDataSigned }) => !isDataSigned)) reasons.add('data_not_signed')
  return { accepted, reasons: [...reasons], isSigned }
}
