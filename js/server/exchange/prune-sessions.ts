// SPDX-License-Identifier: MIT
// Ends idle sessions and removes ended ones, some at a time, while the gateway handles requests (R144). It has no timer,
// so a gateway that nobody asks does nothing.

import type { GatewaySettings } from '../options.ts'
import { within } from '../support/deadline.ts'
import type { GatewayClock } from '../support/gateway-clock.ts'
import type { Metrics } from '../support/metrics.ts'

const EVERY_MS = 60_000
const SESSIONS_AT_ONCE = 256

/** Returns the function that a gateway calls with each request that it has accepted. No request waits for it. */
export function createPruner(parts: { settings: GatewaySettings; clock: GatewayClock; metrics: Metrics }): () => void {
  const { settings, clock, metrics } = parts
  const { sessions, events, sessionLife, limits, enrollment } = settings
  let prunedMs = Number.NEGATIVE_INFINITY

  const prune = async (nowMs: number): Promise<void> => {
    const bounds = {
      idleBeforeMs: nowMs - sessionLife.idleMs,
      // Elsewhere a user id of the application may begin as a guest's does.
      ...(enrollment?.takesGuests ? { guestIdleBeforeMs: nowMs - sessionLife.guestIdleMs } : {}),
      revokedBeforeMs: nowMs - sessionLife.revokedMs,
      nowMs,
      limit: SESSIONS_AT_ONCE
    }
    const removed = await within(limits.storeMs, 'the session store', async () => sessions.prune?.(bounds))
    for (const id of removed ?? []) await events?.drop(id)
  }

  return () => {
    const nowMs = clock.now()
    if (!sessions.prune || nowMs - prunedMs < EVERY_MS) return
    prunedMs = nowMs
    prune(nowMs).catch(() => metrics.count('countersign_fail_closed_total', { reason: 'prune' }))
  }
}
