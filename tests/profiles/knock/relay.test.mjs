// SPDX-License-Identifier: MIT
// The gateway's relay: one signed request, one datagram to a target of the operator's, at most one reply.
import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { test } from 'node:test'
import { connect, emailEnrollment, memoryStore } from 'countersign'
import { relayKnock, sealKnock } from 'countersign/knock'
import { sendKnock } from 'countersign/knock/node'
import { isForbidden, knockRelay } from 'countersign/knock/server'
import { createWorld } from '../../server/kit.mjs'
import { HUNG_MS } from '../../unit/harness/wait.mjs'
import { fields, key, listen, rsaPair } from './kit.mjs'

const private_ = (listener) => ({ host: listener.address, port: listener.port, allowPrivate: true })
const generous = { session: { perSecond: 1000, burst: 1000 }, target: { perSecond: 1000, burst: 1000 } }

/** A client of the relay that speaks through a real gateway in process. */
const relayOf = async (options) => {
  const world = await createWorld({ routes: { 'knock.relay': knockRelay({ rates: generous, ...options }) } })
  return {
    world,
    clock: { now: () => Date.now() },
    async request(type, payload) {
      const { resultCode, payload: answer } = await world.call({ type, payload })
      return { resultCode, payload: answer }
    }
  }
}

const refused = (resultCode) => ({ code: 'ERR_RELAY_REFUSED', resultCode })

test('a knock through the relay opens the door, and its reply comes back', async (t) => {
  const daemon = await listen(t)
  const relay = await relayOf({ targets: { door: private_(daemon.listener) } })
  const datagram = await sealKnock(fields(), key, rsaPair().publicKey)
  const { reply } = await relayKnock(relay, { target: 'door', datagram, replyWithinMs: 5000 })
  assert.equal(reply.length, 256)
  assert.equal(daemon.knocks.length, 1)
  // Without patience nothing is waited for.
  const again = await relayKnock(relay, {
    target: 'door',
    datagram: await sealKnock(fields(), key, rsaPair().publicKey)
  })
  assert.equal(again.reply, null)
  await daemon.until(2, 'accepted')
})

test('G1 a client names a target by id; no other target, address or size is to be had', async (t) => {
  const daemon = await listen(t)
  const relay = await relayOf({ targets: { door: private_(daemon.listener) } })
  const datagram = await sealKnock(fields(), key, rsaPair().publicKey)
  for (const target of [
    'window',
    '127.0.0.1',
    `${daemon.listener.address}:${daemon.listener.port}`,
    '__proto__',
    'é'
  ]) {
    await assert.rejects(relayKnock(relay, { target, datagram }), refused('unknown_target'), target)
  }
  for (const size of [0, 1, 255, 257, 345, 576, 1400]) {
    const bytes = new Uint8Array(size)
    await assert.rejects(relayKnock(relay, { target: 'door', datagram: bytes }), refused('invalid_payload'), `${size}`)
  }
  for (const payload of [[], [0], [200, 1, 2], [4, 65], [1, 0, 0, 0], [2, 0xff, 0xff, 0, 0]]) {
    const answer = await relay.request('knock.relay', Uint8Array.from(payload))
    assert.equal(answer.resultCode, 'invalid_payload', JSON.stringify(payload))
  }
  assert.equal(daemon.events.length, 0)
})

test('G1 a name that stands for a forbidden address is refused at the moment it is used', async () => {
  let address = '93.184.216.34'
  const sent = []
  const relay = await relayOf({
    targets: { door: { host: 'door.example.com', port: 9 } },
    resolve: async (host) => {
      sent.push(host)
      return address
    }
  })
  const datagram = await sealKnock(fields(), key, rsaPair().publicKey)
  const forbidden = [
    '127.0.0.1',
    '127.9.9.9',
    '0.0.0.0',
    '10.0.0.1',
    '172.31.0.1',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '::1',
    '::',
    '::ffff:127.0.0.1',
    '::ffff:10.0.0.1',
    'fe80::1',
    'fd00::1',
    'ff02::1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    '::ffff:0:127.0.0.1',
    '::127.0.0.1',
    'fec0::1',
    'fe80::1%eth0',
    '5f00::1',
    '3fff::1',
    'not an address',
    ''
  ]
  for (address of forbidden) {
    assert.equal(isForbidden(address), true, address)
    await assert.rejects(relayKnock(relay, { target: 'door', datagram }), refused('forbidden_address'), address)
  }
  assert.equal(sent.length, forbidden.length, 'looked up for each datagram')
  for (const open of ['93.184.216.34', '1.1.1.1', '2606:4700::1111']) assert.equal(isForbidden(open), false, open)
})

test('targets that cannot be meant are refused when the gateway starts', () => {
  const isUsage = { category: 'usage' }
  const wrong = [
    { host: '127.0.0.1', port: 9 },
    { host: '::1', port: 9 },
    { host: 'localhost', port: 9, allowPrivate: true },
    { host: 'door.example.com', port: 0 },
    { host: '', port: 9 },
    { host: '127.0.0.1', port: 9, allowPrivate: 1 },
    null
  ]
  for (const target of wrong) assert.throws(() => knockRelay({ targets: { door: target } }), isUsage)
  assert.throws(() => knockRelay({}), isUsage)
  assert.throws(() => knockRelay({ targets: {}, maxReplyMs: 99_999 }), isUsage)
  for (const session of [{ perSecond: 0, burst: 1 }, { perSecond: 1 }, { perSecond: 'a', burst: 1 }, 5]) {
    assert.throws(() => knockRelay({ targets: {}, rates: { session } }), isUsage, JSON.stringify(session))
  }
})

