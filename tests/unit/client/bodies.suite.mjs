// SPDX-License-Identifier: MIT
// What a caller or a platform hands over as bytes: signed as exactly these bytes, or refused with nothing sent (R92).

import { connect } from 'countersign'
import { createTimers, enrolled, faults, optionsFor, utf8 } from './fixture.mjs'

const refused = { code: 'ERR_INVALID_ARGUMENT' }

const streamOf = (...chunks) =>
  new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk)
      controller.close()
    }
  })

async function* iterableOf(...chunks) {
  yield* chunks
}

/** Bytes of another realm: of a frame in a page, of a context in Node. */
const foreignBytes = async (env, ...bytes) => {
  if (env.runtime === 'node') {
    const { runInNewContext } = await import(`node:${'vm'}`)
    return runInNewContext(`new Uint8Array([${bytes}])`)
  }
  const frame = document.createElement('iframe')
  document.body.append(frame)
  return new frame.contentWindow.Uint8Array(bytes)
}

const detached = () => {
  const bytes = utf8('gone')
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] })
  return bytes
}

const strange = {
  'a text': () => ['{"amount":', '100}'],
  'a text after bytes': () => [utf8('A'), 'BBBB'],
  'an ArrayBuffer': () => [utf8('{}').buffer],
  'a Uint16Array': () => [new Uint16Array([0x4142, 0x4344])],
  'a DataView': () => [new DataView(utf8('hello').buffer)],
  'an array': () => [[65, 66, 67]],
  'a number': () => [5],
  'an object with a length': () => [{ length: 3, byteLength: 3 }],
  null: () => [null],
  'detached bytes': () => [detached()]
}

