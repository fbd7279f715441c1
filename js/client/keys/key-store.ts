// SPDX-License-Identifier: MIT
// Where device keys live: IndexedDB in a page, memory in Node and in tests. The only file that names IndexedDB. Every wait in
// it is bounded and every failure typed: a store that is missing, blocked, full, hanging or dead is told apart, since each
// needs another remedy.

import { CountersignError, type ErrorCode, isCountersignError } from '../../common/errors.ts'
import type { KeyStore, Stored } from '../../common/types.ts'
import { schedule } from '../call-options.ts'

const VERSION = 1

/** Options of a store in IndexedDB; the defaults are what a page wants. */
export type IndexedDbStoreOptions = {
  /** The database's name. */
  database?: string
  /** How long an open, a transaction or another tab's lock may take, in milliseconds; 5000 unless told. */
  timeoutMs?: number
  /** The factory to use in place of the global `indexedDB`. */
  factory?: IDBFactory
}

/** A table of a database, and how it is made. */
export type TableOptions = { database: string; table: string; make?: IDBObjectStoreParameters }

const codes: { readonly [name: string]: ErrorCode } = {
  QuotaExceededError: 'ERR_STORAGE_FULL',
  SecurityError: 'ERR_STORAGE_BLOCKED',
  InvalidStateError: 'ERR_STORAGE_BLOCKED',
  NotAllowedError: 'ERR_STORAGE_BLOCKED',
  VersionError: 'ERR_STORAGE_BLOCKED'
}

/** nameOf gives the name of what a platform has thrown. */
export function nameOf(error: unknown): string {
  return (error as { name?: string } | null)?.name ?? ''
}

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

/** Runs work under a name, after whatever runs under it already. */
export type Lock = <T>(name: string, work: () => Promise<T>) => Promise<T>

/** createQueues serialises work per name inside this realm: the whole of it where the platform has no Web Locks. */
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
    const { table, make } = this.#table
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
        const request = findFactory(this.#options.factory).open(this.#options.database ?? this.#table.database, VERSION)
        request.onupgradeneeded = () => request.result.createObjectStore(table, make)
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
    const { table } = this.#table
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
 * withWebLock runs work under a lock that all tabs of the origin share, and waits for it for `timeoutMs` at most
 * (ERR_STORAGE_BLOCKED), or for as long as it takes. Where the platform has no Web Locks it runs the work at once.
 */
export async function withWebLock<T>(name: string, timeoutMs: number | undefined, work: () => Promise<T>): Promise<T> {
  const locks = (globalThis as { navigator?: Navigator }).navigator?.locks
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
    throw patience.signal.aborted
      ? timedOut('ERR_STORAGE_BLOCKED', "waiting for another tab's lock", timeoutMs ?? 0)
      : typed(cause)
  } finally {
    cancel()
  }
}

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
