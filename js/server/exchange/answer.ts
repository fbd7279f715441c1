// SPDX-License-Identifier: MIT
// The end of a request: a plain refusal, a signed refusal, or the signed answer of a handler. Hooks and metrics hear of
// each.

import { JSON_TYPE } from '../../common/protocol.ts'
import type { Core } from '../../common/types.ts'
import { emptyBytes } from '../support/encoding.ts'
import type { Metrics } from '../support/metrics.ts'
import type { Outbound } from '../types.ts'
import type { Refusal } from './checks.ts'
import type { PlainRefusal } from './parse.ts'
import type { CheckedResult } from './routes.ts'
import {
  type AnswerDraft,
  type AnswerSigner,
  hasNoBody,
  plainAnswer,
  refusalPayload,
  refusalStatus
} from './sign-answer.ts'
import type { Trace } from './trace.ts'

/** The part of a request that its answer depends on. */
export type AnswerContext = { core: Core; method: string; requestId: string; type: string; trace: Trace }

/** Makes the answers of a pipeline. Its functions never reject. */
export type AnswerWriter = {
  /** Returns an unsigned refusal. */
  plain(trace: Trace, refusal: PlainRefusal): Outbound
  /** Signs a refusal. */
  refuse(context: AnswerContext, refusal: Refusal): Promise<Outbound>
  /** Signs a handler's result. */
  result(context: AnswerContext, result: CheckedResult): Promise<Outbound>
}

/** Returns the answer writer of one gateway. */
export function createAnswerWriter(signAnswer: AnswerSigner, metrics: Metrics): AnswerWriter {
  const sign = async (
    { core, requestId, type, trace }: AnswerContext,
    draft: Omit<AnswerDraft, 'binding' | 'requestId' | 'type'>
  ): Promise<Outbound> => {
    try {
      return await signAnswer(core, { ...draft, requestId, type, binding: trace.binding })
    } catch (error) {
      // Without a signature the gateway says nothing in its own name (R54).
      trace.error ??= error
      metrics.count('countersign_fail_closed_total', { reason: 'signer' })
      trace.refused({ code: 'signer', status: 503, signed: false })
      return plainAnswer(503)
    }
  }

  return {
    plain(trace, { status, code }) {
      trace.fail('parse', code)
      const passOn = trace.passOn({ stage: 'parse', code, status })
      if (passOn) return { ...plainAnswer(status), passOn }
      trace.refused({ stage: 'parse', code, status, signed: false })
      return plainAnswer(status)
    },

    async refuse(context, { stage, code, retryAfterMs, issues }) {
      const { method, trace } = context
      const status = refusalStatus[code]
      trace.fail(stage, code)
      const passOn = trace.passOn({ stage, code, status })
      if (passOn) return { ...plainAnswer(status), passOn }
      const isBare = trace.binding === 'header' && hasNoBody(method, status)
      const payload = isBare ? emptyBytes() : refusalPayload(retryAfterMs, issues)
      const out = await sign(context, { resultCode: code, status, payload, contentType: JSON_TYPE })
      if (out.body.length === 0 && !isBare) return out
      trace.refused({ stage, code, status, signed: true })
      if (retryAfterMs !== undefined) out.headers['retry-after'] = String(Math.max(1, Math.ceil(retryAfterMs / 1000)))
      return out
    },

    async result(context, result) {
      context.trace.pass('handler')
      return sign(context, result)
    }
  }
}
