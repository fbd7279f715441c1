// SPDX-License-Identifier: MIT
// The sessions that have open streams, and whether they still are sessions: told by the store where it can, looked up again
// where it cannot, and in any case now and then.

import { within } from '../support/deadline.ts'
import type { SessionStore } from '../types.ts'
import type { Feed, Schedule } from './feed.ts'

/** With a store that tells of changes, looking again is only a net under it. */
const LOOK_MS = { told: 2000, untold: 500 }
/** A store that cannot be asked for so long may have revoked without anybody hearing. */
const BLIND_MS = 4000
const TOUCH_EVERY_MS = 60_000
const LOOKS_AT_ONCE = 128

/** `unseen` counts the rounds since it was last seen to be active. */
type Watched = { feeds: Set<Feed>; unseen: number; touchedMs: number }

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
export function watchSessions(options: {
  sessions: SessionStore
  storeMs: number
  schedule: Schedule
  /** Unix milliseconds that never go back. */
  now: () => number
  onFault: (reason: string) => void
}): Watching {
  const { sessions, storeMs, schedule, now, onFault } = options
  const open = new Map<string, Watched>()
  const everyMs = sessions.watch ? LOOK_MS.told : LOOK_MS.untold
  let cancelRound: (() => void) | undefined
  let unwatch: (() => void) | undefined
  let isLooking = false
  let isDue = false
  let isClosed = false

  const endAll = (watched: Watched, reason: 'revoked' | 'store'): void => {
    for (const feed of [...watched.feeds]) feed.end(reason)
  }

  const touch = (sessionId: string, watched: Watched): void => {
    if (now() - watched.touchedMs < TOUCH_EVERY_MS) return
    watched.touchedMs = now()
    // Nobody waits for it and nothing depends on it.
    const touching = (async () => sessions.touch(sessionId, now()))()
    touching.catch(() => onFault('touch'))
  }

  const lookAt = async (sessionId: string): Promise<void> => {
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

  const round = (): void => {
    for (const watched of [...open.values()]) {
      watched.unseen += 1
      if (watched.unseen * everyMs >= BLIND_MS) endAll(watched, 'store')
    }
    void lookAtAll()
    cancelRound = open.size === 0 || isClosed ? undefined : schedule(round, everyMs)
  }

  const start = (): void => {
    unwatch ??= sessions.watch?.((id) => void (id === undefined ? lookAtAll() : lookAt(id)))
    cancelRound ??= schedule(round, everyMs)
  }

  return {
    add(sessionId, feed) {
      start()
      const watched = open.get(sessionId) ?? { feeds: new Set(), unseen: 0, touchedMs: now() }
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
      isClosed = true
      cancelRound?.()
      unwatch?.()
    }
  }
}
