// SPDX-License-Identifier: MIT
// The gateway library: verifies requests, hands them on, signs the answers.

export { CountersignError, type ErrorCode, isCountersignError } from '../common/errors.ts'
export { bringBackClock, type ClockReport } from './bring-back-clock.ts'
export { type Enrollment, type EnrollmentOptions, enrollment } from './enrollment/endpoints.ts'
export type { Pepper } from './enrollment/keyed-hashes.ts'
export type { EnrollmentLimits } from './enrollment/limits.ts'
export type { Mail } from './enrollment/mails.ts'
export { type IdempotentOptions, idempotent } from './exchange/idempotent.ts'
export { createGateway } from './gateway.ts'
export { checkCors } from './http/cors.ts'
export { type MountOptions, type NodeListener, nodeHandler } from './http/node-handler.ts'
export { nodeServer } from './http/node-server.ts'
export {
  type Coded,
  type InputOf,
  type OutputOf,
  type RouteOptions,
  route,
  type Schema,
  type SchemaResult,
  type TypedRoute,
  withCode
} from './route.ts'
export { serverKeyFile } from './server-key.ts'
export { type CachedSessionStore, cachedSessions } from './stores/cached-sessions.ts'
export { memoryEventStore } from './stores/memory/events.ts'
export { memoryAnswerStore, memoryCodeStore, memoryReplayStore, memorySessionStore } from './stores/memory/index.ts'
export { type MemoryStores, memoryStores } from './stores/memory/stores.ts'
export type * from './types.ts'
