// SPDX-License-Identifier: MIT
// R70 to R73: what is tried again, when, and what a caller is told otherwise. Time is fake.

import { createTimers, enrolled, faults, lost, text } from './fixture.mjs'

const start = async (options = {}) => {
  const timers = createTimers()
  const { clocks, schedule } = timers
  const it = await enrolled({ schedule, monotonicNow: clocks.monotonicNow, ...options })
  return { ...it, timers, waits: () => timers.fired.filter((ms) => ms < 15_000) }
}

const portal = (status) => () => new Response('busy', { status })
const signed =
  (resultCode, payload = '{}') =>
  (_, answer) =>
    answer({ resultCode, payload })
const refusedConnection = () => {
  throw Object.assign(new TypeError('fetch failed'), { cause: { code: 'ECONNREFUSED' } })
}

// Fractions of nearly 0 or 1, ids that differ all the same.
const words = (top) => {
  let count = 0
  return (bytes) => bytes.map((_, index) => (index % 4 === 3 ? count++ : top))
}

export const suite = (test, assert) => {
  test('D13 R70 a lost answer is asked for again with a new id and time and the same idempotency key', async () => {
    const { client, gateway, timers } = await start()
    faults(gateway, [lost, lost])
    const reply = await timers.run(client.request('demo.echo', 'once', { idempotencyKey: 'order-7' }))
    assert.equal(text(reply.payload), 'once')
    assert.equal(reply.timings.tries, 3)
    assert.equal(gateway.seen.length, 3)
    assert.equal(new Set(gateway.seen.map(({ requestId }) => requestId)).size, 3)
    assert.equal(new Set(gateway.seen.map(({ requestId }) => requestId.slice(0, 22))).size, 3, 'R is fresh each time')
    for (const { requestId } of gateway.seen) assert.ok(requestId.startsWith('~order-7.', 22))
    const times = gateway.seen.map(({ timestampMs }) => timestampMs)
    assert.ok(times[0] <= times[1] && times[1] <= times[2])
    assert.equal(new Set(gateway.calls.map(({ init }) => String(init.body))).size, 3, 'no bytes are sent twice')
  })

  test('D13 R72 without a key or a declaration a lost answer is outcome unknown, and not asked for again', async () => {
    const { client, gateway, timers } = await start()
    faults(gateway, [lost])
    const error = await assert.rejects(timers.run(client.request('demo.echo')), { code: 'ERR_OUTCOME_UNKNOWN' })
    assert.equal(error.cause.code, 'ERR_NETWORK')
    assert.equal(gateway.seen.length, 1)
  })

  test('R72 safe types, GET and HEAD are asked for again; POST and undeclared types are not', async () => {
    const { client, gateway, timers } = await start({ safeTypes: ['demo.echo', 'REPORT /x'] })
    const calls = [
      [() => client.request('demo.echo'), true],
      [() => client.request('demo.other'), false],
      [() => client.fetch('/x'), true],
      [() => client.fetch('/x', { method: 'HEAD' }), true],
      [() => client.fetch('/x', { method: 'report' }), true],
      [() => client.fetch('/x', { method: 'POST' }), false],
      [() => client.fetch('/x', { method: 'DELETE' }), false],
      [() => client.fetch('/x', { method: 'DELETE', idempotencyKey: 'k' }), true]
    ]
    for (const [index, [call, isRepeated]] of calls.entries()) {
      faults(gateway, [lost])
      if (isRepeated) await timers.run(call())
      else await assert.rejects(timers.run(call()), { code: 'ERR_OUTCOME_UNKNOWN' }, `call ${index}`)
    }
  })

  test('R72 where nothing can have left, every request is tried again', async () => {
    const { client, gateway, timers } = await start()
    faults(gateway, [refusedConnection, refusedConnection])
    await timers.run(client.request('demo.echo'))
    faults(gateway, [refusedConnection, refusedConnection, refusedConnection])
    await assert.rejects(timers.run(client.request('demo.echo')), { code: 'ERR_NETWORK' }, 'and not unknown in the end')
  })

  const platformFaults = [
    [true, { syscall: 'connect', code: 'EHOSTUNREACH' }],
    [true, { syscall: 'connect', code: 'ETIMEDOUT' }],
    [true, { syscall: 'getaddrinfo', code: 'ENOTFOUND' }],
    [true, { code: 'ETIMEDOUT', errors: [{ syscall: 'connect', code: 'ETIMEDOUT' }] }],
    [true, { code: 'UND_ERR_CONNECT_TIMEOUT' }],
    [true, { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }],
    [true, { code: 'CERT_HAS_EXPIRED' }],
    [true, { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' }],
    [true, { code: 'ERR_TLS_CERT_ALTNAME_INVALID' }],
    [true, { code: 'ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE' }],
    [true, { code: 'ECONNRESET', message: 'socket disconnected before secure TLS connection was established' }],
    [false, { syscall: 'read', code: 'ECONNRESET' }],
    [false, { syscall: 'read', code: 'EHOSTUNREACH' }],
    [false, { syscall: 'write', code: 'EPIPE' }],
    [false, { syscall: 'read', code: 'ETIMEDOUT' }],
    [false, { code: 'UND_ERR_SOCKET', message: 'other side closed' }],
    [false, { code: 'ERR_SSL_SSLV3_ALERT_BAD_RECORD_MAC' }],
    [false, { code: 'ERR_SSL_WRONG_VERSION_NUMBER' }],
    [false, { errors: [] }],
    [false, undefined]
  ]

  test('R72 a fault of the address, the connection or the handshake proves that nothing left; a later one does not', async () => {
    const { client, gateway, timers } = await start({ retries: 0 })
    for (const [isUnsent, cause] of platformFaults) {
      const fault = () => {
        throw Object.assign(new TypeError('fetch failed'), { cause })
      }
      faults(gateway, [fault])
      const expected = isUnsent
        ? { code: 'ERR_NETWORK', retry: 'safe' }
        : { code: 'ERR_OUTCOME_UNKNOWN', retry: 'never' }
      await assert.rejects(timers.run(client.request('demo.echo')), expected, JSON.stringify(cause))
    }
  })

  test('a lost request, and an answer without a signature, are named by method, origin and path, never by the query', async () => {
    const { client, gateway, timers } = await start({ retries: 0 })
    const calls = [
      [() => client.fetch('/shop/cart?token=secret#x'), 'GET https://gateway.test/shop/cart'],
      [() => client.fetch('/shop/cart?token=secret', { method: 'DELETE' }), 'DELETE https://gateway.test/shop/cart'],
      [() => client.request('demo.echo'), 'POST https://gateway.test/exchange']
    ]
    const breaking = () =>
      new Response(new ReadableStream({ pull: (controller) => controller.error(new Error('cut')) }), {
        headers: { 'content-type': 'application/vnd.countersign.v1', countersign: 'AAAA' }
      })
    for (const [call, request] of calls) {
      for (const fault of [lost, portal(404), portal(502), breaking]) {
        faults(gateway, [fault])
        const error = await timers.run(call()).then(
          () => undefined,
          (failure) => failure
        )
        assert.ok(error.message.includes(request), error.message)
        assert.ok(!error.message.includes('secret') && !String(error.cause?.message).includes('secret'))
      }
    }
  })

  test('R72 a platform that says it is offline proves nothing: the outcome stays unknown, with a hint', async () => {
    const { client, gateway, timers } = await start({ retries: 0 })
    // Node 20 has no navigator, and WebKit keeps its own whatever is defined on the global object.
    const isThere = 'navigator' in globalThis
    if (!isThere) globalThis.navigator = {}
    Object.defineProperty(globalThis.navigator, 'onLine', { configurable: true, value: false })
    try {
      faults(gateway, [lost, lost])
      const unknown = await assert.rejects(timers.run(client.request('demo.echo')), { code: 'ERR_OUTCOME_UNKNOWN' })
      assert.ok(unknown.message.endsWith('the device seems to be offline'), unknown.message)
      const safe = await assert.rejects(timers.run(client.fetch('/x')), { code: 'ERR_NETWORK', retry: 'safe' })
      assert.ok(safe.message.endsWith('the device seems to be offline'), safe.message)
    } finally {
      if (isThere) delete globalThis.navigator.onLine
      else delete globalThis.navigator
    }
  })

  test('R73 pauses have full jitter under a doubling bound, and tries end', async () => {
    for (const [fill, expected] of [
      [255, [250, 500, 1000, 2000, 4000, 4000]],
      [0, [0, 0, 0, 0, 0, 0]]
    ]) {
      const { client, gateway, timers, waits } = await start({ retries: 6, random: words(fill) })
      faults(gateway, Array(7).fill(lost))
      const call = client.request('demo.echo', '', { idempotencyKey: 'k', timeoutMs: 100_000 })
      await assert.rejects(timers.run(call), { code: 'ERR_NETWORK' })
      assert.deepEqual(waits().map(Math.round), expected)
    }
  })

  test('R71 cs.rate_limited is tried again after its time, whatever the type', async () => {
    const { client, gateway, timers, waits } = await start()
    faults(gateway, [signed('cs.rate_limited', '{"retry_after_ms":1500}')])
    await timers.run(client.request('demo.echo'))
    assert.equal(waits().length, 1)
    assert.ok(waits()[0] >= 1500 && waits()[0] <= 1750)
    assert.equal(gateway.seen.length, 2)
  })

  test('R71 a wait beyond the deadline is not begun: the refusal is told at once, with its time', async () => {
    const { client, gateway, timers, waits } = await start()
    faults(gateway, [signed('cs.rate_limited', '{"retry_after_ms":20000}')])
    const refused = { code: 'ERR_RATE_LIMITED', retry: 'after', retryAfterMs: 20_000, resultCode: 'cs.rate_limited' }
    await assert.rejects(timers.run(client.request('demo.echo')), refused)
    assert.equal(waits().length, 0)
    for (const payload of [
      '{"retry_after_ms":-1}',
      '{"retry_after_ms":"9"}',
      '{"retry_after_ms":1e300}',
      'null',
      '[',
      ''
    ]) {
      faults(gateway, [signed('cs.rate_limited', payload)])
      await timers.run(client.request('demo.echo'))
    }
  })

  test('R72 cs.unavailable is tried again for what may be repeated, and is outcome unknown for the rest', async () => {
    const { client, gateway, timers } = await start()
    const busy = signed('cs.unavailable', '{"retry_after_ms":300}')
    faults(gateway, [busy, busy])
    await timers.run(client.request('demo.echo', '', { idempotencyKey: 'k' }))
    faults(gateway, [busy, busy, busy])
    const again = client.request('demo.echo', '', { idempotencyKey: 'k' })
    await assert.rejects(timers.run(again), { code: 'ERR_UNAVAILABLE', retryAfterMs: 300 })
    faults(gateway, [busy])
    const unknown = { code: 'ERR_OUTCOME_UNKNOWN', resultCode: 'cs.unavailable', retryAfterMs: 300 }
    const error = await assert.rejects(timers.run(client.request('demo.echo')), unknown)
    assert.equal(error.cause.code, 'ERR_UNAVAILABLE')
  })

  test('R72 cs.internal is never tried again: not for what may be repeated, and it hides behind no other error', async () => {
    const { client, gateway, timers } = await start({ safeTypes: ['demo.safe'] })
    const calls = [
      () => client.request('demo.echo'),
      () => client.request('demo.safe'),
      () => client.request('demo.echo', '', { idempotencyKey: 'k' }),
      () => client.fetch('/x')
    ]
    for (const call of calls) {
      faults(gateway, [signed('cs.internal')])
      const sent = gateway.seen.length
      const failed = { code: 'ERR_HANDLER_FAILED', stage: 'handler', retry: 'never', resultCode: 'cs.internal' }
      await assert.rejects(timers.run(call()), failed)
      assert.equal(gateway.seen.length, sent + 1)
    }
  })

  test('E4 an unsigned 429, 502, 503 or 504 is tried again only for what may be repeated, others never', async () => {
    const { client, gateway, timers } = await start()
    for (const status of [429, 502, 503, 504]) {
      faults(gateway, [portal(status)])
      await timers.run(client.request('demo.echo', '', { idempotencyKey: 'k' }))
      faults(gateway, [portal(status)])
      const code = status === 429 ? 'ERR_UNSIGNED_ANSWER' : 'ERR_OUTCOME_UNKNOWN'
      await assert.rejects(timers.run(client.request('demo.echo')), { code })
    }
    for (const status of [200, 400, 401, 403, 404, 413, 415, 500]) {
      faults(gateway, [portal(status)])
      const { length } = gateway.seen
      const call = client.request('demo.echo', '', { idempotencyKey: 'k' })
      await assert.rejects(timers.run(call), { code: 'ERR_UNSIGNED_ANSWER', retry: 'safe' }, String(status))
      assert.equal(gateway.seen.length, length + 1)
    }
  })

  test('E4 R72 an unsigned 2xx or 5xx may stand for a request that went through, a 3xx or 4xx never does', async () => {
    const { client, gateway, timers } = await start()
    for (const status of [200, 204, 500, 502, 503, 504]) {
      faults(gateway, [() => new Response(status === 204 ? null : 'page', { status })])
      const error = await assert.rejects(timers.run(client.request('demo.echo')), { code: 'ERR_OUTCOME_UNKNOWN' })
      assert.equal(error.cause.code, 'ERR_UNSIGNED_ANSWER', String(status))
      assert.ok(error.cause.message.includes(String(status)))
    }
    for (const status of [300, 304, 400, 401, 403, 404, 407, 413, 429]) {
      faults(gateway, [() => new Response(status === 304 ? null : 'page', { status })])
      const refused = { code: 'ERR_UNSIGNED_ANSWER', retry: 'never' }
      await assert.rejects(timers.run(client.fetch('/x', { method: 'POST' })), refused, String(status))
    }
  })

  test('R52 a wrongly signed or unparsable answer is never asked for again', async () => {
    const { client, gateway, timers } = await start()
    const key = await gateway.foreignKey()
    faults(gateway, [(_, answer) => answer({ key })])
    const call = client.request('demo.echo', '', { idempotencyKey: 'k' })
    await assert.rejects(timers.run(call), { code: 'ERR_BAD_SIGNATURE' })
    assert.equal(gateway.seen.length, 1)
  })

  test('C12 R81 a signed cs.stale is signed again exactly once, with a new id; an unsigned one never', async () => {
    const { client, gateway, timers } = await start({ retries: 5 })
    gateway.intercept = (_, answer) => answer({ resultCode: 'cs.stale', payload: '{}' })
    await assert.rejects(timers.run(client.request('demo.echo', '', { idempotencyKey: 'k' })), {
      code: 'ERR_STALE',
      resultCode: 'cs.stale'
    })
    assert.equal(gateway.seen.length, 2)
    assert.notEqual(gateway.seen[0].requestId, gateway.seen[1].requestId)
    const key = await gateway.foreignKey()
    gateway.intercept = (_, answer) => answer({ resultCode: 'cs.stale', payload: '{}', key })
    await assert.rejects(timers.run(client.request('demo.echo')), { code: 'ERR_BAD_SIGNATURE' })
    assert.equal(gateway.seen.length, 3)
  })

  test('R81 every request in flight that was refused as stale signs again exactly once', async () => {
    const { client, gateway, timers } = await start()
    const refused = new Set()
    gateway.intercept = (exchange, answer) => {
      const name = text(exchange.payload)
      if (refused.has(name)) return undefined
      refused.add(name)
      return answer({ resultCode: 'cs.stale', payload: '{}' })
    }
    const replies = await timers.run(
      Promise.all(Array.from({ length: 20 }, (_, n) => client.request('demo.echo', `n${n}`)))
    )
    assert.deepEqual(
      replies.map(({ timings }) => timings.tries),
      Array(20).fill(2)
    )
    assert.equal(gateway.seen.length, 40)
  })

  test('the time limit covers the whole call with its retries', async () => {
    const { client, gateway, timers } = await start()
    faults(gateway, [lost, () => new Promise(() => {})])
    const call = client.request('demo.echo', '', { idempotencyKey: 'k', timeoutMs: 2000 })
    await assert.rejects(timers.run(call), { code: 'ERR_TIMEOUT' })
    assert.deepEqual(
      timers.fired.filter((ms) => ms >= 1000),
      [2000],
      'one limit, for both tries'
    )
    assert.equal(timers.waiting(), 0, 'no timer is left behind')
  })

  test('an abort settles the call at once, at every point of it, and nothing is sent after it', async () => {
    const { client, gateway } = await enrolled()
    const reason = new Error('the user left')
    const done = new AbortController()
    done.abort(reason)
    const expected = { code: 'ERR_ABORTED', name: 'AbortError', cause: reason }
    await assert.rejects(client.request('demo.echo', '', { signal: done.signal }), expected)
    await assert.rejects(client.fetch('/x', { signal: done.signal }), expected)
    assert.equal(gateway.calls.length, 0)
    for (const point of ['signing', 'sending', 'body', 'pause']) {
      const controller = new AbortController()
      const { signal } = controller
      if (point === 'sending') faults(gateway, [() => new Promise(() => controller.abort(reason))])
      const headers = { 'content-type': 'application/vnd.countersign.v1' }
      const hanging = () => new ReadableStream({ pull: () => new Promise(() => controller.abort(reason)) })
      if (point === 'body') faults(gateway, [() => new Response(hanging(), { headers })])
      if (point === 'pause') faults(gateway, [signed('cs.rate_limited', '{"retry_after_ms":10000}')])
      const { length } = gateway.calls
      const call = client.request('demo.echo', '', { signal })
      if (point === 'signing') controller.abort(reason)
      if (point === 'pause') setTimeout(() => controller.abort(reason), 50)
      await assert.rejects(call, expected, point)
      await new Promise((resolve) => setTimeout(resolve, 20))
      assert.equal(gateway.calls.length, length + (point === 'signing' ? 0 : 1), point)
    }
    await client.request('demo.echo')
  })

  test('close ends every call in flight with ERR_CLOSED, and what follows it too', async () => {
    const { client, gateway } = await enrolled()
    gateway.intercept = () => new Promise(() => {})
    const calls = [
      client.request('demo.echo'),
      client.fetch('/x'),
      client.request('demo.echo', '', { idempotencyKey: 'k' })
    ]
    const settled = Promise.allSettled(calls)
    await new Promise((resolve) => setTimeout(resolve, 20))
    await client.close()
    assert.deepEqual(
      (await settled).map(({ reason }) => reason.code),
      Array(3).fill('ERR_CLOSED')
    )
    await assert.rejects(client.request('demo.echo'), { code: 'ERR_CLOSED' })
    await assert.rejects(client.sign('demo.echo'), { code: 'ERR_CLOSED' })
    await assert.rejects(
      client.enroll(async () => {}),
      { code: 'ERR_CLOSED' }
    )
    await assert.rejects(client.signOut(), { code: 'ERR_CLOSED' })
    await client.close()
  })
}
