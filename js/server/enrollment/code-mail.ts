// SPDX-License-Identifier: MIT
// Asks a person by a mailed code: to enrol a device (R82), and to confirm a new key of a session (R150).

import type { GatewayClock } from '../support/gateway-clock.ts'
import type { CodeStore, StepUp } from '../types.ts'
import { CHALLENGE_LIFETIME_MS, type createEmailCodes } from './email-codes.ts'
import { type createEnroller, FULL_RETRY_MS, problems } from './enroller.ts'
import type { KeyedHashes } from './keyed-hashes.ts'
import { type createMails, isEmail, type Mail } from './mails.ts'

type CodeMailParts = {
  mails: ReturnType<typeof createMails>
  emailCodes: ReturnType<typeof createEmailCodes>
  enroller: Pick<ReturnType<typeof createEnroller>, 'challenge'>
  hashes: KeyedHashes
}

/** What a mail is about. With `bound`, its code is good for what that text names only. */
type CodeMail = Pick<Mail, 'purpose' | 'thumbprint'> & { bound?: string }

/** Mails a code. Resolves to the id of its challenge, or to the milliseconds until there may be another mail. */
type MailCode = (
  email: string,
  source: string,
  about: CodeMail
) => Promise<{ challengeId: string } | { retryAfterMs: number }>

/** Returns the function that counts a mail, makes its code and sends it. It rejects when a store does. */
export function createCodeMail({ mails, emailCodes, enroller, hashes }: CodeMailParts): MailCode {
  return async (email, source, { bound, ...about }) => {
    const taken = await mails.take(email, source)
    if (taken.waitMs > 0) return { retryAfterMs: taken.waitMs }
    const code = await emailCodes.create(email)
    const challenge = await enroller.challenge(email, CHALLENGE_LIFETIME_MS, {
      codeHash: (id) => hashes.code(id, code, bound)
    })
    if (!challenge) {
      await taken.giveBack()
      return { retryAfterMs: FULL_RETRY_MS }
    }
    const { id, expiresMs } = challenge
    // Only a session asks to rotate, and over the limit of all mails an address with a session still gets its mail.
    mails.send({ email, challengeId: id, code, expiresMs, ...about }, taken.hasShare || about.purpose === 'rotate')
    return { challengeId: id }
  }
}

type MailedStepUpParts = {
  mailCode: MailCode
  emailCodes: ReturnType<typeof createEmailCodes>
  codes: CodeStore
  clock: GatewayClock
  /** Returns the address of a user, or undefined when there is none. */
  emailOf: (userId: string) => string | undefined
}

/** Returns the decision about new keys that asks the session's user by a mail. It rejects when a store does. */
export function createMailedStepUp({ mailCode, emailCodes, codes, clock, emailOf }: MailedStepUpParts): StepUp {
  return async ({ session, thumbprint, confirmation, source }) => {
    const email = emailOf(session.userId)
    if (email === undefined || !isEmail(email)) return 'unavailable'
    const bound = `${session.id}\n${thumbprint}`
    if (!confirmation) return mailCode(email, source, { purpose: 'rotate', thumbprint, bound })
    const challenge = await codes.get(confirmation.challengeId, clock.now())
    // A guess at a challenge of another address must not count against that address.
    if (challenge?.email !== email) return 'refused'
    const problem = await emailCodes.check(challenge, confirmation.code, source, bound)
    if (!problem) return 'allowed'
    return problem.code === problems.tooMany.code ? { retryAfterMs: problem.retryAfterMs ?? FULL_RETRY_MS } : 'refused'
  }
}
