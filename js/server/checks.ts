// SPDX-License-Identifier: MIT
// What callers pass in is checked here, once, at creation: a mistake is a typed error with a hint, never a surprise later.

import { CountersignError } from '../errors.ts'

/** refuse makes ERR_INVALID_ARGUMENT with a hint. */
export const refuse = (detail: string): CountersignError => new CountersignError('ERR_INVALID_ARGUMENT', { detail })

/** optionsOf gives an options argument back where it is an object. */
export const optionsOf = <T>(options: T, name: string): T => {
  if (typeof options !== 'object' || options === null) throw refuse(`${name} takes one object of options`)
  return options
}

/** integerOf gives a number back where it is an integer from `least` to `most`. */
export const integerOf = (value: unknown, name: string, least: number, most: number): number => {
  if (Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most) return value as number
  throw refuse(`${name} is an integer from ${least} to ${most}`)
}

/** labelOf gives a label back where it is one (R1), or throws ERR_INVALID_LABEL. */
export const labelOf = (label: unknown): string => {
  if (typeof label === 'string' && /^[a-z][a-z0-9.-]{0,31}$/.test(label)) return label
  throw new CountersignError('ERR_INVALID_LABEL')
}

/** partOf checks that an option has the functions it is used for. */
export const partOf = (value: unknown, functions: readonly string[], hint: string): void => {
  const isObject = typeof value === 'object' && value !== null
  if (!isObject || !functions.every((name) => typeof Reflect.get(value, name) === 'function')) throw refuse(hint)
}

/** signerOf checks a ServerSigner. */
export const signerOf = (signer: unknown): void => {
  const hint = 'signer has keyId, publicKey (32 bytes) and sign(); serverKeyFile makes one'
  partOf(signer, ['sign'], hint)
  const { keyId, publicKey } = signer as { keyId: unknown; publicKey?: { length?: unknown } }
  if (typeof keyId !== 'string' || publicKey?.length !== 32) throw refuse(hint)
}

/** functionOf checks an option that is a function, where there is one. */
export const functionOf = (value: unknown, name: string): void => {
  if (value !== undefined && typeof value !== 'function') throw refuse(`${name} is a function`)
}
