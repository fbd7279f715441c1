// SPDX-License-Identifier: MIT
// Enrols a device key for a guest: a user whom nobody has identified (R161).

import { CountersignError } from '../../common/errors.ts'
import { functionOf, optionsOf } from '../../core/args.ts'
import { signalOf } from '../call-options.ts'
import { askForChallenge, confirm, type Enrollable, enrollmentPathOf, proofOf } from './email-enrollment.ts'
import { guestId } from './enroll.ts'

/** The options of `guestEnrollment`. */
export type GuestEnrollmentOptions = {
  /** Ends the enrolment, which then rejects with ERR_ABORTED. */
  signal?: AbortSignal
  /** Where the paths of the enrolment begin, as at the gateway. Default: `/api/v1/public/auth`. */
  enrollmentPath?: string
  /** The path that makes a challenge. Default: `guest-challenge` below `enrollmentPath`. */
  challengePath?: string
  /** The path that confirms it. Default: `confirm-guest` below `enrollmentPath`. */
  confirmPath?: string
}

/** Enrols a client as a guest, as guestEnrollment describes. */
export async function enrollAsGuest(client: Enrollable, options: GuestEnrollmentOptions): Promise<void> {
  const known = ['signal', 'enrollmentPath', 'challengePath', 'confirmPath']
  const at = enrollmentPathOf(optionsOf(options, 'options', known))
  const { challengePath = `${at}/guest-challenge`, confirmPath = `${at}/confirm-guest` } = options
  functionOf(optionsOf(client, 'client').enroll, 'client.enroll')
  const signal = signalOf(options.signal)
  return client.enroll(async (registration) => {
    // A guest who is one already stays the same guest.
    if (registration.guest) throw new CountersignError('ERR_ALREADY_ENROLLED')
    const challenge = await askForChallenge(registration, challengePath, {}, signal)
    return confirm(registration, confirmPath, await proofOf(registration, challenge, guestId(challenge)), signal)
  })
}
