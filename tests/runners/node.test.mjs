// SPDX-License-Identifier: MIT
// Every suite of tests/js in this Node.

import { after, describe, test } from 'node:test'
import { assert } from '../unit/harness/assert.mjs'
import { importSuite, nameOf, startGateway, suiteFiles, vectors } from './suites.mjs'

const gateway = await startGateway()
after(() => gateway.stop())
const env = { runtime: 'node', vectors, gatewayUrl: gateway.url }

for (const file of suiteFiles) {
  const { suite } = await importSuite(file)
  describe(nameOf(file), () => suite(test, assert, env))
}
