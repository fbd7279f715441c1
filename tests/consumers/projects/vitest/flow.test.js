// SPDX-License-Identifier: MIT
import { connect, emailEnrollment, memoryStore } from 'countersign'
import { expect, test } from 'vitest'
import { run } from './flow.js'
import { search } from './search.js'

test('the flow', async () => {
  expect(await run({ connect, emailEnrollment, memoryStore }, search, false)).toEqual({ value: 'hello, an answer' })
})
