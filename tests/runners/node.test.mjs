// SPDX-License-Identifier: MIT
// Every suite of tests/unit in this Node, with the WebAssembly that is shipped.

import { deepEqual } from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { assert } from '../unit/harness/assert.mjs'
import { importSuite, nameOf, startGateway, suiteFiles, vectors } from './suites.mjs'
import { readingsOf } from './vectors.mjs'

const gateway = await startGateway()
after(() => gateway.stop())
const readings = readingsOf(vectors)
const env = { runtime: 'node', vectors: readings.vectors, gatewayUrl: gateway.url }

for (const file of suiteFiles) {
  const { suite } = await importSuite(file)
  describe(nameOf(file), () => suite(test, assert, env))
}

const skip = process.env.COUNTERSIGN_SUITES && 'COUNTERSIGN_SUITES leaves suites out'
test('every file of tests/vectors, and every part of it, was read by a suite', { skip }, async () => {
  deepEqual(await readings.unread(), [])
})
