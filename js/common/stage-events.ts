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

const listStages = (
  requestId: string,
  checks: readonly Stage[],
  refusing: Stage | undefined,
  failure: unknown
): StageEvent[] => {
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

/** The client's checks of an event, in their order (R107): `sequence` is the stream it names, and then its place there. */
const eventChecks: readonly Stage[] = ['parse', 'signature', 'session', 'payload_hash', 'sequence']

/** stagesOfEvent lists the checks an event went through: all passed without a failure, up to the refusing one with it. */
export function stagesOfEvent(requestId: string, failure?: unknown): StageEvent[] {
  const refusing = isCountersignError(failure) ? failure.stage : undefined
  // A fault of this side is no verdict on the event.
  if (failure !== undefined && refusing === undefined) return []
  // The stream is checked before the payload, the place in it after.
  const isStream = isCountersignError(failure) && failure.code === 'ERR_WRONG_STREAM'
  const passed = isStream ? eventChecks.filter((stage) => stage !== 'payload_hash') : eventChecks
  return listStages(requestId, passed, refusing, failure)
}
