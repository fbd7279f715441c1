// SPDX-License-Identifier: MIT
// Statistics in LMDB (npm package `lmdb`, an optional peer): shared by every process on the machine that opens the folder, and
// durable. Enrolled keys lie in it as they are: it is as secret as they.

import { open, type RootDatabase } from 'lmdb'
import { CountersignError } from '../../../common/errors.ts'
import { badArgument, optionsOf } from '../../../core/args.ts'
import type { DeviceRecord, StatsStore, UserRecord } from './types.ts'

function openRoot(path: string): RootDatabase {
  try {
    return open({ path, encoding: 'json', maxDbs: 2, overlappingSync: false })
  } catch (cause) {
    throw new CountersignError('ERR_STORAGE_FAILED', { cause })
  }
}

/**
 * Opens (and makes) a folder with users and devices. It throws ERR_STORAGE_FAILED where the folder cannot be
 * used.
 *
 * @example
 * ```ts
 * const store = lmdbStatsStore({ path: 'data/stats.lmdb' })
 * ```
 */
export function lmdbStatsStore(options: { path: string }): StatsStore {
  const { path } = optionsOf(options, 'lmdbStatsStore')
  if (typeof path !== 'string' || path === '') throw badArgument('lmdbStatsStore: path must be a non-empty string')
  const root = openRoot(path)
  const users = root.openDB<UserRecord, string>({ name: 'users', encoding: 'json' })
  const devices = root.openDB<DeviceRecord, string>({ name: 'devices', encoding: 'json' })
  let closing: Promise<void> | undefined
  const opened = (): void => {
    if (closing) throw new CountersignError('ERR_CLOSED')
  }
  return {
    async update(userId, deviceId, change) {
      opened()
      return root.transaction(() => {
        const { user, device, result } = change({ user: users.get(userId), device: devices.get(deviceId) })
        if (user) users.put(userId, user)
        if (device) devices.put(deviceId, device)
        return result
      })
    },
    async user(userId) {
      opened()
      root.resetReadTxn()
      return users.get(userId)
    },
    async device(deviceId) {
      opened()
      root.resetReadTxn()
      return devices.get(deviceId)
    },
    close() {
      closing ??= root.close()
      return closing
    }
  }
}
