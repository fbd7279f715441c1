// SPDX-License-Identifier: MIT
// The events of `client.on('stage')`: the checks that an answer or an event passed or failed.

import { isCountersignError } from './errors.ts'
import type { Stage } from './types.ts'

/** One check of one answer or event, as `client.on('stage')` reports it. */
export type StageEvent = {
  /** The request's id. For an event of a stream it is the event's id. */
  readonly requestId: string
  /** The check. */
  readonly stage: Stage
  /** The outcome of the check. */
  readonly verdict: 'pass' | 'fail'
  /** The error's code, where the check failed. */
  readonly code?: string
}

/** The client's checks of an answer, in their order (R46). */
const checks: readonly Stage[] = ['parse', 'signature', 'request_id', 'payload_hash', 'freshness']

const refusingCheck = (failure: unknown): Stage | undefined => {
  if (!isCountersignError(failure)) return undefined
  const { code, category, stage } = failure
  if (code === 'ERR_UNSIGNED_ANSWER') return 'parse'
  if (category !== 'malformed' && category !== 'rejected' && category !== 'time') return undefined
  return stage && checks.includes(stage) ? stage : 'parse'
}

/** Returns the checks that a message went through, up to the check that refused it. */
export function listStages(
  requestId: string,
  checks: readonly Stage[],
  refusing: Stage | undefined,
  failure: unknown
): StageEvent[] {
  const events: StageEvent[] = []
  for (const stage of checks) {
    if (stage === refusing) {
      events.push({ requestId, stage, verdict: 'fail', code: isCountersignError(failure) ? failure.code : '' })
      break
    }
    events.push({ requestId, stage, verdict: 'pass' })
  }
  return events
}

/**
 * Returns the checks that an answer went through. All passed when there is no failure; with a failure the last one
 * failed.
 */
export function stagesOf(requestId: string, failure?: unknown): StageEvent[] {
  const refusing = refusingCheck(failure)
  // The client has checked nothing of an answer that did not arrive whole.
  return failure !== undefined && refusing === undefined ? [] : listStages(requestId, checks, refusing, failure)
}
