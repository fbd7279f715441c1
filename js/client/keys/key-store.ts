// SPDX-License-Identifier: MIT
// The stores of device keys: IndexedDB in a page, memory in Node and in tests. Only this file uses IndexedDB. Every
// wait is bounded, and every failure has its own code. A missing, blocked, full, hanging or dead store each needs
// another remedy.

import { CountersignError, type ErrorCode, isCountersignError } from '../../common/errors.ts'
import { opaqueOrigin } from '../../common/platform.ts'
import type { PlatformType } from '../../common/platform-types.ts'
import type { KeyStore, Stored } from '../../common/types.ts'
import { schedule } from '../call-options.ts'
import { webLocks } from '../tabs.ts'

type IDBFactory = PlatformType<'IDBFactory'>
type IDBObjectStore = PlatformType<'IDBObjectStore'>
type IDBRequest<T> = PlatformType<'IDBRequest'> & { readonly result: T }

/** The options of `indexedDbStore`. */
export type IndexedDbStoreOptions = {
  /** The name of the database. Keys and intents may share one. Default: `countersign`. */
  database?: string
  /**
   * The limit of an open, of a transaction, and of the wait for another tab's lock, in milliseconds. Default: 5000 ms.
   */
  timeoutMs?: number
  /** The factory of the database. Default: the global `indexedDB`. */
  factory?: IDBFactory
}

/** A table of a database, and the parameters that create it. */
export type TableOptions = {
  database: string
  table: string
  make?: { autoIncrement?: boolean; keyPath?: string | string[] | null }
}

/** Returns the name of an error that the platform has thrown. */
export function nameOf(error: unknown): string {
  return (error as { name?: string } | null)?.name ?? ''
}

const codes: { readonly [name: string]: ErrorCode } = {
  QuotaExceededError: 'ERR_STORAGE_FULL',
  SecurityError: 'ERR_STORAGE_BLOCKED',
  InvalidStateError: 'ERR_STORAGE_BLOCKED',
  NotAllowedError: 'ERR_STORAGE_BLOCKED'
}

// Chromium denies a database, in a third-party frame for example, by an UnknownError. Only its words tell it apart.
const isDenied = (cause: unknown): boolean =>
  nameOf(cause) === 'UnknownError' && /denied/.test((cause as Error).message)

const codeOf = (cause: unknown): ErrorCode =>
  isDenied(cause) ? 'ERR_STORAGE_BLOCKED' : (codes[nameOf(cause)] ?? 'ERR_STORAGE_FAILED')

const typed = (cause: unknown): CountersignError =>
  isCountersignError(cause) ? cause : new CountersignError(codeOf(cause), { cause, detail: opaqueOrigin() })

const timedOut = (code: ErrorCode, what: string, ms: number): CountersignError =>
  new CountersignError(code, { cause: new CountersignError('ERR_TIMEOUT'), detail: `${what} took over ${ms} ms` })

const findFactory = (given: IDBFactory | undefined): IDBFactory => {
  let factory = given
  try {
    // In a frame with an opaque origin the mere mention throws.
    factory ??= globalThis.indexedDB as IDBFactory | undefined
  } catch (cause) {
    throw typed(cause)
  }
  if (!factory) throw new CountersignError('ERR_STORAGE_MISSING')
  return factory
}

/** Runs work under a name, after the work that runs under it already. */
export type Lock = <T>(name: string, work: () => Promise<T>) => Promise<T>

