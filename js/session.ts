// SPDX-License-Identifier: MIT
// One device key's record in the store: made, proved and read back before anybody hears of it, and never replaced in silence.

import type { ClockNotes } from './clock.ts'
import { textOf } from './core-args.ts'
import type { ClientCore } from './core-client.ts'
import { CountersignError, isCountersignError } from './errors.ts'
import { indexedDbStore, memoryStore } from './key-store.ts'
import { type DeviceKey, doesKeySign, keyOfRecord, makeKey } from './keys.ts'
import type { Settings } from './options.ts'
import type { Schedule } from './platform.ts'
import { withinLimits } from './transport/limits.ts'
import type { Algorithm, KeyStore, Stored } from './types.ts'

/** An enrolled key and the session it signs for. */
export type Session = { readonly id: string; readonly key: DeviceKey }

/** What a record has beside its key. */
export type Notes = ClockNotes & Pick<Stored, 'serverKeys'>

/** What a record turned out to be; `new` is a key that was stored and not enrolled yet. */
export type Found =
  | { readonly is: 'none' | 'lost' }
  | { readonly is: 'new'; readonly key: DeviceKey }
  | { readonly is: 'ready' | 'revoked'; readonly session: Session; readonly notes: Notes }

/** isSessionId tells whether a value is a session id: 22 base64url characters, any text with an existing galaxy gateway. */
export const isSessionId = (value: unknown, compatible: boolean): value is string => {
  if (!compatible) return typeof value === 'string' && /^[A-Za-z0-9_-]{22}$/.test(value)
  try {
    return textOf(value, 'device_session_id') === value
  } catch {
    return false
  }
}

const isStorageFailure = ({ category, code }: CountersignError): boolean =>
  category === 'storage' || code === 'ERR_KEY_UNUSABLE'

// Another algorithm's key may be made or kept where this one's was not; a full or blocked store stays so.
const mayNextAlgorithmHelp = (error: unknown): boolean => {
  if (!isCountersignError(error)) return false
  const { code, cause } = error
  return (
    code === 'ERR_KEY_GENERATION_FAILED' ||
    code === 'ERR_KEY_UNUSABLE' ||
    code === 'ERR_STORAGE_EMPTY' ||
    (code === 'ERR_STORAGE_FAILED' && (cause as Error | undefined)?.name === 'DataCloneError')
  )
}

const isSameKey = (record: Stored | null, { id, key }: Session): record is Stored =>
  record !== null &&
  record.sessionId === id &&
  record.publicKey.length === key.publicKey.length &&
  record.publicKey.every((byte, index) => byte === key.publicKey[index])

const STORE_MS = 10_000

// A store that never answers must not hang a page. The wait for a lock may be long: it is another tab's whole work.
const bounded = (store: KeyStore, schedule: Schedule): KeyStore => {
  const limits = { signal: undefined, timeoutMs: STORE_MS, schedule, ends: new Set<never>() }
  const within = <T>(work: () => Promise<T>): Promise<T> =>
    withinLimits(limits, async () => work()).catch((error) => {
      if (error?.code !== 'ERR_TIMEOUT') throw error
      throw new CountersignError('ERR_STORAGE_BLOCKED', { cause: error, detail: `no answer in ${STORE_MS} ms` })
    })
  return {
    get: (name) => within(() => store.get(name)),
    add: (name, stored) => within(() => store.add(name, stored)),
    put: (name, stored) => within(() => store.put(name, stored)),
    delete: (name) => within(() => store.delete(name)),
    lock: (name, work) => store.lock(name, work)
  }
}

type Work<T> = (store: KeyStore, name: string) => Promise<T>

export class Keeper {
  /** Replaced when it has trapped. */
  core: ClientCore
  readonly #settings: Settings
  #store: KeyStore
  /** Where the key is: `memory` once a failing store made a client that may go on without it. */
  storage: 'store' | 'memory' = 'store'

  constructor(core: ClientCore, settings: Settings) {
    this.core = core
    this.#settings = settings
    this.#store = settings.store ? bounded(settings.store, settings.schedule) : indexedDbStore()
  }

  /** load says what the store has; a corrupt record is a lost key, never a reason to make a new one. */
  load(): Promise<Found> {
    return this.#withStore(async (store, name) => this.#judge(await store.get(name)))
  }

