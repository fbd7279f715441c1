// SPDX-License-Identifier: MIT
// What a request ends with: a plain refusal, a signed one, or a handler's signed answer; each told to the hooks.

import type { Core } from '../../common/types.ts'
import { emptyBytes } from '../support/encoding.ts'
import type { Metrics } from '../support/metrics.ts'
import type { Outbound } from '../types.ts'
import type { Refusal } from './checks.ts'
import type { Plain } from './parse.ts'
import type { Result } from './routes.ts'
import { type Draft, hasNoBody, plainAnswer, refusalPayload, refusalStatus, type Sealer } from './sign-answer.ts'
import type { Trace } from './trace.ts'

/** Who asked, as far as an answer depends on it. */
export type Asked = { core: Core; method: string; requestId: string; type: string; trace: Trace }

/** Answering makes the answers of a pipeline; it never rejects. */
export type Answering = {
  plain(trace: Trace, refusal: Plain): Outbound
  refuse(asked: Asked, refusal: Refusal): Promise<Outbound>
  result(asked: Asked, result: Result): Promise<Outbound>
}

/** createAnswering makes answers with a sealer. */
export function createAnswering(seal: Sealer, metrics: Metrics): Answering {
  const sealed = async (
    { core, requestId, type, trace }: Asked,
    draft: Omit<Draft, 'binding' | 'requestId' | 'type'>
  ): Promise<Outbound> => {
    try {
      return await seal(core, { ...draft, requestId, type, binding: trace.binding })
    } catch (error) {
      // Without a signature nothing may be said in the gateway's name.
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

    async refuse(asked, { stage, code, retryAfterMs }) {
      const { method, trace } = asked
      const status = refusalStatus[code]
      trace.fail(stage, code)
      const passOn = trace.passOn({ stage, code, status })
      if (passOn) return { ...plainAnswer(status), passOn }
      const isBare = trace.binding === 'header' && hasNoBody(method, status)
      const payload = isBare ? emptyBytes() : refusalPayload(retryAfterMs)
      const out = await sealed(asked, { resultCode: code, status, payload, contentType: 'application/json' })
      if (out.body.length === 0 && !isBare) return out
      trace.refused({ stage, code, status, signed: true })
      if (retryAfterMs !== undefined) out.headers['retry-after'] = String(Math.max(1, Math.ceil(retryAfterMs / 1000)))
      return out
    },

    async result(asked, result) {
      asked.trace.pass('handler')
      return sealed(asked, result)
    }
  }
}
