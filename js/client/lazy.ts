// SPDX-License-Identifier: MIT
// The parts that are not in a page's first download. The call that needs a part loads it.

import { CountersignError } from '../common/errors.ts'
import type { StorageReport } from './keys/storage-report.ts'
import type { ClientSettings } from './options.ts'
import type { EmailEnrollmentOptions, Enrollable } from './session/email-enrollment.ts'
import type { GuestEnrollmentOptions } from './session/guest.ts'

const failed = (cause: unknown): never => {
  throw new CountersignError('ERR_LOAD_FAILED', { cause })
}

/** Loads the code that enrols a device, rotates its key and lists sessions. Rejects with ERR_LOAD_FAILED. */
export function loadChanges() {
  return import('./lazy-parts.ts').catch(failed)
}

/** Resolves to an error, with a hint where a request was lost and the code for hints can be loaded. */
export async function hintFor(
  { settings }: { readonly settings: ClientSettings },
  error: unknown,
  signal: AbortSignal
): Promise<unknown> {
  if ((error as { code?: unknown }).code !== 'ERR_NETWORK') return error
  return loadChanges().then(
    (parts) => parts.withHint(settings, error, signal),
    () => error
  )
}

/** Loads the JSON binding. Rejects with ERR_LOAD_FAILED. */
export function loadJson() {
  return import('./transport/bindings/json.ts').catch(failed)
}

/** Loads the header binding. Rejects with ERR_LOAD_FAILED. */
export function loadHeader() {
  return import('./transport/bindings/header.ts').catch(failed)
}

/**
 * Enrols a client through the gateway's own endpoints: the gateway mails a code, `code` returns it, and the client
 * confirms.
 *
 * Rejects with ERR_ENROLLMENT_REFUSED when the gateway refuses; its cause is the gateway's problem, and the call may be
 * repeated. Rejects with ERR_ABORTED when `code` returns null, and as `client.enroll` does.
 *
 * @example
 * await emailEnrollment(client, { email: 'ada@example.com', code: () => prompt('The code from your mail') })
 */
export async function emailEnrollment(client: Enrollable, options: EmailEnrollmentOptions): Promise<void> {
  return (await loadChanges()).enrollByEmail(client, options)
}

/**
 * Enrols a client as a guest, without a login, where the gateway takes guests. A later `emailEnrollment` makes a user of the
 * guest: with a new key, a new session and a new user id, and `onUpgraded` of the gateway moves what belongs to the guest.
 * Calls in flight then end with ERR_NO_SESSION.
 *
 * Rejects with ERR_ENROLLMENT_REFUSED when the gateway refuses, with ERR_ALREADY_ENROLLED when there is a session, a
 * guest's too, and as `client.enroll` does.
 *
 * @example
 * if (client.state === 'no-session') await guestEnrollment(client)
 */
export async function guestEnrollment(client: Enrollable, options: GuestEnrollmentOptions = {}): Promise<void> {
  return (await loadChanges()).enrollAsGuest(client, options)
}

/**
 * Returns how long the browser keeps this origin's storage, and how full it is. Rejects with ERR_LOAD_FAILED only.
 *
 * @example
 * const { persisted } = await storageReport()
 */
export async function storageReport(): Promise<StorageReport> {
  return (await loadChanges()).askStorage()
}
