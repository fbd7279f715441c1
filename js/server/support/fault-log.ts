// SPDX-License-Identifier: MIT
// Prints the exceptions of the application's own functions, so that a developer sees what broke without any set-up.

import { inspect } from 'node:util'
import { badArgument } from '../../core/args.ts'
import { callHook } from './checks.ts'
import { escapeText } from './encoding.ts'

/** Receives the exceptions of an application's own functions. `message` says in one line which of them threw. */
export type GatewayLogger = { error(message: string, error: unknown): void }

/** Reports an exception. `what` names the function that threw, in words. It never throws. */
export type FaultLog = (what: string, error: unknown) => void

/** The most characters of one printed exception: its message may quote a whole request. */
const MAX_PRINTED = 16_384

// Only console.error of this moment counts: tests and tools replace it.
const printed: GatewayLogger = {
  error(message, error) {
    console.error(`${message}: ${printableError(error)}`)
  }
}

/**
 * Returns an exception as text, with its stack and its causes. Only its line breaks stay, each followed by blanks: an
 * exception may quote bytes of a request, and they must not write on a terminal or begin a line of a log (R9).
 */
export function printableError(error: unknown): string {
  let text: string
  try {
    text = inspect(error)
  } catch {
    text = 'an exception that cannot be shown'
  }
  return text.slice(0, MAX_PRINTED).split('\n').map(escapeText).join('\n    ')
}

/**
 * Returns the function that reports exceptions to a logger. Default: one that prints to the console.
 * @throws ERR_INVALID_ARGUMENT when the value is no logger.
 */
export function createFaultLog(logger: GatewayLogger = printed): FaultLog {
  if (typeof (logger as GatewayLogger | null)?.error !== 'function')
    throw badArgument('logger must have a function error(message, error)')
  return (what, error) => callHook(() => logger.error(`countersign: ${what}`, error))
}
