// SPDX-License-Identifier: MIT
// Codes by e-mail: how they are made and checked, and the bounds on mail and on guesses.

import { createHmac, randomInt } from 'node:crypto'
import { DAY_MS, HOUR_MS } from '../../common/protocol.ts'
import { emptyBytes, isSameBytes, isText } from '../support/encoding.ts'
import type { GatewayClock } from '../support/gateway-clock.ts'
import type { Allowance, Challenge, CodeStore } from '../types.ts'
import { type EnrollmentProblem, problems } from './enroller.ts'

type EmailCodeOptions = {
  codes: CodeStore
  clock: GatewayClock
  digits?: number
  pepper?: Uint8Array
}

/** Codes of one enrolment. Each step rejects when the code store does. */
type EmailCodes = {
  /** Returns a random code. */
  create(): string
  /** Returns the hash of a challenge's code. */
  hash(challengeId: string, code: string): Uint8Array
  /** Counts a mail. Resolves to 0 when it may be sent, otherwise to the milliseconds until one may be. */
  takeMail(email: string, source: string): Promise<number>
  /**
   * Counts a guess, and checks the code. Resolves to a problem when the code is wrong or there were too many guesses.
   */
  check(challenge: Challenge, code: string): Promise<EnrollmentProblem | undefined>
}

/** How long a challenge is valid, in milliseconds. */
export const CHALLENGE_LIFETIME_MS = 600_000

type Bound = Omit<Allowance, 'nowMs'>
const MAILS_PER_ADDRESS: Bound = { limit: 5, windowMs: HOUR_MS }
const MAILS_PER_SOURCE: Bound = { limit: 100, windowMs: HOUR_MS }
const WRONG_PER_CHALLENGE: Bound = { limit: 5, windowMs: CHALLENGE_LIFETIME_MS }
const WRONG_PER_ADDRESS: Bound = { limit: 15, windowMs: DAY_MS }

/**
 * Returns whether a text is one address and nothing else: no list, display name or comment that a mailer could read.
 */
export function isEmail(text: string): boolean {
  return isText(text) && /^[^\s@,;:<>()[\]\\"]+@[^\s@,;:<>()[\]\\".]+(\.[^\s@,;:<>()[\]\\".]+)*$/.test(text)
}

/** Returns an address with A to Z in lower case. Unicode's lower case could make one user of several mailboxes. */
export function foldAddress(email: string): string {
  return email.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
}

/** Returns the problem of a client that must wait for so many milliseconds. */
export function tooMany(retryAfterMs: number): EnrollmentProblem {
  return { ...problems.tooMany, retryAfterMs }
}

/** Creates the codes of one enrolment. */
export function createEmailCodes({ codes, clock, digits = 6, pepper = emptyBytes() }: EmailCodeOptions): EmailCodes {
  const hash = (challengeId: string, code: string): Uint8Array =>
    createHmac('sha256', pepper).update(`${challengeId}\n${code}`).digest()

  // Takes from all counters or from none: when one refuses, the others get theirs back. One commit of a store takes
  // all.
  const takeAll = async (counters: readonly (readonly [key: string, bound: Bound])[]): Promise<number> => {
    const nowMs = clock.now()
    const waits = await Promise.all(counters.map(([key, bound]) => codes.take(key, { ...bound, nowMs })))
    const waitMs = Math.max(...waits)
    if (waitMs > 0)
      await Promise.all(counters.map(([key], index) => (waits[index] === 0 ? codes.giveBack(key) : undefined)))
    return waitMs
  }

  return {
    create: () => String(randomInt(10 ** digits)).padStart(digits, '0'),
    hash,
    async takeMail(email, source) {
      const bySource = [`mail/source/${source}`, MAILS_PER_SOURCE] as const
      // First and alone: a source that is over its bound reaches no other record of the store, and cannot fill it.
      const waitMs = await takeAll([bySource])
      if (waitMs > 0) return waitMs
      const addressMs = await takeAll([[`mail/address/${foldAddress(email)}`, MAILS_PER_ADDRESS]])
      if (addressMs > 0) await codes.giveBack(bySource[0])
      return addressMs
    },
    async check({ id, email, codeHash }, code) {
      const counters = [
        [`wrong/challenge/${id}`, WRONG_PER_CHALLENGE],
        [`wrong/address/${foldAddress(email)}`, WRONG_PER_ADDRESS]
      ] as const
      // Counts the guess before the code is compared, so that guesses made at once count like guesses in turn.
      const waitMs = await takeAll(counters)
      if (waitMs > 0) return tooMany(waitMs)
      const isRight = codeHash !== undefined && isSameBytes(hash(id, code), codeHash)
      if (!isRight) return problems.invalidCode
      await Promise.all(counters.map(([key]) => codes.giveBack(key)))
      return undefined
    }
  }
}
