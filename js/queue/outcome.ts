// SPDX-License-Identifier: MIT
// What became of an intent: which failures end it, which only make it wait, and how tabs tell each other.

import type { Reply } from '../client/client.ts'
import { CountersignError, type ErrorCode, isCountersignError } from '../common/errors.ts'
import type { Stage } from '../common/types.ts'

/** An intent's end before it is told. */
export type IntentOutcome = { readonly reply: Reply } | { readonly error: unknown }

// Signed words that another time, another session or another try may change. cs.replayed says that somebody sent a copy of
// this very try: the next one is told what became of it.
const PASSING: ReadonlySet<unknown> = new Set([
  'cs.unavailable',
  'cs.rate_limited',
  'cs.stale',
  'cs.replayed',
  'cs.unauthenticated',
  'cs.session_revoked'
])

/**
 * Tells whether a failed try ends its intent: by the server's signed word, or by a mistake that no repetition mends.
 * Whatever is not signed, and a client that has no session just now, leaves it in the queue.
 */
export function isFinal(error: unknown): boolean {
  if (!isCountersignError(error)) return true
  const { category, code, resultCode } = error
  if (category === 'usage') return code !== 'ERR_NO_SESSION' && code !== 'ERR_CLOSED'
  return resultCode !== undefined && !PASSING.has(resultCode)
}

/** An outcome as it travels between tabs; errors do not survive that as they are. */
export type OutcomeMessage =
  | { reply: Reply }
  | { code: ErrorCode; resultCode?: string | undefined; stage?: Stage | undefined }

export function messageOfOutcome(outcome: IntentOutcome): OutcomeMessage {
  if ('reply' in outcome) return outcome
  const { code = 'ERR_INTERNAL', resultCode, stage } = outcome.error as Partial<CountersignError>
  return { code, resultCode, stage }
}

export function outcomeOfMessage(word: OutcomeMessage): IntentOutcome {
  if ('reply' in word) return word
  const { code, resultCode, stage } = word
  return { error: new CountersignError(code, { resultCode, stage }) }
}

const FIRST_BOUND_MS = 1000
const LAST_BOUND_MS = 30_000

/** Gives how long to wait after so many failed tries, with full jitter; `fraction` is from 0 to 1. */
export function pauseAfter(tries: number, error: unknown, fraction: number): number {
  const bound = Math.min(LAST_BOUND_MS, FIRST_BOUND_MS * 2 ** Math.min(tries - 1, 10))
  return ((error as CountersignError).retryAfterMs ?? 0) + fraction * bound
}
