// SPDX-License-Identifier: MIT
// Reports the stages of one request to the hooks and the metrics. A hook that throws changes nothing for the request.

import type { Stage } from '../../common/types.ts'
import type { Passing } from '../migration-phase.ts'
import { callHook } from '../support/checks.ts'
import { escapeText } from '../support/encoding.ts'
import type { Metrics } from '../support/metrics.ts'
import type { Binding, GatewayOptions, PassedOn, RefusalEvent } from '../types.ts'

/** Follows one request through its stages. */
export type Trace = {
  readonly binding: Binding
  readonly source: string
  requestId: string | undefined
  sessionId: string | undefined
  /** The error of a store, the signer or a handler. */
  error: unknown
  pass(stage: Stage): void
  fail(stage: Stage, code: string): void
  /** Returns the verdict for the old handler where the phase passes a refusal on. Reports it in phase `warn`. */
  passOn(refusal: { stage: Stage; code: string; status: number }): PassedOn | undefined
  refused(refusal: { stage?: Stage | undefined; code: string; status: number; signed: boolean }): void
}

/** The metrics and hooks that every trace of a gateway reports to. */
export type Observer = { metrics: Metrics } & Pick<GatewayOptions, 'onStage' | 'onRefusal'>

const escaped = (text: string | undefined): string | undefined => (text === undefined ? undefined : escapeText(text))

/** Calls `onRefusal` with every text escaped. */
export function reportRefusal(
  observer: Observer,
  event: { [Name in keyof RefusalEvent]: RefusalEvent[Name] | undefined }
) {
  const { onRefusal } = observer
  if (!onRefusal) return
  const safe = {
    ...event,
    requestId: escaped(event.requestId),
    sessionId: escaped(event.sessionId),
    source: escapeText(String(event.source))
  }
  const present = Object.fromEntries(Object.entries(safe).filter(([, value]) => value !== undefined))
  callHook(() => onRefusal(present as RefusalEvent))
}

/** Returns the trace of one request. The time of its first stage starts now. */
export function createTrace(
  observer: Observer,
  exchange: number,
  binding: Binding,
  source: string,
  passing: Passing
): Trace {
  const { metrics, onStage } = observer
  let began = performance.now()

  const report = (trace: Trace, stage: Stage, verdict: 'pass' | 'fail', code: string | undefined): void => {
    const now = performance.now()
    const ms = now - began
    began = now
    metrics.stage(binding, stage, verdict, code ?? '', ms)
    if (!onStage) return
    const { requestId } = trace
    callHook(() =>
      onStage({
        ...(requestId === undefined ? {} : { requestId: escapeText(requestId) }),
        exchange,
        stage,
        verdict,
        ...(code === undefined ? {} : { code }),
        ms,
        binding
      })
    )
  }

  return {
    binding,
    source,
    requestId: undefined,
    sessionId: undefined,
    error: undefined,
    pass(stage) {
      report(this, stage, 'pass', undefined)
    },
    fail(stage, code) {
      report(this, stage, 'fail', code)
    },
    passOn({ stage, code, status }) {
      const passed = passing(stage, code)
      if (passed?.phase === 'warn') {
        const { requestId, sessionId, error } = this
        const event = {
          exchange,
          stage,
          code,
          status,
          signed: false,
          passed: true,
          requestId,
          sessionId,
          source,
          error
        }
        reportRefusal(observer, event)
      }
      return passed
    },
    refused({ stage, code, status, signed }) {
      const { requestId, sessionId, error } = this
      reportRefusal(observer, { exchange, stage, code, status, signed, requestId, sessionId, source, error })
    }
  }
}
