// SPDX-License-Identifier: MIT
// A proof without a promise, for `pagehide`: WebCrypto answers too late there. It takes the secret as text, so the secret has
// to lie in memory, where script can read it: the caller opts in by keeping it.

import type { Core } from '../../common/types.ts'
import { badArgument, optionsOf } from '../../core/args.ts'
import { encodeHex } from '../common/hex.ts'
import { bodyOf, messageOf, type NewAction, type ProofOptions } from './create.ts'

/**
 * Signs an action at once, with the core's HMAC; throws as proofMessage does. Weaker than createProof: any
 * script of the page can read `secretText`.
 *
 * @example
 * const core = await loadCore()
 * addEventListener('pagehide', () => navigator.sendBeacon('/api/score/update', createProofNow(core, secretText, action).text))
 */
export function createProofNow(
  core: Pick<Core, 'hmacSha256'>,
  secretText: string,
  fields: NewAction,
  options: ProofOptions = {}
): { text: string } {
  if (typeof optionsOf(core, 'core').hmacSha256 !== 'function') throw badArgument('core must be the result of loadCore')
  if (typeof secretText !== 'string' || secretText === '') throw badArgument('the secret must be a non-empty string')
  const encoder = new TextEncoder()
  const message = messageOf(fields, options)
  return { text: bodyOf(message, encodeHex(core.hmacSha256(encoder.encode(secretText), encoder.encode(message)))) }
}
