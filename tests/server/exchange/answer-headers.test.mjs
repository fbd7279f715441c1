// SPDX-License-Identifier: MIT
// The headers that a handler adds to its answer (R153): which get out, in which binding, and what becomes of the others.
import assert from 'node:assert/strict'
import { request as ask } from 'node:http'
import { test } from 'node:test'
import { idempotent, memoryAnswerStore, nodeHandler } from 'countersign/server'
import { createWorld, frameRequest, jsonOf, openAnswer, serve } from '../kit.mjs'

const APP = 'https://app.example'
const USUAL = {
  allow: 'GET, HEAD',
  'content-disposition': 'attachment; filename="a.csv"',
  'content-language': 'de',
  etag: '"abc"',
  'last-modified': 'Wed, 21 Oct 2015 07:28:00 GMT',
  link: '</p2>; rel="next", </p9>; rel="last"',
  location: '/api/orders/7',
  'retry-after': '5',
  'x-request-id': 'r-1'
}

/** A gateway whose one handler, in each binding, gives what the test says. */
const createGiving = (options = {}) => {
  const given = {}
  const give = () => given.result
  const routes = { 'demo.give': give, 'POST /give': give, 'GET /give': give, ...options.routes }
  return createWorld({ ...options, routes }).then((world) => ({ ...world, given }))
}

const bindings = {
  frame: async (world, options = {}) => {
    const request = world.requestOf({ type: 'demo.give', ...options })
    return [request, await world.gateway.handle(frameRequest(request.frame, { headers: { origin: APP } }))]
  },
  json: async (world, options = {}) => {
    const request = world.requestOf({ type: 'demo.give', ...options })
    return [request, await world.sendJson(jsonOf(request), { headers: { origin: APP } })]
  },
  header: async (world, options = {}) => {
    const request = world.requestOf({ type: 'POST /give', ...options })
    return [request, await world.sendHeader('POST', '/give', request, { headers: { origin: APP } })]
  }
}

const headersOf = (response, names) => Object.fromEntries(names.map((name) => [name, response.headers.get(name)]))

for (const [binding, send] of Object.entries(bindings)) {
  test(`R153 ${binding}: the usual headers of a handler reach the caller, of an object, of Headers and of pairs`, async () => {
    const world = await createGiving()
    for (const headers of [
      USUAL,
      new Headers(USUAL),
      Object.entries(USUAL),
      { ...USUAL, link: undefined, Link: USUAL.link }
    ]) {
      world.given.result = { payload: 'x', headers }
      const [{ requestId }, response] = await send(world)
      assert.equal((await openAnswer(response, requestId, world.signer)).text, 'x')
      assert.deepEqual(headersOf(response, Object.keys(USUAL)), USUAL)
    }
  })

  test(`H21 ${binding}: any other header is a failure of the handler, which only the operator learns`, async () => {
    const world = await createGiving({ answerHeaders: ['X-Total-Count'] })
    const bad = [
      ...['set-cookie', 'Set-Cookie', 'clear-site-data', 'refresh', 'access-control-allow-origin', 'cache-control'],
      ...['content-security-policy', 'vary', 'countersign', 'countersign-user', 'transfer-encoding', 'upgrade'],
      ...['connection', 'content-length', 'content-encoding', 'x-unlisted', 'x y', '__proto__', 'constructor', '']
    ].map((name) => [[name, 'a']])
    const values = ['a\r\nset-cookie: b=c', 'a\nb', 'a\rb', 'a\0b', 'a\u2028b', 'grün', ' a', 'a ', 'x'.repeat(2048)]
    bad.push(...values.map((value) => ({ link: value })))
    bad.push({ 'retry-after': 5 }, { link: ['a', 'b'] }, { link: null }, 'link: a', 7, null, [
      ['link', 'a'],
      ['Link', 'b']
    ])
    bad.push({ link: 'x'.repeat(1000), etag: `"${'x'.repeat(1040)}"` })
    const fine = [{ 'x-total-count': '7' }, { 'X-TOTAL-COUNT': '7' }, { link: '' }, { link: 'x'.repeat(2044) }]
    for (const headers of bad) {
      world.given.result = { payload: 'x', headers }
      const [{ requestId }, response] = await send(world)
      const { resultCode } = await openAnswer(response, requestId, world.signer)
      assert.equal(resultCode, 'cs.internal', JSON.stringify(headers))
      const { stage, error } = world.refusals.at(-1)
      assert.deepEqual([stage, error.name], ['handler', 'TypeError'], JSON.stringify(headers))
      for (const name of ['set-cookie', 'link', 'x-unlisted', 'upgrade']) assert.equal(response.headers.get(name), null)
      assert.equal(response.headers.get('cache-control'), 'no-store, no-transform')
    }
    for (const headers of fine) {
      world.given.result = { payload: 'x', headers }
      const [{ requestId }, response] = await send(world)
      assert.notEqual((await openAnswer(response, requestId, world.signer)).resultCode, 'cs.internal')
    }
  })

  test(`R153 R130 ${binding}: a kept answer keeps its headers; those that are allowed no more stay away`, async () => {
    const answers = memoryAnswerStore()
    let runs = 0
    const handler = idempotent(
      () => {
        runs += 1
        return { payload: 'x', headers: { etag: `"${runs}"`, 'x-total-count': '7' } }
      },
      { answers }
    )
    const routes = { 'demo.give': handler, 'POST /give': handler }
    const wide = await createGiving({ routes, answerHeaders: ['x-total-count'] })
    const { sessions, replay, signer, now } = wide
    const narrow = await createGiving({ routes, sessions, replay, signer, now })
    for (const [world, count] of [
      [wide, '7'],
      [wide, '7'],
      [narrow, null]
    ]) {
      const [{ requestId }, response] = await send(world, { idempotencyKey: 'k' })
      assert.equal((await openAnswer(response, requestId, signer)).text, 'x')
      assert.deepEqual(headersOf(response, ['etag', 'x-total-count']), { etag: '"1"', 'x-total-count': count })
    }
    assert.equal(runs, 1)
  })

  test(`R35 R153 ${binding}: pages of a listed origin may read the headers that a browser would hide`, async () => {
    const world = await createGiving({ origins: [APP], answerHeaders: ['X-Total-Count'] })
    world.given.result = { payload: 'x' }
    const [, response] = await send(world)
    assert.equal(
      response.headers.get('access-control-expose-headers'),
      'countersign, allow, content-disposition, etag, link, location, retry-after, x-request-id, x-total-count'
    )
  })
}

