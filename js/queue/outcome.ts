// SPDX-License-Identifier: MIT
// The end of an intent: which failures end it, which make it wait, and how one tab reports it to the others.

import { Reply } from '../client/reply.ts'
import { errorFrom } from '../common/error-record.ts'
import { CountersignError, type ErrorRecord, isCountersignError } from '../common/errors.ts'

/** The end of an intent: an answer or an error. */
export type IntentOutcome = { readonly reply: Reply } | { readonly error: unknown }

// Signed refusals that may change with time, with another session or with another try. cs.replayed means that a copy
// of this try was sent; the next try gets the answer. After cs.internal the effect is unknown: the gateway knows the
// intent by its key, so the next try runs the handler again only where that does no harm (R130, R132).
const PASSING: ReadonlySet<unknown> = new Set([
  'cs.unavailable',
  'cs.internal',
  'cs.rate_limited',
  'cs.stale',
  'cs.replayed',
  'cs.unauthenticated',
  'cs.session_revoked'
])

/**
 * Returns whether a failed try ends its intent: the server's signed refusal does, and so does a mistake that no
 * repetition fixes. An unsigned failure or a missing session leaves the intent in the queue.
 */
export function isFinal(error: unknown): boolean {
  if (!isCountersignError(error)) return true
  const { category, code, resultCode } = error
  if (category === 'usage') return code !== 'ERR_NO_SESSION' && code !== 'ERR_CLOSED'
  return resultCode !== undefined && !PASSING.has(resultCode)
}

/** An outcome as tabs send it to each other. Of an object of a class, structured cloning leaves the fields alone. */
export type OutcomeMessage = { reply: Reply } | ErrorRecord

export function messageOfOutcome(outcome: IntentOutcome): OutcomeMessage {
  if ('reply' in outcome) return outcome
  const { error } = outcome
  return (isCountersignError(error) ? error : new CountersignError('ERR_INTERNAL', { cause: error })).toJSON()
}

export function outcomeOfMessage(message: OutcomeMessage): IntentOutcome {
  if ('reply' in message) return { reply: new Reply(message.reply) }
  return { error: errorFrom(message) }
}
