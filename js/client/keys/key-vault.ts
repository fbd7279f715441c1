// SPDX-License-Identifier: MIT
// The one record of a client's device key in the store, and the work on it under a lock that other tabs respect. A key
// is made, tried and read back before any other code uses it. It is never replaced silently.

import { CountersignError, isCountersignError } from '../../common/errors.ts'
import type { Schedule } from '../../common/platform.ts'
import type { Algorithm, KeyStore, Stored } from '../../common/types.ts'
import { textOf } from '../../core/args.ts'
import type { ClientCore } from '../../core/client-core.ts'
import { withinLimits } from '../call-options.ts'
import type { ClientSettings } from '../options.ts'
import type { ClockNotes } from '../server-clock.ts'
import { type DeviceKey, doesKeySign, isSameKey, keyOfRecord, thumbprintOf } from './device-key.ts'
import { indexedDbStore, memoryStore } from './key-store.ts'

/** An enrolled key and the session that it signs for. */
export type Session = {
  readonly id: string
  readonly key: DeviceKey
  /** A key that may have replaced it. The client has to ask the server which of the two it has. */
  readonly next?: DeviceKey | undefined
}

/** The notes that the record holds beside a session's key: about the server's time and the server's keys. */
export type Notes = ClockNotes & Pick<Stored, 'serverKeys'>

/** The state of a record. `new` is a key that is stored and not enrolled yet. */
export type RecordState =
  | { readonly kind: 'none' }
  | { readonly kind: 'lost'; readonly cause: CountersignError }
  | { readonly kind: 'new'; readonly key: DeviceKey }
  | { readonly kind: 'ready' | 'revoked'; readonly session: Session; readonly notes: Notes }

/**
 * Returns whether a value is a session id: 22 base64url characters. With an existing galaxy gateway any text is one.
 */
export function isSessionId(value: unknown, compatible: boolean): value is string {
  if (!compatible) return typeof value === 'string' && /^[A-Za-z0-9_-]{22}$/.test(value)
  try {
    return textOf(value, 'device_session_id') === value
  } catch {
    return false
  }
}

const lost = (detail: string): RecordState => ({
  kind: 'lost',
  cause: new CountersignError('ERR_KEY_UNUSABLE', { detail })
})

/** Reads the key of a record, or of its `next`, and tries it. Returns undefined when the key does not sign. */
export async function usableKey(core: ClientCore, record: Stored['next']): Promise<DeviceKey | undefined> {
  const key = record && keyOfRecord(record)
  return key && (await doesKeySign(core, key)) ? key : undefined
}

/** Reads a record and tries its key. A damaged record is a lost key, never a reason to make a new one. */
async function readKeyRecord(core: ClientCore, record: Stored | null, compatible: boolean): Promise<RecordState> {
  if (record === null || record === undefined) return { kind: 'none' }
  const key = keyOfRecord(record)
  if (!key) return lost('the record is damaged')
  const { sessionId, revoked, clock, timeFloorMs, thumbprint, next, serverKeys } = record
  if (thumbprint !== undefined && thumbprint !== thumbprintOf(core, key))
    return { kind: 'lost', cause: new CountersignError('ERR_KEY_MISMATCH') }
  if (!(await doesKeySign(core, key))) return lost('the key does not sign')
  if (sessionId === undefined) return { kind: 'new', key }
  if (!isSessionId(sessionId, compatible)) return lost('the record is damaged')
  const notes = {
    ...(clock ? { clock } : {}),
    ...(timeFloorMs === undefined ? {} : { timeFloorMs }),
    ...(serverKeys ? { serverKeys } : {})
  }
  const session = { id: sessionId, key, next: await usableKey(core, next) }
  return { kind: revoked ? 'revoked' : 'ready', session, notes }
}

const isStorageFailure = ({ category, code }: CountersignError): boolean =>
  category === 'storage' || code === 'ERR_KEY_UNUSABLE'

/** Ends the name of the record with the key of a guest who becomes a user. */
export const UPGRADE = ':upgrade'

const STORE_MS = 10_000

// A store that never answers must not block a page. The wait for a lock may be long, because it lasts as long as
// another tab's work.
const bounded = (store: KeyStore, schedule: Schedule): KeyStore => {
  const limits = { signal: undefined, timeoutMs: STORE_MS, schedule, ends: new Set<never>() }
  const within = <T>(work: () => Promise<T>): Promise<T> =>
    withinLimits(limits, async () => work()).catch((error) => {
      if (error?.code !== 'ERR_TIMEOUT') throw error
      throw new CountersignError('ERR_STORAGE_BLOCKED', {
        cause: error,
        detail: `the store did not answer within ${STORE_MS} ms`
      })
    })
  return {
    get: (name) => within(() => store.get(name)),
    add: (name, stored) => within(() => store.add(name, stored)),
    put: (name, stored) => within(() => store.put(name, stored)),
    delete: (name) => within(() => store.delete(name)),
    lock: (name, work) => store.lock(name, work)
  }
}

/** Uses the record `name` of a store. */
export type Work<T> = (store: KeyStore, name: string) => Promise<T>

