// SPDX-License-Identifier: MIT
// The gateway library: verifies requests, hands them on, signs the answers.

export { CountersignError, type ErrorCode, isCountersignError } from '../common/errors.ts'
export { memoryAnswerStore } from './answer-store.ts'
export { checkCors } from './cors.ts'
export { type Enrollment, type EnrollmentOptions, enrollment, type Mail } from './enrollment.ts'
export { memoryEventStore } from './events/memory-store.ts'
export { createGateway } from './gateway.ts'
export { type IdempotentOptions, idempotent } from './idempotent.ts'
export { nodeHandler } from './node-handler.ts'
export { serverKeyFile } from './server-key.ts'
export { type CachedSessionStore, cachedSessions } from './session-cache.ts'
export { memoryCodeStore, memoryReplayStore, memorySessionStore } from './store-memory.ts'
export type * from './types.ts'
