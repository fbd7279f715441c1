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
  /** Resolves to a random code, longer while its address is being guessed at. */
  create(email: string): Promise<string>
  /** Returns the hash of a challenge's code. */
  hash(challengeId: string, code: string): Uint8Array
  /** Counts a mail. Resolves to 0 when it may be sent, otherwise to the milliseconds until one may be. */
  takeMail(email: string, source: string): Promise<number>
  /**
   * Counts a guess, and checks the code. Resolves to a problem when the code is wrong, or when the challenge or the source
   * had too many guesses.
   */
  check(challenge: Challenge, code: string, source: string): Promise<EnrollmentProblem | undefined>
}

/** How long a challenge is valid, in milliseconds. */
export const CHALLENGE_LIFETIME_MS = 600_000

type Bound = Omit<Allowance, 'nowMs' | 'isProbe'>
type Counter = readonly [key: string, bound: Bound]
const MAILS_PER_ADDRESS: Bound = { limit: 5, windowMs: HOUR_MS }
const MAILS_PER_SOURCE: Bound = { limit: 100, windowMs: HOUR_MS }
const WRONG_PER_CHALLENGE: Bound = { limit: 5, windowMs: CHALLENGE_LIFETIME_MS }
/** Of one address from one source, with short codes. Over it, the source's short codes are refused; others' are not. */
const WRONG_PER_SOURCE: Bound = { limit: 15, windowMs: DAY_MS }
/** Of one address from all sources. Over it, codes are longer, and no shorter code is right. */
const WRONG_PER_ADDRESS: Bound = { limit: 15, windowMs: DAY_MS }
/** Ten digits bear more wrong codes than all the mails of a day allow. */
const LONG_DIGITS = 10

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

  const take = ([key, bound]: Counter, isProbe = false): Promise<number> =>
    codes.take(key, { ...bound, nowMs: clock.now(), ...(isProbe ? { isProbe } : {}) })
  const giveBack = (counters: readonly Counter[]): Promise<unknown> =>
    Promise.all(counters.map(([key]) => codes.giveBack(key)))

  // Takes from all counters or from none: when one refuses, the others get theirs back. One commit of a store takes
  // all.
  const takeAll = async (counters: readonly Counter[]): Promise<number> => {
    const waits = await Promise.all(counters.map((counter) => take(counter)))
    const waitMs = Math.max(...waits)
    if (waitMs > 0) await giveBack(counters.filter((_, index) => waits[index] === 0))
    return waitMs
  }

  // The second counter takes the wrong codes that the first has no room for: it holds the address under guard for a day
  // more, and by then the first has room for the next ones.
  const guardsOf = (email: string): readonly Counter[] =>
    ['address', 'more'].map((part) => [`wrong/${part}/${foldAddress(email)}`, WRONG_PER_ADDRESS] as const)

  const isGuarded = async (email: string): Promise<boolean> => {
    const waits = await Promise.all(guardsOf(email).map((guard) => take(guard, true)))
    return Math.max(...waits) > 0
  }

  // Counts a guess at an address. Returns whether only a long code is right, and what to give back when the guess was.
  const guess = async (email: string): Promise<{ mustBeLong: boolean; taken: Counter[] }> => {
    const [first, more] = guardsOf(email) as [Counter, Counter]
    if ((await take(first)) === 0) return { mustBeLong: (await take(more, true)) > 0, taken: [first] }
    return { mustBeLong: true, taken: (await take(more)) === 0 ? [more] : [] }
  }

  return {
    async create(email) {
      const length = (await isGuarded(email)) ? Math.max(LONG_DIGITS, digits) : digits
      return String(randomInt(10 ** length)).padStart(length, '0')
    },
    hash,
    async takeMail(email, source) {
      const bySource: Counter = [`mail/source/${source}`, MAILS_PER_SOURCE]
      // First and alone: a source that is over its bound reaches no other record of the store, and cannot fill it.
      const waitMs = await take(bySource)
      if (waitMs > 0) return waitMs
      const addressMs = await take([`mail/address/${foldAddress(email)}`, MAILS_PER_ADDRESS])
      if (addressMs > 0) await giveBack([bySource])
      return addressMs
    },
    async check({ id, email, codeHash }, code, source) {
      const isShort = code.length < LONG_DIGITS
      const counters: Counter[] = [[`wrong/challenge/${id}`, WRONG_PER_CHALLENGE]]
      // A long code cannot be guessed, and its owner may sit behind the same address as somebody who tried.
      // An address may hold a slash, and no space: no other pair of address and source has this name.
      if (isShort) counters.push([`wrong/source/${foldAddress(email)} ${source}`, WRONG_PER_SOURCE])
      // Counts the guess before the code is compared, so that guesses made at once count like guesses in turn.
      const waitMs = await takeAll(counters)
      if (waitMs > 0) return tooMany(waitMs)
      const { mustBeLong, taken } = await guess(email)
      const isRight = codeHash !== undefined && isSameBytes(hash(id, code), codeHash)
      if (!isRight || (mustBeLong && isShort)) return problems.invalidCode
      await giveBack([...counters, ...taken])
      return undefined
    }
  }
}
