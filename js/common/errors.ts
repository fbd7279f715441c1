// SPDX-License-Identifier: MIT
// The one error class of this package. The table of codes is generated from errors.def.

import { type ErrorCode, errorCategories, errorTable } from '../generated/errors.ts'
import type { Stage } from './types.ts'

export type { ErrorCode } from '../generated/errors.ts'

/** The kinds of failures. The first digit of an error's number stands for the category. */
export type ErrorCategory = (typeof errorCategories)[number]

/** Says when the same call may be repeated: never, after `retryAfterMs` milliseconds, or at once (`safe`). */
export type RetryRule = 'never' | 'after' | 'safe'

/** The optional members of an error. `stage` and `retry` override those of the table. */
export type CountersignErrorInit = {
  cause?: unknown
  stage?: Stage | undefined
  retry?: RetryRule | undefined
  /** The result code that the server signed, when there is one. */
  resultCode?: string | undefined
  /** The shortest wait before the next try, in milliseconds, when the server named one. */
  retryAfterMs?: number | undefined
  /** Where the server found the input wrong. */
  issues?: CountersignError['issues']
  /** A hint for developers, appended to the error's message. It never quotes bytes of a protocol message. */
  detail?: string | undefined
}

/** An error as JSON and `postMessage` carry it. Of the cause it has name and message. */
export type ErrorRecord = Pick<
  CountersignError,
  'name' | 'message' | 'code' | 'category' | 'stage' | 'retry' | 'resultCode' | 'retryAfterMs' | 'issues'
> & { readonly cause: { name: string | undefined; message: string | undefined } | undefined }

type ErrorRow = readonly [number: number, message: string, retry?: RetryRule, stage?: Stage]

// All copies of this package in a program share the symbol, so they recognise each other's errors, in other realms too.
const BRAND = Symbol.for('countersign.error')

const NAMES: { readonly [code: string]: string } = { ERR_ABORTED: 'AbortError', ERR_TIMEOUT: 'TimeoutError' }

/**
 * The one error that this package throws. `code` is stable; `category`, `stage` and `retry` follow from it. A program
 * may hold two copies of the package, so recognise the error with `isCountersignError`, not with `instanceof`.
 */
export class CountersignError extends Error {
  /** The stable code, such as `ERR_TIMEOUT`. */
  readonly code: ErrorCode
  /** The kind of the failure. */
  readonly category: ErrorCategory
  /** The check that refused a message, when a check failed. */
  readonly stage: Stage | undefined
  /** The result code that the server signed, when there is one. */
  readonly resultCode: string | undefined
  /** The shortest wait before the next try, in milliseconds, when the server named one. */
  readonly retryAfterMs: number | undefined
  /** Says when the same call may be repeated. */
  readonly retry: RetryRule
  /** Where the server found the input wrong, with ERR_BAD_REQUEST. A key that is data is `*`. */
  readonly issues: readonly { readonly path: readonly (string | number)[] }[] | undefined

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
    this.issues = init.issues
  }

  /** `TimeoutError` also where the caller's own AbortSignal.timeout ended the call, as `fetch` names it. */
  override get name(): string {
    const { code, cause } = this
    const isLate = code === 'ERR_ABORTED' && (cause as Error | undefined)?.name === 'TimeoutError'
    return isLate ? 'TimeoutError' : (NAMES[code] ?? 'CountersignError')
  }

  /**
   * Returns what JSON and `postMessage` can carry: all but the stack. `errorFrom` of countersign/core makes an
   * error of it again.
   */
  toJSON(): ErrorRecord {
    const { name, message, cause } = this
    const why = cause as Error | undefined
    return { ...this, name, message, cause: why && { name: why.name, message: why.message } }
  }

  get [BRAND](): true {
    return true
  }
}

/** Returns whether a value is a CountersignError of this copy of the package or of another. */
export function isCountersignError(value: unknown): value is CountersignError {
  return typeof value === 'object' && value !== null && (value as { [BRAND]?: unknown })[BRAND] === true
}

/** Returns the error that errors.def lists under a number. Returns ERR_INTERNAL for a number that it does not list. */
export function errorOfNumber(number: number, init: CountersignErrorInit = {}): CountersignError {
  const row = Object.entries(errorTable).find(([, [listed]]) => listed === number)
  return row
    ? new CountersignError(row[0] as ErrorCode, init)
    : new CountersignError('ERR_INTERNAL', { detail: `error ${number}` })
}
