// SPDX-License-Identifier: MIT
// A bounded table of records with transactions. The stores that are written once for memory and LMDB stand on it.

import { CountersignError } from '../../common/errors.ts'

/** A table of records. Everything but `transact`, `latest` and `close` is called inside a transaction. */
export type RecordTable = {
  capacity: number
  transact<T>(work: () => T): Promise<T>
  get(key: string): unknown
  /** Returns the record that was committed last, by any process. */
  latest(key: string): unknown
  put(key: string, value: unknown): void
  remove(key: string): void
  size(): number
  /** Returns up to `count` keys. Later calls go on from there, so that a sweep reaches every key in the end. */
  nextKeys(count: number): string[]
  /** Returns all keys. */
  keys(): string[]
  close(): void | Promise<void>
}

/** Keys that a store looks at before it adds a record: more than it adds, so that expired records cannot pile up. */
export const SWEPT_KEYS = 16

/** Creates a table that lasts as long as the process. */
export function createMemoryTable(capacity: number): RecordTable {
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
    nextKeys(count) {
      const keys: string[] = []
      while (keys.length < count && keys.length < records.size) {
        const { done, value } = walk.next()
        if (done) walk = records.keys()
        else keys.push(value)
      }
      return keys
    },
    keys: () => [...records.keys()],
    close: () => records.clear()
  }
}

/** Wraps a table so that `transact` and `latest` fail with ERR_CLOSED after `close`. */
export function closableTable(table: RecordTable): RecordTable {
  let isClosed = false
  const checkOpen = (): void => {
    if (isClosed) throw new CountersignError('ERR_CLOSED')
  }
  return {
    ...table,
    async transact(work) {
      checkOpen()
      return table.transact(work)
    },
    latest(key) {
      checkOpen()
      return table.latest(key)
    },
    close() {
      isClosed = true
      return table.close()
    }
  }
}
