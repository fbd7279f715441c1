// SPDX-License-Identifier: MIT
// The one record of a client's device key: what a store has of it, and the work on it that no other tab may disturb. A key is
// made, proved and read back before anybody hears of it, and never replaced in silence.

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

/** An enrolled key and the session it signs for. */
export type Session = {
  readonly id: string
  readonly key: DeviceKey
  /** A key that may have replaced it: which of the two the server has is to be asked. */
  readonly next?: DeviceKey | undefined
}

/** What is remembered beside a session's key: of the server's time and of its keys. */
export type Notes = ClockNotes & Pick<Stored, 'serverKeys'>

/** What a record turned out to be; `new` is a key that was stored and not enrolled yet. */
export type RecordState =
  | { readonly kind: 'none' }
  | { readonly kind: 'lost'; readonly cause: CountersignError }
  | { readonly kind: 'new'; readonly key: DeviceKey }
  | { readonly kind: 'ready' | 'revoked'; readonly session: Session; readonly notes: Notes }

/** isSessionId tells whether a value is a session id: 22 base64url characters, any text with an existing galaxy gateway. */
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

/** usableKey reads the key of a record, or of its `next`, and tries it; undefined where it does not sign. */
export async function usableKey(core: ClientCore, record: Stored['next']): Promise<DeviceKey | undefined> {
  const key = record && keyOfRecord(record)
  return key && (await doesKeySign(core, key)) ? key : undefined
}

/** judge reads a record; a corrupt one is a lost key, never a reason to make a new one. */
export async function readKeyRecord(
  core: ClientCore,
  record: Stored | null,
  compatible: boolean
): Promise<RecordState> {
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

const STORE_MS = 10_000

// A store that never answers must not hang a page. The wait for a lock may be long: it is another tab's whole work.
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

/** Work on the record `name` of a store. */
export type Work<T> = (store: KeyStore, name: string) => Promise<T>

/** A client's way down from the best kind of key to the one it could make and keep. */
export type Rungs = { readonly [rung: string]: string }

export class KeyVault {
  /** Replaced when it has trapped. */
  core: ClientCore
  readonly settings: ClientSettings
  #store: KeyStore
  /** Where the key is: `memory` once a failing store made a client that may go on without it. */
  storage: 'store' | 'memory' = 'store'
  /** The rungs above the present key's, each with the code of its failure. */
  skipped: Rungs = {}

  constructor(core: ClientCore, settings: ClientSettings) {
    this.core = core
    this.settings = settings
    this.#store = settings.store ? bounded(settings.store, settings.schedule) : indexedDbStore()
  }

  /** rungOf names where on the ladder a key of one algorithm stands. */
  rungOf(algorithm: Algorithm): string {
    if (this.storage === 'memory') return 'memory'
    return this.settings.store ? 'store' : `${algorithm}-indexeddb`
  }

  /** load says what the store has. */
  load(mayMove = this.settings.allowMemoryKey): Promise<RecordState> {
    return this.#withStore((store, name) => this.read(store, name), mayMove)
  }

  /** holds tells whether the record is still that of a session, of its key, and not revoked. */
  holds({ id, key }: Session): Promise<boolean> {
    return this.#withStore(async (store, name) => {
      const record = await store.get(name)
      const kept = record && keyOfRecord(record)
      return record?.sessionId === id && !record.revoked && kept !== undefined && isSameKey(kept as DeviceKey, key)
    }, false)
  }

  /** note adds to a session's record, if it is still that session's: another tab may have signed out or enrolled. */
  note(session: Session, notes: Notes & Pick<Stored, 'revoked'>): Promise<void> {
    return this.change(session, async (record, put) => put({ ...record, ...notes }))
  }

  /** forget deletes the key; a store that will not let go of it is told, never passed over. */
  forget(): Promise<void> {
    return this.locked((store, name) => store.delete(name), false)
  }

  /** alone runs work while no other tab changes keys. The record itself stays free for everybody meanwhile. */
  alone<T>(work: () => Promise<T>): Promise<T> {
    return this.locked(work, false, ':rotate')
  }

  /** read judges the record; for work under the lock. */
  async read(store: KeyStore, name: string): Promise<RecordState> {
    const record = await store.get(name)
    const found = await readKeyRecord(this.core, record, this.settings.compatible)
    if (found.kind !== 'none' && found.kind !== 'lost') this.skipped = record?.skipped ?? {}
    return found
  }

  /** recordOf gives what is stored of a key. */
  recordOf(key: DeviceKey): Stored {
    const { skipped } = this
    const rungs = Object.keys(skipped).length > 0 ? { skipped } : {}
    return { ...key.stored(), thumbprint: thumbprintOf(this.core, key), ...rungs }
  }

  /** skip notes that a rung of the ladder failed. */
  skip(algorithm: Algorithm, { code }: CountersignError): void {
    this.skipped = { [`${algorithm}-${this.settings.store ? 'store' : 'indexeddb'}`]: code, ...this.skipped }
  }

  /** change works on a session's record where it is still there; what hangs on a key in the store never moves into memory. */
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

  /** locked runs work while no other tab changes the record. */
  locked<T>(work: Work<T>, mayMove = this.settings.allowMemoryKey, suffix = ''): Promise<T> {
    return this.#withStore(async (store, name) => {
      // What work came to is not left to a store to hand back.
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

  // The caller's wish to go on in memory is asked here alone. What a key in the store depends on never moves there.
  async #withStore<T>(work: Work<T>, mayMove = this.settings.allowMemoryKey): Promise<T> {
    const { name, logger, algorithms } = this.settings
    try {
      return await work(this.#store, name)
    } catch (cause) {
      // A store of the application's own fails in words of its own.
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
