// SPDX-License-Identifier: MIT
// What is not exactly a request is refused plainly, before anything is looked up.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { core, createWorld, frameRequest, isPlain, jsonOf, openAnswer } from '../kit.mjs'
import { ILL_FORMED, rawFieldsOf, rawInput } from './raw-requests.mjs'

test('A5 ill-formed UTF-8 and control characters in any text field are a plain 400, never replaced', async () => {
  const world = await createWorld()
  for (const [name, hex] of Object.entries(ILL_FORMED)) {
    for (const target of ['version', 'session', 'type', 'id']) {
      const fields = rawFieldsOf(world.requestOf())
      for (const bytes of [Buffer.from(hex, 'hex'), Buffer.concat([fields[target], Buffer.from(hex, 'hex')])]) {
        const input = rawInput({ ...fields, [target]: bytes })
        const frame = core.buildFrame({ signingInput: input, keyId: '', signature: world.device.sign(input) })
        await isPlain(await world.sendFrame(frame), 400)
        assert.equal(world.stages.at(-1).code, 'ERR_BAD_TEXT', `${name} in ${target}`)
      }
    }
  }
})

test('E8 CR, LF and NUL in any field of any binding never reach a header or a log', async () => {
  const world = await createWorld({ compatible: true })
  for (const control of ['\r\nset-cookie: a=b', '\n', '\0', '\u007f']) {
    for (const member of ['deviceSessionId', 'messageType', 'requestId', 'protocolVersion', 'traceId']) {
      const body = jsonOf(world.requestOf(), { [member]: `x${control}` })
      await isPlain(await world.sendJson(body), 400)
    }
  }
  assert.ok(world.refusals.every((refusal) => !/[^\x20-\x7e]/.test(JSON.stringify(refusal))))
})

test('A12 one byte after the envelope is payload in a frame, and malformed in a header', async () => {
  const world = await createWorld()
  const framed = world.requestOf({ payload: '' })
  const answer = await openAnswer(
    await world.sendFrame(Buffer.concat([framed.frame, Buffer.from('!')])),
    framed.requestId,
    world.signer
  )
  assert.equal(answer.resultCode, 'cs.payload_mismatch')
  const request = world.requestOf({ type: 'POST /api/echo' })
  const longer = { ...request, envelope: Buffer.concat([request.envelope, Buffer.from([0])]) }
  await isPlain(await world.sendHeader('POST', '/api/echo', longer), 400)
  assert.equal(world.stages.at(-1).code, 'ERR_TRAILING_BYTES')
})

test('A12 bytes after the last field of a signing input are malformed', async () => {
  const world = await createWorld()
  const input = Buffer.concat([world.requestOf().signingInput, Buffer.from([0])])
  const frame = core.buildFrame({ signingInput: input, keyId: '', signature: world.device.sign(input) })
  await isPlain(await world.sendFrame(frame), 400)
})

test('A13 the countersign header has one spelling', async () => {
  const world = await createWorld()
  const lengths = new Set()
  for (const idempotencyKey of [undefined, 'a', 'ab', 'abc']) {
    const request = world.requestOf({ type: 'POST /api/echo', idempotencyKey })
    const text = Buffer.from(request.envelope).toString('base64url')
    lengths.add(text.length % 4)
    const standard = Buffer.from(request.envelope).toString('base64')
    const last = text.at(-1)
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const tails =
      text.length % 4 === 0
        ? []
        : [...alphabet].filter(
            (other) =>
              other !== last &&
              Buffer.from(text.slice(0, -1) + other, 'base64url').equals(Buffer.from(request.envelope))
          )
    const spellings = [
      `${text}=`,
      `${text}==`,
      `${text} ${text}`,
      `${text}, ${text}`,
      `${text.slice(0, 5)} ${text.slice(5)}`,
      ...tails.map((tail) => text.slice(0, -1) + tail),
      ...(standard === text ? [] : [standard])
    ]
    for (const spelling of spellings) {
      const sent = await world.gateway.handle(
        new Request('http://gateway/api/echo', {
          method: 'POST',
          body: request.payload,
          headers: { countersign: spelling }
        })
      )
      await isPlain(sent, 400)
    }
    assert.equal((await world.sendHeader('POST', '/api/echo', request)).status, 200)
  }
  assert.ok(lengths.has(2) || lengths.has(3), 'some envelope has unused bits')
})

test('A14 the payload hash is 32 bytes in one spelling', async () => {
  const world = await createWorld()
  const request = world.requestOf()
  const hash = Buffer.from(request.fields.payloadHash)
  for (const spelling of [
    hash.toString('hex'),
    hash.toString('hex').toUpperCase(),
    hash.toString('base64url'),
    hash.subarray(1).toString('base64'),
    Buffer.concat([hash, hash]).toString('base64'),
    ''
  ]) {
    await isPlain(await world.sendJson(jsonOf(request, { payloadHash: spelling })), 400)
  }
  for (const size of [0, 31, 33, 64]) {
    const input = rawInput({ ...rawFieldsOf(request), hash: Buffer.alloc(size) })
    const frame = core.buildFrame({ signingInput: input, keyId: '', signature: world.device.sign(input) })
    await isPlain(await world.sendFrame(frame), 400)
    assert.equal(world.stages.at(-1).code, 'ERR_BAD_FIELD_SIZE')
  }
})

