// SPDX-License-Identifier: MIT
// The changes in a folder of LMDB, for every process that has it open. A short table holds numbered changes; the
// transaction that makes a change writes it. Other processes look at the last number twenty times a second. The
// process that made the change notifies its own watchers at once.

import type { RootDatabase } from 'lmdb'
import { type ChangeListener, createWatchers } from '../watchers.ts'

/** `sessions`: revoked, or another key. `events`: appended or dropped. */
type ChangeKind = 'sessions' | 'events'

/** The table of changes of one environment. */
export type LmdbChanges = {
  /** Records a change, within a transaction. Returns what notifies this process once the transaction has committed. */
  record(kind: ChangeKind, id: string): () => void
  watch(kind: ChangeKind, listener: ChangeListener): () => void
  close(): void
}

const POLL_MS = 50
/** More changes than happen between two polls. A process that missed more hears that anything may have changed. */
const KEPT_CHANGES = 4096
const LAST = 'last'

/** Opens the table of changes in an open environment. */
export function openLmdbChanges(root: RootDatabase): LmdbChanges {
  const table = root.openDB<[ChangeKind, string], number>({ name: 'changes', encoding: 'json' })
  const meta = root.openDB<number, string>({ name: 'changes-meta', encoding: 'json' })
  const watchers = { sessions: createWatchers(), events: createWatchers() }
  // Numbers of this process's own changes, which it has notified already.
  const notified = new Set<number>()
  let timer: NodeJS.Timeout | undefined
  let seen = 0

  const notifyNew = (last: number): void => {
    const fresh = new Map<string, [ChangeKind, string]>()
    for (let number = seen + 1; number <= last; number++) {
      const change = notified.delete(number) ? undefined : table.get(number)
      if (change) fresh.set(change.join(' '), change)
    }
    for (const [kind, id] of fresh.values()) watchers[kind].notify(id)
  }

  const look = (): void => {
    root.resetReadTxn()
    const last = meta.get(LAST) ?? 0
    if (last === seen) return
    const isMissed = last < seen || last - seen >= KEPT_CHANGES
    if (isMissed) {
      notified.clear()
      for (const { notify } of Object.values(watchers)) notify(undefined)
    } else notifyNew(last)
    seen = last
  }

  // What cannot be read now, because the disk is broken or memory is short, is read by a later look.
  const poll = (): void => {
    try {
      look()
    } catch {}
  }

  const start = (): void => {
    if (timer) return
    root.resetReadTxn()
    seen = meta.get(LAST) ?? 0
    timer = setInterval(poll, POLL_MS).unref()
  }

  const stop = (): void => {
    clearInterval(timer)
    timer = undefined
    notified.clear()
  }

  return {
    record(kind, id) {
      const number = (meta.get(LAST) ?? 0) + 1
      meta.put(LAST, number)
      table.put(number, [kind, id])
      table.remove(number - KEPT_CHANGES)
      return () => {
        if (timer && number > seen) notified.add(number)
        watchers[kind].notify(id)
      }
    },
    watch(kind, listener) {
      start()
      const unwatch = watchers[kind].watch(listener)
      return () => {
        unwatch()
        if (watchers.sessions.size + watchers.events.size === 0) stop()
      }
    },
    close: stop
  }
}
