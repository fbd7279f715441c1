// SPDX-License-Identifier: MIT
// Knocks over a real UDP socket: what is accepted, what is silence, and for which reason.
import assert from 'node:assert/strict'
import { constants, publicEncrypt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { test } from 'node:test'
import { importKnockKey, knockPacket, sealKnock } from 'countersign/knock'
import { createKnockListener, sendKnock } from 'countersign/knock/node'
import { fields, key, listen, nowSeconds, rsaPair, sendTo } from './kit.mjs'

const optionsFor = ({ listener }, bits = 2048) => ({
  host: listener.address,
  port: listener.port,
  key,
  serverPublicKeyPem: rsaPair(bits).publicKey,
  userPrivateKeyPem: rsaPair(2048, 'user').privateKey,
  replyWithinMs: 15_000
})

test('a knock of every version is accepted once and answered, with keys of 2048, 3072 and 4096 bits', async (t) => {
  for (const bits of [2048, 3072, 4096]) {
    const daemon = await listen(t, { bits })
    for (const version of bits === 2048 ? [1, 2, 3, 4] : [1, 2]) {
      const knock = fields({ version, payload: `v${version} ✓` })
      const reply = await sendKnock(knock, optionsFor(daemon, bits))
      assert.deepEqual(reply, { status: 1, action: 1, truncated: false, text: '1: OK' }, `${bits} v${version}`)
      const { payload, payloadBase64, ...rest } = daemon.knocks.at(-1)
      assert.equal(Buffer.from(payload).toString(), `v${version} ✓`)
      assert.equal(Buffer.from(payloadBase64, 'base64').toString(), `v${version} ✓`)
      assert.equal(rest.version, version)
      assert.equal(rest.challenge, knock.challenge)
      assert.equal(rest.address, '127.0.0.1')
    }
  }
})

test('an action that throws is answered as failed, and the listener goes on', async (t) => {
  const daemon = await listen(t)
  const reply = await sendKnock(fields({ actionId: 9 }), optionsFor(daemon))
  assert.deepEqual([reply.status, reply.action, reply.text], [2, 9, ''])
  assert.deepEqual((await daemon.until(1, 'action_failed'))[0].text, 'the action of a knock failed')
  assert.equal((await sendKnock(fields(), optionsFor(daemon))).status, 1)
})

test('a log that throws or rejects ends nothing', async (t) => {
  for (const onEvent of [() => assert.fail('log'), async () => assert.fail('log')]) {
    const daemon = await listen(t, { onEvent })
    assert.equal((await sendKnock(fields(), optionsFor(daemon))).text, '1: OK')
  }
})

test('a long text of an answer is cut, and says so', async (t) => {
  const daemon = await listen(t, { onKnock: () => ({ ok: false, text: 'x'.repeat(500) }) })
  const reply = await sendKnock(fields(), optionsFor(daemon))
  assert.deepEqual([reply.status, reply.truncated, reply.text.length], [2, true, 180])
})

test('G3 G5 a datagram that was accepted is silence the second time, and so is its packet encrypted anew', async (t) => {
  const daemon = await listen(t)
  const knock = fields()
  const datagrams = [await sealKnock(knock, key, rsaPair().publicKey), await sealKnock(knock, key, rsaPair().publicKey)]
  for (const datagram of [datagrams[0], datagrams[0], datagrams[1]]) await sendTo(daemon.listener, datagram)
  assert.equal((await daemon.until(2, 'replay')).length, 2)
  assert.equal(daemon.knocks.length, 1)
})

test('B16 G4 G7 every failure is silence towards the sender, with its own code in the log', async (t) => {
  const daemon = await listen(t, { asciiOnly: true })
  const pem = rsaPair().publicKey
  const stranger = await importKnockKey(new Uint8Array(32).fill(3))
  const seal = (changes, mac = key) => sealKnock(fields(changes), mac, pem)
  const block = await seal({})
  const hybrid = await seal({ version: 3 })
  const flip = (bytes, at) => {
    const changed = Uint8Array.from(bytes)
    changed[at] ^= 1
    return changed
  }
  const cases = [
    ['size', new Uint8Array(0)],
    ['size', new Uint8Array(255)],
    ['size', new Uint8Array(257)],
    ['size', new Uint8Array(1400)],
    ['sealed', flip(block, 200)],
    ['sealed', new Uint8Array(256).fill(0xff)],
    ['sealed', await sealKnock(fields(), key, rsaPair(2048, 'user').publicKey)],
    ['sealed', flip(hybrid, 40)],
    ['sealed', flip(hybrid, hybrid.length - 1)],
    ['malformed', flip(hybrid, 0)],
    ['hmac', await seal({}, stranger)],
    ['hmac', await seal({ version: 4 }, stranger)],
    ['user', await seal({ userId: 8 })],
    ['timestamp', await seal({ timestamp: nowSeconds() - 400 })],
    ['timestamp', await seal({ timestamp: nowSeconds() + 400 })],
    ['action', await seal({ actionId: 2 })],
    ['ascii', await seal({ payload: 'a\nb' })],
    // OAEP is refused: its block does not begin as it should.
    [
      'sealed',
      publicEncrypt({ key: pem, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }, Buffer.alloc(60))
    ],
    // A packet whose length says more than it has.
    ['payload_len', publicEncrypt({ key: pem, padding: constants.RSA_PKCS1_PADDING }, await tooLong())]
  ]
  for (const [index, [code, datagram]] of cases.entries()) {
    await sendTo(daemon.listener, datagram)
    await daemon.until(index + 1)
    assert.equal(daemon.events.at(-1).code, code, `case ${index}`)
  }
  assert.equal(daemon.knocks.length, 0)
  assert.equal((await sendKnock(fields(), optionsFor(daemon))).status, 1)
})

const tooLong = async () => {
  const packet = await knockPacket(fields({ payload: '' }), key)
  packet[44] = 200
  return packet
}

test('nothing comes back for a refused knock: sendKnock gives null after its time', async (t) => {
  const daemon = await listen(t)
  const reply = await sendKnock(fields({ actionId: 3 }), { ...optionsFor(daemon), replyWithinMs: 300 })
  assert.equal(reply, null)
  assert.deepEqual(
    daemon.events.map(({ code }) => code),
    ['action']
  )
})

test('an address whose datagrams fail is cut off long before one whose datagrams are good', async (t) => {
  const daemon = await listen(t, { rate: { perSecond: 1, burst: 20 } })
  for (let index = 0; index < 8; index++) await sendTo(daemon.listener, new Uint8Array(100))
  await daemon.until(8)
  const codes = daemon.events.map(({ code }) => code)
  assert.equal(codes.slice(0, 4).join(), 'size,size,size,size')
  assert.equal(codes.at(-1), 'rate')
})

test('a full memory refuses and forgets nothing that is still good', async (t) => {
  const daemon = await listen(t, { capacity: 2 })
  const sealed = await Promise.all([1, 2, 3].map(() => sealKnock(fields(), key, rsaPair().publicKey)))
  for (const datagram of sealed) await sendTo(daemon.listener, datagram)
  await daemon.until(1, 'full')
  await sendTo(daemon.listener, sealed[0])
  await daemon.until(1, 'replay')
  assert.equal(daemon.knocks.length, 2)
})

test('a knock is remembered as long as its time is good, whatever it was dated', async (t) => {
  let ms = Date.now()
  const daemon = await listen(t, { now: () => ms, windowSeconds: 60, capacity: 1 })
  const datagram = await sealKnock(fields({ timestamp: Math.floor(ms / 1000) + 60 }), key, rsaPair().publicKey)
  const send = async (count, code) => {
    await sendTo(daemon.listener, datagram)
    await daemon.until(count, code)
  }
  await send(1, 'accepted')
  for (const [index, seconds] of [60, 60].entries()) {
    ms += seconds * 1000
    await send(index + 1, 'replay')
  }
  ms += 1000
  await send(1, 'timestamp')
})

test('a listener that closes finishes what is under way, its reply too, and takes nothing new', async (t) => {
  let finish
  const knocked = []
  const daemon = await listen(t, {
    onKnock: (knock) => {
      knocked.push(knock)
      return new Promise((resolve) => {
        finish = () => resolve({ text: 'late' })
      })
    }
  })
  const reply = sendKnock(fields(), { ...optionsFor(daemon), replyWithinMs: 20_000 })
  await daemon.until(1, 'accepted')
  while (knocked.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  const closed = daemon.listener.close()
  await sendTo(daemon.listener, await sealKnock(fields(), key, rsaPair().publicKey))
  await new Promise((resolve) => setTimeout(resolve, 300))
  assert.equal(knocked.length, 1)
  finish()
  assert.equal((await reply).text, 'late')
  await closed
  assert.deepEqual(
    daemon.events.map(({ code }) => code),
    ['accepted', 'replied']
  )
})

test('what a program hears from another port is not its reply, and options that cannot be are refused', async (t) => {
  const silent = createSocket('udp4')
  await new Promise((resolve) => silent.bind(0, '127.0.0.1', resolve))
  t.after(() => silent.close())
  const other = createSocket('udp4')
  t.after(() => other.close())
  silent.on('message', (_, from) => other.send(new Uint8Array(256), from.port, from.address))
  const options = {
    ...optionsFor({ listener: { address: '127.0.0.1', port: silent.address().port } }),
    replyWithinMs: 400
  }
  assert.equal(await sendKnock(fields(), options), null)
  const isUsage = { category: 'usage' }
  await assert.rejects(sendKnock(fields(), { ...options, port: 0 }), isUsage)
  await assert.rejects(sendKnock(fields(), { ...options, host: '' }), isUsage)
  await assert.rejects(sendKnock(fields(), { ...options, host: 'no-such-host.invalid' }), { code: 'ERR_NETWORK' })
  await assert.rejects(sendKnock(fields(), { ...options, signal: AbortSignal.abort() }), { code: 'ERR_ABORTED' })
  const good = { privateKeyPem: rsaPair().privateKey, users: {}, onKnock() {} }
  for (const wrong of [
    { users: { 70000: { key, actions: [] } } },
    { onKnock: 7 },
    { address: 'localhost' },
    { port: -1 }
  ]) {
    await assert.rejects(createKnockListener({ ...good, ...wrong }), isUsage)
  }
  await assert.rejects(createKnockListener({ ...good, privateKeyPem: rsaPair().publicKey }), {
    code: 'ERR_BAD_RSA_KEY'
  })
})

test('10,000 mutated datagrams (300 unless long): nothing is accepted, the listener lives', async (t) => {
  const rounds = process.env.COUNTERSIGN_LONG ? 10_000 : 300
  const daemon = await listen(t)
  const good = await Promise.all(
    [1, 2, 3, 4].map((version) => sealKnock(fields({ version }), key, rsaPair().publicKey))
  )
  let at = 0
  for (let round = 0; round < rounds; round++) {
    at = (Math.imul(at, 1_664_525) + 1_013_904_223) >>> 0
    const bytes = Uint8Array.from(good[round % 4])
    if (round % 5 === 0) bytes.set(bytes.slice(0, 8), at % (bytes.length - 8))
    bytes[at % bytes.length] ^= 1 + (at % 255)
    await sendTo(daemon.listener, round % 7 === 0 ? bytes.subarray(0, at % bytes.length) : bytes)
    if (round % 100 === 99) await daemon.until(round - 50)
  }
  assert.equal(daemon.knocks.length, 0)
  assert.equal((await sendKnock(fields(), optionsFor(daemon))).status, 1)
})
