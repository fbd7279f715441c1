// SPDX-License-Identifier: MIT
// Codes by e-mail: how they are made and checked, and the bounds on guesses (R82, R85, R86).

import { randomInt } from 'node:crypto'
import { foldCode } from '../../common/codes.ts'
import { DAY_MS } from '../../common/protocol.ts'
import type { GatewayClock } from '../support/gateway-clock.ts'
import type { Allowance, Challenge, CodeStore } from '../types.ts'
import { type EnrollmentProblem, FULL_RETRY_MS, problems } from './enroller.ts'
import type { KeyedHashes } from './keyed-hashes.ts'
import type { EnrollmentBounds } from './limits.ts'
import { type Counter, foldAddress } from './mails.ts'

type EmailCodeOptions = {
  codes: CodeStore
  clock: GatewayClock
  hashes: KeyedHashes
  digits?: number
  bounds: EnrollmentBounds
}

/** Codes of one enrolment. Each step rejects when the code store does. */
type EmailCodes = {
  /** Resolves to a random code, longer while its address is being guessed at. */
  create(email: string): Promise<string>
  /**
   * Counts a guess, and checks the code, which may be bound to a text. Resolves to a problem when the code is wrong, or
   * when the challenge or the source had too many guesses.
   */
  check(challenge: Challenge, code: string, source: string, bound?: string): Promise<EnrollmentProblem | undefined>
}

/** How long a challenge is valid, in milliseconds. */
export const CHALLENGE_LIFETIME_MS = 600_000

type Bound = Omit<Allowance, 'nowMs' | 'isProbe'>
/** Ten digits bear more wrong codes than all the mails of a day allow. */
const LONG_DIGITS = 10

/** Returns the problem of a client that must wait for so many milliseconds. */
export function tooMany(retryAfterMs: number): EnrollmentProblem {
  return { ...problems.tooMany, retryAfterMs }
}

/** Creates the codes of one enrolment. */
export function createEmailCodes({ codes, clock, hashes, digits = 6, bounds }: EmailCodeOptions): EmailCodes {
  const wrongPerChallenge: Bound = { limit: bounds.wrongCodesPerChallenge, windowMs: CHALLENGE_LIFETIME_MS }
  // Over it, the short codes of this source are refused, and those of other sources are not.
  const wrongPerSource: Bound = { limit: bounds.wrongCodesPerSource, windowMs: DAY_MS }
  // Over it, codes are longer, and no shorter code is right.
  const wrongPerAddress: Bound = { limit: bounds.wrongCodesPerAddress, windowMs: DAY_MS }
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
  const guardsOf = (email: string): readonly Counter[] => {
    const name = hashes.name('address', foldAddress(email))
    return ['address', 'more'].map((part) => [`wrong/${part}/${name}`, wrongPerAddress] as const)
  }

  const isGuarded = async (email: string): Promise<boolean> => {
    const waits = await Promise.all(guardsOf(email).map((guard) => take(guard, true)))
    return Math.max(...waits) > 0
  }

  // Counts a guess at an address. Returns whether only a long code is right, and what to give back when the guess was.
  // Returns undefined when the store has no room to count it.
  const guess = async (email: string): Promise<{ mustBeLong: boolean; taken: Counter[] } | undefined> => {
    const [first, more] = guardsOf(email) as [Counter, Counter]
    if ((await take(first)) === 0) return { mustBeLong: (await take(more, true)) > 0, taken: [first] }
    if ((await take(first, true)) === 0) return undefined
    return { mustBeLong: true, taken: (await take(more)) === 0 ? [more] : [] }
  }

  return {
    async create(email) {
      const length = (await isGuarded(email)) ? Math.max(LONG_DIGITS, digits) : digits
      return String(randomInt(10 ** length)).padStart(length, '0')
    },
    async check({ id, email, codeHash }, typed, source, bound) {
      // First of all: a short code with blanks in it is no long one (R160).
      const code = foldCode(typed)
      const isShort = code.length < LONG_DIGITS
      const counters: Counter[] = [[`wrong/challenge/${id}`, wrongPerChallenge]]
      // A long code cannot be guessed, and its owner may sit behind the same address as somebody who tried.
      if (isShort) {
        const pair = hashes.name('pair', `${foldAddress(email)}\n${source}`)
        counters.push([`wrong/source/${pair}`, wrongPerSource])
      }
      // Counts the guess before the code is compared, so that guesses made at once count like guesses in turn.
      const waitMs = await takeAll(counters)
      if (waitMs > 0) return tooMany(waitMs)
      const guessed = await guess(email)
      if (!guessed) {
        await giveBack(counters)
        return tooMany(FULL_RETRY_MS)
      }
      const { mustBeLong, taken } = guessed
      const isRight = codeHash !== undefined && hashes.isCode(codeHash, id, code, bound)
      if (!isRight || (mustBeLong && isShort)) return problems.invalidCode
      await giveBack([...counters, ...taken])
      return undefined
    }
  }
}
