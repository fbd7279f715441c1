// SPDX-License-Identifier: MIT
// Sessions that are read once and kept for a moment. Without this, a gateway asks a store across the network twice a
// request. The store's `watch` pushes changes. An entry that no push reaches is read again after `maxAgeMs`. A
// revocation therefore counts everywhere within 5 s (PROTOCOL.md, section 10), even when the connection for pushes is
// lost.

import { badArgument, integerOf } from '../../core/args.ts'
import { partOf } from '../support/checks.ts'
import { gatewayOptionsOf } from '../support/option-names.ts'
import type { PruneBounds, SessionRecord, SessionStore } from '../types.ts'
import { copySession } from './common.ts'

const MAX_AGE_MS = 5000
const DEFAULT_CAPACITY = 65_536

/** A SessionStore with a cache in front of it. */
export type CachedSessionStore = SessionStore & {
  /** Ends the watch on the store behind the cache. That store stays open. */
  close(): void
  /** The number of sessions in the cache. */
  readonly size: number
}

type CachedSession = { readonly session: SessionRecord; readonly readMs: number }

/**
 * Creates a cache in front of a store that has `watch`. The cache never keeps that an id is unknown, so a new session
 * counts as soon as it exists.
 *
 * @throws ERR_INVALID_ARGUMENT when an option is out of range, or when the store has no `watch`. Revocations by other
 * processes would then be seen late.
 *
 * @example
 * ```ts
 * const stores = await redisStores({ url: 'redis://127.0.0.1', label: 'myapp' })
 * const sessions = cachedSessions(stores.sessions)
 * const gateway = createGateway({ ...stores, sessions, label: 'myapp', signer, routes })
 * ```
 */
export function cachedSessions(
  store: SessionStore,
  options: {
    /** The longest that a session is kept, 1 to 5000 ms. Default: 5000 ms. */
    maxAgeMs?: number
    /** The most sessions that are kept. Default: 65536. */
    capacity?: number
    /** Returns the milliseconds of a clock that never steps. Default: `performance.now`. */
    monotonicNow?: () => number
  } = {}
): CachedSessionStore {
  partOf(store, ['get', 'create', 'revoke', 'listByUser', 'replaceKey', 'touch'], 'cachedSessions: pass a SessionStore')
  const { watch } = store
  if (typeof watch !== 'function') throw badArgument('cachedSessions: the store must have watch()')
  const given = gatewayOptionsOf(options, 'cachedSessions')
  const { maxAgeMs = MAX_AGE_MS, capacity = DEFAULT_CAPACITY, monotonicNow = () => performance.now() } = given
  integerOf(maxAgeMs, 1, MAX_AGE_MS, 'cachedSessions: maxAgeMs')
  integerOf(capacity, 1, 2 ** 24, 'cachedSessions: capacity')

  const entries = new Map<string, CachedSession>()
  // Reads under way. A read that a change overtook is neither kept nor shared with later callers.
  const reading = new Map<string, Promise<SessionRecord | null>>()
  const forget = (id: string | undefined): void => {
    if (id === undefined) {
      entries.clear()
      reading.clear()
      return
    }
    entries.delete(id)
    reading.delete(id)
  }
  const stop = watch.call(store, forget)

  const keep = (id: string, session: SessionRecord, readMs: number): void => {
    entries.delete(id)
    if (entries.size >= capacity) entries.delete(entries.keys().next().value as string)
    entries.set(id, { session, readMs })
  }

  const read = (id: string): Promise<SessionRecord | null> => {
    // The age counts from before the read: a change made meanwhile may be missing from its result.
    const readMs = monotonicNow()
    const asking = (async () => store.get(id))()
    const shared = asking.then(
      (session) => {
        if (reading.get(id) === shared) {
          reading.delete(id)
          if (session) keep(id, copySession(session), readMs)
        }
        return session
      },
      (error) => {
        if (reading.get(id) === shared) reading.delete(id)
        throw error
      }
    )
    reading.set(id, shared)
    return shared
  }

  // Forgets before and after the change, because a read between the two may have seen either state.
  const change = async <T>(id: string, work: () => Promise<T>): Promise<T> => {
    forget(id)
    try {
      return await work()
    } finally {
      forget(id)
    }
  }

  return {
    ...(store.volatile === undefined ? {} : { volatile: store.volatile }),
    ...(store.guests === undefined ? {} : { guests: store.guests }),
    async get(id) {
      const entry = entries.get(id)
      if (entry && monotonicNow() - entry.readMs < maxAgeMs) return copySession(entry.session)
      const session = await (reading.get(id) ?? read(id))
      return session && copySession(session)
    },
    async reread(id) {
      forget(id)
      const session = await read(id)
      return session && copySession(session)
    },
    async create(session, limits) {
      const created = await change(session.id, () => store.create(session, limits))
      if (Array.isArray(created)) for (const id of created) forget(id)
      return created
    },
    revoke: (id, reason, atMs) => change(id, () => store.revoke(id, reason, atMs)),
    listByUser: (userId) => store.listByUser(userId),
    replaceKey: (id, expectedKey, next) => change(id, () => store.replaceKey(id, expectedKey, next)),
    ...(store.rename
      ? { rename: (id: string, name: string) => change(id, async () => (await store.rename?.(id, name)) ?? false) }
      : {}),
    async touch(id, ms) {
      await store.touch(id, ms)
      const entry = entries.get(id)
      // Otherwise each of the next requests would touch it again.
      if (entry && ms > entry.session.lastSeenMs) {
        entries.set(id, { ...entry, session: { ...entry.session, lastSeenMs: ms } })
      }
    },
    ...(store.prune
      ? {
          async prune(bounds: PruneBounds) {
            const removed = (await store.prune?.(bounds)) ?? []
            for (const id of removed) forget(id)
            return removed
          }
        }
      : {}),
    ...(store.forgetUser
      ? {
          async forgetUser(userId: string) {
            const removed = (await store.forgetUser?.(userId)) ?? []
            for (const id of removed) forget(id)
            return removed
          }
        }
      : {}),
    ...(store.isEmpty ? { isEmpty: () => store.isEmpty?.() ?? Promise.resolve(false) } : {}),
    watch: (listener) => watch.call(store, listener),
    close() {
      stop()
      forget(undefined)
    },
    get size() {
      return entries.size
    }
  }
}
