// SPDX-License-Identifier: MIT
// The mails of an enrolment, and the bounds on them (R86): of a source and its network, of an address, and of all
// together.

import { randomInt } from 'node:crypto'
import { DAY_MS, HOUR_MS } from '../../common/protocol.ts'
import { networkOf } from '../exchange/rates.ts'
import { isText } from '../support/encoding.ts'
import type { GatewayClock } from '../support/gateway-clock.ts'
import type { Allowance, CodeStore, SessionStore } from '../types.ts'
import type { KeyedHashes } from './keyed-hashes.ts'
import type { EnrollmentBounds } from './limits.ts'

/** A mail to send. */
export type Mail = {
  /** The address: exactly as the client gave it, or that of the session's user. */
  email: string
  challengeId: string
  code: string
  /** The code is good until then, in Unix milliseconds. */
  expiresMs: number
  /** The code's purpose: it enrols a device, or it confirms a new key of a session. It is good for nothing else. */
  purpose: 'enroll' | 'rotate'
  /**
   * The new key's thumbprint, with `purpose: 'rotate'` only. Show it beside the code: the person must compare it with the
   * one that the application shows, and must not type the code when they differ.
   */
  thumbprint?: string
}

type MailOptions = {
  codes: CodeStore
  sessions: SessionStore
  clock: GatewayClock
  hashes: KeyedHashes
  userIdOf: (email: string) => string
  /** The most mails an hour to addresses without a session, all counted together. Default: 5000. */
  mailsPerHour?: number
  bounds: EnrollmentBounds
  mailer: (mail: Mail) => unknown
  reportFailure: (error: unknown) => void
}

/** A mail that was counted, or was not: then `waitMs` is above 0. `hasShare`: all addresses together have not had too many. */
type Taken = { waitMs: number; hasShare: boolean; giveBack(): Promise<void> }

/** The mails of one enrolment. Each step but `send` rejects when a store does. */
type Mails = {
  /** Counts a mail. `waitMs` is 0 when it may be asked for, otherwise the milliseconds until one may be. */
  take(email: string, source: string): Promise<Taken>
  /**
   * Sends a mail, or holds it back when it has no share and its address no session. The answer to the client does not wait
   * for this: it must not show whether there was a mail, or which addresses have a session. Never rejects.
   */
  send(mail: Mail, hasShare: boolean): Promise<void>
  /** How many mails there were since the start. */
  counts(): { sent: number; held: number; failed: number }
}

/** A bound on events, and the name of its counter. */
export type Counter = readonly [key: string, bound: Omit<Allowance, 'nowMs' | 'isProbe'>]

const hourly = (limit: number) => ({ limit, windowMs: HOUR_MS })
const KNOWN_FOR_MS = 90 * DAY_MS

// A counter keeps each event, so one of thousands would be slow to read. It is kept in parts, and a mail that finds its
// part full tries another one.
const PART_SIZE = 125
const PARTS_TRIED = 4

/** The longest address that SMTP can carry (RFC 5321, section 4.5.3.1.3, without its angle brackets). */
const MAX_ADDRESS_BYTES = 254

/**
 * Returns whether a text is one address and nothing else: no list, display name or comment that a mailer could read.
 */
export function isEmail(text: string): boolean {
  const isOne = /^[^\s@,;:<>()[\]\\"]+@[^\s@,;:<>()[\]\\".]+(\.[^\s@,;:<>()[\]\\".]+)*$/.test(text)
  return isOne && isText(text) && Buffer.byteLength(text) <= MAX_ADDRESS_BYTES
}

/** Returns an address with A to Z in lower case. Unicode's lower case could make one user of several mailboxes. */
export function foldAddress(email: string): string {
  return email.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
}

/** Returns the name by which a session remembers the source that enrolled it. */
export function nameOfSource(hashes: KeyedHashes, source: string): string {
  return hashes.name('source', source)
}

/** Creates the mails of one enrolment. */
export function createMails(options: MailOptions): Mails {
  const { codes, sessions, clock, hashes, userIdOf, mailsPerHour = 5000, bounds, mailer, reportFailure } = options
  const counts = { sent: 0, held: 0, failed: 0 }
  const parts = Math.ceil(mailsPerHour / PART_SIZE)

  const take = ([key, bound]: Counter): Promise<number> => codes.take(key, { ...bound, nowMs: clock.now() })

  const isKnown = async (email: string, source: string): Promise<boolean> => {
    const sinceMs = clock.now() - KNOWN_FOR_MS
    const found = await sessions.listByUser(userIdOf(email))
    return found.some(
      (session) =>
        session.source !== undefined && session.createdMs > sinceMs && hashes.isName(session.source, 'source', source)
    )
  }

  // Counts a mail of any address. Resolves to the name of the counter, or to undefined when there are too many.
  const takeShare = async (): Promise<string | undefined> => {
    const start = randomInt(parts)
    for (let tried = 0; tried < Math.min(parts, PARTS_TRIED); tried++) {
      const part = (start + tried) % parts
      const key = `mail/all/${part}`
      const limit = Math.min(PART_SIZE, mailsPerHour - part * PART_SIZE)
      if ((await take([key, hourly(limit)])) === 0) return key
    }
    return undefined
  }

  return {
    async take(email, source) {
      const folded = foldAddress(email)
      const bySource: Counter = [`mail/source/${hashes.name('source', source)}`, hourly(bounds.mailsPerSource)]
      const byNetwork: Counter = [
        `mail/network/${hashes.name('network', networkOf(source))}`,
        hourly(bounds.mailsPerNetwork)
      ]
      const byPair: Counter = [
        `mail/pair/${hashes.name('pair', `${folded}\n${source}`)}`,
        hourly(bounds.mailsPerAddressAndSource)
      ]
      const byAddress: Counter = [`mail/address/${hashes.name('address', folded)}`, hourly(bounds.mailsPerAddress)]
      const taken: string[] = []
      // Returns the longest wait. Counters that are taken at once share one commit of a store.
      const takeEach = async (counters: readonly Counter[]): Promise<number> => {
        const waits = await Promise.all(counters.map(take))
        taken.push(...counters.flatMap(([key], at) => (waits[at] === 0 ? [key] : [])))
        return Math.max(...waits)
      }
      const giveBack = async (): Promise<void> => {
        await Promise.all(taken.map((key) => codes.giveBack(key)))
      }

      // First and alone: a source or a network over its bound reaches no other counter, and cannot fill the store.
      let waitMs = (await takeEach([bySource])) || (await takeEach([byNetwork]))
      if (waitMs === 0) {
        waitMs = await takeEach([byPair, byAddress])
        const isOnlyAddress = waitMs > 0 && taken.includes(byPair[0])
        // The sessions of a user are looked for only then, so that a mail usually costs no more than its counters.
        if (isOnlyAddress && (await isKnown(email, source)))
          waitMs = await takeEach([[byAddress[0], hourly(bounds.mailsPerKnownAddress)]])
      }
      if (waitMs > 0) {
        await giveBack()
        return { waitMs, hasShare: false, giveBack: async () => {} }
      }
      const share = await takeShare()
      if (share !== undefined) taken.push(share)
      return { waitMs, hasShare: share !== undefined, giveBack }
    },

    async send(mail, hasShare) {
      try {
        if (!hasShare && (await sessions.listByUser(userIdOf(mail.email))).length === 0) {
          counts.held += 1
          return
        }
        await mailer(mail)
        counts.sent += 1
      } catch (error) {
        counts.failed += 1
        reportFailure(error)
      }
    },

    counts: () => ({ ...counts })
  }
}
