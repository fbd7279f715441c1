// SPDX-License-Identifier: MIT
// Statistics in memory: for tests, and for a server of one process that may forget.

import { CountersignError } from '../../../common/errors.ts'
import type { DeviceRecord, StatsStore, UserRecord } from './types.ts'

/**
 * Keeps users and devices for the life of the process.
 *
 * @example
 * ```ts
 * const store = memoryStatsStore()
 * ```
 */
export function memoryStatsStore(): StatsStore {
  const users = new Map<string, UserRecord>()
  const devices = new Map<string, DeviceRecord>()
  let isClosed = false
  const open = (): void => {
    if (isClosed) throw new CountersignError('ERR_CLOSED')
  }
  return {
    async update(userId, deviceId, change) {
      open()
      const { user, device, result } = change({ user: users.get(userId), device: devices.get(deviceId) })
      if (user) users.set(userId, user)
      if (device) devices.set(deviceId, device)
      return result
    },
    async user(userId) {
      open()
      return users.get(userId)
    },
    async device(deviceId) {
      open()
      return devices.get(deviceId)
    },
    close() {
      isClosed = true
    }
  }
}
