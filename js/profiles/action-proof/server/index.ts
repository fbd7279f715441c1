// SPDX-License-Identifier: MIT
// The server's side of action proofs.

export { type AuditLog, createAuditLog, verifyAuditLog } from './audit.ts'
export { type ActionProofs, type ActionProofsOptions, actionProofs } from './proofs.ts'
export { actionRoutes } from './routes.ts'
export { actionSecrets, secretHandler } from './secrets.ts'
export type {
  AcceptedAction,
  ActionKind,
  ActionSecrets,
  ProofAlert,
  ProofError,
  ProofOutcome,
  ProofRecord,
  ProofRequest,
  ProofStage
} from './types.ts'
export type { WatchOptions } from './watch.ts'
