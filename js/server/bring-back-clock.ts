// SPDX-License-Identifier: MIT
// Brings a clock that is ahead back to the system's time, while no gateway runs (PROTOCOL.md, R148).

import { setTimeout as pause } from 'node:timers/promises'
import { DAY_MS } from '../common/protocol.ts'
import { badArgument, integerOf, optionsOf } from '../core/args.ts'
import { planReturn } from './stores/shared-clock.ts'
import { functionOf, partOf } from './support/checks.ts'
import type { ReplayStore, SessionStore, TimeSpan } from './types.ts'

/** What `bringBackClock` did, found or would do. Times are Unix milliseconds. */
export type ClockReport = {
  /** `back`: the clock is, or with `isDry` would be, brought back. `steady`: it is not ahead. `refused`: see `reason`. */
  state: 'back' | 'steady' | 'refused'
  /** How far the clock was ahead of the system's, in milliseconds. */
  aheadMs: number
  /** Why nothing was done. Only with `refused`. */
  reason?: string
  /** All burnt spans from now on. No request dated in one is ever accepted, also when that time comes. */
  burnt: readonly TimeSpan[]
  /** Requests up to this time are refused. */
  fenceMs: number
  /** The sessions that end: a request of theirs was dated ahead, and the store may have forgotten its id. */
  ends: readonly string[]
}

/** Longer than a gateway waits between two notes of its clock. */
const WATCH_MS = 3000

/**
 * Brings the clock of a store's gateways back to the system's time, after a jump that was corrected. Stop all gateways
 * before. The times that the clock went through are burnt for ever, up to 24 h past its last reading. Open sign-ins
 * begin anew. Times of sessions that lie ahead become the present time. It watches the store for 3 s first, and refuses
 * while a gateway runs.
 *
 * @throws ERR_INVALID_ARGUMENT when an option is wrong, or when the store keeps no time.
 * @throws ERR_STORAGE_FAILED when a store fails. The clock is then still ahead, and the call may be repeated.
 *
 * @example
 * ```ts
 * const { sessions, replay, close } = lmdbStores({ path: 'shop.lmdb' })
 * console.log(await bringBackClock({ sessions, replay, isDry: true }))
 * await close()
 * ```
 */
export async function bringBackClock(options: {
  sessions: SessionStore
  replay: ReplayStore
  /** The window of the gateways. Default: 60000 ms and 10000 ms. */
  window?: { pastMs?: number; futureMs?: number }
  /** Reports, and changes nothing. Default: false. */
  isDry?: boolean
  /** Returns the system's time in Unix milliseconds. Default: `Date.now`. */
  now?: () => number
}): Promise<ClockReport> {
  const { sessions, replay, window = {}, isDry = false, now = Date.now } = optionsOf(options, 'bringBackClock')
  partOf(sessions, ['revoke'], 'bringBackClock: sessions must be a SessionStore')
  const { clock } = replay
  if (!clock) throw badArgument('bringBackClock: replay must keep the time of its gateways, as LMDB and Redis do')
  functionOf(now, 'bringBackClock: now')
  const pastMs = integerOf(window.pastMs ?? 60_000, 1, DAY_MS, 'window.pastMs')
  const futureMs = integerOf(window.futureMs ?? 10_000, 1, DAY_MS, 'window.futureMs')

  const before = await clock.read(Math.floor(now()))
  await pause(WATCH_MS)
  const nowMs = Math.floor(now())
  const time = await clock.read(nowMs)
  const floorMs = replay.storedFloorMs?.() ?? 0
  const aheadMs = Math.max(time.nowMs, floorMs) - nowMs
  const nothing = { aheadMs, burnt: time.burnt, fenceMs: replay.floorMs?.() ?? 0, ends: [] }
  if (time.readingMs !== before.readingMs || time.era !== before.era)
    return { ...nothing, state: 'refused', reason: 'a gateway is running: stop all gateways of this store first' }
  if (aheadMs <= Math.ceil(futureMs / 2)) return { ...nothing, state: 'steady' }
  const plan = planReturn(time, floorMs, { nowMs, pastMs, futureMs })
  if ('reason' in plan) return { ...nothing, state: 'refused', reason: plan.reason }
  const { change, ends } = plan
  if (!isDry) {
    // These end before the clock is back. A process that dies in between has ended them for nothing, which is safe.
    for (const id of ends) await sessions.revoke(id, 'clock', nowMs)
    if (!(await clock.bringBack(change)))
      return { ...nothing, state: 'refused', reason: 'a gateway has started meanwhile: stop all gateways first' }
  }
  return { state: 'back', aheadMs, burnt: change.burnt, fenceMs: change.fenceMs, ends }
}