/** The levels that failed, each with its error's code. */
export type SkippedLevels = { readonly [level: string]: string }

/** The record of one client's device key. */
export class KeyVault {
  /** The runtime replaces it after a trap. */
  core: ClientCore
  readonly settings: ClientSettings
  #store: KeyStore
  /** The place of the key. It is `memory` after the store failed, when the application allows that. */
  storage: 'store' | 'memory' = 'store'
  /** The better levels that failed before the present key was made, each with its error's code. */
  skipped: SkippedLevels = {}

  constructor(core: ClientCore, settings: ClientSettings) {
    this.core = core
    this.settings = settings
    this.#store = settings.store ? bounded(settings.store, settings.schedule) : indexedDbStore()
  }

  /** Returns the level of a key of one algorithm. */
  levelOf(algorithm: Algorithm): string {
    if (this.storage === 'memory') return 'memory'
    return this.settings.store ? 'store' : `${algorithm}-indexeddb`
  }

  /** Reads the record. Rejects with a storage error. */
  load(mayMove = this.settings.allowMemoryKey): Promise<RecordState> {
    return this.#withStore((store, name) => this.read(store, name), mayMove)
  }

  /** Returns whether the record is still of this session and its key, and not revoked. */
  holds({ id, key }: Session): Promise<boolean> {
    return this.#withStore(async (store, name) => {
      const record = await store.get(name)
      const kept = record && keyOfRecord(record)
      return record?.sessionId === id && !record.revoked && kept !== undefined && isSameKey(kept as DeviceKey, key)
    }, false)
  }

  /** Adds to a session's record if it is still that session's. Another tab may have signed out or enrolled. */
  note(session: Session, notes: Notes & Pick<Stored, 'revoked'>): Promise<void> {
    return this.change(session, async (record, put) => put({ ...record, ...notes }))
  }

  /** Deletes the key. Rejects with a storage error when the store keeps it. */
  forget(): Promise<void> {
    return this.locked(async (store, name) => {
      await store.delete(name)
      await store.delete(name + UPGRADE)
    }, false)
  }

  /** Runs work while no other tab changes keys. Other tabs may still use the record meanwhile. */
  alone<T>(work: () => Promise<T>): Promise<T> {
    return this.locked(work, false, ':rotate')
  }

  /** Reads the state of the record. The caller holds the lock. */
  async read(store: KeyStore, name: string): Promise<RecordState> {
    const record = await store.get(name)
    const found = await readKeyRecord(this.core, record, this.settings.compatible)
    if (found.kind !== 'none' && found.kind !== 'lost') this.skipped = record?.skipped ?? {}
    return found
  }

  /** Returns the record of a key. */
  recordOf(key: DeviceKey): Stored {
    const { skipped } = this
    const levels = Object.keys(skipped).length > 0 ? { skipped } : {}
    return { ...key.stored(), thumbprint: thumbprintOf(this.core, key), ...levels }
  }

  /** Notes that a level failed. */
  skip(algorithm: Algorithm, { code }: CountersignError): void {
    this.skipped = { [`${algorithm}-${this.settings.store ? 'store' : 'indexeddb'}`]: code, ...this.skipped }
  }

  /** Runs work on a session's record if it is still there. A key in the store never moves into memory. */
  change<T>(
    { id }: Session,
    work: (record: Stored, put: (record: Stored) => Promise<void>, get: () => Promise<Stored | null>) => Promise<T>
  ): Promise<T | undefined> {
    return this.locked(async (store, name) => {
      const get = (): Promise<Stored | null> => store.get(name)
      const record = await get()
      return record?.sessionId === id ? work(record, (changed) => store.put(name, changed), get) : undefined
    }, false)
  }

  /** Runs work while no other tab changes the record. */
  locked<T>(work: Work<T>, mayMove = this.settings.allowMemoryKey, suffix = ''): Promise<T> {
    return this.#withStore(async (store, name) => {
      // The result comes from the work itself, because a store of the application may not return it.
      const done: Promise<T>[] = []
      await store.lock(name + suffix, () => {
        done[0] ??= work(store, name)
        return done[0]
      })
      if (!done[0])
        throw new CountersignError('ERR_STORAGE_FAILED', { detail: 'lock of the store did not call its function' })
      return done[0]
    }, mayMove)
  }

  // Only this method reads the permission to continue in memory. Work on a key in the store never moves there.
  async #withStore<T>(work: Work<T>, mayMove = this.settings.allowMemoryKey): Promise<T> {
    const { name, logger, algorithms } = this.settings
    try {
      return await work(this.#store, name)
    } catch (cause) {
      // A store of the application throws errors of its own.
      const error = isCountersignError(cause) ? cause : new CountersignError('ERR_STORAGE_FAILED', { cause })
      if (!mayMove || this.storage === 'memory' || !isStorageFailure(error)) throw error
      logger?.warn('the store failed; the key is kept in memory', error)
      for (const algorithm of algorithms) this.skip(algorithm, error)
      this.#store = memoryStore()
      this.storage = 'memory'
      return work(this.#store, name)
    }
  }
}
