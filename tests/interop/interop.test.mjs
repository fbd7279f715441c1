// SPDX-License-Identifier: MIT
// A client and a verifier that share no code with this project, in Python, against the vectors and the running gateway.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { missingPython, runPython, startGateway } from './run.mjs'

const missing = missingPython()
const report = async (t, lines) => {
  for (const line of lines) {
    await t.test(line.name, () => assert.ok(line.ok, line.detail))
  }
}

describe('a client written from PROTOCOL.md alone, in Python', { skip: !process.env.CI && missing }, () => {
  const gateways = []
  before(async () => {
    assert.equal(missing, undefined)
    gateways.push(await startGateway())
    // So low that the rate stage is reached over a socket on any machine.
    gateways.push(await startGateway({ SESSION_RATE: '2' }))
  })
  after(() => Promise.all(gateways.map((gateway) => gateway.stop())))

  test('reproduces the vectors', async (t) => report(t, await runPython('vectors.py')))

  test('judges requests as the vectors do', async (t) => report(t, await runPython('judgements.py')))

  test("keeps a client's clock and place as the vectors do", async (t) => report(t, await runPython('client_rules.py')))

  test('verifies requests as docs/other-languages.md says', async (t) =>
    report(t, await runPython('verify_request_checks.py')))

  test('gets through the gateway and is refused at every stage', async (t) =>
    report(t, await runPython('client.py', ...gateways.map(({ url }) => url))))
})
