// SPDX-License-Identifier: MIT
// The json binding takes exactly one spelling of a request.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createWorld, isPlain, jsonOf } from '../kit.mjs'
import { ILL_FORMED } from './raw-requests.mjs'

test('A12 a byte order mark and anything after the JSON are malformed', async () => {
  const world = await createWorld()
  const text = JSON.stringify(jsonOf(world.requestOf()))
  for (const body of [
    `\ufeff${text}`,
    `${text}x`,
    `${text}{}`,
    `${text}\0`,
    `[${text}]`,
    `${text},`,
    '',
    '{}',
    'null',
    '"x"'
  ]) {
    await isPlain(await world.sendJson(body), 400)
    assert.equal(world.stages.at(-1).code, 'ERR_BAD_JSON', JSON.stringify(body.slice(-12)))
  }
  assert.equal((await world.sendJson(`\n\t ${text} \r\n`)).status, 200)
})

test('A5 JSON that is not UTF-8 is malformed', async () => {
  const world = await createWorld()
  const text = JSON.stringify(jsonOf(world.requestOf(), { traceId: 'TRACE' }))
  for (const hex of Object.values(ILL_FORMED)) {
    const [before, after] = text.split('TRACE')
    await isPlain(
      await world.sendJson(Buffer.concat([Buffer.from(before), Buffer.from(hex, 'hex'), Buffer.from(after)])),
      400
    )
  }
})

test('A8 a duplicate member is refused, whichever of the two is the signed one', async () => {
  const world = await createWorld()
  const members = jsonOf(world.requestOf())
  for (const name of Object.keys(members)) {
    const text = JSON.stringify(members)
    for (const other of [members[name], 'other']) {
      for (const spelling of [name, `\\u00${name.charCodeAt(0).toString(16)}${name.slice(1)}`]) {
        const duplicate = `"${spelling}":${JSON.stringify(other)}`
        await isPlain(await world.sendJson(`{${duplicate},${text.slice(1)}`), 400)
        await isPlain(await world.sendJson(`${text.slice(0, -1)},${duplicate}}`), 400)
      }
    }
  }
  assert.equal(world.handled.length, 0)
})

test('A18 unknown and absent members, and members that are no strings, are refused', async () => {
  const world = await createWorld()
  const members = jsonOf(world.requestOf())
  const bad = [
    { ...members, extra: 'x' },
    { ...members, __proto__: null, constructor: 'x' },
    { ...members, timestampMs: Number(members.timestampMs) },
    { ...members, payloadBytes: null },
    { ...members, traceId: { a: 'b' } },
    { ...members, signature: [members.signature] },
    ...[
      'protocolVersion',
      'deviceSessionId',
      'messageType',
      'timestampMs',
      'requestId',
      'payloadHash',
      'signature'
    ].map((name) => {
      const { [name]: _, ...rest } = members
      return rest
    })
  ]
  for (const body of bad) await isPlain(await world.sendJson(body), 400)
  await isPlain(await world.sendJson(JSON.stringify(members).replace('{', '{"__proto__":"x",')), 400)
  assert.equal({}.x, undefined)
})

test('C11 no spelling of a date is a time, leap seconds and zones included', async () => {
  const world = await createWorld()
  const request = world.requestOf()
  const { timestampMs } = request.fields
  const spellings = [
    new Date(timestampMs).toISOString(),
    new Date(timestampMs).toUTCString(),
    '2026-04-01T00:00:00+02:00',
    '2026-12-31T23:59:60Z',
    '2026-04-01 00:00:00Z',
    `${timestampMs}ms`,
    `${timestampMs}Z`,
    `${timestampMs}.000`
  ]
  for (const spelling of spellings) {
    await isPlain(await world.sendJson(jsonOf(request, { timestampMs: spelling })), 400)
  }
  assert.equal((await world.sendJson(jsonOf(request))).status, 200)
})

test('A9 timestampMs has one spelling', async () => {
  const world = await createWorld()
  const request = world.requestOf()
  const time = String(request.fields.timestampMs)
  for (const spelling of [
    `0${time}`,
    `+${time}`,
    `-${time}`,
    `${time}.0`,
    `${time}e0`,
    ` ${time}`,
    `${time} `,
    '',
    '-0',
    '1e12',
    '9007199254740992',
    '18446744073709551615',
    'NaN',
    'Infinity',
    '١٢٣'
  ]) {
    await isPlain(await world.sendJson(jsonOf(request, { timestampMs: spelling })), 400)
  }
  assert.equal((await world.sendJson(jsonOf(request))).status, 200)
})

test('A13 base64 of the json binding has one spelling', async () => {
  const world = await createWorld()
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
  const request = world.requestOf({ payload: Buffer.from([0xff, 0xef]) })
  const members = jsonOf(request)
  const { payloadBytes } = members
  const spellings = [
    payloadBytes.replaceAll('/', '_').replaceAll('+', '-'),
    payloadBytes.replace(/=+$/, ''),
    `${payloadBytes}=`,
    ` ${payloadBytes}`,
    `${payloadBytes}\n`,
    `${payloadBytes.slice(0, 2)}\n${payloadBytes.slice(2)}`
  ]
  // The unused bits of the last character: four spellings decode to the same bytes, one is right.
  for (const tail of alphabet) spellings.push(`${payloadBytes.slice(0, 2)}${tail}=`)
  let accepted = 0
  for (const spelling of spellings) {
    const response = await world.sendJson(
      jsonOf(world.requestOf({ payload: Buffer.from([0xff, 0xef]) }), { payloadBytes: spelling })
    )
    if (response.status === 200) accepted += 1
    else assert.equal(response.status, 400)
  }
  assert.equal(accepted, 1)
})

test('A10 members named like parts of an object are refused, and no prototype changes', async () => {
  const world = await createWorld()
  const before = Object.getOwnPropertyNames(Object.prototype).join()
  const text = JSON.stringify(jsonOf(world.requestOf()))
  for (const name of [
    '__proto__',
    'constructor',
    'prototype',
    'hasOwnProperty',
    'toString',
    'valueOf',
    '\\u005f_proto__'
  ]) {
    for (const value of ['"x"', '{"requestId":"x"}', 'null']) {
      await isPlain(await world.sendJson(`{"${name}":${value},${text.slice(1)}`), 400)
      const payload = `{"${name}":${value},"device_session_id":"${world.device.id}"}`
      assert.equal((await world.call({ type: 'cs.revoke', payload })).resultCode, 'invalid_payload')
    }
  }
  assert.equal(Object.getOwnPropertyNames(Object.prototype).join(), before)
  assert.equal({}.requestId, undefined)
})

test('A11 deep nesting is refused at its first bracket', async () => {
  const world = await createWorld()
  for (const open of ['[', '{"a":', '{"protocolVersion":['])
    await isPlain(await world.sendJson(open.repeat(50_000)), 400)
})
