// SPDX-License-Identifier: MIT
// When a call may be made again, and what its failure means where it may not (R70 to R73).

import { CountersignError, isCountersignError } from '../../common/errors.ts'

const FIRST_BOUND_MS = 250
const LAST_BOUND_MS = 4000

const GATEWAY_STATUSES: ReadonlySet<unknown> = new Set([429, 502, 503, 504])

// Node names the cause of a failed fetch; a browser does not, and then something may have left.
const UNSENT: ReadonlySet<unknown> = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'ENETUNREACH', 'EHOSTUNREACH'])

const UNTOUCHED: ReadonlySet<unknown> = new Set(['cs.stale', 'cs.rate_limited', 'cs.unauthenticated'])

const isUnsent = ({ code, cause }: CountersignError): boolean =>
  code === 'ERR_NETWORK' && UNSENT.has((cause as { cause?: { code?: unknown } } | undefined)?.cause?.code)

/** isUntouched tells whether a failed try surely had no effect: nothing left, or the gateway's signed word says so. */
export function isUntouched(error: unknown): boolean {
  return isCountersignError(error) && (UNTOUCHED.has(error.resultCode) || isUnsent(error))
}

const statusOf = ({ cause }: CountersignError): unknown => (cause as { status?: unknown } | undefined)?.status

// Whoever wrote 3xx or 4xx refused the request and passed nothing on; behind any other status it may have taken effect.
const mayHavePassed = (error: CountersignError): boolean => !/^[34]/.test(String(statusOf(error)))

/** What is known about a call whose try has failed. */
export type Tried = {
  /** Declared safe, or with an idempotency key: to do it twice is to do it once. */
  readonly isRetriable: boolean
  /** Tries so far, those after a signed cs.stale not counted. */
  readonly tries: number
  readonly retries: number
  /** From 0 to 1: the jitter. */
  readonly fraction: number
}

const mayRepeat = (error: CountersignError, isRetriable: boolean): boolean => {
  switch (error.code) {
    case 'ERR_RATE_LIMITED':
      return true
    case 'ERR_UNAVAILABLE':
      return isRetriable
    case 'ERR_NETWORK':
      return error.retry !== 'never' && (isRetriable || isUnsent(error))
    case 'ERR_UNSIGNED_ANSWER':
      return isRetriable && GATEWAY_STATUSES.has(statusOf(error))
    default:
      return false
  }
}

/** pauseBeforeRetry gives how long to wait before the next try, in milliseconds; undefined where there is to be none. */
export function pauseBeforeRetry(error: unknown, tried: Tried): number | undefined {
  const { isRetriable, tries, retries, fraction } = tried
  if (tries > retries || !isCountersignError(error) || !mayRepeat(error, isRetriable)) return undefined
  const bound = Math.min(LAST_BOUND_MS, FIRST_BOUND_MS * 2 ** (tries - 1))
  return (error.retryAfterMs ?? 0) + fraction * bound
}

/**
 * finalError gives what a caller is told when no further try is made: a request that left, may not be repeated and got no
 * word that settles it may or may not have taken effect (R72).
 */
export function finalError(error: unknown, isRetriable: boolean, isSent: boolean): unknown {
  if (!isCountersignError(error)) return error
  const { code, cause, resultCode, retryAfterMs, stage } = error
  const isUnsigned = code === 'ERR_UNSIGNED_ANSWER'
  if (isRetriable || !isSent) {
    return isUnsigned
      ? new CountersignError(code, { cause, detail: `HTTP status ${statusOf(error)}`, retry: 'safe' })
      : error
  }
  const isOpen =
    code === 'ERR_UNAVAILABLE' ||
    code === 'ERR_NETWORK' ||
    code === 'ERR_TIMEOUT' ||
    (isUnsigned && mayHavePassed(error))
  return isOpen ? new CountersignError('ERR_OUTCOME_UNKNOWN', { cause: error, resultCode, retryAfterMs, stage }) : error
}
