// SPDX-License-Identifier: MIT
// Where device keys live: IndexedDB in a page, memory in Node and in tests.

import type { CountersignError } from '../../common/errors.ts'
import type { KeyStore, Stored } from '../../common/types.ts'
import { createQueues, Database, type IndexedDbStoreOptions, nameOf, withWebLock } from './indexed-db.ts'

export type { IndexedDbStoreOptions } from './indexed-db.ts'

const createCounter = (): (() => number) => {
  let count = 0
  return () => ++count
}
const nextStore = createCounter()
// Most likely no other page or process has this scope. One that has it hears messages that do not concern it, reads its own
// record again and finds it unchanged.
const ownScope = (): string => `${globalThis.performance.timeOrigin}/${nextStore()}`

/**
 * indexedDbStore keeps keys in the browser's IndexedDB, where a CryptoKey stays non-extractable. Its calls reject with
 * ERR_STORAGE_MISSING, _BLOCKED, _FULL or _FAILED. Key bytes lie readable in the browser's profile on disk.
 *
 * @example
 * const client = await connect({ url: location.origin, label: 'myapp', serverKeys, store: indexedDbStore() })
 */
export function indexedDbStore(options: IndexedDbStoreOptions = {}): KeyStore {
  const database = new Database({ ...options }, { database: 'countersign', table: 'keys' })
  const queue = createQueues()
  return {
    scope: options.factory ? ownScope() : (options.database ?? ''),
    get: async (name) => (await database.run<Stored | undefined>('readonly', (table) => table.get(name))) ?? null,
    async add(name, stored) {
      try {
        await database.run('readwrite', (table) => table.add(stored, name))
        return true
      } catch (error) {
        if (nameOf((error as CountersignError).cause) === 'ConstraintError') return false
        throw error
      }
    },
    async put(name, stored) {
      await database.run('readwrite', (table) => table.put(stored, name))
    },
    async delete(name) {
      await database.run('readwrite', (table) => table.delete(name))
    },
    // Without Web Locks the constraint of `add` alone decides which tab's key wins, which is enough for one key.
    lock: (name, work) => queue(name, () => withWebLock(`countersign:${name}`, database.timeoutMs, work))
  }
}

/**
 * memoryStore keeps keys for as long as the program runs: for Node, for tests, and for an application that means to enrol
 * anew each time. It never fails.
 *
 * @example
 * const client = await connect({ url: 'https://api.example', label: 'myapp', serverKeys, store: memoryStore() })
 */
export function memoryStore(): KeyStore {
  const records = new Map<string, Stored>()
  return {
    scope: ownScope(),
    get: async (name) => {
      const stored = records.get(name)
      return stored ? { ...stored } : null
    },
    async add(name, stored) {
      if (records.has(name)) return false
      records.set(name, { ...stored })
      return true
    },
    async put(name, stored) {
      records.set(name, { ...stored })
    },
    async delete(name) {
      records.delete(name)
    },
    lock: createQueues()
  }
}
