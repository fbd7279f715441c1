// SPDX-License-Identifier: MIT
// What both sides of an enrolment share: its path, and codes as people type and paste them.

/** Where the paths of the enrolment begin, unless an operator moves them (R167). */
export const ENROLLMENT_PATH = '/api/v1/public/auth'

// A mail in a script that is written from right to left brings invisible marks along with its code, so they go too.
const BETWEEN_DIGITS = /[\s\p{Cf}\p{Pd}\u2212]/gu

const isDigit = (point: number): boolean => /^\p{Nd}$/u.test(String.fromCodePoint(point))

// Unicode keeps the ten digits of a script in a row, in order. Only whole rows lie side by side.
const valueOfDigit = (digit: string): string => {
  const point = digit.codePointAt(0) as number
  let first = point
  while (isDigit(first - 1)) first--
  return String((point - first) % 10)
}

/**
 * Returns a code without blanks, dashes and invisible marks, and with the decimal digits of every script as 0 to 9 (R160).
 * What is neither of these stays as it is.
 *
 * @example
 * foldCode(' 123\u2013４５６\n') // '123456'
 */
export function foldCode(code: string): string {
  return code.replace(BETWEEN_DIGITS, '').replace(/\p{Nd}/gu, valueOfDigit)
}
