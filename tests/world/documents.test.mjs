// SPDX-License-Identifier: MIT
// The code that docs/guide/tour.md and docs/testing.md show for an application's own tests runs as it stands there.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codeOf, runCode } from '../interop/shown-code.mjs'

test('docs/guide/tour.md: a client in a world of its own', async () => {
  const code = codeOf('docs/guide/tour.md', 'js').find((block) => block.includes('countersign/testing'))
  const routes = { 'cart.add': ({ payload }) => ({ payload }) }
  const { reply, world } = await runCode(code, { routes }, { results: ['reply', 'world'] })
  assert.equal(new TextDecoder().decode(reply.payload), '{"sku":4711}')
  await world.close()
})

test('docs/testing.md: the test it shows passes', async () => {
  const [code] = codeOf('docs/testing.md', 'js')
  const shown = code.replace(/^import .*node:.*$/gm, '')
  const ran = []
  await runCode(shown, { assert, test: (name, body) => ran.push([name, body]) })
  assert.equal(ran.length, 1)
  await ran[0][1]()
})
