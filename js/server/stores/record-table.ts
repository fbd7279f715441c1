// SPDX-License-Identifier: MIT
// A bounded table of records with transactions: what stores that are written once stand on, in memory and in LMDB.

/** Records is such a table; everything but `transact`, `latest` and `close` is called inside a transaction. */
export type Records = {
  capacity: number
  transact<T>(work: () => T): Promise<T>
  get(key: string): unknown
  /** What is committed, by any process. */
  latest(key: string): unknown
  put(key: string, value: unknown): void
  remove(key: string): void
  size(): number
  /** Some keys, others each time, all of them sooner or later: what is swept. */
  next(count: number): string[]
  close(): void | Promise<void>
}

/** memoryRecords is a table for the life of the process. */
export function memoryRecords(capacity: number): Records {
  const records = new Map<string, unknown>()
  let walk = records.keys()
  return {
    capacity,
    transact: async (work) => work(),
    get: (key) => records.get(key),
    latest: (key) => records.get(key),
    put: (key, value) => void records.set(key, value),
    remove: (key) => void records.delete(key),
    size: () => records.size,
    next(count) {
      const keys: string[] = []
      while (keys.length < count && keys.length < records.size) {
        const { done, value } = walk.next()
        if (done) walk = records.keys()
        else keys.push(value)
      }
      return keys
    },
    close: () => records.clear()
  }
}
