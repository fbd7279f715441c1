// SPDX-License-Identifier: MIT
// Statistics in memory, for tests and for a single process that may lose them.

import { CountersignError } from '../../../common/errors.ts'
import type { DeviceRecord, StatsStore, UserRecord } from './types.ts'

/**
 * Creates a store that keeps users and devices until the process ends.
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
  const checkOpen = (): void => {
    if (isClosed) throw new CountersignError('ERR_CLOSED')
  }
  return {
    async update(userId, deviceId, change) {
      checkOpen()
      const { user, device, result } = change({ user: users.get(userId), device: devices.get(deviceId) })
      if (user) users.set(userId, user)
      if (device) devices.set(deviceId, device)
      return result
    },
    async user(userId) {
      checkOpen()
      return users.get(userId)
    },
    async device(deviceId) {
      checkOpen()
      return devices.get(deviceId)
    },
    close() {
      isClosed = true
    }
  }
}
