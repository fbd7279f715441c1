// SPDX-License-Identifier: MIT
// Enrolment through the gateway's own endpoints, as an application calls it.

import type { EmailEnrollmentOptions, Enrollable } from './email-enrollment.ts'
import { loadChanges } from './later.ts'

/**
 * emailEnrollment enrols a client through the gateway's own endpoints: it has a code mailed, asks for it and confirms. It
 * rejects with ERR_ENROLLMENT_REFUSED, the gateway's problem as its cause, and may then be called again; with ERR_ABORTED
 * where `code` gives null.
 *
 * @example
 * await emailEnrollment(client, { email: 'ada@example.com', code: () => prompt('The code from your mail') })
 */
export const emailEnrollment = async (client: Enrollable, options: EmailEnrollmentOptions): Promise<void> =>
  (await loadChanges()).enrollByEmail(client, options)
