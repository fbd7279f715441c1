// SPDX-License-Identifier: MIT
// Sessions read once and kept for a moment: a gateway in front of a store across the network asks it twice a request
// otherwise. Changes are pushed by the store's `watch`; an entry that no push reaches is looked up again after `maxAgeMs`, so
// that a revocation counts everywhere within 5 s (PROTOCOL.md, section 10), the connection for pushes lost or not.

import { badArgument, integerOf, optionsOf } from '../../core/args.ts'
import { partOf } from '../support/checks.ts'
import type { SessionRecord, SessionStore } from '../types.ts'

const MAX_AGE_MS = 5000
const DEFAULT_CAPACITY = 65_536

/** A session store with a cache in front. */
export type CachedSessionStore = SessionStore & {
  /** Ends the watch on the store behind, which stays open. */
  close(): void
  /** Sessions held at the moment. */
  readonly size: number
}

type Entry = { readonly session: SessionRecord; readonly readMs: number }

const copyOf = (session: SessionRecord): SessionRecord => ({
  ...session,
  publicKey: session.publicKey.slice(),
  ...(session.previous ? { previous: { ...session.previous, publicKey: session.previous.publicKey.slice() } } : {})
})

/**
 * cachedSessions keeps up to `capacity` sessions of a store that has `watch`, each for `maxAgeMs` at most (1 to 5000, 5000 by
 * default). An unknown id is never kept: a session counts as soon as it exists. It throws ERR_INVALID_ARGUMENT for a store
 * without `watch`, whose revocations by other processes would be seen late.
 *
 * @example
 * ```ts
 * const stores = await redisStores({ url: 'redis://127.0.0.1', label: 'myapp' })
 * const gateway = createGateway({ ...stores, sessions: cachedSessions(stores.sessions), label: 'myapp', signer, routes })
 * ```
 */
export function cachedSessions(
  store: SessionStore,
  options: { maxAgeMs?: number; capacity?: number; monotonicNow?: () => number } = {}
): CachedSessionStore {
  partOf(store, ['get', 'create', 'revoke', 'listByUser', 'replaceKey', 'touch'], 'cachedSessions: pass a SessionStore')
  const { watch } = store
  if (typeof watch !== 'function') throw badArgument('cachedSessions: the store must have watch()')
  const given = optionsOf(options, 'cachedSessions')
  const { maxAgeMs = MAX_AGE_MS, capacity = DEFAULT_CAPACITY, monotonicNow = () => performance.now() } = given
  integerOf(maxAgeMs, 1, MAX_AGE_MS, 'cachedSessions: maxAgeMs')
  integerOf(capacity, 1, 2 ** 24, 'cachedSessions: capacity')

  const entries = new Map<string, Entry>()
  // Reads under way. One that a change overtook is not kept, and nobody who asks later shares it.
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
    // Aged from before the question: what the store did meanwhile may not be in its answer.
    const readMs = monotonicNow()
    const asked = (async () => store.get(id))()
    const shared = asked.then(
      (session) => {
        if (reading.get(id) === shared) {
          reading.delete(id)
          if (session) keep(id, copyOf(session), readMs)
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

  // Forgotten before and after: a read between the two may have seen either state.
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
    async get(id) {
      const entry = entries.get(id)
      if (entry && monotonicNow() - entry.readMs < maxAgeMs) return copyOf(entry.session)
      const session = await (reading.get(id) ?? read(id))
      return session && copyOf(session)
    },
    async reread(id) {
      forget(id)
      const session = await read(id)
      return session && copyOf(session)
    },
    create: (session) => change(session.id, () => store.create(session)),
    revoke: (id, reason, atMs) => change(id, () => store.revoke(id, reason, atMs)),
    listByUser: (userId) => store.listByUser(userId),
    replaceKey: (id, expectedKey, next) => change(id, () => store.replaceKey(id, expectedKey, next)),
    ...(store.rename
      ? { rename: (id: string, name: string) => change(id, async () => (await store.rename?.(id, name)) ?? false) }
      : {}),
    async touch(id, ms) {
      await store.touch(id, ms)
      const entry = entries.get(id)
      // Else the next requests would each touch it again.
      if (entry && ms > entry.session.lastSeenMs) {
        entries.set(id, { ...entry, session: { ...entry.session, lastSeenMs: ms } })
      }
    },
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
