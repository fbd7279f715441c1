// SPDX-License-Identifier: MIT
// The duties of a store, as tests for any runner: `countersign/server/conformance`. Memory, LMDB and Redis pass them.

import { answerConformance } from './answers.ts'
import { clockConformance } from './clock.ts'
import { codeConformance } from './codes.ts'
import { eventConformance } from './events.ts'
import type { ConformanceAssert, ConformanceOptions, ConformanceTest, MakeStores } from './kit.ts'
import { replayConformance } from './replay.ts'
import { sessionConformance } from './sessions.ts'

export type { ConformanceAssert, ConformanceOptions, ConformanceStores, ConformanceTest, MakeStores } from './kit.ts'
export { answerConformance, clockConformance, codeConformance, eventConformance, replayConformance, sessionConformance }

/**
 * Registers the suites of all store interfaces. The suite of one interface has a function of its own. The suites fill
 * the stores, so make them with the capacities that ConformanceStores states.
 *
 * @example
 * ```ts
 * import assert from 'node:assert/strict'
 * import { test } from 'node:test'
 * import { storeConformance } from 'countersign/server/conformance'
 *
 * storeConformance(test, assert, async () => ({ sessions, replay, codes, answers, events, close }), { name: 'mine' })
 * ```
 */
export function storeConformance(
  test: ConformanceTest,
  assert: ConformanceAssert,
  makeStores: MakeStores,
  options: ConformanceOptions = {}
): void {
  sessionConformance(test, assert, makeStores, options)
  replayConformance(test, assert, makeStores, options)
  clockConformance(test, assert, makeStores, options)
  codeConformance(test, assert, makeStores, options)
  answerConformance(test, assert, makeStores, options)
  eventConformance(test, assert, makeStores, options)
}
