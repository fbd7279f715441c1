// SPDX-License-Identifier: MIT
// All stores of one gateway in the memory of one process.

import type { AnswerStore, CodeStore, EventStore, ReplayStore, SessionStore } from '../../types.ts'
import { memoryEventStore } from './events.ts'
import { memoryAnswerStore, memoryCodeStore, memoryReplayStore, memorySessionStore } from './index.ts'

/** The stores of one gateway, to spread into the options of createGateway and enrollment. */
export type MemoryStores = {
  sessions: SessionStore
  replay: ReplayStore
  codes: CodeStore
  events: EventStore
  answers: AnswerStore
}

/**
 * Creates all stores of a gateway in memory, with the defaults of each. They are for development and tests: a restart
 * signs everybody out. `lmdbStores` and `redisStores` last.
 *
 * @example
 * ```ts
 * const shared = { ...memoryStores(), label: 'myapp', signer: serverKeyFile('server.key') }
 * ```
 */
export function memoryStores(): MemoryStores {
  return {
    sessions: memorySessionStore(),
    replay: memoryReplayStore(),
    codes: memoryCodeStore(),
    events: memoryEventStore(),
    answers: memoryAnswerStore()
  }
}
