// SPDX-License-Identifier: MIT
// Where intents are kept: IndexedDB in a page, memory in Node and in tests.

import { createQueues, Database, type IndexedDbStoreOptions, withWebLock } from '../client/keys/indexed-db.ts'
import type { Intent, IntentStore } from './types.ts'

type StoredIntent = Omit<Intent, 'id'> & { name: string }

function intentOf({ name: _, ...intent }: StoredIntent & { id: number }): Intent {
  return intent
}

/**
 * Keeps intents in a database of their own, on disk before a promise resolves. Its calls reject with
 * ERR_STORAGE_MISSING, _BLOCKED, _FULL or _FAILED. Payloads lie readable in the browser's profile.
 *
 * @example
 * const queue = intentQueue(client, { store: indexedDbIntents() })
 */
export function indexedDbIntents(options: IndexedDbStoreOptions = {}): IntentStore {
  const make = { keyPath: 'id', autoIncrement: true }
  const database = new Database({ ...options }, { database: 'countersign-intents', table: 'intents', make })
  const queue = createQueues()
  return {
    async list(name) {
      const all = await database.run<(StoredIntent & { id: number })[]>('readonly', (table) => table.getAll())
      return all.filter((kept) => kept.name === name).map(intentOf)
    },
    add: async (name, intent) =>
      Number(await database.run('readwrite', (table) => table.add({ ...intent, name } satisfies StoredIntent))),
    async put(name, intent) {
      await database.run('readwrite', (table) => table.put({ ...intent, name }))
    },
    async delete(_name, id) {
      await database.run('readwrite', (table) => table.delete(id))
    },
    lock: (name, work) => queue(name, () => withWebLock(`countersign-intents:${name}`, undefined, work))
  }
}

/**
 * Keeps intents for as long as the program runs: for Node and for tests.
 *
 * @example
 * const queue = intentQueue(client, { store: memoryIntents() })
 */
export function memoryIntents(): IntentStore {
  const intents = new Map<number, StoredIntent>()
  let last = 0
  return {
    list: async (name) => [...intents].flatMap(([id, kept]) => (kept.name === name ? [intentOf({ ...kept, id })] : [])),
    async add(name, intent) {
      last += 1
      intents.set(last, { ...intent, name })
      return last
    },
    async put(name, { id, ...intent }) {
      if (intents.has(id)) intents.set(id, { ...intent, name })
    },
    async delete(_name, id) {
      intents.delete(id)
    },
    lock: createQueues()
  }
}
