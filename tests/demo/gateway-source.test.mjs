// SPDX-License-Identifier: MIT
// Whose request is it? The peer's, or the one a trusted proxy vouches for; never what a client writes about itself.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressList, isLoopbackAddress, sourceOf } from '../../demo/gateway/source.mjs'
import { send, startGateway } from './harness.mjs'

const from = (list, remoteAddress, forwarded) =>
  sourceOf(addressList(list))({ socket: { remoteAddress }, headers: forwarded ? { 'x-forwarded-for': forwarded } : {} })

test('without TRUSTED_PROXY the peer is the source, whatever a header says', () => {
  assert.equal(from([], '192.0.2.1', '198.51.100.7'), '192.0.2.1')
  assert.equal(from([], '::ffff:192.0.2.1', undefined), '192.0.2.1')
})

test('a trusted peer is believed up to the first hop that is not trusted, from the right', () => {
  const list = ['127.0.0.1', '10.0.0.0/8']
  assert.equal(from(list, '127.0.0.1', '198.51.100.7'), '198.51.100.7')
  assert.equal(from(list, '::ffff:127.0.0.1', '198.51.100.7'), '198.51.100.7')
  assert.equal(from(list, '127.0.0.1', '203.0.113.9, 198.51.100.7'), '198.51.100.7')
  assert.equal(from(list, '127.0.0.1', '198.51.100.7, 10.1.2.3'), '198.51.100.7')
  assert.equal(from(list, '192.0.2.1', '198.51.100.7'), '192.0.2.1')
})

test('what is not an address names nobody: the proxy itself is the source then', () => {
  for (const text of ['unknown', '198.51.100.7:80', '', 'evil\\n', '198.51.100.7, x']) {
    assert.equal(from(['127.0.0.1'], '127.0.0.1', text), '127.0.0.1', text)
  }
})

test('networks and addresses are read strictly', () => {
  for (const bad of ['10.0.0.0/', '10.0.0.0/8/8', '10.0.0.0/-1', '::1/129', '300.1.1.1', 'localhost']) {
    assert.equal(addressList(['127.0.0.1', bad]).bad, bad)
  }
  assert.ok(addressList(['2001:db8::/32']).has('2001:db8::7'))
})

test('loopback is 127/8, ::1 and localhost, and nothing that looks like it', () => {
  for (const yes of ['127.0.0.1', '127.255.255.254', '::1', '::ffff:127.0.0.1', 'localhost'])
    assert.ok(isLoopbackAddress(yes), yes)
  for (const no of ['0.0.0.0', '::', '128.0.0.1', '127.0.0.1.example', '1127.0.0.1', '127.1', '', undefined]) {
    assert.equal(isLoopbackAddress(no), false, String(no))
  }
})

const flood = async (gateway, headersOf) => {
  const statuses = []
  for (let index = 0; index < 12; index += 1) {
    const { status } = await send(gateway, '/exchange', { method: 'POST', headers: headersOf(index) })
    statuses.push(status)
  }
  return statuses
}
const client = (index) => ({
  'x-forwarded-for': `198.51.100.${index + 1}`,
  'content-type': 'application/vnd.countersign.v1'
})

test('SOURCE_RATE counts the peer when no proxy is trusted, though every request claims another address', async (t) => {
  const statuses = await flood(await startGateway(t, { SOURCE_RATE: '3' }), client)
  assert.ok(statuses.includes(429), statuses.join())
})

test('SOURCE_RATE counts each client behind a trusted proxy for itself', async (t) => {
  const gateway = await startGateway(t, { SOURCE_RATE: '3', TRUSTED_PROXY: '127.0.0.0/8' })
  assert.equal((await flood(gateway, client)).includes(429), false)
  assert.ok((await flood(gateway, () => client(200))).includes(429))
})
