// SPDX-License-Identifier: MIT
// The sessions that have open streams, and whether they still are sessions: told by the store where it can, looked up again
// where it cannot, and in any case now and then.

import { within } from '../deadline.ts'
import type { SessionStore } from '../types.ts'
import type { Feed } from './feed.ts'

/** With a store that tells of changes, looking again is only a net under it. */
const LOOK_MS = { told: 2000, untold: 500 }
/** A store that cannot be asked for so long may have revoked without anybody hearing. */
const BLIND_MS = 5000
const TOUCH_EVERY_MS = 60_000
const LOOKS_AT_ONCE = 32

type Watched = { feeds: Set<Feed>; seenAt: number; touchedAt: number }

/** Watching follows the sessions of open streams. */
export type Watching = {
  add(sessionId: string, feed: Feed): void
  remove(sessionId: string, feed: Feed): void
  /** Streams a session has open. */
  count(sessionId: string): number
  feedsOf(sessionId: string): Iterable<Feed>
  feeds(): Iterable<Feed>
  close(): void
}

/** watchSessions ends the streams of a session once it is revoked or gone. */
export const watchSessions = (options: {
  sessions: SessionStore
  storeMs: number
  now: () => number
  onFault: (reason: string) => void
}): Watching => {
  const { sessions, storeMs, now, onFault } = options
  const open = new Map<string, Watched>()
  const everyMs = sessions.watch ? LOOK_MS.told : LOOK_MS.untold
  let timer: NodeJS.Timeout | undefined
  let unwatch: (() => void) | undefined
  let isLooking = false
  let isDue = false

  const endAll = (watched: Watched, reason: 'revoked' | 'store'): void => {
    for (const feed of [...watched.feeds]) feed.end(reason)
  }

  const touch = (sessionId: string, watched: Watched): void => {
    if (performance.now() - watched.touchedAt < TOUCH_EVERY_MS) return
    watched.touchedAt = performance.now()
    // Nobody waits for it and nothing depends on it.
    const touching = (async () => sessions.touch(sessionId, now()))()
    touching.catch(() => onFault('touch'))
  }

  const lookAt = async (sessionId: string): Promise<void> => {
    const watched = open.get(sessionId)
    if (!watched) return
    const askedAt = performance.now()
    try {
      const session = await within(storeMs, 'the session store', () => sessions.get(sessionId))
      if (session?.status !== 'active') return endAll(watched, 'revoked')
      watched.seenAt = askedAt
      touch(sessionId, watched)
    } catch {
      onFault('sessions')
      if (askedAt - watched.seenAt > BLIND_MS) endAll(watched, 'store')
    }
  }

  const lookAtAll = async (): Promise<void> => {
    isDue = true
    if (isLooking) return
    isLooking = true
    while (isDue) {
      isDue = false
      const ids = [...open.keys()].values()
      const walk = async (): Promise<void> => {
        for (const id of ids) await lookAt(id)
      }
      await Promise.all(Array.from({ length: LOOKS_AT_ONCE }, walk))
    }
    isLooking = false
  }

  const start = (): void => {
    unwatch ??= sessions.watch?.((id) => void (id === undefined ? lookAtAll() : lookAt(id)))
    timer ??= setInterval(lookAtAll, everyMs).unref()
  }

  return {
    add(sessionId, feed) {
      start()
      const nowMs = performance.now()
      const watched = open.get(sessionId) ?? { feeds: new Set(), seenAt: nowMs, touchedAt: nowMs }
      open.set(sessionId, watched)
      watched.feeds.add(feed)
      // Revoked between the last look of its request and now.
      void lookAt(sessionId)
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
      clearInterval(timer)
      unwatch?.()
    }
  }
}
