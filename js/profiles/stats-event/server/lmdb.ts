// SPDX-License-Identifier: MIT
// Statistics in LMDB (npm package `lmdb`, an optional peer): durable, and shared by all processes of the machine that
// open the folder. The store holds enrolled keys in plain text, so keep it as secret as they are.

import { CountersignError } from '../../../common/errors.ts'
import { badArgument, optionsOf } from '../../../core/args.ts'
import { checkKeys, openEnvironment, openTables, transact } from '../../../server/stores/lmdb/environment.ts'
import type { DeviceRecord, StatsStore, UserRecord } from './types.ts'

/**
 * Opens a folder with users and devices, or creates it.
 * @throws ERR_STORAGE_FAILED when the folder cannot be used, and ERR_INVALID_ARGUMENT for a missing path.
 *
 * @example
 * ```ts
 * const store = lmdbStatsStore({ path: 'data/stats.lmdb' })
 * ```
 */
export function lmdbStatsStore(options: { path: string }): StatsStore {
  const { path } = optionsOf(options, 'lmdbStatsStore')
  if (typeof path !== 'string' || path === '') throw badArgument('lmdbStatsStore: path must be a non-empty string')
  const root = openEnvironment(path, { encoding: 'json', maxDbs: 2 })
  const { users, devices } = openTables(root, () => ({
    users: root.openDB<UserRecord, string>({ name: 'users', encoding: 'json' }),
    devices: root.openDB<DeviceRecord, string>({ name: 'devices', encoding: 'json' })
  }))
  let closing: Promise<void> | undefined
  const checkOpen = (): void => {
    if (closing) throw new CountersignError('ERR_CLOSED')
  }
  return {
    async update(userId, deviceId, change) {
      checkOpen()
      checkKeys({ userId, deviceId })
      return transact(root, () => {
        const { user, device, result } = change({ user: users.get(userId), device: devices.get(deviceId) })
        if (user) users.put(userId, user)
        if (device) devices.put(deviceId, device)
        return result
      })
    },
    async user(userId) {
      checkOpen()
      root.resetReadTxn()
      return users.get(userId)
    },
    async device(deviceId) {
      checkOpen()
      root.resetReadTxn()
      return devices.get(deviceId)
    },
    close() {
      closing ??= root.close()
      return closing
    }
  }
}
