// SPDX-License-Identifier: MIT
// The only file that names IndexedDB. Every wait in it is bounded and every failure typed: a store that is missing, blocked,
// full, hanging or dead is told apart, since each wants another remedy.

import { CountersignError, type ErrorCode, isCountersignError } from './errors.ts'
import { schedule } from './platform.ts'
import type { KeyStore, Stored } from './types.ts'

const VERSION = 1
const TABLE = 'keys'

/** Options of indexedDbStore; the defaults are what a page wants. */
export type IndexedDbStoreOptions = {
  /** The database's name; `countersign` unless told. */
  database?: string
  /** How long an open, a transaction or another tab's lock may take, in milliseconds; 5000 unless told. */
  timeoutMs?: number
  /** The factory to use in place of the global `indexedDB`. */
  factory?: IDBFactory
}

const codes: { readonly [name: string]: ErrorCode } = {
  QuotaExceededError: 'ERR_STORAGE_FULL',
  SecurityError: 'ERR_STORAGE_BLOCKED',
  InvalidStateError: 'ERR_STORAGE_BLOCKED',
  NotAllowedError: 'ERR_STORAGE_BLOCKED',
  VersionError: 'ERR_STORAGE_BLOCKED'
}

const nameOf = (error: unknown): string => (error as { name?: string } | null)?.name ?? ''

const typed = (cause: unknown): CountersignError =>
  isCountersignError(cause) ? cause : new CountersignError(codes[nameOf(cause)] ?? 'ERR_STORAGE_FAILED', { cause })

const timedOut = (code: ErrorCode, what: string, ms: number): CountersignError =>
  new CountersignError(code, { cause: new CountersignError('ERR_TIMEOUT'), detail: `${what} took over ${ms} ms` })

const findFactory = (given: IDBFactory | undefined): IDBFactory => {
  let factory = given
  try {
    // A frame with an opaque origin throws at the mere mention.
    factory ??= globalThis.indexedDB as IDBFactory | undefined
  } catch (cause) {
    throw typed(cause)
  }
  if (!factory) throw new CountersignError('ERR_STORAGE_MISSING')
  return factory
}

/** Serialises work per name inside this realm: the whole of it where the platform has no Web Locks. */
const createQueues = (): KeyStore['lock'] => {
  const tails = new Map<string, Promise<unknown>>()
  return (name, work) => {
    const turn = (tails.get(name) ?? Promise.resolve()).then(work)
    const forget = (): void => {
      if (tails.get(name) === tail) tails.delete(name)
    }
    const tail: Promise<void> = turn.then(forget, forget)
    tails.set(name, tail)
    return turn
  }
}

class Database {
  readonly #options: IndexedDbStoreOptions
  readonly #name: string
  readonly timeoutMs: number
  #opened: Promise<IDBDatabase> | undefined
  #current: IDBDatabase | undefined

  constructor(options: IndexedDbStoreOptions) {
    this.#options = options
    this.#name = options.database ?? 'countersign'
    this.timeoutMs = options.timeoutMs ?? 5000
  }

  /** Runs one request in one transaction; a connection that has died in the meantime is opened again, once. */
  async run<T>(mode: IDBTransactionMode, ask: (table: IDBObjectStore) => IDBRequest<T>): Promise<T> {
    const db = await this.#connection()
    try {
      return await this.#transact(db, mode, ask)
    } catch (error) {
      if (nameOf((error as CountersignError).cause) !== 'InvalidStateError') throw error
      this.#forget(db)
      return this.#transact(await this.#connection(), mode, ask)
    }
  }

  #connection(): Promise<IDBDatabase> {
    if (!this.#opened) {
      const opening = this.#open()
      this.#opened = opening
      // A failed open is forgotten: the next call tries afresh.
      opening.catch(() => {
        if (this.#opened === opening) this.#opened = undefined
      })
    }
    return this.#opened
  }

  #forget(db: IDBDatabase): void {
    if (this.#current === db) this.#opened = undefined
    db.close()
  }

