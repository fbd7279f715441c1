// SPDX-License-Identifier: MIT
// The public face of the client. Importing it loads and sends nothing.

// The core's text comes first in every bundle. Between the code it would push that out of gzip's window (32 KiB).
import './core/platform/client-wasm.js'

export type { Payload, Progress, RequestOptions } from './client/call-options.ts'
export { type Client, connect } from './client/client.ts'
export type { ConnectionState } from './client/events/connection-state.ts'
export type {
  Carrier,
  ClientEvent,
  ConnectionView,
  EventCursor,
  EventsOptions,
  StreamRole
} from './client/events/types.ts'
export type { KeyInfo, KeyLevel } from './client/keys/key-info.ts'
export { type IndexedDbStoreOptions, indexedDbStore, memoryStore } from './client/keys/key-store.ts'
export type { StorageReport } from './client/keys/storage-report.ts'
export { emailEnrollment, guestEnrollment, storageReport } from './client/lazy.ts'
export type { ConnectOptions, Logger } from './client/options.ts'
export type { Opened, Reply } from './client/reply.ts'
export type { ClientEvents } from './client/runtime.ts'
export type { ClockCorrection, ClockView } from './client/server-clock.ts'
export type { ClientState } from './client/session/client-state.ts'
export type { Code, EmailEnrollmentOptions, Enrollable } from './client/session/email-enrollment.ts'
export type { Register, Registration } from './client/session/enroll.ts'
export type { GuestEnrollmentOptions } from './client/session/guest.ts'
export type { RotateKeyOptions } from './client/session/rotate-key.ts'
export type { SessionInfo } from './client/session/session-list.ts'
export type { SignedFetchInit } from './client/transport/fetch-target.ts'
export type { Timings } from './client/transport/types.ts'
export {
  CountersignError,
  type CountersignErrorInit,
  type ErrorCategory,
  type ErrorCode,
  type ErrorRecord,
  isCountersignError,
  type RetryRule
} from './common/errors.ts'
export type { FillRandom, Schedule } from './common/platform.ts'
export type { StageEvent } from './common/stage-events.ts'
export type {
  Algorithm,
  Bytes,
  BytesLike,
  ClockSource,
  KeyStore,
  Signer,
  Stage,
  Stored,
  TrustedServerKey
} from './common/types.ts'
export type { WasmSource } from './core/load.ts'
