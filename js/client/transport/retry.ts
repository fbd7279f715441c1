// SPDX-License-Identifier: MIT
// Decides when the client repeats a call, and which error it rejects with when it does not (R70 to R73).

import { CountersignError, isCountersignError } from '../../common/errors.ts'

const FIRST_BOUND_MS = 250
const LAST_BOUND_MS = 4000

const GATEWAY_STATUSES: ReadonlySet<unknown> = new Set([429, 502, 503, 504])

// Node names what failed: the step, the code and a text. Where that is the name's address, the connection, or the
// handshake of TLS, the request has not left. Other faults of TLS count as sent: a stranger on the way can cause them after
// the request, too. A browser names nothing.
const UNSENT = /^connect |^getaddrinfo |ECONNREFUSED|CONNECT_TIMEOUT|CERT_|_CERT|LEAF_|ALERT_H|before secure/

const UNTOUCHED: ReadonlySet<unknown> = new Set(['cs.stale', 'cs.rate_limited', 'cs.unauthenticated'])

type PlatformFault = { errors?: PlatformFault[]; syscall?: unknown; code?: unknown; message?: unknown }

const isUnsent = (error: CountersignError): boolean => {
  const { cause: fault } = (error.cause ?? {}) as { cause?: PlatformFault }
  // Node tries every address of a host, and names the faults of all of them.
  const { syscall, code, message } = fault?.errors?.[0] ?? fault ?? {}
  return error.code === 'ERR_NETWORK' && UNSENT.test(`${syscall} ${code} ${message}`)
}

/** Returns whether a failed try surely had no effect: nothing left, or the gateway's signed answer says so. */
export function isUntouched(error: unknown): boolean {
  return isCountersignError(error) && (UNTOUCHED.has(error.resultCode) || isUnsent(error))
}

const statusOf = ({ cause }: CountersignError): unknown => (cause as { status?: unknown } | undefined)?.status

// A server that answers 3xx or 4xx refused the request and passed nothing on. Behind another status the request may
// have taken effect.
const mayHavePassed = (error: CountersignError): boolean => !/^[34]/.test(String(statusOf(error)))

/** The facts about a call whose try has failed. */
export type FailedTry = {
  /** True when a second try is as good as one: the call is declared safe, or has an idempotency key. */
  readonly isRetriable: boolean
  /** The number of tries so far, without those after a signed `cs.stale`. */
  readonly tries: number
  /** The number of tries after the first one that the client may make. */
  readonly retries: number
  /** The jitter, from 0 to 1. */
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

/** Returns the pause before the next try, in milliseconds, or undefined when the client must not try again. */
export function pauseBeforeRetry(error: unknown, tried: FailedTry): number | undefined {
  const { isRetriable, tries, retries, fraction } = tried
  if (tries > retries || !isCountersignError(error) || !mayRepeat(error, isRetriable)) return undefined
  const bound = Math.min(LAST_BOUND_MS, FIRST_BOUND_MS * 2 ** (tries - 1))
  return (error.retryAfterMs ?? 0) + fraction * bound
}

/**
 * Returns the error that the caller receives when no further try is made. A request that left and may not be repeated
 * may or may not have taken effect. Without a signed answer that settles it, the error is ERR_OUTCOME_UNKNOWN (R72).
 */
export function finalError(error: unknown, isRetriable: boolean, isSent: boolean): unknown {
  if (!isCountersignError(error)) return error
  const { code, resultCode, retryAfterMs, stage } = error
  const isUnsigned = code === 'ERR_UNSIGNED_ANSWER'
  if (isRetriable || !isSent) {
    // The error is this call's own, so nobody has seen it with another rule.
    return isUnsigned ? Object.assign(error, { retry: 'safe' }) : error
  }
  const isOpen =
    code === 'ERR_UNAVAILABLE' ||
    code === 'ERR_NETWORK' ||
    code === 'ERR_TIMEOUT' ||
    (isUnsigned && mayHavePassed(error))
  const known = { cause: error, detail: error.message, resultCode, retryAfterMs, stage }
  return isOpen ? new CountersignError('ERR_OUTCOME_UNKNOWN', known) : error
}
