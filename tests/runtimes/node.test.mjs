// SPDX-License-Identifier: MIT
// Every suite of tests/js in this Node. COUNTERSIGN_SUITES picks those whose name begins with it.

import { after, describe, test } from 'node:test'
import { assert } from '../js/harness/assert.mjs'
import { importSuite, nameOf, startGateway, suiteFiles, vectors } from './suites.mjs'

const gateway = await startGateway()
after(() => gateway.stop())
const env = { runtime: 'node', vectors, gatewayUrl: gateway.url }
const picked = process.env.COUNTERSIGN_SUITES ?? ''

for (const file of suiteFiles.filter((name) => nameOf(name).startsWith(picked))) {
  const { suite } = await importSuite(file)
  describe(nameOf(file), () => suite(test, assert, env))
}
