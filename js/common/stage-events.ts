// SPDX-License-Identifier: MIT
import { isCountersignError } from './errors.ts'
import type { Stage } from './types.ts'

/** One check of one answer, as `client.on('stage')` tells it. */
export type StageEvent = {
  readonly requestId: string
  readonly stage: Stage
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

/** Lists the checks that a message went through, up to the one that refused it. */
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

/** stagesOf lists the checks an answer went through: all passed without a failure, up to the refusing one with it. */
export function stagesOf(requestId: string, failure?: unknown): StageEvent[] {
  const refusing = refusingCheck(failure)
  // An answer that never arrived whole was not checked.
  return failure !== undefined && refusing === undefined ? [] : listStages(requestId, checks, refusing, failure)
}
