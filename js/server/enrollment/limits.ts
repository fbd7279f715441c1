// SPDX-License-Identifier: MIT
// How often a person or a network may ask and guess (R86, R162, R168), with the limits that suit a developer's machine.

import { badArgument, integerOf, optionsOf } from '../../core/args.ts'

/** The limits of an enrolment. A source is an IPv4 address or an IPv6 /64, its network the /24 or the /48 around it. */
export type EnrollmentLimits = {
  /** Wrong codes of one challenge. Default: 5. */
  wrongCodesPerChallenge?: number
  /** Wrong short codes a day for an address from one source. Default: 15. */
  wrongCodesPerSource?: number
  /** Wrong codes a day for an address; beyond them its codes have ten digits at least. Default: 15. */
  wrongCodesPerAddress?: number
  /** Mails an hour for an address from one source. Default: 5. */
  mailsPerAddressAndSource?: number
  /** Mails an hour for an address. Default: 15. */
  mailsPerAddress?: number
  /** Mails an hour for an address from sources where it has signed in. Default: 20, and `mailsPerAddress` at least. */
  mailsPerKnownAddress?: number
  /** Mails an hour for a source. Default: 100. */
  mailsPerSource?: number
  /** Mails an hour for a network. Default: 400. */
  mailsPerNetwork?: number
  /** New guests an hour for a source. Default: 20. */
  guestsPerSource?: number
  /** New guests an hour for a network. Default: 100. */
  guestsPerNetwork?: number
  /** New guests an hour for the pages of a source that have no origin of their own. Default: 5. */
  opaqueGuestsPerSource?: number
  /** New guests an hour for the pages of a network that have no origin of their own. Default: 25. */
  opaqueGuestsPerNetwork?: number
}

const DEFAULTS = {
  wrongCodesPerChallenge: 5,
  wrongCodesPerSource: 15,
  wrongCodesPerAddress: 15,
  mailsPerAddressAndSource: 5,
  mailsPerAddress: 15,
  mailsPerKnownAddress: 20,
  mailsPerSource: 100,
  mailsPerNetwork: 400,
  guestsPerSource: 20,
  guestsPerNetwork: 100,
  opaqueGuestsPerSource: 5,
  opaqueGuestsPerNetwork: 25
} as const satisfies { [Name in keyof EnrollmentLimits]-?: number }

/** The most that a limit may be: a counter keeps the time of each event. */
const MOST = 1000

const isName = (name: string): name is keyof EnrollmentLimits => Object.hasOwn(DEFAULTS, name)

/** The limits of one enrolment, all of them. */
export type EnrollmentBounds = { readonly [Name in keyof EnrollmentLimits]-?: number }

function developmentBounds(): EnrollmentBounds {
  if (globalThis.process?.env?.NODE_ENV === 'production')
    throw badArgument(
      "enrollmentLimits: 'development' is not for production (NODE_ENV); it leaves codes open to guessing"
    )
  return Object.fromEntries(Object.keys(DEFAULTS).map((name) => [name, MOST])) as EnrollmentBounds
}

/** Checks the limits and fills in defaults. @throws ERR_INVALID_ARGUMENT when one is not valid. */
export function readEnrollmentLimits(limits: EnrollmentLimits | 'development' = {}): EnrollmentBounds {
  if (limits === 'development') return developmentBounds()
  const given = Object.entries(optionsOf(limits, 'enrollmentLimits')).filter(([, value]) => value !== undefined)
  for (const [name, value] of given) {
    if (!isName(name)) throw badArgument(`enrollmentLimits: there is no limit ${name}`)
    integerOf(value, 1, MOST, `enrollmentLimits.${name}`)
  }
  const all: EnrollmentBounds = { ...DEFAULTS, ...Object.fromEntries(given) }
  return { ...all, mailsPerKnownAddress: Math.max(all.mailsPerKnownAddress, all.mailsPerAddress) }
}
