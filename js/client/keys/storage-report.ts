// SPDX-License-Identifier: MIT
// The questions to the browser about this origin's storage.

/** Whether the browser has promised to keep this origin's storage, and how much there is, in bytes; null where it does not say. */
export type StorageReport = {
  readonly persisted: boolean | null
  readonly quota: number | null
  readonly usage: number | null
}

const storage = (): Partial<StorageManager> => globalThis.navigator?.storage ?? {}

// A browser that forbids the question has not said.
const orNull = async <T>(ask: () => Promise<T> | undefined): Promise<T | null> => {
  try {
    return (await ask()) ?? null
  } catch {
    return null
  }
}

/** persistStorage asks for storage that the browser does not clear by itself. Nobody waits for the answer: a person may have to give it. */
export function persistStorage(): void {
  void orNull(() => storage().persist?.())
}

/** askStorage is what storageReport does. */
export async function askStorage(): Promise<StorageReport> {
  const persisted = await orNull(() => storage().persisted?.())
  const { quota = null, usage = null } = (await orNull(() => storage().estimate?.())) ?? {}
  return { persisted, quota, usage }
}
