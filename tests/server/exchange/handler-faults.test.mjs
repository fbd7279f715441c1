// SPDX-License-Identifier: MIT
// What an operator sees of an exception of the application, and what nobody else sees.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createGateway, enrollment, memoryReplayStore, memorySessionStore } from 'countersign/server'
import { createSigner, createWorld, label } from '../kit.mjs'

/** Runs work and returns the lines that it printed as errors. */
const printedBy = async (t, work) => {
  const { mock } = t.mock.method(console, 'error', () => {})
  await work()
  const { calls } = mock
  t.mock.restoreAll()
  return calls.map(({ arguments: values }) => values.join(' '))
}

const failing = (thrown) => ({
  routes: {
    'demo.bad': () => {
      throw thrown
    }
  }
})

test('R66 without a logger an exception of a handler is printed with its route, its stack and its cause', async (t) => {
  const thrown = new Error('no such table', { cause: new Error('the disk') })
  const world = await createWorld({ ...failing(thrown), logger: undefined })
  const printed = await printedBy(t, async () => {
    assert.equal((await world.call({ type: 'demo.bad' })).resultCode, 'cs.internal')
  })
  assert.equal(printed.length, 1)
  assert.match(printed[0], /^countersign: the handler of demo\.bad failed: Error: no such table\n +at .*handler-faults/)
  assert.match(printed[0], /\[cause\]: Error: the disk/)
})

test('R66 an exception that cannot be shown, or a logger that throws, changes nothing for the request', async (t) => {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  const unshowable = {
    get [Symbol.for('nodejs.util.inspect.custom')]() {
      throw new Error('no')
    }
  }
  for (const thrown of [proxy, unshowable, undefined, null, 'text']) {
    const world = await createWorld({ ...failing(thrown), logger: undefined })
    const printed = await printedBy(t, async () => {
      assert.equal((await world.call({ type: 'demo.bad' })).resultCode, 'cs.internal')
    })
    assert.equal(printed.length, 1)
  }
  const logger = {
    error() {
      throw new Error('the log is full')
    }
  }
  const world = await createWorld({ ...failing(new Error('x')), logger })
  assert.equal((await world.call({ type: 'demo.bad' })).resultCode, 'cs.internal')
})

test('R66 a refusal that the application returns, a store that fails and a deadline are no exceptions of a handler', async () => {
  const sessions = memorySessionStore()
  const world = await createWorld({
    sessions: { ...sessions, listByUser: () => Promise.reject(new Error('down')) },
    handlerTimeoutMs: 20,
    routes: { 'demo.no': () => ({ resultCode: 'no' }), 'demo.hang': () => new Promise(() => {}) }
  })
  assert.equal((await world.call({ type: 'demo.no' })).resultCode, 'no')
  for (const type of ['cs.sessions', 'demo.hang']) {
    const { status, resultCode } = await world.call({ type, payload: '' })
    assert.deepEqual([status, resultCode, world.refusals.at(-1).stage], [503, 'cs.unavailable', 'handler'])
  }
  assert.deepEqual(world.faults, [])
})

test('H22 R9 what an exception quotes of a request can neither write on a terminal nor begin a line of the log', async (t) => {
  const payload = `\u001b[2J\u0007x\ncountersign: all is well\r\u009b31m${'A'.repeat(100_000)}`
  const world = await createWorld({
    logger: undefined,
    routes: {
      'demo.bad': ({ payload }) => {
        throw new Error(Buffer.from(payload).toString())
      }
    }
  })
  let answer
  const [text, ...more] = await printedBy(t, async () => {
    answer = await world.call({ type: 'demo.bad', payload })
  })
  assert.deepEqual(more, [])
  assert.match(text, /^[\x20-\x7e\n]+$/)
  assert.ok(text.includes('\\u001b[2J\\u0007x'))
  const [first, ...rest] = text.split('\n')
  assert.match(first, /^countersign: the handler of demo\.bad failed: Error: /)
  assert.ok(rest.length > 0 && rest.every((line) => line.startsWith('    ')))
  assert.ok(text.length < 20_000, `${text.length} characters`)
  assert.deepEqual([answer.resultCode, answer.text], ['cs.internal', '{}'])
})

test('R66 the name of a route in a printed line is escaped', async () => {
  const world = await createWorld({
    routes: {
      'demo.ü': () => {
        throw new Error('x')
      }
    }
  })
  await world.call({ type: 'demo.ü' })
  assert.equal(world.faults[0].message, 'countersign: the handler of demo.\\u00fc failed')
})

test('a logger without error() is a usage error', () => {
  const parts = {
    label,
    signer: createSigner(),
    sessions: memorySessionStore(),
    replay: memoryReplayStore(),
    routes: {}
  }
  for (const logger of [null, {}, 'console', { warn() {} }])
    assert.throws(() => createGateway({ ...parts, logger }), { code: 'ERR_INVALID_ARGUMENT', message: /logger/ })
})

test('R86 an enrolment without onFailure prints what its mailer threw, and the client learns nothing', async (t) => {
  let mailed
  const sent = new Promise((resolve) => {
    mailed = resolve
  })
  const enrolling = enrollment({
    label,
    signer: createSigner(),
    sessions: memorySessionStore(),
    mailer: () => {
      setImmediate(mailed)
      throw new Error('no route to the mail server')
    }
  })
  const printed = await printedBy(t, async () => {
    const response = await enrolling.handle(
      new Request('http://localhost/api/v1/public/auth/send-email-code', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"email":"a@b.example"}'
      })
    )
    assert.equal(response.status, 200)
    assert.deepEqual(Object.keys(await response.json()), ['challenge_id'])
    await sent
  })
  assert.match(printed[0], /^countersign: the enrolment failed: Error: no route to the mail server/)
})
