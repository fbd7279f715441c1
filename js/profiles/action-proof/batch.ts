// SPDX-License-Identifier: MIT
// Several proofs in one request. The server answers each of them on its own.

import { badArgument } from '../../core/args.ts'
import type { NewAction, ProofOptions, SecretKey } from './create.ts'
import { createProof } from './create.ts'
import { OUTER } from './message.ts'

/** The member of the body that holds the proofs of a batch. */
export const BATCH = 'action_proofs'
export const MAX_BATCH = 50

/**
 * Signs 1 to 50 actions for one request. The server answers each proof, in order; a refused proof does not affect the
 * others.
 * Rejects as createProof does.
 *
 * @example
 * const { text } = await createBatch(secret, [first, second], { clock: client.clock })
 */
export async function createBatch(
  secret: SecretKey,
  actions: readonly NewAction[],
  options: ProofOptions = {}
): Promise<{ text: string }> {
  if (!Array.isArray(actions) || actions.length === 0 || actions.length > MAX_BATCH) {
    throw badArgument(`actions must be an array of 1 to ${MAX_BATCH}`)
  }
  const texts = await Promise.all(actions.map(async (action) => (await createProof(secret, action, options)).text))
  return { text: `{"${BATCH}":[${texts.map((text) => text.slice(`{"${OUTER}":`.length, -1)).join(',')}]}` }
}
