// SPDX-License-Identifier: MIT
// How the core is loaded, and what happens when that or the core itself fails (threats F-9, F-11, F-14, F-16).

import { isCountersignError, loadCore } from 'countersign/core'
import { seeded, toHex, utf8 } from '../harness/bytes.mjs'
import { countOf, wasmBytes, watchedCore } from './instance.mjs'

const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
const responseOf = (body, type, status = 200) =>
  new Response(body, { status, headers: type ? { 'content-type': type } : {} })

/** A module with nothing in it, and one that imports what the loader does not have. */
const EMPTY_MODULE = [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0]
const IMPORTING_MODULE = [...EMPTY_MODULE, 1, 4, 1, 0x60, 0, 0, 2, 7, 1, 1, 0x6d, 1, 0x6e, 0, 0]

const named = (name) => [name.length, ...utf8(name)]
const section = (id, ...content) => [id, content.length, ...content]
/** A module whose start aborts, as Emscripten's libc does it. */
const ABORTING_MODULE = [
  ...EMPTY_MODULE,
  ...section(1, 2, 0x60, 1, 0x7f, 0, 0x60, 0, 0),
  ...section(2, 1, ...named('wasi_snapshot_preview1'), ...named('proc_exit'), 0, 0),
  ...section(3, 1, 1),
  ...section(7, 1, ...named('_initialize'), 0, 1),
  ...section(10, 1, 6, 0, 0x41, 1, 0x10, 0, 0x0b)
]

