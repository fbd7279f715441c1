// SPDX-License-Identifier: MIT
// Asks the browser about this origin's storage.

/**
 * The browser's report about this origin's storage. `persisted` is true when the browser has promised to keep it.
 * `quota` and `usage` are in bytes. A member is null when the browser does not say.
 */
export type StorageReport = {
  readonly persisted: boolean | null
  readonly quota: number | null
  readonly usage: number | null
}

const storage = (): Partial<StorageManager> => globalThis.navigator?.storage ?? {}

// A browser that forbids the question counts as one that does not say.
const orNull = async <T>(ask: () => Promise<T> | undefined): Promise<T | null> => {
  try {
    return (await ask()) ?? null
  } catch {
    return null
  }
}

/**
 * Asks the browser not to clear this origin's storage by itself. It does not wait for the answer, which a user may have
 * to give.
 */
export function persistStorage(): void {
  void orNull(() => storage().persist?.())
}

/** Returns the browser's report, as storageReport describes. It never rejects. */
export async function askStorage(): Promise<StorageReport> {
  const persisted = await orNull(() => storage().persisted?.())
  const { quota = null, usage = null } = (await orNull(() => storage().estimate?.())) ?? {}
  return { persisted, quota, usage }
}
