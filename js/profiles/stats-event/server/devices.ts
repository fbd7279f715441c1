// SPDX-License-Identifier: MIT
// Binds devices to users. A user has one device, and a device one user. A change needs a user who was verified since.

import type { EventMode } from '../types.ts'
import { emptyUser } from './history.ts'
import type { DeviceRecord, EnrolOutcome, StatsRecords } from './types.ts'

/** An offer to bind a device. Its proof is the key itself, or the exchange session that stands for it. */
export type DeviceOffer = {
  userId: string
  deviceId: string
  proof: { keyText: string; lowestMode: EventMode } | { sessionId: string }
  /** When the user was last verified by other means than this device. */
  verifiedMs: number | undefined
  nowMs: number
}

const modes: readonly EventMode[] = ['compatible', 'covered', 'strict']
function higher(one: EventMode, other: EventMode): EventMode {
  return modes.indexOf(one) > modes.indexOf(other) ? one : other
}

// The owner of the key owns the device. A session or a first sync has only named it.
function isTaken({ device }: StatsRecords, { userId, proof }: DeviceOffer): boolean {
  return device !== undefined && device.userId !== userId && (device.keyText !== undefined || !('keyText' in proof))
}

function deviceOf({ device }: StatsRecords, { userId, deviceId, proof }: DeviceOffer): DeviceRecord {
  const own = device?.userId === userId ? device : undefined
  if (!('keyText' in proof)) {
    return { deviceId, userId, lowestMode: 'compatible', ...own, sessionId: proof.sessionId }
  }
  // Enrolling a key again does not lower the mode that it must use.
  const lowestMode = own?.keyText === undefined ? proof.lowestMode : higher(own.lowestMode, proof.lowestMode)
  return { ...own, deviceId, userId, keyText: proof.keyText, lowestMode }
}

/** Computes the store's change for an offer: the new records, or only the reason why nothing changes. */
export function bindDevice(
  records: StatsRecords,
  offer: DeviceOffer
): Partial<StatsRecords> & { result: EnrolOutcome } {
  const { user } = records
  const { userId, deviceId, verifiedMs = -1, nowMs } = offer
  if (isTaken(records, offer)) return { result: 'device_of_another_user' }
  const isChange = user !== undefined && user.deviceId !== deviceId
  if (isChange && verifiedMs <= user.boundMs) return { result: 'needs_verification' }
  const bound = user ?? emptyUser(userId, deviceId, nowMs)
  return {
    user: isChange ? { ...bound, deviceId, boundMs: nowMs } : bound,
    device: deviceOf(records, offer),
    result: 'enrolled'
  }
}
