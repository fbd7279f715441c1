// SPDX-License-Identifier: MIT
// What may come back, and what must not come through: threats E1 to E5, E9, C5, B15 and every byte of an answer changed.

import { base64Url } from './fake-gateway.mjs'
import { createTimers, enrolled, faults, lost, text, utf8 } from './fixture.mjs'

const bindings = {
  frame: (client, payload) => client.request('demo.echo', payload),
  json: (client, payload) => client.request('demo.echo', payload),
  header: async (client, payload) => {
    const response = await client.fetch('/api/echo', { method: 'PUT', body: payload })
    return { payload: new Uint8Array(await response.arrayBuffer()) }
  }
}
const swaps = { frame: 1000, json: 100, header: 100 }
const optionsOf = (binding) => ({ retries: 0, ...(binding === 'json' ? { binding } : {}) })

const page = (status, body = '<h1>Sign in to the hotel</h1>', type = 'text/html') =>
  new Response([204, 304].includes(status) ? null : body, { status, headers: { 'content-type': type } })

const snapshotOf = async ({ client, store }) => {
  const { key, ...record } = await store.get('demo')
  const { offsetMs, source } = client.clock
  return { state: client.state, sessionId: client.sessionId, record, hasKey: key !== undefined, offsetMs, source }
}

const sameState = (assert, before, after) => {
  assert.ok(Math.abs(before.offsetMs - after.offsetMs) < 50, 'the clock was moved')
  assert.deepEqual({ ...after, offsetMs: 0 }, { ...before, offsetMs: 0 })
}

