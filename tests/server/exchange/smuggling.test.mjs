// SPDX-License-Identifier: MIT
// Messages that two readers could cut differently: the gateway refuses every one.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createServed, post, raw, statuses } from './socket-kit.mjs'

const smuggled = 'GET /api/time HTTP/1.1\r\nhost: gateway\r\n\r\n'
const both = (extra) => (world) => {
  const { frame } = world.requestOf()
  return [post(frame.length, extra), frame, smuggled]
}
const smuggling = {
  'content-length and transfer-encoding': both(['transfer-encoding: chunked']),
  'content-length twice': both(['content-length: 1']),
  'content-length twice, equal': (world) => {
    const { frame } = world.requestOf()
    return [post(frame.length, [`content-length: ${frame.length}`]), frame]
  },
  'content-length list': () => [post('5, 5'), 'abcde'],
  'content-length with a sign': () => [post('+5'), 'abcde'],
  'content-length in hex': () => [post('0x5'), 'abcde'],
  'content-length that overflows': () => [post('99999999999999999999999'), 'abcde'],
  'content-length below zero': () => [post('-1'), 'abcde'],
  'transfer-encoding twice': () => [
    post(undefined, ['transfer-encoding: chunked', 'transfer-encoding: identity']),
    '0\r\n\r\n'
  ],
  'transfer-encoding with a typo': () => [post(5, ['transfer-encoding: xchunked']), 'abcde'],
  'transfer-encoding before a space': () => [post(5, ['transfer-encoding : chunked']), 'abcde'],
  'transfer-encoding after a tab': () => [post(5, ['transfer-encoding:\tchunked']), 'abcde'],
  'chunked not last': () => [post(undefined, ['transfer-encoding: chunked, gzip']), '0\r\n\r\n'],
  'folded header': () => [post(5, ['x-a: b', ' folded']), 'abcde'],
  'bare line feeds': () => ['POST /exchange HTTP/1.1\nhost: gateway\ncontent-length: 0\n\n'],
  'a space before the colon': () => [post(0, ['x-a : b'])],
  'NUL in a header': () => [post(0, ['x-a: b\0c'])],
  'carriage return in a header': () => [post(0, ['x-a: b\rc'])],
  'no host': () => ['POST /exchange HTTP/1.1\r\ncontent-length: 0\r\n\r\n'],
  'two hosts': () => [post(0, ['host: other'])],
  ...Object.fromEntries(
    ['content-type: application/json', 'Content-Type: application/vnd.countersign', 'origin: http://a'].map((line) => [
      `two headers, one of them ${line}`,
      (world) => {
        const { frame } = world.requestOf()
        const lines = line.startsWith('origin') ? ['origin: http://b', line] : [line]
        return [post(frame.length, lines), frame]
      }
    ])
  ),
  'two countersign headers': (world) => {
    const request = world.requestOf({ type: 'POST /api/echo', payload: '' })
    const line = `countersign: ${Buffer.from(request.envelope).toString('base64url')}`
    return [post(0, [line, line], '/api/echo')]
  },
  'two different countersign headers': (world) => {
    const lines = [1, 2].map(
      () =>
        `countersign: ${Buffer.from(world.requestOf({ type: 'POST /api/echo', payload: '' }).envelope).toString('base64url')}`
    )
    return [post(0, lines, '/api/echo')]
  },
  'countersign and Countersign': (world) => {
    const value = Buffer.from(world.requestOf({ type: 'POST /api/echo', payload: '' }).envelope).toString('base64url')
    return [post(0, [`countersign: ${value}`, `Countersign: ${value}`], '/api/echo')]
  },
  'a bad chunk size': () => [post(undefined, ['transfer-encoding: chunked']), 'zz\r\nabc\r\n0\r\n\r\n'],
  'a chunk size that overflows': () => [post(undefined, ['transfer-encoding: chunked']), 'fffffffffffffffff\r\nabc'],
  'another HTTP version': () => [post(0).replace('HTTP/1.1', 'HTTP/3.0')],
  'an endless header': () => [`POST /exchange HTTP/1.1\r\nx-a: ${'a'.repeat(40_000)}`],
  'a lower-case method': () => ['post /exchange HTTP/1.1\r\nhost: gateway\r\ncontent-length: 0\r\n\r\n'],
  CONNECT: () => ['CONNECT gateway:80 HTTP/1.1\r\nhost: gateway\r\n\r\n']
}

for (const [name, build] of Object.entries(smuggling)) {
  test(`E11 ${name}: nothing is accepted, nothing is smuggled behind it`, async (t) => {
    const world = await createServed(t)
    const text = await raw(world.port, build(world))
    assert.equal(world.handled.length, 0)
    assert.ok(
      statuses(text).every((status) => status >= 400 && status < 500),
      text.slice(0, 200)
    )
    assert.ok(statuses(text).length <= 1, 'one answer at most')
    assert.ok(!text.includes('"t":1'))
  })
}
