// SPDX-License-Identifier: MIT
// Who changed what in a folder of LMDB, for every process that has it open: a short table of numbered changes, written in the
// transaction that makes them. Others look at its last number twenty times a second; the process itself is told at once.

import type { RootDatabase } from 'lmdb'
import { createTellers, type Teller } from '../watchers.ts'

/** `sessions`: revoked or another key. `events`: appended or dropped. */
export type ChangeKind = 'sessions' | 'events'

/** Changes notes and tells them. */
export type Changes = {
  /** Within a transaction: notes a change. Gives what tells this process, for when the transaction is done. */
  note(kind: ChangeKind, id: string): () => void
  listen(kind: ChangeKind, listener: Teller): () => void
  close(): void
}

const EVERY_MS = 50
/** More than can be written between two looks; who missed more is told that anything may have changed. */
const KEPT = 4096
const LAST = 'last'

/** lmdbChanges makes the table in an open environment. */
export function lmdbChanges(root: RootDatabase): Changes {
  const table = root.openDB<[ChangeKind, string], number>({ name: 'changes', encoding: 'json' })
  const meta = root.openDB<number, string>({ name: 'changes-meta', encoding: 'json' })
  const tellers = { sessions: createTellers(), events: createTellers() }
  // Told already, by this very process.
  const told = new Set<number>()
  let timer: NodeJS.Timeout | undefined
  let seen = 0

  const tellNew = (last: number): void => {
    const fresh = new Map<string, [ChangeKind, string]>()
    for (let number = seen + 1; number <= last; number++) {
      const change = told.delete(number) ? undefined : table.get(number)
      if (change) fresh.set(change.join(' '), change)
    }
    for (const [kind, id] of fresh.values()) tellers[kind].tell(id)
  }

  const look = (): void => {
    root.resetReadTxn()
    const last = meta.get(LAST) ?? 0
    if (last === seen) return
    const isMissed = last < seen || last - seen >= KEPT
    if (isMissed) {
      told.clear()
      for (const { tell } of Object.values(tellers)) tell(undefined)
    } else tellNew(last)
    seen = last
  }

  const start = (): void => {
    if (timer) return
    root.resetReadTxn()
    seen = meta.get(LAST) ?? 0
    timer = setInterval(look, EVERY_MS).unref()
  }

  const stop = (): void => {
    clearInterval(timer)
    timer = undefined
    told.clear()
  }

  return {
    note(kind, id) {
      const number = (meta.get(LAST) ?? 0) + 1
      meta.put(LAST, number)
      table.put(number, [kind, id])
      table.remove(number - KEPT)
      return () => {
        if (timer && number > seen) told.add(number)
        tellers[kind].tell(id)
      }
    },
    listen(kind, listener) {
      start()
      const unlisten = tellers[kind].listen(listener)
      return () => {
        unlisten()
        if (tellers.sessions.size + tellers.events.size === 0) stop()
      }
    },
    close: stop
  }
}
