// SPDX-License-Identifier: MIT
// Verifies proofs over the bytes that arrived, never over JSON that was serialised again. The reader in C++ judges
// form and age and cuts out what is signed. The holder of the secret compares the signature.

import { DAY_MS } from '../../common/protocol.ts'
import { decodeText } from '../../common/text.ts'
import type { BytesLike } from '../../common/types.ts'
import { badArgument, integerOf, optionsOf, timeOf } from '../../core/args.ts'
import { bytesOfBody } from '../common/bytes.ts'
import { isJsonObject } from '../common/canonical-json.ts'
import type { ProofRules, ReadProof } from '../common/json-core.ts'
import { type SecretKey, secretKeyOf } from './create.ts'
import type { ActionProof, ProofVerdict, VerifiedAction } from './types.ts'

export const MAX_AGE_MS = 30_000
export const SKEW_MS = 5_000

/**
 * Selects the signed text of a body: the members in their fixed order (`slices`), or the proof without its signature
 * (`excise`).
 */
export type VerifyMode = 'slices' | 'excise'

/** Reads the proofs of a body. Resolves to undefined when it holds neither one proof nor a batch. */
export async function readProofs(body: BytesLike | string, rules: ProofRules) {
  const bytes = bytesOfBody(body, 'rawBody')
  if (!bytes) return undefined
  const { loadJsonCore } = await import('../common/json-core.ts')
  return (await loadJsonCore()).proofs(bytes, rules)
}

/** Returns what a proof says that is not malformed. Nothing in it is verified. */
export function actionOf({ message, timestampMs }: ReadProof): VerifiedAction {
  const {
    action_type: actionType,
    timestamp,
    action_data: actionData,
    expected_points: expectedPoints,
    nonce
  } = JSON.parse(decodeText(message)) as Omit<ActionProof, 'client_signature'>
  const actionId = isJsonObject(actionData) && Object.hasOwn(actionData, 'action_id') ? actionData.action_id : undefined
  return {
    actionType,
    timestamp,
    timestampMs,
    actionData,
    expectedPoints,
    nonce,
    ...(typeof actionId === 'string' ? { actionId } : {})
  }
}

/** Returns whether this secret made the signature. */
export async function isSigned({ message, tag }: ReadProof, secret: SecretKey): Promise<boolean> {
  return tag !== undefined && secret.isTag(message, tag)
}

export type VerifyOptions = {
  secret: SecretKey
  /** The present time, in Unix milliseconds. */
  nowMs: number
  /** The age from which a proof is stale. Default: 30000 ms. */
  maxAgeMs?: number
  /** How far in the future a proof's time may lie. Default: 5000 ms. */
  skewMs?: number
  /** Default: `slices`. */
  mode?: VerifyMode
}

/**
 * Verifies the body of a request: form, age, then signature, compared in constant time. Resolves to the content of
 * the proof, or to the first failed check. It does not check whether the nonce is new or the action possible, nor
 * what the action is worth: `countersign/action-proof/server` does.
 * Rejects with ERR_INVALID_ARGUMENT or ERR_INVALID_TIME for invalid options.
 *
 * @example
 * const verdict = await verifyProof(rawBody, { secret, nowMs: Date.now() })
 */
export async function verifyProof(rawBody: BytesLike | string, options: VerifyOptions): Promise<ProofVerdict> {
  const { secret, nowMs, maxAgeMs = MAX_AGE_MS, skewMs = SKEW_MS, mode = 'slices' } = optionsOf(options, 'options')
  const key = secretKeyOf(secret)
  timeOf(nowMs, 'nowMs')
  integerOf(maxAgeMs, 1, DAY_MS, 'maxAgeMs')
  integerOf(skewMs, 0, DAY_MS, 'skewMs')
  // Refuse a misspelled mode: the caller would believe that it took effect.
  if (mode !== 'slices' && mode !== 'excise') throw badArgument("mode must be 'slices' or 'excise'")
  const body = await readProofs(rawBody, { mode, nowMs, maxAgeMs, skewMs })
  const [read] = body && !body.isBatch ? body.proofs : []
  if (!read || read.verdict === 'malformed') return { ok: false, reason: 'malformed' }
  if (read.verdict === 'stale') return { ok: false, reason: 'stale' }
  return (await isSigned(read, key)) ? { ok: true, proof: actionOf(read) } : { ok: false, reason: 'signature' }
}