/** Returns a lock that serialises work per name inside this realm. Without Web Locks there is no other. */
export function createQueues(): Lock {
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

/** One database with one table. Each failure has its own code. */
export class Database {
  readonly #options: IndexedDbStoreOptions
  readonly #table: TableOptions
  readonly timeoutMs: number
  #opened: Promise<IDBDatabase> | undefined
  #current: IDBDatabase | undefined

  constructor(options: IndexedDbStoreOptions, table: TableOptions) {
    this.#options = options
    this.#table = table
    this.timeoutMs = options.timeoutMs ?? 5000
  }

  /**
   * Runs one request in one transaction. A connection that has died meanwhile is opened again, once. Rejects with a
   * storage error.
   */
  async run<T>(mode: 'readonly' | 'readwrite', ask: (table: IDBObjectStore) => IDBRequest<T>): Promise<T> {
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
      // A failed open is forgotten, so that the next call tries again.
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
    const { database, table, make } = this.#table
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
      // Without a version it opens the database that is there, whichever release or feature has made it.
      const open = (version?: number): void => {
        try {
          const request = findFactory(this.#options.factory).open(this.#options.database ?? database, version)
          const lacksTable = (): boolean => !request.result.objectStoreNames.contains(table)
          request.onupgradeneeded = () => {
            if (lacksTable()) request.result.createObjectStore(table, make)
          }
          request.onblocked = () => {
            reason = 'waiting for another tab to let go of an old version'
          }
          request.onerror = () => {
            // Another tab has added a table of its own meanwhile.
            if (version && !isLate && nameOf(request.error) === 'VersionError') open()
            else fail(request.error)
          }
          request.onsuccess = () => {
            const db = request.result
            if (isLate) return db.close()
            if (lacksTable()) {
              // Tables can be added in a new version only.
              db.close()
              return open(db.version + 1)
            }
            cancel()
            db.onversionchange = () => this.#forget(db)
            db.onclose = () => this.#forget(db)
            this.#current = db
            resolve(db)
          }
        } catch (cause) {
          fail(cause)
        }
      }
      open()
    })
  }

  #transact<T>(
    db: IDBDatabase,
    mode: 'readonly' | 'readwrite',
    ask: (table: IDBObjectStore) => IDBRequest<T>
  ): Promise<T> {
    const { table } = this.#table
    return new Promise((resolve, reject) => {
      let transaction: IDBTransaction | undefined
      const cancel = schedule(() => {
        reject(timedOut('ERR_STORAGE_FAILED', 'a transaction', this.timeoutMs))
        this.#forget(db)
        try {
          transaction?.abort()
        } catch {
          // The transaction has ended by itself, and no call waits for it any more.
        }
      }, this.timeoutMs)
      const fail = (cause: unknown): void => {
        cancel()
        reject(typed(cause))
      }
      try {
        // The record must be on the disk before the client tells the server about it.
        transaction = db.transaction(table, mode, { durability: 'strict' })
        const request = ask(transaction.objectStore(table))
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
 * Runs work under a lock that all tabs of the origin share. Waits for the lock for `timeoutMs` milliseconds, or without
 * a limit when it is undefined. It runs the work at once where the browser has no Web Locks or denies them. Rejects with
 * ERR_STORAGE_BLOCKED when the wait is over.
 */
export async function withWebLock<T>(name: string, timeoutMs: number | undefined, work: () => Promise<T>): Promise<T> {
  const locks = webLocks()
  if (!locks) return work()
  const patience = new AbortController()
  const cancel = timeoutMs === undefined ? () => {} : schedule(() => patience.abort(), timeoutMs)
  let hasStarted = false
  try {
    return await locks.request(name, { signal: patience.signal }, () => {
      cancel()
      hasStarted = true
      return work()
    })
  } catch (cause) {
    if (hasStarted) throw cause
    if (patience.signal.aborted) throw timedOut('ERR_STORAGE_BLOCKED', "waiting for another tab's lock", timeoutMs ?? 0)
    return work()
  } finally {
    cancel()
  }
}

const createCounter = (): (() => number) => {
  let count = 0
  return () => ++count
}
const nextStore = createCounter()
// Most likely no other page or process has this scope. If one has it, it hears messages of other records, reads its own
// record again and finds it unchanged.
const ownScope = (): string => `${globalThis.performance?.timeOrigin}/${nextStore()}`

/**
 * Returns a store in the browser's IndexedDB, where a CryptoKey stays non-extractable. The key's bytes lie readable in
 * the browser's profile on disk.
 *
 * Its calls reject with ERR_STORAGE_MISSING, ERR_STORAGE_BLOCKED, ERR_STORAGE_FULL or ERR_STORAGE_FAILED.
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
    // Without Web Locks, `add` alone decides which tab's key wins. That is enough for one key.
    lock: (name, work) => queue(name, () => withWebLock(`countersign:${name}`, database.timeoutMs, work))
  }
}

/**
 * Returns a store that keeps keys while the program runs: for Node, for tests, and for an application that enrols anew
 * each time. It never fails.
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
