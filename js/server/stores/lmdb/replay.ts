// SPDX-License-Identifier: MIT
// Replay ids in LMDB: each id is reserved once, and forgotten ids lie under a floor (R58 to R64). A reservation is
// one write transaction across all processes, so what it reads cannot change before it commits.

import type { RootDatabase } from 'lmdb'
import { CountersignError } from '../../../common/errors.ts'
import type { ReserveVerdict } from '../../../common/types.ts'
import { sha256 } from '../../support/encoding.ts'
import type { ClockReturn, LimitedRequest, ReplayStore } from '../../types.ts'
import { checkReplayKey, roomOf } from '../common.ts'
import { transact } from './environment.ts'
import {
  encodeTime,
  floorOf,
  forgottenFloorOf,
  openReplayTables,
  type ReplayId,
  raiseFence,
  sizeOf
} from './replay-tables.ts'

const SWEPT_IDS = 8
const SWEPT_WHEN_FULL = 1024

/** A ReplayStore in LMDB whose floor can be taken back together with the clock. */
export type LmdbReplay = ReplayStore & {
  /** Takes the floor back to the fence, and forgets the ids dated in burnt spans. Runs inside a transaction. */
  takeBack(change: ClockReturn): void
}

/** Creates a ReplayStore in an open environment. */
export function createLmdbReplay(root: RootDatabase, options: { capacity: number; restored: boolean }): LmdbReplay {
  const { capacity, restored } = options
  const tables = openReplayTables(root, capacity)
  // A folder that has never held ids cannot know which requests were accepted before.
  let mayHaveForgotten = restored || tables.find() === undefined
  let isClosed = false

  // Copies the id at once: the caller may change its own before the transaction runs.
  const idOf = (request: Omit<LimitedRequest, 'isReserved'>): ReplayId => {
    const { key32, timestampMs, expiresMs, nowMs, session, shares: given = [] } = request
    if (isClosed) throw new CountersignError('ERR_CLOSED')
    checkReplayKey(key32)
    const expiry = encodeTime(Math.max(expiresMs, nowMs, timestampMs))
    const owner = Buffer.from(sha256(session))
    const shares = given.map((share) => ({ name: Buffer.from(sha256(share.name)), ...roomOf(capacity, share) }))
    return { key: Buffer.from(key32), owner, time: encodeTime(timestampMs), expiry, nowMs, shares }
  }

  const decide = (id: ReplayId, work: (counters: Buffer, hasSwept: boolean) => ReserveVerdict) =>
    transact(root, () => {
      const counters = tables.read()
      const before = Buffer.from(counters)
      const verdict = work(counters, tables.sweep(counters, id.nowMs, SWEPT_IDS))
      if (!counters.equals(before)) tables.write(counters)
      return verdict
    })

  return {
    shares: true,
    async reserve(key32, timestampMs, expiresMs, nowMs, session = '', shares = []) {
      const id = idOf({ key32, timestampMs, expiresMs, nowMs, session, shares })
      return decide(id, (counters, hasSwept) => {
        let verdict = tables.check(counters, id)
        // More ids may have expired than one step takes.
        if (verdict === 'full' && hasSwept && tables.sweep(counters, nowMs, SWEPT_WHEN_FULL))
          verdict = tables.check(counters, id)
        if (verdict === 'reserved') tables.add(counters, id)
        return verdict
      })
    },
    async limit({ isReserved, ...request }) {
      const id = idOf(request)
      return decide(id, (counters) => {
        const verdict = tables.checkLimit(counters, id, isReserved)
        return verdict === 'limited' ? tables.limit(counters, id) : verdict
      })
    },
    floorMs: () => floorOf(tables.read()),
    // Without the fence, which lies ahead of the clock: a clock that started there would gain with every restart.
    storedFloorMs: () => forgottenFloorOf(tables.read()),
    get mayHaveForgotten() {
      return mayHaveForgotten
    },
    async fence(ms) {
      await transact(root, () => {
        const counters = tables.read()
        raiseFence(counters, ms)
        tables.write(counters)
      })
      mayHaveForgotten = false
    },
    takeBack(change) {
      const counters = tables.read()
      tables.takeBack(counters, change)
      tables.write(counters)
    },
    size: () => sizeOf(tables.read()),
    close() {
      isClosed = true
    }
  }
}
