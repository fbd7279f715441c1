// SPDX-License-Identifier: MIT
// A proof without a promise, for `pagehide`: the page is gone before WebCrypto's promise settles. The secret is a
// text in memory here, so every script of the page can read it. The caller accepts that by keeping the text.

import { encodeText } from '../../common/text.ts'
import type { Core } from '../../common/types.ts'
import { badArgument, optionsOf } from '../../core/args.ts'
import { encodeHex } from '../common/bytes.ts'
import { bodyOf, messageOf, type NewAction, type ProofOptions } from './create.ts'

/**
 * Signs an action synchronously, with the core's HMAC. This is weaker than createProof: every script of the page can
 * read `secretText`.
 * @throws ERR_INVALID_ARGUMENT as proofMessage does, and when the core or the secret is missing.
 *
 * @example
 * const core = await loadCore()
 * const send = () => navigator.sendBeacon('/api/score/update', createProofNow(core, secretText, action).text)
 * addEventListener('pagehide', send)
 */
export function createProofNow(
  core: Pick<Core, 'hmacSha256'>,
  secretText: string,
  fields: NewAction,
  options: ProofOptions = {}
): { text: string } {
  if (typeof optionsOf(core, 'core').hmacSha256 !== 'function') throw badArgument('core must be the result of loadCore')
  if (typeof secretText !== 'string' || secretText === '') throw badArgument('the secret must be a non-empty string')
  const message = messageOf(fields, options)
  return { text: bodyOf(message, encodeHex(core.hmacSha256(encodeText(secretText), encodeText(message)))) }
}
