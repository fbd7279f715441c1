// SPDX-License-Identifier: MIT
// Watches the sessions that have open streams, and ends their streams when they are revoked. A store with `watch`
// reports revocations. The watcher also reads every session again from time to time, more often when the store has no
// `watch`.

import type { Schedule } from '../../common/platform.ts'
import { within } from '../support/deadline.ts'
import type { SessionStore } from '../types.ts'
import type { Feed } from './feed.ts'

/** How often the watcher reads all sessions again: with a store that has `watch`, and without. */
const CHECK_MS = { watched: 2000, unwatched: 500 }
/** A store that fails for so long may have revoked the session meanwhile, so its streams end. */
const BLIND_MS = 4000
const TOUCH_EVERY_MS = 60_000
const CHECKS_AT_ONCE = 128

/** `unseen` counts the rounds since the session was last seen to be active. */
type WatchedSession = { feeds: Set<Feed>; unseen: number; touchedMs: number }

/** Watches the sessions of open streams. */
type SessionWatcher = {
  add(sessionId: string, feed: Feed): void
  remove(sessionId: string, feed: Feed): void
  /** Returns the number of streams that a session has open. */
  count(sessionId: string): number
  feedsOf(sessionId: string): Iterable<Feed>
  feeds(): Iterable<Feed>
  close(): void
}

/** Creates a watcher that ends the streams of a session when it is revoked or gone. */
export function createSessionWatcher(options: {
  sessions: SessionStore
  storeMs: number
  schedule: Schedule
  /** Returns Unix milliseconds that never go back. */
  now: () => number
  onFault: (reason: string) => void
}): SessionWatcher {
  const { sessions, storeMs, schedule, now, onFault } = options
  const open = new Map<string, WatchedSession>()
  const everyMs = sessions.watch ? CHECK_MS.watched : CHECK_MS.unwatched
  let cancelRound: (() => void) | undefined
  let unwatch: (() => void) | undefined
  let isChecking = false
  let isDue = false
  let isClosed = false

  const endAll = (watched: WatchedSession, reason: 'revoked' | 'store'): void => {
    for (const feed of [...watched.feeds]) feed.end(reason)
  }

  const touch = (sessionId: string, watched: WatchedSession): void => {
    if (now() - watched.touchedMs < TOUCH_EVERY_MS) return
    watched.touchedMs = now()
    // No stream waits for this, and none depends on it.
    const touching = (async () => sessions.touch(sessionId, now()))()
    touching.catch(() => onFault('touch'))
  }

  const check = async (sessionId: string): Promise<void> => {
    const watched = open.get(sessionId)
    if (!watched) return
    try {
      const session = await within(storeMs, 'the session store', () => sessions.get(sessionId))
      if (session?.status !== 'active') return endAll(watched, 'revoked')
      watched.unseen = 0
      touch(sessionId, watched)
    } catch {
      onFault('sessions')
    }
  }

  const checkAll = async (): Promise<void> => {
    isDue = true
    if (isChecking) return
    isChecking = true
    while (isDue) {
      isDue = false
      const ids = [...open.keys()].values()
      const walk = async (): Promise<void> => {
        for (const id of ids) await check(id)
      }
      await Promise.all(Array.from({ length: CHECKS_AT_ONCE }, walk))
    }
    isChecking = false
  }

  const round = (): void => {
    for (const watched of [...open.values()]) {
      watched.unseen += 1
      if (watched.unseen * everyMs >= BLIND_MS) endAll(watched, 'store')
    }
    void checkAll()
    cancelRound = open.size === 0 || isClosed ? undefined : schedule(round, everyMs)
  }

  const start = (): void => {
    unwatch ??= sessions.watch?.((id) => void (id === undefined ? checkAll() : check(id)))
    cancelRound ??= schedule(round, everyMs)
  }

  return {
    add(sessionId, feed) {
      start()
      const watched = open.get(sessionId) ?? { feeds: new Set(), unseen: 0, touchedMs: now() }
      open.set(sessionId, watched)
      watched.feeds.add(feed)
      // The session may have been revoked since the last check of its request.
      void check(sessionId)
    },
    remove(sessionId, feed) {
      const watched = open.get(sessionId)
      watched?.feeds.delete(feed)
      if (watched?.feeds.size === 0) open.delete(sessionId)
    },
    count: (sessionId) => open.get(sessionId)?.feeds.size ?? 0,
    feedsOf: (sessionId) => open.get(sessionId)?.feeds ?? [],
    *feeds() {
      for (const { feeds } of [...open.values()]) yield* [...feeds]
    },
    close() {
      isClosed = true
      cancelRound?.()
      unwatch?.()
    }
  }
}
