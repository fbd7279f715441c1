// SPDX-License-Identifier: MIT
// siglatch knocks on the vectors: key files, packets, datagrams given their random values, replies, refusals.

import { importKnockKey, knockPacket, openKnockReply, randomChallenge, sealKnock, verifyKnock } from 'countersign/knock'
import { fromHex, toHex, utf8 } from '../harness/bytes.mjs'

const BAD_KEY = { code: 'ERR_BAD_KNOCK_KEY', category: 'key' }
const CLOCK = 1_700_000_000

const fieldsOf = (vector) => ({
  version: vector.version ?? vector.wire_version >> 16,
  timestamp: vector.timestamp,
  userId: vector.user_id,
  actionId: vector.action_id,
  challenge: vector.challenge,
  payload: fromHex(vector.payload_hex)
})
const packetOf = (vector) => fromHex(vector.packet_hex ?? vector.body_hex)

/** Gives a vector's own random values, each to whoever asks for its size. */
const randomOf = (vector) => {
  const values = [vector.rsa_padding_string_hex, vector.content_key_hex, vector.nonce_hex].filter(Boolean).map(fromHex)
  return (size) => values.find((value) => value.length === size) ?? new Uint8Array(size).fill(1)
}

export const suite = (test, assert, env) => {
  let loaded
  const load = async () => {
    const { v1, v2_v4 } = await env.vectors('knock.json')
    const accepted = [...v1.vectors, ...v2_v4.vectors].filter(({ expect }) => expect === 'accept')
    return { v1, accepted, key: await importKnockKey(fromHex(v1.hmac_key_hex)), pem: v1.server_public_key_pem }
  }
  const vectors = () => {
    loaded ??= load()
    return loaded
  }

  test('packets and bodies of versions 1 to 4 are those of the vectors, and are accepted back', async () => {
    const { accepted, key } = await vectors()
    assert.equal(accepted.length, 18)
    for (const vector of accepted) {
      const fields = fieldsOf(vector)
      const packet = await knockPacket(fields, key)
      assert.equal(toHex(packet), toHex(packetOf(vector)), vector.name)
      const { ok, knock } = await verifyKnock(packet, key, { nowSeconds: fields.timestamp })
      assert.equal(ok, true, vector.name)
      assert.deepEqual({ ...knock, payload: toHex(knock.payload) }, { ...fields, payload: vector.payload_hex })
    }
  })

  test('datagrams are those of the vectors, given their padding, content key and nonce', async () => {
    const { accepted, key, pem } = await vectors()
    for (const vector of accepted) {
      const datagram = await sealKnock(fieldsOf(vector), key, pem, { random: randomOf(vector) })
      assert.equal(toHex(datagram), vector.datagram_hex ?? vector.ciphertext_hex, vector.name)
    }
  })

  test('what the vectors say is refused is refused for that reason; actions are for whoever runs them', async () => {
    const { v1, key } = await vectors()
    const reasons = {}
    for (const vector of v1.vectors.filter(({ expect }) => expect === 'reject')) {
      const verdict = await verifyKnock(packetOf(vector), key, { nowSeconds: CLOCK })
      reasons[vector.name] = verdict.reason ?? verdict.knock.actionId
      if (vector.reason !== 'action') assert.equal(verdict.reason, vector.reason, vector.name)
    }
    assert.equal(Object.keys(reasons).length, 5)
    assert.equal(reasons['unknown action 77'], 77)
  })

  test('replies of the vectors are read or refused as they say', async () => {
    const { v1, key } = await vectors()
    const expected = { userId: 1, actionId: 1, challenge: 1, nowSeconds: CLOCK + 1 }
    const codes = {
      challenge: 'ERR_WRONG_REQUEST_ID',
      action_id: 'ERR_WRONG_REQUEST_ID',
      request_action: 'ERR_WRONG_REQUEST_ID',
      timestamp: 'ERR_STALE'
    }
    for (const vector of v1.replies) {
      const opening = openKnockReply(packetOf(vector), key, expected)
      if (vector.expect === 'accept') {
        assert.deepEqual(await opening, {
          status: vector.status,
          action: vector.request_action,
          truncated: false,
          text: new TextDecoder().decode(fromHex(vector.text_hex))
        })
      } else await assert.rejects(opening, { code: codes[vector.reason] }, vector.name)
    }
    const good = packetOf(v1.replies[0])
    good[20] ^= 1
    await assert.rejects(openKnockReply(good, key, expected), { code: 'ERR_BAD_SIGNATURE' })
    await assert.rejects(openKnockReply(good.slice(1), key, expected), { code: 'ERR_BAD_LENGTH' })
  })

  test('key files: 32 raw bytes, or 64 hex digits with white space; everything else is refused', async () => {
    const { v1, key } = await vectors()
    const hex = v1.hmac_key_hex
    const same = async (file) => {
      const other = await importKnockKey(file)
      const fields = { timestamp: CLOCK, userId: 1, actionId: 1, challenge: 1 }
      return toHex(await knockPacket(fields, other)) === toHex(await knockPacket(fields, key))
    }
    for (const text of [
      hex,
      `${hex}\n`,
      ` ${hex.toUpperCase()}\r\n`,
      hex.replace(/(..)/g, '$1 ').trim(),
      `\t${hex}\v\f`
    ])
      assert.equal(await same(utf8(text)), true, text)
    const bad = [
      '',
      hex.slice(1),
      `${hex}0`,
      `0x${hex}`,
      `${hex.slice(2)}zz`,
      `${hex}${' '.repeat(64)}`,
      '0'.repeat(64)
    ]
    for (const text of bad) await assert.rejects(importKnockKey(utf8(text)), BAD_KEY, text)
    for (const size of [0, 31, 33, 200]) await assert.rejects(importKnockKey(new Uint8Array(size).fill(1)), BAD_KEY)
    await assert.rejects(importKnockKey(new Uint8Array(32)), BAD_KEY)
    for (const wrong of [undefined, null, 'text', 7]) await assert.rejects(importKnockKey(wrong), { category: 'usage' })
  })

  test('B17 G4 G6 G7 fields out of range, long payloads and foreign keys are refused before anything is made', async () => {
    const { key, pem } = await vectors()
    const good = { timestamp: CLOCK, userId: 1, actionId: 1, challenge: 1 }
    const isUsage = { category: 'usage' }
    for (const wrong of [
      { timestamp: -1 },
      { timestamp: 2 ** 32 },
      { timestamp: 1.5 },
      { timestamp: '1' },
      { userId: 65_536 },
      { actionId: 256 },
      { challenge: 2 ** 32 },
      { challenge: Number.NaN },
      { version: 0 },
      { version: 5 },
      { payload: 7 },
      { payload: '\ud800' }
    ])
      await assert.rejects(knockPacket({ ...good, ...wrong }, key), isUsage, JSON.stringify(wrong))
    const tooLarge = { code: 'ERR_PAYLOAD_TOO_LARGE' }
    for (const [version, limit] of [
      [1, 199],
      [2, 191],
      [3, 199],
      [4, 199]
    ]) {
      await knockPacket({ ...good, version, payload: new Uint8Array(limit) }, key)
      await assert.rejects(knockPacket({ ...good, version, payload: new Uint8Array(limit + 1) }, key), tooLarge)
    }
    for (const wrong of [undefined, {}, new Uint8Array(32)]) await assert.rejects(knockPacket(good, wrong), isUsage)
    const badRsa = { code: 'ERR_BAD_RSA_KEY', category: 'key' }
    const noKeys = ['', 'hello', pem.replaceAll('PUBLIC', 'PRIVATE'), pem.replace(/\n[^-]{8}/, '\n'), pem + pem]
    for (const wrong of noKeys) await assert.rejects(sealKnock(good, key, wrong), badRsa)
    await assert.rejects(sealKnock(good, key, 7), isUsage)
    await assert.rejects(sealKnock(good, key, pem, { random: 7 }), isUsage)
    await assert.rejects(sealKnock(good, key, pem, { random: () => new Uint8Array(1) }), isUsage)
    await assert.rejects(sealKnock(good, key, pem, { random: (size) => new Uint8Array(size) }), {
      code: 'ERR_NO_CRYPTO'
    })
  })

  test('B18 no two datagrams of one knock are the same, and zeros of the random source are drawn again', async () => {
    const { key, pem } = await vectors()
    const fields = { timestamp: CLOCK, userId: 1, actionId: 1, challenge: randomChallenge() }
    const seen = new Set()
    for (let round = 0; round < 20; round++) {
      for (const version of [1, 3]) seen.add(toHex(await sealKnock({ ...fields, version }, key, pem)))
    }
    assert.equal(seen.size, 40)
    let calls = 0
    const random = (size) => {
      calls++
      return new Uint8Array(size).fill(calls % 2)
    }
    await sealKnock(fields, key, pem, { random: (size) => (size === 8 ? new Uint8Array(8) : random(size)) })
    assert.equal(calls >= 8, true)
  })

  test('10,000 mutated packets and datagrams: nothing is accepted, nothing but a verdict comes back', async () => {
    const { accepted, key } = await vectors()
    const rounds = env.runtime === 'node' ? 10_000 : 1_000
    let state = 7
    const below = (bound) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
      return (state >> 8) % bound
    }
    const verdicts = {}
    for (let round = 0; round < rounds; round++) {
      const vector = accepted[below(accepted.length)]
      let packet = packetOf(vector)
      // Behind the payload lies the fill, which no tag covers.
      const end = vector.packet_hex ? (packet[0] === 1 ? 46 : 54) + vector.payload_hex.length / 2 : packet.length
      const kind = below(4)
      if (kind === 0) packet = packet.slice(0, below(packet.length))
      else if (kind === 1) packet = Uint8Array.from([...packet, below(256)])
      else packet[below(end)] ^= 1 << below(8)
      const verdict = await verifyKnock(packet, key, { nowSeconds: vector.timestamp })
      assert.equal(verdict.ok, false)
      verdicts[verdict.reason] = (verdicts[verdict.reason] ?? 0) + 1
    }
    assert.deepEqual(Object.keys(verdicts).sort(), ['hmac', 'malformed', 'payload_len'])
  })
}
