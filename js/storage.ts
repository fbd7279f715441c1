// SPDX-License-Identifier: MIT
// What the browser says about keeping this origin's storage.

import { loadChanges } from './later.ts'
import type { StorageReport } from './persistence.ts'

/**
 * storageReport tells how long this origin's storage will be kept and how full it is. It rejects with ERR_LOAD_FAILED alone.
 *
 * @example
 * const { persisted } = await storageReport()
 */
export const storageReport = async (): Promise<StorageReport> => (await loadChanges()).askStorage()
