// SPDX-License-Identifier: MIT
// The header binding: client.fetch has fetch's shape, and signs method, target and body (R36 to R42, R33).

import { createTimers, enrolled, faults, text, utf8 } from './fixture.mjs'

const last = (gateway) => gateway.seen.at(-1)

export const suite = (test, assert) => {
  const signs = async (input, init) => {
    const { client, gateway } = await enrolled()
    await client.fetch(input, init)
    const { messageType } = last(gateway)
    const { url } = gateway.calls.at(-1)
    return { messageType, path: url.slice(gateway.origin.length), gateway }
  }

  test('R36 R37 the signed target is the one that is fetched: fragment and bare question mark dropped', async () => {
    const origin = 'https://gateway.test'
    const table = [
      ['/a', '/a'],
      ['/a?', '/a'],
      ['/a?#x', '/a'],
      ['/a#x?y', '/a'],
      ['/a?b=1#c', '/a?b=1'],
      ['/a?b=1&b=2&', '/a?b=1&b=2&'],
      ['/a??', '/a??'],
      ['', '/'],
      ['a/../b/./c', '/b/c'],
      ['/%2e%2e/x', '/x'],
      ['/a%2Fb', '/a%2Fb'],
      ['//gateway.test/p', '/p'],
      ['/ä ö?ü=ß', '/%C3%A4%20%C3%B6?%C3%BC=%C3%9F'],
      ['/a\nb\tc', '/abc'],
      [`${origin}/abs?q`, '/abs?q'],
      ['https://GATEWAY.test:443/x', '/x'],
      [new URL('/url', origin), '/url'],
      [new Request(`${origin}/req#f`), '/req']
    ]
    for (const [input, path] of table) {
      const signed = await signs(input)
      assert.equal(signed.messageType, `GET ${path}`)
      assert.equal(signed.path, path)
    }
  })

  test('R37 E7 another origin is a usage error, credentials in a URL too', async () => {
    const { client, gateway } = await enrolled()
    const foreign = [
      'https://evil.test/',
      '//evil.test/x',
      'http://gateway.test/',
      'https://gateway.test:444/',
      'data:,x',
      'blob:x',
      'file:///x'
    ]
    for (const input of [
      ...foreign,
      'https://sub.gateway.test/',
      'https://gateway.test.evil/',
      'https:\\\\evil.test/'
    ]) {
      await assert.rejects(client.fetch(input), { code: 'ERR_FOREIGN_ORIGIN' }, input)
    }
    await assert.rejects(client.fetch('https://user:pass@gateway.test/'), { code: 'ERR_INVALID_ARGUMENT' })
    await assert.rejects(client.fetch('https://['), { code: 'ERR_INVALID_ARGUMENT' })
    assert.equal(gateway.calls.length, 0)
  })

  test('R36 methods are upper-cased, and those that fetch refuses are refused', async () => {
    for (const [method, signed] of [
      ['get', 'GET'],
      ['patch', 'PATCH'],
      ['PoSt', 'POST'],
      ['report', 'REPORT'],
      ['delete', 'DELETE']
    ]) {
      const { messageType, gateway } = await signs('/m', { method })
      assert.equal(messageType, `${signed} /m`)
      assert.equal(gateway.calls.at(-1).init.method, signed)
    }
    const { client, gateway } = await enrolled()
    for (const method of ['CONNECT', 'trace', 'TRACK', 'A B', '', 'a\n']) {
      await assert.rejects(client.fetch('/m', { method }), { code: 'ERR_INVALID_ARGUMENT' }, method)
    }
    for (const method of ['GET', 'head']) {
      await assert.rejects(client.fetch('/m', { method, body: 'x' }), { code: 'ERR_INVALID_ARGUMENT' }, method)
    }
    await assert.rejects(client.fetch('/m', { headers: { 'bad name': 'x' } }), { code: 'ERR_INVALID_ARGUMENT' })
    await assert.rejects(client.fetch('/m', 7), { code: 'ERR_INVALID_ARGUMENT' })
    assert.equal(gateway.calls.length, 0)
  })

  test('R36 a request line over 128 bytes is signed by its hash', async () => {
    for (const length of [123, 124, 125, 5000]) {
      const path = `/${'x'.repeat(length - 1)}`
      const { messageType, gateway } = await signs(path)
      const line = `GET ${path}`
      if (line.length <= 128) assert.equal(messageType, line)
      else {
        const hash = btoa(String.fromCharCode(...gateway.core.sha256(utf8(line))))
        assert.equal(messageType, `sha256:${hash.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')}`)
      }
    }
  })

  test('every kind of body is read once, signed and sent as fetch would send it', async () => {
    const { client, gateway } = await enrolled()
    const form = new FormData()
    form.append('a', '1')
    const stream = () => new Blob(['one ', 'two']).stream()
    const bodies = [
      ['text', 'text', 'text/plain;charset=UTF-8'],
      [new URLSearchParams({ a: '1 2' }), 'a=1+2', 'application/x-www-form-urlencoded;charset=UTF-8'],
      [new Blob(['blob'], { type: 'a/b' }), 'blob', 'a/b'],
      [utf8('bytes'), 'bytes', null],
      [utf8('xbufferx').buffer.slice(1, 7), 'buffer', null],
      [new DataView(utf8('view').buffer), 'view', null],
      [stream(), 'one two', null],
      ['', '', 'text/plain;charset=UTF-8']
    ]
    for (const [body, expected, type] of bodies) {
      const response = await client.fetch('/body', { method: 'POST', body })
      assert.equal(await response.text(), expected)
      assert.equal(gateway.calls.at(-1).init.headers.get('content-type'), type)
    }
    const echoed = await (await client.fetch('/body', { method: 'POST', body: form })).text()
    assert.ok(
      echoed.includes('name="a"') &&
        gateway.calls.at(-1).init.headers.get('content-type').startsWith('multipart/form-data')
    )
    const typed = { method: 'POST', body: '{}', headers: { 'content-type': 'application/json', 'x-other': 'kept' } }
    await client.fetch('/body', typed)
    assert.equal(gateway.calls.at(-1).init.headers.get('content-type'), 'application/json')
    assert.equal(gateway.calls.at(-1).init.headers.get('x-other'), 'kept')
    const request = new Request(`${gateway.origin}/body`, {
      method: 'PUT',
      body: 'of a Request',
      headers: { 'x-a': 'b' }
    })
    assert.equal(await (await client.fetch(request)).text(), 'of a Request')
    assert.equal(last(gateway).messageType, 'PUT /body')
    assert.equal(gateway.calls.at(-1).init.headers.get('x-a'), 'b')
    await assert.rejects(client.fetch(request), { code: 'ERR_INVALID_ARGUMENT' }, 'its body has been used')
  })

  test('a body over the limit, a stream too, is refused before anything is sent; one that breaks off as well', async () => {
    const { client, gateway } = await enrolled({ maxPayload: 1000 })
    const endless = () => new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(400)) })
    const broken = () => new ReadableStream({ pull: (controller) => controller.error(new Error('disk')) })
    for (const body of [new Uint8Array(1001), endless()]) {
      await assert.rejects(client.fetch('/b', { method: 'POST', body }), { code: 'ERR_PAYLOAD_TOO_LARGE' })
    }
    await assert.rejects(client.fetch('/b', { method: 'POST', body: broken() }), { code: 'ERR_INVALID_ARGUMENT' })
    assert.equal(gateway.calls.length, 0)
    const timers = createTimers()
    const slow = await enrolled({ schedule: timers.schedule, monotonicNow: timers.clocks.monotonicNow })
    const stuck = new ReadableStream({ pull: () => new Promise(() => {}) })
    await assert.rejects(timers.run(slow.client.fetch('/b', { method: 'POST', body: stuck })), { code: 'ERR_TIMEOUT' })
    assert.equal(slow.gateway.calls.length, 0)
  })

  test('the Response is made of verified bytes, with status, headers and url', async () => {
    const { client, gateway } = await enrolled()
    faults(gateway, [
      (_, answer) =>
        answer({
          status: 404,
          resultCode: 'http.404',
          payload: '{"a":1}',
          headers: { 'content-type': 'application/json', 'x-y': 'z' }
        })
    ])
    const response = await client.fetch('/thing?x#y')
    assert.ok(response instanceof Response)
    assert.equal(response.status, 404)
    assert.equal(response.ok, false)
    assert.equal(response.url, 'https://gateway.test/thing?x')
    assert.equal(response.headers.get('x-y'), 'z')
    assert.equal(response.redirected, false)
    assert.deepEqual(await response.json(), { a: 1 })
  })

  test('init may be null, and a clone has the url, status and body of its Response', async () => {
    const { client } = await enrolled()
    for (const init of [null, undefined, {}]) {
      const response = await client.fetch('/thing?x#y', init)
      const clone = response.clone()
      const again = clone.clone()
      for (const one of [response, clone, again]) {
        assert.ok(one instanceof Response)
        assert.deepEqual([one.url, one.status], ['https://gateway.test/thing?x', 200])
        assert.equal(await one.text(), '')
      }
    }
  })

  test('init: a member whose loss would matter is refused by name, one without effect is not', async () => {
    const { client, gateway } = await enrolled()
    const refused = [{ integrity: 'sha256-x' }, { dispatcher: {} }, { agent: {} }, { timeout: 5 }, { timeoutMS: 5 }]
    refused.push(
      { idempotencykey: 'k' },
      { idempotency_key: 'k' },
      { 'idempotency-key': 'k' },
      { onprogress: () => {} }
    )
    for (const init of refused) {
      const [name] = Object.keys(init)
      const error = await client.fetch('/x', init).catch((cause) => cause)
      assert.equal(error.code, 'ERR_INVALID_ARGUMENT', name)
      assert.ok(error.message.includes(`init.${name}`), error.message)
    }
    assert.equal(gateway.calls.length, 0)
    await client.fetch('/x', { integrity: '', timeout: undefined, duplex: 'half', window: null, keepalive: true })
    await client.fetch('/x', { retry: 2, next: { tags: ['a'] }, referrer: 'about:client', mode: 'cors' })
    assert.deepEqual(
      gateway.calls.map(({ init }) => [init.keepalive, init.duplex, init.next]),
      [
        [true, undefined, undefined],
        [undefined, undefined, undefined]
      ]
    )
  })

  test('R39 for HEAD, 204, 205 and 304 the payload is empty', async () => {
    const { client, gateway } = await enrolled()
    for (const status of [204, 205, 304]) {
      faults(gateway, [(_, answer) => answer({ status, resultCode: `http.${status}`, payload: '' })])
      const response = await client.fetch('/x')
      assert.equal(response.status, status)
      assert.equal(response.body, null)
    }
    const head = await client.fetch('/x', { method: 'HEAD' })
    assert.equal(head.status, 200)
    assert.equal((await head.arrayBuffer()).byteLength, 0)
    faults(gateway, [
      (_, answer) => answer({ status: 204, resultCode: 'http.204', payload: '', payloadHash: new Uint8Array(32) })
    ])
    await assert.rejects(client.fetch('/x'), { code: 'ERR_PAYLOAD_MISMATCH' })
  })

  test('a refusal of the gateway rejects fetch too; only what the application says becomes a Response', async () => {
    const { client, gateway } = await enrolled()
    faults(gateway, [(_, answer) => answer({ resultCode: 'cs.unauthenticated', status: 401, payload: '{}' })])
    await assert.rejects(client.fetch('/x'), { code: 'ERR_UNAUTHENTICATED', resultCode: 'cs.unauthenticated' })
    faults(gateway, [(_, answer) => answer({ resultCode: 'http.401', status: 401, payload: 'not you' })])
    assert.equal(await (await client.fetch('/x')).text(), 'not you')
  })

  test('R8 R30 an envelope header in another spelling or too long is malformed, not unsigned', async () => {
    const { client, gateway } = await enrolled()
    const headerOf = (change) => async (_, answer) => {
      const honest = await answer()
      const headers = new Headers(honest.headers)
      headers.set('countersign', change(headers.get('countersign')))
      return new Response(honest.body, { status: honest.status, headers })
    }
    for (const change of [
      (value) => `${value}=`,
      (value) => `${value}!`,
      (value) => `+${value.slice(1)}`,
      (value) => `${value.slice(0, -1)}`
    ]) {
      faults(gateway, [headerOf(change)])
      await assert.rejects(client.fetch('/x'), { category: 'malformed', stage: 'parse' })
    }
    faults(gateway, [headerOf((value) => value.padEnd(1400, 'A'))])
    await assert.rejects(client.fetch('/x'), { code: 'ERR_ENVELOPE_TOO_LARGE', stage: 'parse' })
    faults(gateway, [headerOf(() => '')])
    await assert.rejects(client.fetch('/x'), { category: 'malformed', stage: 'parse' })
  })

  test('R33 E6 E7 E13 every request forbids redirects, credentials, referrer and caching, whatever the caller says', async () => {
    const { client, gateway } = await enrolled()
    const json = await enrolled({ binding: 'json' }, gateway)
    await client.request('demo.echo')
    await client.fetch('/x', {
      credentials: 'include',
      redirect: 'follow',
      cache: 'force-cache',
      referrerPolicy: 'unsafe-url',
      mode: 'no-cors'
    })
    await json.client.request('demo.echo')
    assert.equal(gateway.calls.length, 3)
    for (const { init } of gateway.calls) {
      const { redirect, credentials, cache, referrerPolicy, mode } = init
      assert.deepEqual(
        { redirect, credentials, cache, referrerPolicy, mode },
        {
          redirect: 'error',
          credentials: 'omit',
          cache: 'no-store',
          referrerPolicy: 'no-referrer',
          mode: undefined
        }
      )
    }
  })

  test('E6 an answer that a fetch of the application’s own redirected is refused', async () => {
    const { client, gateway } = await enrolled()
    faults(gateway, [async (_, answer) => Object.defineProperty(await answer(), 'redirected', { value: true })])
    await assert.rejects(client.fetch('/x', { method: 'POST' }), { code: 'ERR_OUTCOME_UNKNOWN' })
  })

  test('the idempotency key of a fetch is signed and handed over; a countersign header of the caller is not sent', async () => {
    const { client, gateway } = await enrolled()
    await client.fetch('/x', {
      method: 'POST',
      body: 'a',
      idempotencyKey: 'order_1',
      headers: { countersign: 'forged' }
    })
    assert.ok(last(gateway).requestId.startsWith('~order_1.', 22))
    assert.equal(text(last(gateway).payload), 'a')
    for (const idempotencyKey of ['', 'a b', 'x'.repeat(65), 7, null]) {
      await assert.rejects(client.fetch('/x', { idempotencyKey }), { code: 'ERR_INVALID_IDEMPOTENCY_KEY' })
    }
    for (const timeoutMs of [0, -1, 1.5, Number.NaN, '5', 2 ** 31]) {
      await assert.rejects(client.fetch('/x', { timeoutMs }), { code: 'ERR_INVALID_ARGUMENT' })
    }
    await assert.rejects(client.fetch('/x', { signal: {} }), { code: 'ERR_INVALID_ARGUMENT' })
  })
}