  /**
   * prepare gives the key to enrol, an earlier one that was never enrolled or a new one: stored, read back, signed with and
   * verified. It rejects with ERR_ALREADY_ENROLLED where another tab has enrolled in the meantime.
   */
  prepare(): Promise<DeviceKey> {
    return this.#withLock(async (store, name) => {
      const found = await this.#judge(await store.get(name))
      if (found.is === 'ready') throw new CountersignError('ERR_ALREADY_ENROLLED')
      if (found.is === 'new') return found.key
      if (found.is !== 'none') await store.delete(name)
      return this.#create(store, name)
    })
  }

  /** save keeps an enrolled session and reads it back. */
  save(session: Session, notes: Notes): Promise<void> {
    return this.#withLock(async (store, name) => {
      await store.put(name, { ...session.key.stored(), sessionId: session.id, ...notes })
      if ((await store.get(name))?.sessionId !== session.id) throw new CountersignError('ERR_STORAGE_EMPTY')
    })
  }

  /** note adds to a session's record, if it is still that session's: another tab may have signed out or enrolled. */
  note(session: Session, notes: Notes & Pick<Stored, 'revoked'>): Promise<void> {
    return this.#withLock(async (store, name) => {
      const record = await store.get(name)
      if (isSameKey(record, session)) await store.put(name, { ...record, ...notes })
    }, false)
  }

  /** forget deletes the key; a store that will not let go of it is told, never passed over. */
  forget(): Promise<void> {
    return this.#withLock((store, name) => store.delete(name), false)
  }

  async #judge(record: Stored | null): Promise<Found> {
    if (record === null || record === undefined) return { is: 'none' }
    const key = keyOfRecord(record)
    if (!key || !(await doesKeySign(this.core, key))) return { is: 'lost' }
    const { sessionId, revoked, clock, timeFloorMs, serverKeys } = record
    if (sessionId === undefined) return { is: 'new', key }
    if (!isSessionId(sessionId, this.#settings.compatible)) return { is: 'lost' }
    const notes = {
      ...(clock ? { clock } : {}),
      ...(timeFloorMs === undefined ? {} : { timeFloorMs }),
      ...(serverKeys ? { serverKeys } : {})
    }
    return { is: revoked ? 'revoked' : 'ready', session: { id: sessionId, key }, notes }
  }

  async #create(store: KeyStore, name: string): Promise<DeviceKey> {
    let failure: unknown
    for (const algorithm of this.#settings.algorithms) {
      try {
        return await this.#createOne(store, name, algorithm)
      } catch (error) {
        failure = error
        if (!mayNextAlgorithmHelp(error)) break
      }
    }
    throw failure
  }

  // Some stores take a CryptoKey and lose it, some give back one that no longer signs: only what came back counts.
  async #createOne(store: KeyStore, name: string, algorithm: Algorithm): Promise<DeviceKey> {
    await store.add(name, (await makeKey(algorithm)).stored())
    const record = await store.get(name)
    if (!record) throw new CountersignError('ERR_STORAGE_EMPTY', { detail: algorithm })
    const key = keyOfRecord(record)
    if (key && (await doesKeySign(this.core, key))) return key
    await store.delete(name)
    throw new CountersignError('ERR_KEY_UNUSABLE', { detail: algorithm })
  }

  #withLock<T>(work: Work<T>, mayMove = this.#settings.allowMemoryKey): Promise<T> {
    return this.#withStore(async (store, name) => {
      // What work came to is not left to a store to hand back.
      const done: Promise<T>[] = []
      await store.lock(name, () => {
        done[0] ??= work(store, name)
        return done[0]
      })
      if (!done[0]) throw new CountersignError('ERR_STORAGE_FAILED', { detail: 'lock has not run its work' })
      return done[0]
    }, mayMove)
  }

  // The caller's wish to go on in memory is asked here alone. What a key in the store depends on never moves there.
  async #withStore<T>(work: Work<T>, mayMove = this.#settings.allowMemoryKey): Promise<T> {
    const { name, logger } = this.#settings
    try {
      return await work(this.#store, name)
    } catch (cause) {
      // A store of the application's own fails in words of its own.
      const error = isCountersignError(cause) ? cause : new CountersignError('ERR_STORAGE_FAILED', { cause })
      if (!mayMove || this.storage === 'memory' || !isStorageFailure(error)) throw error
      logger?.warn('the store failed; the key is kept in memory', error)
      this.#store = memoryStore()
      this.storage = 'memory'
      return work(this.#store, name)
    }
  }
}
