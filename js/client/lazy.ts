// SPDX-License-Identifier: MIT
// What is no part of a page's first download, each loaded by the call that needs it.

import { CountersignError } from '../common/errors.ts'
import type { StorageReport } from './keys/storage-report.ts'
import type { EmailEnrollmentOptions, Enrollable } from './session/enroll.ts'

const failed = (cause: unknown): never => {
  throw new CountersignError('ERR_LOAD_FAILED', { cause })
}

/** loadChanges loads what enrols and rotates keys; rejects with ERR_LOAD_FAILED. */
export function loadChanges() {
  return import('./lazy-parts.ts').catch(failed)
}

/** Loads the JSON binding. Rejects with ERR_LOAD_FAILED. */
export function loadJson() {
  return import('./transport/bindings/json.ts').catch(failed)
}

/** loadHeader loads the header binding; rejects with ERR_LOAD_FAILED. */
export function loadHeader() {
  return import('./transport/bindings/header.ts').catch(failed)
}

/**
 * emailEnrollment enrols a client through the gateway's own endpoints: it has a code mailed, asks for it and confirms. It
 * rejects with ERR_ENROLLMENT_REFUSED, the gateway's problem as its cause, and may then be called again; with ERR_ABORTED
 * where `code` gives null.
 *
 * @example
 * await emailEnrollment(client, { email: 'ada@example.com', code: () => prompt('The code from your mail') })
 */
export async function emailEnrollment(client: Enrollable, options: EmailEnrollmentOptions): Promise<void> {
  return (await loadChanges()).enrollByEmail(client, options)
}

/**
 * storageReport tells how long this origin's storage will be kept and how full it is. It rejects with ERR_LOAD_FAILED alone.
 *
 * @example
 * const { persisted } = await storageReport()
 */
export async function storageReport(): Promise<StorageReport> {
  return (await loadChanges()).askStorage()
}