export const suite = (test, assert, env) => {
  for (const [what, chunks] of Object.entries(strange)) {
    test(`H20 R92 a chunk that is ${what} is refused before anything is sent, in a stream, an iterable and a Request`, async () => {
      const { client, gateway } = await enrolled()
      const send = (body) => client.fetch('/up', { method: 'POST', body })
      await assert.rejects(send(streamOf(...chunks())), refused)
      await assert.rejects(send(iterableOf(...chunks())), refused)
      let request
      try {
        request = new Request(`${gateway.origin}/up`, { method: 'POST', body: streamOf(...chunks()), duplex: 'half' })
      } catch {
        // Not every engine has Requests whose body is a stream.
      }
      if (request?.body) await assert.rejects(client.fetch(request), refused)
      assert.equal(gateway.calls.length, 0)
    })
  }

  test('H20 R92 chunks of bytes are signed as they are: of another realm, of a subclass, of a part of a buffer, none', async () => {
    const { client } = await enrolled()
    class Sub extends Uint8Array {
      get length() {
        return 1
      }
      get byteLength() {
        return 1
      }
    }
    const bodies = [
      [[await foreignBytes(env, 104, 105)], 'hi'],
      [[new Sub(utf8('sub'))], 'sub'],
      [[utf8('xpartx').subarray(1, 5), new Uint8Array(0), utf8('!')], 'part!'],
      [[], '']
    ]
    for (const [chunks, expected] of bodies) {
      for (const body of [streamOf(...chunks), iterableOf(...chunks)]) {
        const response = await client.fetch('/up', { method: 'POST', body })
        assert.equal(await response.text(), expected)
      }
    }
  })

  test('H20 R92 a stream may use its buffer again: each chunk is copied when it comes', async () => {
    const { client } = await enrolled()
    const buffer = new Uint8Array(1)
    let count = 0
    const pull = (controller) => {
      if (count === 3) return controller.close()
      buffer[0] = 97 + count
      count++
      controller.enqueue(buffer)
    }
    const body = new ReadableStream({ pull }, { highWaterMark: 0 })
    assert.equal(await (await client.fetch('/up', { method: 'POST', body })).text(), 'abc')
  })

  test('H20 R92 an iterable that is not read to its end is told so', async () => {
    const { client, gateway } = await enrolled({ maxPayload: 10 })
    let isOver = false
    const endless = async function* () {
      try {
        for (;;) yield new Uint8Array(4)
      } finally {
        isOver = true
      }
    }
    await assert.rejects(client.fetch('/up', { method: 'POST', body: endless() }), { code: 'ERR_PAYLOAD_TOO_LARGE' })
    assert.equal(isOver, true)
    assert.equal(gateway.calls.length, 0)
  })

  test('H20 R92 a body that fetch would send as other bytes is refused: detached, shared, resizable, an object', async () => {
    const { client, gateway } = await enrolled()
    const bodies = [detached(), detached().buffer, { amount: 100 }, [65, 66], () => 'x', new Date(0), new Map()]
    if (globalThis.SharedArrayBuffer) bodies.push(new SharedArrayBuffer(2), new Uint8Array(new SharedArrayBuffer(2)))
    if (ArrayBuffer.prototype.resize) bodies.push(new Uint8Array(new ArrayBuffer(2, { maxByteLength: 4 })))
    for (const [index, body] of bodies.entries()) {
      await assert.rejects(client.fetch('/up', { method: 'POST', body }), refused, `body ${index}`)
    }
    assert.equal(gateway.calls.length, 0)
    const views = [
      [new Uint16Array([0x4141, 0x4242]), 'AABB'],
      [new DataView(utf8('xviewx').buffer, 1, 4), 'view'],
      [await foreignBytes(env, 111, 107), 'ok'],
      [new Blob(['text'], { type: 'text/plain;charset=UTF-8' }), 'text'],
      [5, '5']
    ]
    for (const [body, expected] of views) {
      assert.equal(await (await client.fetch('/up', { method: 'POST', body })).text(), expected)
    }
  })

  test('H20 an answer whose body is not made of bytes is a lost answer', async () => {
    const timers = createTimers()
    const { client, gateway } = await enrolled({ retries: 0, schedule: timers.schedule })
    const textual = async (_, answer) => {
      const honest = await answer()
      const { status, headers } = honest
      const body = { getReader: () => streamOf('{}').getReader(), cancel: async () => {}, locked: false }
      return { status, headers, body, bodyUsed: false, redirected: false }
    }
    faults(gateway, [textual])
    const error = await timers.run(client.request('demo.echo', 'x')).catch((cause) => cause)
    assert.equal(error.code, 'ERR_OUTCOME_UNKNOWN')
    assert.equal(error.cause.cause.code, 'ERR_INVALID_ARGUMENT')
  })

  test('H20 what a signer of the application returns is 64 bytes, or nothing is sent', async () => {
    const { client, gateway, store, options } = await enrolled()
    await client.close()
    const kept = await store.get('demo')
    let given
    const { key, ...record } = kept
    const signer = { sign: async (bytes) => given(bytes, key) }
    await store.put('demo', { ...record, key: signer })
    const platform = async (bytes) =>
      crypto.subtle.sign(record.algorithm === 'ed25519' ? 'Ed25519' : { name: 'ECDSA', hash: 'SHA-256' }, key, bytes)
    given = platform
    const native = await connect({ ...optionsFor(gateway, options), store })
    const results = [
      () => 64,
      () => 'x'.repeat(64),
      () => Array(64).fill(0),
      () => new Uint16Array(64),
      () => undefined
    ]
    for (const result of results) {
      given = result
      await assert.rejects(native.request('demo.echo'), { code: 'ERR_SIGNING_FAILED' }, String(result))
    }
    assert.equal(gateway.calls.length, 0)
    for (const form of [(buffer) => buffer, (buffer) => new Uint8Array(buffer), (buffer) => new DataView(buffer)]) {
      given = async (bytes) => form(await platform(bytes))
      assert.equal((await native.request('demo.echo')).resultCode, 'ok')
    }
  })
}
