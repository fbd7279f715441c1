// SPDX-License-Identifier: MIT
// Action proofs of ADR-005: creation, verification, and a strict mode in which the device session signs
// (docs/profiles/action-proof.md).

export { BATCH, createBatch, MAX_BATCH } from './batch.ts'
export { createProofNow } from './beacon.ts'
export { createProof, importSecret, type NewAction, type ProofOptions, randomNonce, type SecretKey } from './create.ts'
export { proofMessage } from './message.ts'
export {
  type ActionLimiter,
  type ActionRules,
  type ActionWindow,
  actionRules,
  createLimiter
} from './rules.ts'
export {
  ACTION_TYPE,
  type ActionAnswer,
  type ActionClient,
  createActionProof,
  fetchSecret,
  readAnswer,
  SECRET_TYPE,
  submitAction
} from './strict.ts'
export type { ActionFields, ActionProof, ProofReason, ProofVerdict, VerifiedAction } from './types.ts'
export { type VerifyMode, type VerifyOptions, verifyProof } from './verify.ts'
