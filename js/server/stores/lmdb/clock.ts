// SPDX-License-Identifier: MIT
// The shared time of the gateways over one LMDB folder (R147, R148): one record. All of them are on one machine, so its
// system's clock is the common measure.

import type { RootDatabase } from 'lmdb'
import { CountersignError } from '../../../common/errors.ts'
import { DAY_MS } from '../../../common/protocol.ts'
import type { ClockReturn, SessionRecord } from '../../types.ts'
import type { ClockRecord, ClosableClock } from '../shared-clock.ts'
import { isWithin, noteAheadOf, noteReading, parseClock, returnClock, timeOf } from '../shared-clock.ts'
import { transact } from './environment.ts'

const RECORD = 'record'

/** The longest time that an idempotent answer may be kept. */
const LONGEST_KEEP_MS = 366 * DAY_MS

/** The times in the records of sessions and of answers. */
type SessionTimes = Partial<Pick<SessionRecord, 'createdMs' | 'lastSeenMs' | 'revokedMs'>> & {
  previous?: { replacedMs: number }
}
type AnswerTimes = { expiresMs?: number; heldUntilMs?: number }

// A replaced key whose time lies ahead would verify old requests until then.
function clampSession({ previous, ...session }: SessionTimes, nowMs: number): SessionTimes {
  const times = (['createdMs', 'lastSeenMs', 'revokedMs'] as const).flatMap((name) =>
    session[name] === undefined ? [] : [[name, Math.min(session[name], nowMs)]]
  )
  const clamped = { ...session, ...Object.fromEntries(times) }
  return previous && previous.replacedMs <= nowMs ? { ...clamped, previous } : clamped
}

/**
 * Creates the shared clock in an open environment. `takeBack` does its part in the table of ids, inside the transaction.
 */
export function createLmdbClock(root: RootDatabase, takeBack: (change: ClockReturn) => void): ClosableClock {
  const table = root.openDB<string, string>({ name: 'clock', encoding: 'string' })
  let isClosed = false
  let burnt = parseClock(table.get(RECORD)).burnt

  const step = async (change: (record: ClockRecord) => ClockRecord | undefined): Promise<ClockRecord | undefined> => {
    if (isClosed) throw new CountersignError('ERR_CLOSED')
    const next = await transact(root, () => {
      const record = parseClock(table.get(RECORD))
      const changed = change(record)
      if (changed && changed !== record) table.put(RECORD, JSON.stringify(changed))
      return changed
    })
    burnt = next?.burnt ?? burnt
    return next
  }

  const clampTables = (nowMs: number): void => {
    const sessions = root.openDB<SessionTimes, string>({ name: 'sessions', encoding: 'json' })
    for (const { key, value } of [...sessions.getRange()]) sessions.put(key, clampSession(value, nowMs))
    const answers = root.openDB<AnswerTimes, string>({ name: 'answers', encoding: 'json' })
    for (const { key, value } of [...answers.getRange()]) {
      const { expiresMs, heldUntilMs } = value
      // A key that is remembered for too long is safe. One that is forgotten early would run its handler twice.
      const latestMs = nowMs + LONGEST_KEEP_MS
      if (expiresMs === undefined || heldUntilMs === undefined) continue
      if (expiresMs > latestMs || heldUntilMs > nowMs)
        answers.put(key, {
          ...value,
          expiresMs: Math.min(expiresMs, latestMs),
          heldUntilMs: Math.min(heldUntilMs, nowMs)
        })
    }
    // Challenges and counters of the time ahead would be good, or count, for years.
    const codes = root.openDB<object, string>({ name: 'codes', encoding: 'json' })
    const counts = root.openDB<number, string>({ name: 'codes-meta', encoding: 'json' })
    for (const key of [...codes.getKeys()]) codes.remove(key)
    counts.put('size', 0)
  }

  return {
    async read(systemMs) {
      if (isClosed) throw new CountersignError('ERR_CLOSED')
      root.resetReadTxn()
      const record = parseClock(table.get(RECORD))
      burnt = record.burnt
      return timeOf(record, systemMs)
    },
    async note(reading) {
      const { systemMs } = reading
      return timeOf((await step((record) => noteReading(record, reading, systemMs))) as ClockRecord, systemMs)
    },
    async noteAhead(sessionId, timestampMs) {
      return (await step((record) => noteAheadOf(record, sessionId, timestampMs))) !== undefined
    },
    isBurnt: (ms) => isWithin(burnt, ms),
    async bringBack(change) {
      const next = await step((record) => {
        const changed = returnClock(record, change, change.systemMs)
        if (changed) {
          clampTables(change.nowMs)
          takeBack(change)
        }
        return changed
      })
      return next !== undefined
    },
    close() {
      isClosed = true
    }
  }
}
