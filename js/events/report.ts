// SPDX-License-Identifier: MIT

import type { Host } from '../client/events/types.ts'
import type { Stage } from '../common/types.ts'
import { isCountersignError } from './kit.ts'

/** The checks of an event, in their order: `sequence` is the stream it names, and then its place there. */
const checks: readonly Stage[] = ['parse', 'signature', 'session', 'payload_hash', 'sequence']

/** reportEvent tells the checks that an event went through, up to the one that refused it, as those of answers are told. */
export const reportEvent = ({ tellStage }: Host, requestId: string, failure?: unknown): void => {
  if (!tellStage) return
  const code = isCountersignError(failure) ? failure.code : ''
  const refusing = isCountersignError(failure) ? failure.stage : undefined
  // What is wrong with this side is no verdict on the event.
  if (failure !== undefined && refusing === undefined) return
  for (const stage of checks) {
    if (stage === refusing) {
      tellStage({ requestId, stage, verdict: 'fail', code })
      return
    }
    // The stream is looked at before the payload.
    if (stage !== 'payload_hash' || code !== 'ERR_WRONG_STREAM') tellStage({ requestId, stage, verdict: 'pass' })
  }
}
