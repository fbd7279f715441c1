// SPDX-License-Identifier: MIT
// The stores of intents: IndexedDB in a page, memory in Node and in tests.

import { createQueues, Database, type IndexedDbStoreOptions, withWebLock } from '../client/keys/key-store.ts'
import type { Intent, IntentStore } from './types.ts'

type StoredIntent = Omit<Intent, 'id'> & { name: string }

function intentOf({ name: _, ...intent }: StoredIntent & { id: number }): Intent {
  return intent
}

/**
 * Creates a store in the database `countersign-intents`, or in another one that `options` name. A write is on disk
 * before its promise resolves. Payloads lie readable in the browser's profile.
 * Its calls reject with ERR_STORAGE_MISSING, ERR_STORAGE_BLOCKED, ERR_STORAGE_FULL or ERR_STORAGE_FAILED.
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
 * Creates a store that keeps intents until the program ends: for Node and for tests.
 *
 * @example
 * const queue = intentQueue(client, { store: memoryIntents() })
 */
export function memoryIntents(): IntentStore {
  const intents = new Map<number, StoredIntent>()
  let lastId = 0
  return {
    list: async (name) => [...intents].flatMap(([id, kept]) => (kept.name === name ? [intentOf({ ...kept, id })] : [])),
    async add(name, intent) {
      lastId += 1
      intents.set(lastId, { ...intent, name })
      return lastId
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
