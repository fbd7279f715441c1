// SPDX-License-Identifier: MIT
// One call within its limits: the payload is hashed once, then exchanged as often as the rules of retries allow (R70 to R73).

import { isCountersignError } from '../../common/errors.ts'
import { pause, withinLimits } from '../limits.ts'
import { digest } from './digest.ts'
import {
  type Answer,
  type Call,
  type CallContext,
  type CallState,
  exchange,
  isRetriableCall,
  takeTime
} from './exchange.ts'
import { finalError, isUntouched, pauseBeforeRetry } from './retry.ts'

const isSigned = (error: unknown, code: string): boolean => isCountersignError(error) && error.resultCode === code

const exchangeUntilDone = async (
  from: CallContext,
  call: Call,
  signal: AbortSignal,
  state: CallState
): Promise<Answer> => {
  let context = from
  const { settings, core, clock } = context
  const { retries, random, schedule } = settings
  const isRetriable = isRetriableCall(call)
  const payload = typeof call.payload === 'function' ? await call.payload(signal) : call.payload
  const startMs = clock.monotonic()
  const prepared = { call, payload, payloadHash: await digest(core, payload), signal, state }
  const hashMs = clock.monotonic() - startMs
  let isResigned = false
  let isRenewed = false
  let sent = 0
  for (let tries = 1; ; tries++) {
    const timestampMs = await (call.isProbe ? clock.probeStamp() : takeTime(context, isRetriable))
    sent++
    try {
      const answer = await exchange(context, prepared, timestampMs)
      Object.assign(answer.timings, { hashMs, totalMs: clock.monotonic() - startMs, tries: sent })
      return answer
    } catch (error) {
      signal.throwIfAborted()
      if (isUntouched(error)) state.isSent = false
      if (isSigned(error, 'cs.stale') && !isResigned && !call.isProbe) {
        isResigned = true
        tries--
        continue
      }
      const renewed =
        isRenewed || !isSigned(error, 'cs.unauthenticated') ? undefined : await context.renew?.().catch(() => undefined)
      if (renewed) {
        signal.throwIfAborted()
        context = { ...context, session: renewed }
        isRenewed = true
        tries--
        continue
      }
      const waitMs = pauseBeforeRetry(error, { isRetriable, tries, retries, fraction: random.fraction() })
      const leftMs = startMs + call.timeoutMs - clock.monotonic()
      if (waitMs === undefined || waitMs >= leftMs) throw error
      await pause(schedule, waitMs, signal)
    }
  }
}

/** Makes a call within its limits and returns its verified answer. Rejects with what finally became of the call. */
export async function makeCall(context: CallContext, call: Call, signal?: AbortSignal): Promise<Answer> {
  const state: CallState = { isSent: false }
  const { ends, settings } = context
  const limits = { signal, timeoutMs: call.timeoutMs, schedule: settings.schedule, ends }
  try {
    return await withinLimits(limits, (inner) => exchangeUntilDone(context, call, inner, state))
  } catch (error) {
    context.learn(error)
    throw finalError(error, isRetriableCall(call), state.isSent)
  }
}
