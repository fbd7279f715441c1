// SPDX-License-Identifier: MIT
// Makes an error of its record again. A page that sends no errors between threads does not download this.

import { errorTable } from '../generated/errors.ts'
import { CountersignError, type ErrorRecord } from './errors.ts'

/**
 * Returns the error of an `ErrorRecord`, in another thread, tab or process.
 *
 * @throws ERR_INVALID_ARGUMENT when the record has no code of this version.
 *
 * @example
 * worker.postMessage(error.toJSON())
 * worker.onmessage = ({ data }) => show(errorFrom(data).code)
 */
export function errorFrom(record: ErrorRecord): CountersignError {
  const { code, message, stage, retry, resultCode, retryAfterMs, issues, cause } = record
  if (!Object.hasOwn(errorTable, code))
    throw new CountersignError('ERR_INVALID_ARGUMENT', { detail: 'the record has no error code of this version' })
  const init = { stage, retry, resultCode, retryAfterMs, issues, ...(cause ? { cause } : {}) }
  const error = new CountersignError(code, init)
  // A tab with an earlier version of this package sends no message.
  if (typeof message === 'string') error.message = message
  return error
}
