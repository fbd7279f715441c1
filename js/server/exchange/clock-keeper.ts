// SPDX-License-Identifier: MIT
// Keeps a gateway's clock in step with the other gateways of its store, also across restarts (R65, R147). The store
// holds the last reading. A gateway notes its own each second, and follows a greater one.

import { CountersignError } from '../../common/errors.ts'
import { JUMP_MS } from '../stores/shared-clock.ts'
import { callHook } from '../support/checks.ts'
import { within } from '../support/deadline.ts'
import type { GatewayClock } from '../support/gateway-clock.ts'
import type { GatewayWarning, Mounted, ReplayStore, SharedTime } from '../types.ts'

const NOTE_EVERY_MS = 1000
const WARN_EVERY_MS = 60_000

/** The parts that the keeper of one gateway's clock needs. */
export type ClockKeeperOptions = {
  clock: GatewayClock
  replay: ReplayStore
  /** Returns the time of the system, in Unix milliseconds. */
  systemNow: () => number
  futureMs: number
  storeMs: number
  /** Has a clock of its own, which follows this one. */
  enrollment: Mounted | undefined
  onWarning: (warning: GatewayWarning) => void
}

/** Keeps one gateway's clock. */
export type ClockKeeper = {
  /** Sets the clock to the shared time, and notes it. Rejects where the store does. */
  start(): Promise<void>
  /** Whether the clock has to be noted before a request is accepted: it jumped, or it was brought back in the store. */
  readonly isUnnoted: boolean
  /** Notes the clock's reading. Rejects where the store does, or does not answer in time. */
  note(): Promise<void>
  /** Notes the last reading, where the store can, and stops. */
  stop(): Promise<void>
}

/** Returns the keeper of a clock. It runs until `stop`, and keeps no process alive. */
export function createClockKeeper(options: ClockKeeperOptions): ClockKeeper {
  const { clock, replay, futureMs, storeMs, enrollment, onWarning } = options
  const systemNow = (): number => Math.floor(options.systemNow())
  const shared = replay.clock
  // The clocks of gateways may differ by this much, so it is no reason to follow or to warn (R65).
  const toleranceMs = Math.ceil(futureMs / 2)
  let known: SharedTime | undefined
  // A clock never steps back. So one that was brought back in the store cannot go on in this process.
  let isPast = false
  let notedMs = 0
  let warnedMs = Number.NEGATIVE_INFINITY
  let timer: NodeJS.Timeout | undefined

  const warn = (): void => {
    const aheadMs = clock.now() - systemNow()
    const sinceMs = performance.now() - warnedMs
    if (!(aheadMs > toleranceMs) || sinceMs < WARN_EVERY_MS) return
    warnedMs = performance.now()
    const message = `the gateway's clock is ${Math.round(aheadMs / 1000)} s ahead of the system's, and stays so; bringBackClock() of countersign/server brings it back (docs/guide/clock.md)`
    callHook(() => onWarning({ code: 'clock_ahead', message, aheadMs }))
  }

  const moveTo = (ms: number): void => {
    clock.follow(ms)
    // It read `ms` as well, or the codes of the time ahead would be good for years.
    enrollment?.follow?.(ms)
  }

  // The earliest time that this clock may have shown since it was noted last. A floor ahead says that some gateway was
  // there, and not since when.
  const followFloor = (): number => {
    const beforeMs = clock.now()
    const floorMs = replay.storedFloorMs?.() ?? 0
    if (floorMs - beforeMs <= toleranceMs) clock.raise(floorMs)
    else moveTo(floorMs)
    return clock.now() - beforeMs > toleranceMs ? beforeMs : clock.now()
  }

  const follow = ({ readingMs, nowMs }: SharedTime, isStart: boolean): void => {
    const aheadMs = (isStart ? nowMs : readingMs) - clock.now()
    if (aheadMs > toleranceMs) moveTo(isStart ? nowMs : readingMs)
    else if (isStart) clock.raise(readingMs)
  }

  const noteNow = async (): Promise<void> => {
    const sinceMs = followFloor()
    if (!shared || !known) return
    const nowMs = clock.now()
    const { era, burnt } = known
    const time = await shared.note({ nowMs, systemMs: systemNow(), sinceMs, era, burnt })
    if (time.era > era) {
      isPast = true
      throw new CountersignError('ERR_STORAGE_FAILED', {
        detail: 'the clock was brought back while this gateway ran: restart the gateway'
      })
    }
    known = time
    follow(known, false)
    notedMs = Math.max(notedMs, nowMs)
  }

  // A store that is slow gets one note at a time.
  let noting: Promise<void> | undefined
  const note = (): Promise<void> => {
    noting ??= noteNow().finally(() => {
      noting = undefined
    })
    return noting
  }

  const beat = (): void => {
    note()
      // A store that does not answer refuses the requests too. The next beat tries again.
      .catch(() => {})
      .finally(warn)
  }

  return {
    async start() {
      if (shared) {
        // After a loss the store does not know what this gateway knows, so that is kept.
        const time = await shared.read(systemNow())
        known ??= time
        follow(time, true)
      }
      await note()
      warn()
      timer ??= setInterval(beat, NOTE_EVERY_MS)
      // Outside of Node a timer is a number, and holds no process open.
      timer.unref?.()
    },
    get isUnnoted() {
      // A jump is noted before any request is accepted by it.
      return isPast || (known !== undefined && clock.now() - notedMs > JUMP_MS)
    },
    note: () => within(storeMs, "the store's clock", note),
    async stop() {
      clearInterval(timer)
      timer = undefined
      const noteLast = async (): Promise<void> => {
        // The note under way may hold an earlier reading.
        await noting?.catch(() => {})
        await note()
      }
      await within(storeMs, "the store's clock", noteLast).catch(() => {})
    }
  }
}