export const suite = (test, assert, env) => {
  const works = (core) => assert.equal(toHex(core.sha256(new Uint8Array())), EMPTY)

  test('without a source one instance is shared, also by calls at the same time', async () => {
    const cores = await Promise.all([loadCore(), loadCore(), loadCore(undefined)])
    assert.equal(new Set([...cores, await loadCore()]).size, 1)
    works(cores[0])
    assert.equal(cores[0].version, '0.1.0')
  })

  test('every kind of source gives an instance of its own', async () => {
    const bytes = await wasmBytes(env)
    const module = await WebAssembly.compile(bytes)
    const sources = {
      bytes,
      buffer: bytes.buffer,
      view: new DataView(bytes.buffer),
      module,
      response: responseOf(bytes, 'application/wasm'),
      'promise of bytes': Promise.resolve(bytes),
      'promise of a response': Promise.resolve(responseOf(bytes, 'application/wasm'))
    }
    const address = env.wasmUrl ?? import.meta.resolve('countersign/countersign.wasm')
    sources.address = address
    sources.URL = new URL(address)
    const shared = await loadCore()
    for (const [name, source] of Object.entries(sources)) {
      const core = await loadCore(source)
      works(core)
      assert.notEqual(core, shared, name)
    }
  })

  test('an answer with a wrong MIME type, or none, is taken all the same', async () => {
    const bytes = await wasmBytes(env)
    for (const type of [
      'text/plain',
      'application/octet-stream',
      'application/wasm; charset=utf-8',
      'APPLICATION/WASM',
      undefined
    ]) {
      works(await loadCore(responseOf(bytes, type)))
    }
    if (env.wasmUrl) {
      works(await loadCore(env.wasmUrl))
      works(await loadCore(`${env.wasmUrl}?plain`))
    }
  })

  test('what is no core rejects with ERR_LOAD_FAILED and its cause', async () => {
    const bytes = await wasmBytes(env)
    const failed = { code: 'ERR_LOAD_FAILED', category: 'load' }
    const html = utf8('<!doctype html><title>Not found</title>')
    const broken = [
      html,
      bytes.slice(0, bytes.length >> 1),
      new Uint8Array(),
      responseOf(html, 'text/html'),
      responseOf(html, 'application/wasm')
    ]
    for (const source of broken) {
      const error = await assert.rejects(loadCore(source), failed)
      assert.ok(error.cause instanceof WebAssembly.CompileError, String(error.cause))
    }
    assert.ok((await assert.rejects(loadCore(responseOf('', 'text/plain', 404)), failed)).message.includes('404'))
    const own = new Error('my own')
    assert.equal((await assert.rejects(loadCore(Promise.reject(own)), failed)).cause, own)
    const used = responseOf(bytes, 'application/wasm')
    await used.arrayBuffer()
    await assert.rejects(loadCore(used), failed)
    if (env.wasmUrl) await assert.rejects(loadCore(new URL('none.wasm', env.wasmUrl)), failed)
    else
      await assert.rejects(
        loadCore(import.meta.resolve('countersign/countersign.wasm').replace('.wasm', '.none')),
        failed
      )
  })

  test('what is no source is a usage error', async () => {
    for (const source of [null, 0, 5, true, {}, [], Symbol('s'), () => {}, new Map(), 5n]) {
      await assert.rejects(loadCore(source), { code: 'ERR_INVALID_ARGUMENT', category: 'usage' })
    }
  })

  test('F-9 the file of another version, or another module, is told apart from one that cannot be had', async () => {
    for (const bytes of [EMPTY_MODULE, IMPORTING_MODULE]) {
      const error = await assert.rejects(loadCore(Uint8Array.from(bytes)), { code: 'ERR_VERSION_MISMATCH' })
      assert.equal(error.retry, 'never')
    }
  })

  test('F-9 the file for pages is not the whole core, and says so', async () => {
    const part = await wasmBytes(env, 'countersign-client.wasm')
    const { message } = await assert.rejects(loadCore(part), { code: 'ERR_VERSION_MISMATCH' })
    assert.ok(message.includes('countersign-client.wasm'), message)
  })

  test('F-14 an abort never returns into the code that called it', async () => {
    const { cause } = await assert.rejects(loadCore(Uint8Array.from(ABORTING_MODULE)), { code: 'ERR_LOAD_FAILED' })
    assert.ok(cause instanceof WebAssembly.RuntimeError && cause.message === 'abort', String(cause))
  })

  test('F-14 a core that traps says so for good; the next loadCore makes a new one', async () => {
    const core = await loadCore()
    const held = core.createSha256()
    const trapped = { code: 'ERR_CORE_TRAPPED', category: 'internal', retry: 'safe' }
    // An address that no handle has.
    const error = assert.throws(() => core.wasm.call.clock_reset(0x7ffffff0), trapped)
    assert.ok(error.cause instanceof WebAssembly.RuntimeError, String(error.cause))
    assert.throws(() => core.sha256(new Uint8Array()), trapped)
    assert.throws(() => held.update(new Uint8Array(1)), trapped)
    assert.throws(() => core.hmacSha256(new Uint8Array(1), new Uint8Array(100_000)), trapped)
    held.free()
    const next = await loadCore()
    assert.notEqual(next, core)
    works(next)
    assert.equal(await loadCore(), next)
  })

  test('F-14 a core whose memory was overwritten ends in ERR_CORE_TRAPPED or an error, never in a crash', async () => {
    const { core, memory } = await watchedCore(env)
    new Uint8Array(memory.buffer).fill(0xff)
    const calls = [
      () => core.createReplayGuard({ capacity: 1000 }),
      () => core.createClock().estimate(0),
      () => core.createSha256().update(new Uint8Array(9)).digest(),
      () => core.hmacSha256(new Uint8Array(1), new Uint8Array(100_000))
    ]
    let trapped = 0
    for (const call of calls) {
      try {
        call()
      } catch (error) {
        assert.ok(isCountersignError(error), String(error))
        if (error.code === 'ERR_CORE_TRAPPED') trapped++
      }
    }
    assert.ok(trapped > 0, 'the damage was seen')
    works(await loadCore())
  })

  test('a default load that failed is forgotten and tried again', async () => {
    const core = await loadCore()
    assert.throws(() => core.wasm.call.clock_reset(0x7ffffff0), { code: 'ERR_CORE_TRAPPED' })
    const { instantiate } = WebAssembly
    const own = new Error('no memory for it')
    let calls = 0
    WebAssembly.instantiate = async () => {
      calls++
      throw own
    }
    try {
      const failures = [loadCore(), loadCore()]
      for (const failure of failures) {
        const error = await assert.rejects(failure, { code: 'ERR_LOAD_FAILED', retry: 'safe' })
        assert.equal(error.cause, own)
      }
      assert.equal(calls, 1, 'calls at the same time share one load')
      await assert.rejects(loadCore(), { code: 'ERR_LOAD_FAILED' })
      assert.equal(calls, 2, 'a failed load is not remembered')
    } finally {
      WebAssembly.instantiate = instantiate
    }
    works(await loadCore())
  })

  test('F-16 no HMAC key, and nothing made from one alone, stays in the core’s memory', async () => {
    const { core, memory } = await watchedCore(env)
    const random = seeded(0xf16)
    for (const [keySize, messageSize] of [
      [32, 100],
      [64, 5000],
      [65, 100],
      [200, 70_000],
      [32, 500_000]
    ]) {
      const key = random.bytes(keySize)
      const message = random.bytes(messageSize)
      const tag = core.hmacSha256(key, message)
      assert.equal(core.verifyHmacSha256(key, message, tag), true)
      const block = keySize > 64 ? core.createSha256().update(key).digest() : key
      // The hash above leaves its result, and libsodium's state: overwrite both.
      core.sha256(new Uint8Array(60_000))
      const pads = [0x36, 0x5c].map((pad) => block.map((byte) => byte ^ pad))
      for (const [name, secret] of Object.entries({ key: key.slice(0, 16), inner: pads[0], outer: pads[1] })) {
        assert.equal(
          countOf(memory, secret.slice(0, 16)),
          0,
          `${name} of a key of ${keySize}, message of ${messageSize}`
        )
      }
    }
  })

  test('F-16 the scan finds what does stay: a message', async () => {
    const { core, memory } = await watchedCore(env)
    const message = seeded(5).bytes(64)
    core.sha256(message)
    assert.ok(countOf(memory, message.slice(0, 16)) > 0)
  })

  if (env.runtime === 'node') return
  test('F-11 this page’s policy forbids eval, new Function and, where enforced, strings as scripts', () => {
    const run = (make) => {
      try {
        return make()
      } catch (error) {
        return error.name
      }
    }
    const { eval: evaluate } = globalThis
    assert.ok(['EvalError', 'TypeError'].includes(run(() => evaluate('1'))), 'eval')
    assert.ok(['EvalError', 'TypeError'].includes(run(() => Function('return 1')())), 'Function')
    if ('trustedTypes' in globalThis) {
      assert.equal(
        run(() => (document.createElement('div').innerHTML = '<b>')),
        'TypeError'
      )
    }
  })
}