  #open(): Promise<IDBDatabase> {
    return new Promise((resolve, reject) => {
      let isLate = false
      let reason = 'opening the database'
      const cancel = schedule(() => {
        isLate = true
        reject(timedOut('ERR_STORAGE_BLOCKED', reason, this.timeoutMs))
      }, this.timeoutMs)
      const fail = (cause: unknown): void => {
        cancel()
        reject(typed(cause))
      }
      try {
        const request = findFactory(this.#options.factory).open(this.#name, VERSION)
        request.onupgradeneeded = () => request.result.createObjectStore(TABLE)
        request.onblocked = () => {
          reason = 'waiting for another tab to let go of an old version'
        }
        request.onerror = () => fail(request.error)
        request.onsuccess = () => {
          cancel()
          const db = request.result
          if (isLate) return db.close()
          db.onversionchange = () => this.#forget(db)
          db.onclose = () => this.#forget(db)
          this.#current = db
          resolve(db)
        }
      } catch (cause) {
        fail(cause)
      }
    })
  }

  #transact<T>(db: IDBDatabase, mode: IDBTransactionMode, ask: (table: IDBObjectStore) => IDBRequest<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      let transaction: IDBTransaction | undefined
      const cancel = schedule(() => {
        reject(timedOut('ERR_STORAGE_FAILED', 'a transaction', this.timeoutMs))
        this.#forget(db)
        try {
          transaction?.abort()
        } catch {
          // It has ended by itself; nobody waits for it any more.
        }
      }, this.timeoutMs)
      const fail = (cause: unknown): void => {
        cancel()
        reject(typed(cause))
      }
      try {
        // What the server will hold us to has to be on the disk before it is told.
        transaction = db.transaction(TABLE, mode, { durability: 'strict' })
        const request = ask(transaction.objectStore(TABLE))
        transaction.onabort = () => fail(request.error ?? transaction?.error)
        transaction.onerror = () => fail(request.error)
        transaction.oncomplete = () => {
          cancel()
          resolve(request.result)
        }
      } catch (cause) {
        fail(cause)
      }
    })
  }
}

/**
 * indexedDbStore keeps keys in the browser's IndexedDB, where a CryptoKey stays non-extractable. Its calls reject with
 * ERR_STORAGE_MISSING, _BLOCKED, _FULL or _FAILED. Key bytes lie readable in the browser's profile on disk.
 *
 * @example
 * const client = await connect({ url: location.origin, label: 'myapp', serverKeys, store: indexedDbStore() })
 */
export const indexedDbStore = (options: IndexedDbStoreOptions = {}): KeyStore => {
  const database = new Database({ ...options })
  const queue = createQueues()
  return {
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
    lock: (name, work) => queue(name, () => withWebLock(`countersign:${name}`, database.timeoutMs, work))
  }
}

// Without Web Locks the constraint of `add` alone decides which tab's key wins, which is enough for one key.
const withWebLock = async <T>(name: string, timeoutMs: number, work: () => Promise<T>): Promise<T> => {
  const locks = (globalThis as { navigator?: Navigator }).navigator?.locks
  if (!locks) return work()
  const patience = new AbortController()
  const cancel = schedule(() => patience.abort(), timeoutMs)
  let hasStarted = false
  try {
    return await locks.request(name, { signal: patience.signal }, () => {
      cancel()
      hasStarted = true
      return work()
    })
  } catch (cause) {
    if (hasStarted) throw cause
    throw patience.signal.aborted
      ? timedOut('ERR_STORAGE_BLOCKED', "waiting for another tab's lock", timeoutMs)
      : typed(cause)
  } finally {
    cancel()
  }
}

/**
 * memoryStore keeps keys for as long as the program runs: for Node, for tests, and for an application that means to enrol
 * anew each time. It never fails.
 *
 * @example
 * const client = await connect({ url: 'https://api.example', label: 'myapp', serverKeys, store: memoryStore() })
 */
export const memoryStore = (): KeyStore => {
  const records = new Map<string, Stored>()
  return {
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
