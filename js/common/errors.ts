// SPDX-License-Identifier: MIT
import { type ErrorCode, errorCategories, errorTable } from '../generated/errors.ts'
import type { Stage } from './types.ts'

export type { ErrorCode } from '../generated/errors.ts'

/** The kinds of failure; the leading digit of an error's number. */
export type ErrorCategory = (typeof errorCategories)[number]

/** Whether the same call may be made again as it is: never, after `retryAfterMs`, or at once. */
export type RetryRule = 'never' | 'after' | 'safe'

/** What an error may carry beyond its code; `stage` and `retry` override the table's. */
export type CountersignErrorInit = {
  cause?: unknown
  stage?: Stage | undefined
  retry?: RetryRule | undefined
  /** The server's signed result code, where one was given. */
  resultCode?: string | undefined
  retryAfterMs?: number | undefined
  /** A hint for developers, appended to the message; never bytes of a message. */
  detail?: string | undefined
}

type ErrorRow = readonly [number: number, message: string, retry?: RetryRule, stage?: Stage]

// Shared by every copy of this package in a program, so that errors are recognised across bundles and realms.
const BRAND = Symbol.for('countersign.error')

const NAMES: { readonly [code: string]: string } = { ERR_ABORTED: 'AbortError', ERR_TIMEOUT: 'TimeoutError' }

/**
 * CountersignError is the one error this package throws: `code` is stable, `category`, `stage` and `retry` follow from it.
 * Recognise it with `isCountersignError`, not `instanceof`, where a program may hold two copies of the package.
 */
export class CountersignError extends Error {
  readonly code: ErrorCode
  readonly category: ErrorCategory
  /** The check that refused, where a check of a message is concerned. */
  readonly stage: Stage | undefined
  readonly resultCode: string | undefined
  readonly retryAfterMs: number | undefined
  readonly retry: RetryRule

  constructor(code: ErrorCode, init: CountersignErrorInit = {}) {
    const [number, message, retry = 'never', stage] = errorTable[code] as ErrorRow
    super(
      init.detail === undefined ? message : `${message}: ${init.detail}`,
      'cause' in init ? { cause: init.cause } : undefined
    )
    this.code = code
    this.category = errorCategories[Math.floor(number / 100) - 1] as ErrorCategory
    // A refusal keeps its row's stage, unless the code that the gateway signed has another one (R94).
    this.stage = init.stage ?? stage
    this.resultCode = init.resultCode
    this.retryAfterMs = init.retryAfterMs
    this.retry = init.retry ?? retry
  }

  override get name(): string {
    return NAMES[this.code] ?? 'CountersignError'
  }

  get [BRAND](): true {
    return true
  }
}

/** isCountersignError tells whether a value is a CountersignError, of this copy of the package or another. */
export function isCountersignError(value: unknown): value is CountersignError {
  return typeof value === 'object' && value !== null && (value as { [BRAND]?: unknown })[BRAND] === true
}

/** errorOfNumber makes the error that errors.def lists under a number; ERR_INTERNAL for a number it does not list. */
export function errorOfNumber(number: number, init: CountersignErrorInit = {}): CountersignError {
  const row = Object.entries(errorTable).find(([, [listed]]) => listed === number)
  return row
    ? new CountersignError(row[0] as ErrorCode, init)
    : new CountersignError('ERR_INTERNAL', { detail: `error ${number}` })
}
