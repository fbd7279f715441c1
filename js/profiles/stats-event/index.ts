// SPDX-License-Identifier: MIT
// StatsCode's signed events: the client's side and the verifier (docs/profiles/stats-event.md lists what they do not
// protect).

export { canonicalJson } from '../common/canonical-json.ts'
export { type Anomaly, detectAnomalies } from './anomalies.ts'
export {
  createDeviceKey,
  deviceKeyOfStored,
  importDeviceKey,
  type StatsDeviceKey,
  type StoredDeviceKey
} from './keys.ts'
export { type StatsLimits, statsLimits } from './limits.ts'
export { compatibleMessage, strictMessage } from './messages.ts'
export { phaseRules, type StatsPhase, type StatsPhaseRule } from './phases.ts'
export { createEventBuilder, type EventBuilder, type SignOptions, signEvent, statsCodeMembers } from './sign.ts'
export {
  eventsToSync,
  readSyncAnswer,
  roundHours,
  type SyncAnswer,
  type SyncBody,
  syncBody,
  type Totals
} from './sync.ts'
export type {
  EventLike,
  EventMode,
  Json,
  JsonObject,
  SignedEvent,
  StatsEvent,
  StatsEventFields,
  StatsVerdict,
  TrustLevel,
  VerifyReason
} from './types.ts'
export { verifyEvent } from './verify.ts'