test('an address there is no way to is unreachable, for the relay and for sendKnock, and ends no process', async () => {
  // The system refuses to connect to it, as it does to an IPv6 address where there is no IPv6.
  const host = '255.255.255.255'
  const relay = await relayOf({ targets: { door: { host, port: 9, allowPrivate: true } } })
  const datagram = await sealKnock(fields(), key, rsaPair().publicKey)
  for (const replyWithinMs of [0, 5000]) {
    await assert.rejects(relayKnock(relay, { target: 'door', datagram, replyWithinMs }), refused('unreachable'))
  }
  const options = { host, port: 9, key, serverPublicKeyPem: rsaPair().publicKey }
  await assert.rejects(sendKnock(fields(), options), { code: 'ERR_NETWORK' })
})

test('a name has one question under way, whose answer serves all who came meanwhile', async (t) => {
  const daemon = await listen(t)
  const asked = []
  const relay = await relayOf({
    targets: { door: { host: 'door.example.com', port: daemon.listener.port } },
    resolve: (host) => new Promise((resolve, reject) => asked.push({ host, resolve, reject }))
  })
  const datagram = await sealKnock(fields(), key, rsaPair().publicKey)
  const send = () => relayKnock(relay, { target: 'door', datagram })
  const waitFor = async (count) => {
    while (asked.length < count) await new Promise((resolve) => setTimeout(resolve, 5))
  }
  const first = [send(), send(), send()].map((sent) => assert.rejects(sent, refused('unreachable')))
  await waitFor(1)
  // All three have come to the relay before it hears anything.
  await new Promise((resolve) => setTimeout(resolve, 200))
  assert.equal(asked.length, 1)
  asked[0].reject(new Error('no such name'))
  await Promise.all(first)
  const next = assert.rejects(send(), refused('forbidden_address'))
  await waitFor(2)
  asked[1].resolve('127.0.0.1')
  await next
})

test('G2 one request sends one datagram and brings back at most one, however many a target sends', async (t) => {
  const target = createSocket('udp4')
  await new Promise((resolve) => target.bind(0, '127.0.0.1', resolve))
  t.after(() => target.close())
  let heard = 0
  target.on('message', (_, from) => {
    heard++
    for (let copy = 0; copy < 20; copy++) target.send(new Uint8Array(256).fill(copy), from.port, from.address)
  })
  const relay = await relayOf({
    targets: { door: { host: '127.0.0.1', port: target.address().port, allowPrivate: true } }
  })
  const datagram = await sealKnock(fields(), key, rsaPair().publicKey)
  const { reply } = await relayKnock(relay, { target: 'door', datagram, replyWithinMs: 5000 })
  assert.equal(reply.length, 256)
  assert.equal(heard, 1)
})

test('G2 a session and a target have so many datagrams, and a session that has none left costs the target nothing', async (t) => {
  const daemon = await listen(t)
  const rates = { session: { perSecond: 1, burst: 3 }, target: { perSecond: 1, burst: 4 } }
  let ms = 1_000_000
  const relay = await relayOf({ targets: { door: private_(daemon.listener) }, rates, now: () => ms })
  const send = async (from) => {
    const datagram = await sealKnock(fields(), key, rsaPair().publicKey)
    return relayKnock(from, { target: 'door', datagram }).then(
      () => 'sent',
      ({ resultCode }) => resultCode
    )
  }
  const verdicts = []
  for (let index = 0; index < 6; index++) verdicts.push(await send(relay))
  assert.deepEqual(verdicts, ['sent', 'sent', 'sent', 'too_many', 'too_many', 'too_many'])
  ms += 1000
  assert.equal(await send(relay), 'sent')
  // A clock that was set back takes nothing away, and gives nothing.
  ms -= 3_600_000
  assert.equal(await send(relay), 'too_many')
  ms += 1000
  assert.equal(await send(relay), 'sent')
})

test('a real client relays through a real gateway and reads the reply; a target that is silent is null', async (t) => {
  const { startGateway } = await import('../../runners/suites.mjs')
  const daemon = await listen(t)
  process.env.KNOCK_TARGETS = `door=${daemon.listener.address}:${daemon.listener.port}`
  const gateway = await startGateway()
  delete process.env.KNOCK_TARGETS
  t.after(() => gateway.stop())
  const described = await (await fetch(`${gateway.url}/.well-known/countersign.json`)).json()
  const serverKeys = described.server_keys.map(({ id, public_key: publicKey }) => ({ id, publicKey }))
  const client = await connect({
    ...{ url: gateway.url, label: described.label, serverKeys },
    ...{ store: memoryStore(), timeoutMs: HUNG_MS }
  })
  t.after(() => client.close())
  const email = 'knock@example.com'
  const code = async () => (await (await fetch(`${gateway.url}/dev/outbox?email=${email}`)).json()).at(-1).code
  await emailEnrollment(client, { email, code })
  const datagram = await sealKnock(fields(), key, rsaPair().publicKey)
  const { reply } = await relayKnock(client, { target: 'door', datagram, replyWithinMs: 5000 })
  assert.equal(reply.length, 256)
  const again = await relayKnock(client, { target: 'door', datagram, replyWithinMs: 300 })
  assert.equal(again.reply, null, 'the same knock again is silence')
})