test('R153 the content type of a handler counts in the header binding, in either place; a frame keeps its own', async () => {
  const world = await createGiving()
  const typeOf = async (send, result) => {
    world.given.result = { payload: 'x', ...result }
    return (await send(world))[1].headers.get('content-type')
  }
  const headers = { 'content-type': 'text/csv' }
  assert.equal(await typeOf(bindings.header, { headers }), 'text/csv')
  assert.equal(await typeOf(bindings.header, { headers, contentType: 'text/plain' }), 'text/plain')
  assert.equal(await typeOf(bindings.header, {}), 'application/octet-stream')
  assert.equal(await typeOf(bindings.frame, { headers }), 'application/vnd.countersign.v1')
  assert.equal(await typeOf(bindings.json, { headers }), 'application/json')
})

test('R153 R33 location stands with no redirect, which no client follows; with 201 and 202 it does', async () => {
  const world = await createGiving()
  for (const [status, code] of [
    [201, 'http.201'],
    [202, 'http.202'],
    [301, 'cs.internal'],
    [303, 'cs.internal'],
    [308, 'cs.internal']
  ]) {
    world.given.result = { status, headers: { location: '/x' } }
    const [{ requestId }, response] = await bindings.header(world)
    assert.equal((await openAnswer(response, requestId, world.signer)).resultCode, code)
    assert.equal(response.headers.get('location'), code === 'cs.internal' ? null : '/x')
  }
})

test('R153 over node:http too, and on an answer without a body', async (t) => {
  const world = await createGiving({ now: Date.now })
  world.given.result = { status: 204, headers: USUAL }
  const { port } = await serve(t, nodeHandler(world.gateway))
  const { envelope } = world.requestOf({ type: 'GET /give', payload: '' })
  const headers = { countersign: Buffer.from(envelope).toString('base64url') }
  const response = await new Promise((resolve, reject) => {
    ask({ port, path: '/give', headers, agent: false }, resolve).on('error', reject).end()
  })
  response.resume()
  assert.equal(response.statusCode, 204)
  for (const [name, value] of Object.entries(USUAL)) assert.equal(response.headers[name], value)
})

test('R153 answerHeaders names no header that no handler may set', async () => {
  const never = ['set-cookie', 'Set-Cookie2', 'clear-site-data', 'refresh', 'access-control-allow-credentials']
  never.push('content-security-policy-report-only', 'cache-control', 'vary', 'countersign', 'countersign-warning')
  never.push('connection', 'keep-alive', 'proxy-authenticate', 'te', 'trailer', 'transfer-encoding', 'upgrade')
  for (const answerHeaders of [...never, 'a b', '', 'ä', 'a:']
    .map((name) => [name])
    .concat([[...Array(33).keys()]], 'x')) {
    await assert.rejects(createWorld({ answerHeaders }), { code: 'ERR_INVALID_ARGUMENT' }, String(answerHeaders))
  }
})
