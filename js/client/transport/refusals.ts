// SPDX-License-Identifier: MIT
// Turns the gateway's signed refusals into errors.

import { CountersignError, type ErrorCode, isCountersignError } from '../../common/errors.ts'
import { parseJson } from '../../common/text.ts'
import type { Stage } from '../../common/types.ts'

// The gateway's own result codes, each with its error (R66).
const refusals: ReadonlyMap<string, readonly [ErrorCode, Stage?]> = new Map([
  ['cs.unauthenticated', ['ERR_UNAUTHENTICATED']],
  ['cs.session_revoked', ['ERR_SESSION_REVOKED']],
  ['cs.unsupported_version', ['ERR_VERSION_REFUSED']],
  ['cs.payload_mismatch', ['ERR_PAYLOAD_MISMATCH']],
  ['cs.stale', ['ERR_STALE']],
  ['cs.replayed', ['ERR_OUTCOME_UNKNOWN', 'replay']],
  ['cs.too_large', ['ERR_TOO_LARGE']],
  ['cs.idempotency_conflict', ['ERR_IDEMPOTENCY_CONFLICT']],
  ['cs.outcome_unknown', ['ERR_OUTCOME_UNKNOWN', 'handler']],
  ['cs.rate_limited', ['ERR_RATE_LIMITED']],
  ['cs.bad_request', ['ERR_BAD_REQUEST']],
  ['cs.internal', ['ERR_HANDLER_FAILED']],
  ['cs.unavailable', ['ERR_UNAVAILABLE']]
])

const MAX_REFUSAL_BYTES = 1024

type Issues = CountersignError['issues']

/** Reads what a refusal says: the wait in milliseconds, or where the input is wrong. */
export function readRefusal(payload: Uint8Array): { retryAfterMs?: number | undefined; issues?: Issues } {
  if (payload.length > MAX_REFUSAL_BYTES) return {}
  try {
    const { retry_after_ms: ms, issues } = parseJson(payload) as { retry_after_ms: number; issues: [] }
    return {
      retryAfterMs: Number.isSafeInteger(ms) && ms >= 0 ? ms : undefined,
      issues: Array.isArray(issues) ? issues : undefined
    }
  } catch {
    return {}
  }
}

/** Returns whether a verified result code is the gateway's own and not the application's. */
export function isRefusal(resultCode: string): boolean {
  return resultCode.startsWith('cs.')
}

/** Returns the error of a verified refusal. Returns ERR_UNKNOWN_RESULT for a code of a later version (R67). */
export function refusalOf(resultCode: string, payload: Uint8Array): CountersignError {
  const [code, stage] = refusals.get(resultCode) ?? ['ERR_UNKNOWN_RESULT']
  return new CountersignError(code, { stage, resultCode, ...readRefusal(payload) })
}

/** Returns whether an error is the gateway's signed word with this result code. */
export function isSigned(error: unknown, resultCode: string): boolean {
  return isCountersignError(error) && error.resultCode === resultCode
}