test('A18 another version text is refused signed, another frame version plainly', async () => {
  const world = await createWorld()
  for (const version of ['v2', 'V1', 'v1 ', 'v', '1', 'v1.0']) {
    const request = world.requestOf({ version })
    const answer = await openAnswer(await world.sendFrame(request.frame), request.requestId, world.signer)
    assert.deepEqual([answer.status, answer.resultCode], [400, 'cs.unsupported_version'], version)
  }
  for (const magic of ['435302', '435300', '435401', '005301']) {
    await isPlain(
      await world.sendFrame(Buffer.concat([Buffer.from(magic, 'hex'), world.requestOf().frame.subarray(3)])),
      400
    )
    assert.equal(world.stages.at(-1).code, 'ERR_BAD_MAGIC')
  }
})

test('D8 a request id has one form: another case, padding or length of it is another id, and unbound', async () => {
  const world = await createWorld()
  const { requestId } = world.requestOf()
  const [head, binding] = requestId.split('.')
  const forms = [
    requestId.toUpperCase(),
    requestId.toLowerCase(),
    `${requestId}=`,
    `${head}==.${binding}`,
    `${head}~.${binding}`,
    `${head}~a b.${binding}`,
    `${head}~${'a'.repeat(65)}.${binding}`,
    head,
    `${head}.`,
    `.${binding}`,
    `${head}.${binding}.${binding}`,
    `${head.slice(0, -1)}.${binding}`,
    ` ${requestId}`,
    `${head}.${binding}A`
  ]
  for (const form of forms) {
    if (form === requestId) continue
    await isPlain(await world.sendFrame(world.requestOf({ requestId: form }).frame), 400)
    assert.equal(world.stages.at(-1).code, 'ERR_BAD_REQUEST_ID', form)
  }
})

test('R16 D8 any of the 64 characters may end R, and each makes an id of its own', async () => {
  const world = await createWorld()
  for (const last of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_') {
    const head = `${'R'.repeat(21)}${last}`
    assert.equal((await world.sendFrame(world.requestOf({ head }).frame)).status, 200, head)
  }
  assert.equal(world.handled.length, 64)
})

test('A6 forged lengths are refused before anything of their size exists', async () => {
  const world = await createWorld()
  const { envelope } = world.requestOf({ payload: '' })
  for (const length of [
    '00',
    '8000',
    'ff07',
    '8008',
    'ffff03',
    '808004',
    'ffffffff07',
    'ffffffff0f',
    '8080808010',
    'ffffffffffffffffff01',
    '80808080808080808080'
  ]) {
    const frame = Buffer.concat([envelope.subarray(0, 3), Buffer.from(length, 'hex'), envelope.subarray(4)])
    assert.equal((await world.sendFrame(frame)).status, 400, length)
  }
  for (let end = 0; end < envelope.length; end++)
    assert.equal((await world.sendFrame(envelope.subarray(0, end))).status, 400)
  assert.equal((await world.sendFrame(envelope)).status, 200, 'whole, it is a request without a payload')
})

test('R29 a request that names a key is malformed', async () => {
  const world = await createWorld()
  await isPlain(await world.sendFrame(world.requestOf({ keyId: 'k1' }).frame), 400)
})

test('R30 an envelope of more than 1 KiB is refused, in every binding', async () => {
  const world = await createWorld()
  const big = Buffer.concat([Buffer.from([0x43, 0x53, 1, 0x80, 0x10]), Buffer.alloc(2048, 1)])
  await isPlain(await world.sendFrame(big), 400)
  const headers = { countersign: big.toString('base64url') }
  await isPlain(await world.gateway.handle(new Request('http://gateway/api/echo', { method: 'POST', headers })), 400)
  assert.equal(world.stages.at(-1).code, 'ERR_ENVELOPE_TOO_LARGE')
})

test('R54 what is in no binding is refused plainly', async () => {
  const world = await createWorld()
  const { frame } = world.requestOf()
  const table = [
    [{ method: 'GET', body: null, headers: {} }, 400],
    [{ method: 'PUT' }, 400],
    [{ headers: { 'content-type': 'text/plain' } }, 415],
    [{ headers: { 'content-type': '' } }, 415],
    [{ headers: { 'content-type': 'application/vnd.countersign.v2' } }, 415],
    [{ headers: { 'content-type': 'application/json; charset=utf-16' } }, 415],
    [{ headers: { 'content-encoding': 'gzip' } }, 415],
    [{ headers: { 'content-encoding': 'identity' } }, 415],
    [{ headers: { 'content-length': '99999999999' } }, 413],
    [{ headers: { 'content-length': '1e3' } }, 400]
  ]
  for (const [init, status] of table) await isPlain(await world.gateway.handle(frameRequest(frame, init)), status)
})