export const suite = (test, assert) => {
  for (const [binding, send] of Object.entries(bindings)) {
    test(`E1 ${binding}: answers of concurrent requests swapped in pairs are all refused, ${swaps[binding]} at once`, async () => {
      const { client, gateway } = await enrolled(optionsOf(binding))
      let waiting
      gateway.intercept = async ({ messageType }, answer) => {
        if (messageType === 'cs.time') return undefined
        const mine = await answer()
        if (waiting) {
          const { answered, resolve } = waiting
          waiting = undefined
          resolve(mine)
          return answered
        }
        return new Promise((resolve) => {
          waiting = { answered: mine, resolve }
        })
      }
      const calls = Array.from({ length: swaps[binding] }, () => send(client, utf8('alike')))
      const results = await Promise.allSettled(calls)
      const codes = new Set(results.map(({ reason }) => `${reason?.code} ${reason?.stage}`))
      assert.deepEqual([...codes], ['ERR_WRONG_REQUEST_ID request_id'])
    })

    test(`E2 ${binding}: an old signed answer to the same request is refused`, async () => {
      const { client, gateway } = await enrolled(optionsOf(binding))
      let old
      const keep = async (_, answer) => {
        const response = await answer()
        old = response.clone()
        return response
      }
      faults(gateway, [keep, () => old])
      await send(client, utf8('x'))
      await assert.rejects(send(client, utf8('x')), { code: 'ERR_WRONG_REQUEST_ID', stage: 'request_id' })
    })

    test(`E4 C5 ${binding}: what a proxy or a portal writes is no answer, and touches neither session, key nor clock`, async () => {
      const it = await enrolled(optionsOf(binding))
      const before = await snapshotOf(it)
      const answers = [200, 204, 401, 403, 404, 407, 429, 500, 502, 503, 504].map((status) => page(status))
      answers.push(page(401, '{"code":"cs.session_revoked"}', 'application/json'), page(200, '', ''))
      const seen = []
      it.client.on('stage', ({ stage, verdict, code }) => seen.push(`${stage} ${verdict} ${code}`))
      for (const answer of answers) {
        const { status } = answer
        faults(it.gateway, [() => answer])
        const told = await assert.rejects(send(it.client, utf8('x')), { category: 'transport' })
        const isOpen = told.code === 'ERR_OUTCOME_UNKNOWN'
        assert.equal(isOpen, status < 300 || status >= 500)
        const error = isOpen ? told.cause : told
        assert.equal(error.code, 'ERR_UNSIGNED_ANSWER')
        assert.ok(error.message.includes(String(status)), 'the message names the status')
        assert.ok(!error.message.includes('hotel'))
      }
      assert.deepEqual([...new Set(seen)], ['parse fail ERR_UNSIGNED_ANSWER'])
      sameState(assert, before, await snapshotOf(it))
    })

    test(`E3 C5 ${binding}: an answer by another key, of another label or with a flipped code changes nothing`, async () => {
      const it = await enrolled(optionsOf(binding))
      const before = await snapshotOf(it)
      const key = await it.gateway.foreignKey()
      const forged = [
        [{ key }, 'ERR_BAD_SIGNATURE', 'signature'],
        [{ key, resultCode: 'cs.session_revoked' }, 'ERR_BAD_SIGNATURE', 'signature'],
        [{ key, resultCode: 'cs.stale', timestampMs: 4e12 }, 'ERR_BAD_SIGNATURE', 'signature'],
        [{ signature: new Uint8Array(64) }, 'ERR_BAD_SIGNATURE', 'signature'],
        [{ requestId: 'somebody-else' }, 'ERR_WRONG_REQUEST_ID', 'request_id'],
        [{ requestId: 'somebody-else', resultCode: 'cs.session_revoked' }, 'ERR_WRONG_REQUEST_ID', 'request_id'],
        [{ sentPayload: utf8('swapped') }, 'ERR_PAYLOAD_MISMATCH', 'payload_hash']
      ]
      if (binding !== 'json') forged.push([{ keyId: 'k2' }, 'ERR_UNKNOWN_KEY', 'signature'])
      if (binding !== 'json') forged.push([{ label: 'other' }, 'ERR_WRONG_DOMAIN', 'parse'])
      if (binding === 'json') forged.push([{ label: 'other' }, 'ERR_BAD_SIGNATURE', 'signature'])
      for (const [overrides, code, stage] of forged) {
        const seen = []
        const stop = it.client.on('stage', (event) => seen.push(event))
        faults(it.gateway, [(_, answer) => answer(overrides)])
        const { intercept } = it.gateway
        // The client asks for newer server keys: a true answer would be a sample of the clock.
        it.gateway.intercept = (exchange, answer) =>
          exchange.messageType === 'cs.keys' ? answer({ label: 'other' }) : intercept(exchange, answer)
        await assert.rejects(send(it.client, utf8('x')), { code, stage }, JSON.stringify(overrides))
        stop()
        const own = seen.filter(({ requestId }) => requestId === seen.at(-1).requestId)
        assert.deepEqual(own.at(-1), { requestId: seen.at(-1).requestId, stage, verdict: 'fail', code })
        assert.ok(own.slice(0, -1).every(({ verdict }) => verdict === 'pass'))
      }
      sameState(assert, before, await snapshotOf(it))
    })
  }

  test('E3 frame: the HTTP status is nobody’s word, the signed code is', async () => {
    const { client, gateway } = await enrolled()
    faults(gateway, [
      (_, answer) => answer({ status: 500 }),
      (_, answer) => answer({ status: 200, resultCode: 'cs.unauthenticated' })
    ])
    assert.equal((await client.request('demo.echo')).resultCode, 'ok')
    await assert.rejects(client.request('demo.echo'), { code: 'ERR_UNAUTHENTICATED' })
    assert.equal(client.state, 'ready')
  })

  test('E3 header: a status other than the signed one is refused', async () => {
    const { client, gateway } = await enrolled()
    faults(gateway, [
      (_, answer) => answer({ status: 201 }),
      (_, answer) => answer({ resultCode: 'http.200', status: 404 }),
      (_, answer) => answer({ resultCode: 'ok', status: 200 })
    ])
    for (let index = 0; index < 3; index++) {
      await assert.rejects(client.fetch('/api/echo', { method: 'POST', body: 'x' }), {
        code: 'ERR_RESULT_MISMATCH',
        stage: 'parse'
      })
    }
  })

  test('E3 every byte of an answer changed, cut or doubled is refused, and nothing of it comes through', async () => {
    const { client, gateway } = await enrolled({ retries: 0 })
    const mark = 'SECRET-MARK'
    let honest
    const capture = async (_, answer) => {
      const response = await answer({ payload: mark, resultCode: 'app.mark' })
      honest = new Uint8Array(await response.clone().arrayBuffer())
      return response
    }
    const asFrame = (bytes) => new Response(bytes, { headers: { 'content-type': 'application/vnd.countersign.v1' } })
    const changes = [(bytes, at) => bytes.with(at, bytes[at] ^ 1), (bytes, at) => bytes.with(at, bytes[at] ^ 0x80)]
    changes.push(
      (bytes, at) => bytes.subarray(0, at),
      (bytes, at) => new Uint8Array([...bytes.subarray(0, at), 0, ...bytes.subarray(at)])
    )
    faults(gateway, [capture])
    await client.request('demo.echo')
    let refused = 0
    for (const [index, change] of changes.entries()) {
      for (let at = 0; at < honest.length; at += index < 2 ? 1 : 7) {
        faults(gateway, [
          async (exchange, answer) => {
            await capture(exchange, answer)
            return asFrame(change(honest, at))
          }
        ])
        const error = await assert.rejects(client.request('demo.echo'), {}, `change ${index} at ${at}`)
        assert.ok(
          ['malformed', 'rejected'].includes(error.category) && error.stage !== undefined,
          `${error.code} at ${at}`
        )
        assert.ok(!`${error.message} ${JSON.stringify(error)} ${error.cause?.message}`.includes(mark))
        refused++
      }
    }
    assert.ok(refused > 2 * honest.length)
    assert.equal(client.state, 'ready')
  })

  test('E5 an answer that never comes ends as outcome unknown, not as failure', async () => {
    const timers = createTimers()
    const { clocks, schedule } = timers
    const { client, gateway } = await enrolled({ schedule, monotonicNow: clocks.monotonicNow })
    faults(gateway, [() => new Promise(() => {})])
    const error = await assert.rejects(timers.run(client.request('demo.echo')), {
      code: 'ERR_OUTCOME_UNKNOWN',
      retry: 'never'
    })
    assert.equal(error.cause.code, 'ERR_TIMEOUT')
    assert.equal(error.cause.name, 'TimeoutError')
  })

  test('E9 an endless body and a dripping one are cut off by size and by time', async () => {
    const timers = createTimers()
    const { clocks, schedule } = timers
    const { client, gateway } = await enrolled({ schedule, monotonicNow: clocks.monotonicNow, maxPayload: 100_000 })
    let sent = 0
    let isCancelled = false
    const cancel = () => {
      isCancelled = true
    }
    const endless = (pull) =>
      new Response(new ReadableStream({ pull, cancel }, { highWaterMark: 0 }), {
        headers: { 'content-type': 'application/vnd.countersign.v1' }
      })
    faults(gateway, [
      () =>
        endless((controller) => {
          sent += 10_000
          controller.enqueue(new Uint8Array(10_000))
        }),
      () => endless(() => new Promise(() => {})),
      () =>
        new Response('x', {
          headers: { 'content-type': 'application/vnd.countersign.v1', 'content-length': '999999999' }
        })
    ])
    await assert.rejects(client.request('demo.echo'), { code: 'ERR_ANSWER_TOO_LARGE' })
    assert.ok(sent < 200_000, `${sent} bytes were taken in`)
    assert.ok(isCancelled)
    isCancelled = false
    const slow = client.request('demo.echo', '', { timeoutMs: 1000, idempotencyKey: 'k' })
    await assert.rejects(timers.run(slow), { code: 'ERR_TIMEOUT' })
    assert.ok(isCancelled, 'the stream is let go')
    await assert.rejects(client.request('demo.echo'), { code: 'ERR_ANSWER_TOO_LARGE' }, 'a declared length suffices')
  })

  test('request: progress tells byte counts while an answer arrives', async () => {
    const { client } = await enrolled()
    const counts = []
    await client.request('demo.echo', new Uint8Array(200_000), {
      onProgress: ({ receivedBytes }) => counts.push(receivedBytes)
    })
    assert.ok(counts.at(-1) > 200_000)
    assert.ok(counts.every((count, index) => index === 0 || count > counts[index - 1]))
  })

  test('R43 json: members missing, unknown, twice, or spelled otherwise are malformed', async () => {
    const { client, gateway } = await enrolled({ binding: 'json', retries: 0 })
    const damage = async (change) => {
      faults(gateway, [
        async (_, answer) => {
          const body = await (await answer({ payload: 'abc' })).text()
          return new Response(change(body, JSON.parse(body)), {
            headers: { 'content-type': 'application/json; charset=utf-8' }
          })
        }
      ])
      return client.request('demo.echo')
    }
    const without = (name) => (_, object) => JSON.stringify({ ...object, [name]: undefined })
    const within = (patch) => (_, object) => JSON.stringify({ ...object, ...patch(object) })
    const bad = [
      ...['protocolVersion', 'requestId', 'timestampMs', 'resultCode', 'payloadHash'].map(without),
      within(() => ({ traceId: 'x' })),
      within(({ timestampMs }) => ({ timestampMs: Number(timestampMs) })),
      within(({ timestampMs }) => ({ timestampMs: `0${timestampMs}` })),
      within(({ timestampMs }) => ({ timestampMs: `${timestampMs}.0` })),
      within(() => ({ timestampMs: '9007199254740992' })),
      within(({ payloadBytes }) => ({ payloadBytes: `${payloadBytes}\n` })),
      within(() => ({ payloadBytes: 'YWJk=' })),
      within(() => ({ payloadHash: base64Url(new Uint8Array(32)) })),
      within(() => ({ signature: 'AAAA' })),
      within(() => ({ resultCode: '' })),
      within(() => ({ resultCode: 'a\nb' })),
      (body) => body.replace('{', '{"resultCode":"ok",'),
      (body) => body.replace('{', '{"result\\u0043ode":"ok",'),
      (body) => `${body}{}`,
      (body) => `\ufeff${body}`,
      (body) => `[${body}]`,
      (body) => body.replace('"payloadBytes"', '"payloadBytes":null,"x"'),
      (body) => body.slice(0, -1)
    ]
    for (const [index, change] of bad.entries()) {
      await assert.rejects(damage(change), { code: 'ERR_BAD_JSON', stage: 'parse' }, `case ${index}`)
    }
    await assert.rejects(damage(within(() => ({ protocolVersion: 'v2' }))), { stage: 'parse', category: 'malformed' })
    await assert.rejects(damage(without('signature')), { code: 'ERR_OUTCOME_UNKNOWN' })
    await assert.rejects(damage(without('payloadBytes')), { code: 'ERR_PAYLOAD_MISMATCH', stage: 'payload_hash' })
    assert.equal((await damage((body) => ` ${body.replaceAll(',', ' ,\n\t')} `)).resultCode, 'ok')
  })

  test('a lost answer to a safe request leaves nothing behind: the next answer is its own', async () => {
    const { client, gateway } = await enrolled({ safeTypes: ['demo.echo'] })
    faults(gateway, [lost])
    assert.equal(text((await client.request('demo.echo', 'again')).payload), 'again')
    assert.equal(gateway.seen.length, 2)
    assert.notEqual(gateway.seen[0].requestId, gateway.seen[1].requestId)
  })
}
