// SPDX-License-Identifier: MIT
// StatsCode's signed events: the client's side and the verifier (docs/profiles/stats-event.md says what they do not protect).

export { canonicalJson } from '../common/canonical-json.ts'
export { type Anomaly, detectAnomalies } from './anomalies.ts'
export { createDeviceKey, type DeviceKey, deviceKeyOfStored, importDeviceKey, type StoredDeviceKey } from './keys.ts'
export { type StatsLimits, statsLimits } from './limits.ts'
export { compatibleMessage, strictMessage } from './messages.ts'
export { type Phase, type PhaseRule, phaseRules } from './phases.ts'
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
  EventFields,
  EventLike,
  EventMode,
  Json,
  JsonObject,
  SignedEvent,
  StatsEvent,
  TrustLevel,
  Verdict,
  VerifyReason
} from './types.ts'
export { verifyEvent } from './verify.ts'
