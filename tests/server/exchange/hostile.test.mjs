// SPDX-License-Identifier: MIT
// Nothing a handler, a hook or a leaving client does ends or hangs the gateway.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createWorld, frameRequest } from '../kit.mjs'
import { until } from './socket-kit.mjs'

const hostile = {
  'throws null': () => {
    throw null
  },
  'throws undefined': () => {
    throw undefined
  },
  'throws a string': () => {
    throw 'x'
  },
  'throws a symbol': () => {
    throw Symbol('x')
  },
  'throws a thing without a prototype': () => {
    throw Object.create(null)
  },
  'throws a revoked proxy': () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    throw proxy
  },
  'rejects with undefined': () => Promise.reject(undefined),
  'rejects later': () => sleep(2).then(() => Promise.reject(new Error('late'))),
  'gives a thenable that throws': () => ({
    // biome-ignore lint/suspicious/noThenProperty: that is the attack
    then() {
      throw new Error('then')
    }
  }),
  'gives a number': () => ({ payload: 42 }),
  'gives a stream': () => ({ payload: new ReadableStream() }),
  'gives a reserved code': () => ({ resultCode: 'cs.session_revoked' }),
  'gives an http code': () => ({ resultCode: 'http.200' }),
  'gives an empty code': () => ({ resultCode: '' }),
  'gives a code with a line break': () => ({ resultCode: 'a\r\nb' }),
  'gives a code with a lone surrogate': () => ({ resultCode: '\ud800' }),
  'gives a long code': () => ({ resultCode: 'x'.repeat(129) }),
  'gives a code that is no text': () => ({ resultCode: { toString: () => 'ok' } }),
  'has a getter that throws': () => ({
    get payload() {
      throw new Error('getter')
    }
  }),
  'gives a revoked proxy': () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    return proxy
  },
  'gives detached bytes': () => {
    const payload = new Uint8Array(8)
    structuredClone(payload.buffer, { transfer: [payload.buffer] })
    return { payload }
  }
}

for (const [name, handler] of Object.entries(hostile)) {
  test(`H4 a handler that ${name} gets a signed answer out and the gateway lives`, async () => {
    const world = await createWorld({ routes: { 'demo.bad': handler } })
    const answer = await world.call({ type: 'demo.bad' })
    assert.deepEqual([answer.status, answer.resultCode, world.faults.length], [500, 'cs.internal', 1])
    assert.equal((await world.call()).resultCode, 'ok')
  })
}

test('H4 header handlers with statuses and types that are none', async () => {
  const results = [
    { status: 99 },
    { status: 100 },
    { status: 199 },
    { status: 600 },
    { status: '200' },
    { status: Number.NaN },
    { status: 200.5 },
    { contentType: 'a\r\nb' },
    { contentType: '' },
    { contentType: 7 }
  ]
  for (const result of results) {
    const world = await createWorld({ routes: { 'POST /bad': () => result } })
    assert.equal((await world.callHeader('POST', '/bad')).resultCode, 'cs.internal', JSON.stringify(result))
    assert.ok(world.faults[0].error instanceof TypeError)
  }
})

test('H4 a handler that never ends is ended by its deadline, its signal aborted', async () => {
  let signal
  const world = await createWorld({
    handlerTimeoutMs: 20,
    routes: {
      'demo.hang': (context) => {
        signal = context.signal
        return new Promise(() => {})
      }
    }
  })
  const answer = await world.call({ type: 'demo.hang' })
  assert.deepEqual([answer.status, answer.resultCode, world.faults], [503, 'cs.unavailable', []])
  assert.equal(signal.aborted, true)
})

test('H4 what a handler does after its deadline is dropped, rejections too', async () => {
  const world = await createWorld({
    handlerTimeoutMs: 5,
    routes: { 'demo.late': () => sleep(30).then(() => Promise.reject(new Error('late'))) }
  })
  assert.equal((await world.call({ type: 'demo.late' })).resultCode, 'cs.unavailable')
  await sleep(50)
  assert.equal((await world.call()).resultCode, 'ok')
})

test('H4 hooks that throw change nothing', async () => {
  const fault = () => {
    throw new Error('hook')
  }
  for (const hook of [fault, async () => fault()]) {
    const world = await createWorld({ onStage: hook, onRefusal: hook, identify: fault })
    assert.equal((await world.call()).resultCode, 'ok')
    assert.equal((await world.call({ timestampMs: 1 })).resultCode, 'cs.stale')
    assert.equal((await world.sendFrame(Buffer.from('x'))).status, 400)
  }
})

test('I7 the signal of a handler is aborted when the client leaves', async () => {
  let left
  let isHandled = false
  const gone = new Promise((resolve) => {
    left = resolve
  })
  const world = await createWorld({
    routes: {
      'demo.wait': ({ signal }) =>
        new Promise(() => {
          isHandled = true
          signal.addEventListener('abort', () => left(signal.reason))
        })
    }
  })
  const client = new AbortController()
  const handling = world.gateway.handle(
    frameRequest(world.requestOf({ type: 'demo.wait' }).frame, { signal: client.signal })
  )
  await until(() => isHandled)
  client.abort()
  assert.equal((await gone).code, 'ERR_ABORTED')
  await handling
})

test('R92 a payload that a handler changes after giving it is sent as it was signed', async () => {
  const payload = Buffer.from('first')
  const signer = (await import('../kit.mjs')).createSigner()
  const slow = {
    ...signer,
    sign: async (bytes) => {
      payload.write('other')
      return signer.sign(bytes)
    }
  }
  const world = await createWorld({ signer: slow, routes: { 'demo.change': () => ({ payload }) } })
  assert.equal((await world.call({ type: 'demo.change' })).text, 'first')
})

test('H5 closing drains what is under way, refuses what is new, and aborts what hangs', async () => {
  let finish
  const signals = []
  const world = await createWorld({
    routes: {
      'demo.slow': () =>
        new Promise((resolve) => {
          finish = () => resolve({ payload: 'done' })
        }),
      'demo.hang': ({ signal }) => {
        signals.push(signal)
        return new Promise(() => {})
      }
    }
  })
  const slow = world.call({ type: 'demo.slow' })
  const hung = world.call({ type: 'demo.hang' })
  await until(() => finish && signals.length > 0)
  const closing = world.gateway.close({ drainMs: 60 })
  finish()
  assert.equal((await slow).text, 'done')
  assert.equal((await world.call()).resultCode, 'cs.unavailable')
  await closing
  assert.equal((await hung).resultCode, 'cs.unavailable')
  assert.equal(signals[0].aborted, true)
})
