// SPDX-License-Identifier: MIT
// What a caller hands in is read once, copied once and checked (F-17, F-18, E7).

import { connect, emailEnrollment } from 'countersign'
import { intentQueue, memoryIntents } from 'countersign/queue'
import { fakeGateway } from './fake-gateway.mjs'
import { enrol, enrolled, optionsFor, text, utf8 } from './fixture.mjs'

/** An object whose every member tells how often it was read, however deep. */
const counting = (target, counts, path = '') =>
  new Proxy(target, {
    get(object, name) {
      const full = path + String(name)
      counts.set(full, (counts.get(full) ?? 0) + 1)
      const value = Reflect.get(object, name)
      const isPlain = typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
      return isPlain ? counting(value, counts, `${full}.`) : value
    }
  })

export const suite = (test, assert) => {
  test('F-17 a payload is copied at entry: what is hashed is what is sent', async () => {
    const { client } = await enrolled()
    for (const size of [16, 100_000]) {
      const payload = new Uint8Array(size).fill(1)
      const call = client.request('demo.echo', payload)
      payload.fill(2)
      assert.deepEqual((await call).payload, new Uint8Array(size).fill(1))
      const body = new Uint8Array(size).fill(3)
      const fetched = client.fetch('/x', { method: 'POST', body })
      body.fill(4)
      queueMicrotask(() => body.fill(5))
      assert.deepEqual(new Uint8Array(await (await fetched).arrayBuffer()), new Uint8Array(size).fill(3))
      const moved = new Uint8Array(size).fill(6)
      const third = client.request('demo.echo', moved)
      structuredClone(moved.buffer, { transfer: [moved.buffer] })
      assert.deepEqual((await third).payload, new Uint8Array(size).fill(6))
    }
  })

  test('F-17 every view of bytes is taken as what it shows; shared, detached and other memory is refused', async () => {
    const { client, gateway } = await enrolled()
    const bytes = utf8('xxhelloxx')
    const views = [
      bytes.subarray(2, 7),
      bytes.slice(2, 7).buffer,
      new DataView(bytes.buffer, 2, 5),
      new Int8Array(bytes.buffer, 2, 5)
    ]
    for (const view of views) assert.equal(text((await client.request('demo.echo', view)).payload), 'hello')
    const { length } = gateway.calls
    const detached = new Uint8Array(4)
    structuredClone(detached.buffer, { transfer: [detached.buffer] })
    const bad = [detached, detached.buffer, 7, null, {}, [1, 2], () => {}, { length: 3, byteLength: 3 }]
    if (typeof SharedArrayBuffer === 'function')
      bad.push(new SharedArrayBuffer(4), new Uint8Array(new SharedArrayBuffer(4)))
    for (const payload of bad)
      await assert.rejects(client.request('demo.echo', payload), { code: 'ERR_INVALID_ARGUMENT' })
    assert.equal(gateway.calls.length, length)
  })

  test('F-18 options are read once, whatever object they are', async () => {
    const gateway = await fakeGateway()
    const counts = new Map()
    const { store, serverKeys, ...plain } = optionsFor(gateway)
    const held = { ...plain, store, serverKeys: [counting({ ...serverKeys[0] }, counts, 'key.')] }
    const client = await connect(counting(held, counts))
    await enrol(client, gateway)
    await client.request('demo.echo', 'x', counting({ idempotencyKey: 'k', timeoutMs: 5000 }, counts, 'request.'))
    await client.fetch(
      '/x',
      counting({ method: 'POST', body: 'x', headers: new Headers(), idempotencyKey: 'k' }, counts, 'fetch.')
    )
    const { requestId } = await client.sign('demo.echo', 'x', counting({ idempotencyKey: 'k' }, counts, 'sign.'))
    await client.open(new Uint8Array(3), counting({ requestId }, counts, 'open.')).catch(() => {})
    for (const [name, count] of counts) assert.equal(count, 1, name)
    for (const name of [
      'url',
      'key.publicKey',
      'request.idempotencyKey',
      'fetch.body',
      'sign.idempotencyKey',
      'open.requestId'
    ]) {
      assert.equal(counts.get(name), 1, name)
    }
  })

  test('F-18 E7 options that are none are usage errors', async () => {
    const gateway = await fakeGateway()
    const good = optionsFor(gateway)
    const [key] = gateway.keys
    const hostile = () => {
      throw new Error('hostile')
    }
    const table = [
      [{ url: 'http://gateway.test' }, 'ERR_INSECURE_URL'],
      [{ url: 'http://localhost.evil' }, 'ERR_INSECURE_URL'],
      [{ url: 'http://127.evil.test' }, 'ERR_INSECURE_URL'],
      [{ url: 'http://192.168.1.2' }, 'ERR_INSECURE_URL'],
      [{ url: 'http://[::2]' }, 'ERR_INSECURE_URL'],
      [{ url: 'ftp://gateway.test' }, 'ERR_INSECURE_URL'],
      [{ url: 'javascript:0' }, 'ERR_INSECURE_URL'],
      [{ url: 'https://user@gateway.test' }, 'ERR_INVALID_ARGUMENT'],
      [{ url: 'https://gateway.test/path' }, 'ERR_INVALID_ARGUMENT'],
      [{ url: 'https://gateway.test/?q' }, 'ERR_INVALID_ARGUMENT'],
      [{ url: 'https://gateway.test/#f' }, 'ERR_INVALID_ARGUMENT'],
      [{ url: 'gateway.test' }, 'ERR_INVALID_ARGUMENT'],
      [{ url: 'null' }, 'ERR_INVALID_ARGUMENT'],
      [{ url: undefined }, 'ERR_INVALID_ARGUMENT'],
      [{ endpoint: 'https://evil.test/exchange' }, 'ERR_FOREIGN_ORIGIN'],
      [{ endpoint: '//evil.test' }, 'ERR_FOREIGN_ORIGIN'],
      [{ label: 'Demo' }, 'ERR_INVALID_LABEL'],
      [{ label: '' }, 'ERR_INVALID_LABEL'],
      [{ label: 'x'.repeat(33) }, 'ERR_INVALID_LABEL'],
      [{ label: 7 }, 'ERR_INVALID_ARGUMENT'],
      [{ serverKeys: [] }, 'ERR_INVALID_ARGUMENT'],
      [{ serverKeys: undefined }, 'ERR_INVALID_ARGUMENT'],
      [{ serverKeys: [key, key] }, 'ERR_INVALID_ARGUMENT'],
      [{ serverKeys: [{ ...key, publicKey: new Uint8Array(31) }] }, 'ERR_INVALID_ARGUMENT'],
      [{ serverKeys: [{ ...key, publicKey: 'AAAA' }] }, 'ERR_INVALID_ARGUMENT'],
      [{ serverKeys: [{ ...key, publicKey: new Uint8Array(32) }] }, 'ERR_BAD_PUBLIC_KEY'],
      [{ serverKeys: [{ ...key, id: 'x'.repeat(129) }] }, 'ERR_INVALID_TEXT'],
      [{ serverKeys: [{ ...key, notAfter: 1.5 }] }, 'ERR_INVALID_TIME'],
      [{ serverKeys: Array.from({ length: 65 }, (_, n) => ({ ...key, id: `k${n}` })) }, 'ERR_INVALID_ARGUMENT'],
      [{ timeoutMs: 0 }, 'ERR_INVALID_ARGUMENT'],
      [{ retries: -1 }, 'ERR_INVALID_ARGUMENT'],
      [{ retries: 1.5 }, 'ERR_INVALID_ARGUMENT'],
      [{ maxPayload: Number.NaN }, 'ERR_INVALID_ARGUMENT'],
      [{ pastMs: -1 }, 'ERR_INVALID_TIME'],
      [{ binding: 'header' }, 'ERR_INVALID_ARGUMENT'],
      [{ store: {} }, 'ERR_INVALID_ARGUMENT'],
      [{ namespace: '../x' }, 'ERR_INVALID_ARGUMENT'],
      [{ algorithms: [] }, 'ERR_INVALID_ARGUMENT'],
      [{ algorithms: ['rsa'] }, 'ERR_INVALID_ARGUMENT'],
      [{ allowTypes: 'demo.echo' }, 'ERR_INVALID_ARGUMENT'],
      [{ safeTypes: 'demo.echo' }, 'ERR_INVALID_ARGUMENT'],
      [{ fetch: 'fetch' }, 'ERR_INVALID_ARGUMENT'],
      [{ now: 7 }, 'ERR_INVALID_ARGUMENT'],
      [{ endpoint: 7 }, 'ERR_INVALID_ARGUMENT'],
      [{ endpoint: null }, 'ERR_INVALID_ARGUMENT'],
      [{ logger: {} }, 'ERR_INVALID_ARGUMENT'],
      [{ logger: { warn: 7 } }, 'ERR_INVALID_ARGUMENT'],
      ...['allowMemoryKey', 'compatible', 'trustLocalClock'].flatMap((name) =>
        [null, 0, 1, 'yes', {}].map((value) => [{ [name]: value }, 'ERR_INVALID_ARGUMENT'])
      )
    ]
    for (const [patch, code] of table) {
      await assert.rejects(connect({ ...good, ...patch }), { code }, JSON.stringify(patch))
    }
    for (const none of [undefined, null, 7, 'options'])
      await assert.rejects(connect(none), { code: 'ERR_INVALID_ARGUMENT' })
    await assert.rejects(connect({ ...good, url: { toString: hostile } }), { code: 'ERR_INVALID_ARGUMENT' })
    for (const url of [
      'http://localhost:8787',
      'http://app.localhost',
      'http://127.9.9.9:1',
      'http://[::1]:8080',
      'https://gateway.test/'
    ]) {
      assert.equal((await connect({ ...good, url })).state, 'no-session')
    }
    const base64 = btoa(String.fromCharCode(...key.publicKey))
    assert.equal((await connect({ ...good, serverKeys: [{ id: '', publicKey: base64 }] })).state, 'no-session')
    const client = await connect(good)
    assert.throws(() => client.on('nothing', () => {}), { code: 'ERR_INVALID_ARGUMENT' })
    assert.throws(() => client.on('__proto__', () => {}), { code: 'ERR_INVALID_ARGUMENT' })
    assert.throws(() => client.on('state', 7), { code: 'ERR_INVALID_ARGUMENT' })
    client.on('connection', () => assert.fail('connection is never told'))()
  })

  test('F-19 B2 a random source that fails, fills nothing or repeats itself makes no client', async () => {
    const good = optionsFor(await fakeGateway())
    const once = crypto.getRandomValues(new Uint8Array(512))
    const bad = [
      () => {
        throw new Error('no entropy')
      },
      () => {},
      () => 5,
      () => Promise.resolve(new Uint8Array(512)),
      () => new Uint8Array(512),
      () => once.slice(1),
      (buffer) => buffer.fill(7),
      (buffer) => buffer.fill(7, 0, 100),
      (buffer) => crypto.getRandomValues(buffer.subarray(0, 256))
    ]
    for (const [index, random] of bad.entries()) {
      await assert.rejects(connect({ ...good, random }), { code: 'ERR_NO_CRYPTO' }, `source ${index}`)
    }
    const { client } = await enrolled({ random: ({ length }) => crypto.getRandomValues(new Uint8Array(length)) })
    const ids = new Set()
    for (let count = 0; count < 100; count++) ids.add((await client.sign('demo.echo')).requestId)
    assert.equal(ids.size, 100)
    const { client: repeating } = await enrolled({ random: (buffer) => buffer.set(once) })
    const sign = async () => {
      for (;;) await repeating.sign('demo.echo')
    }
    await assert.rejects(sign(), { code: 'ERR_NO_CRYPTO' }, 'the same bytes a second time')
  })

  test('F-18 a clock that throws or tells no time is a typed failure', async () => {
    const hostile = () => {
      throw new Error('no clock')
    }
    for (const name of ['now', 'monotonicNow']) {
      for (const clock of [hostile, () => Number.NaN, () => '5', () => undefined]) {
        await assert.rejects(enrolled({ [name]: clock }), { code: 'ERR_INVALID_TIME' }, `${name} ${clock}`)
      }
    }
  })

  test('F-18 R37 fetch takes a string, a URL or a Request, nothing else', async () => {
    const { client, gateway } = await enrolled()
    const hostile = new Proxy(
      {},
      {
        get() {
          throw new Error('hostile')
        }
      }
    )
    for (const input of [undefined, null, 5, {}, [], ['/x'], { toString: () => '/x' }, Symbol('x'), hostile]) {
      await assert.rejects(client.fetch(input), { code: 'ERR_INVALID_ARGUMENT' })
    }
    assert.equal(gateway.calls.length, 0)
    for (const input of ['/x', new URL('/x', gateway.origin), new Request(`${gateway.origin}/x`)]) {
      assert.equal((await client.fetch(input)).status, 200)
    }
  })

  test('R82 a code that was not given, or is no text, confirms nothing', async () => {
    const gateway = await fakeGateway()
    const client = await connect(optionsFor(gateway))
    const email = 'ada@example.com'
    for (const [given, code] of [
      [null, 'ERR_ABORTED'],
      [undefined, 'ERR_ABORTED'],
      ['', 'ERR_INVALID_ARGUMENT'],
      [123456, 'ERR_INVALID_ARGUMENT'],
      [{}, 'ERR_INVALID_ARGUMENT']
    ]) {
      for (const answer of [() => given, async () => given]) {
        await assert.rejects(emailEnrollment(client, { email, code: answer }), { code }, String(given))
      }
    }
    assert.ok(!gateway.calls.some(({ url }) => url.includes('confirm')))
    await emailEnrollment(client, { email, code: async () => gateway.code })
    assert.equal(client.state, 'ready')
  })

  test('a listener that throws stops neither the others nor the call', async () => {
    const warned = []
    const warn = (message) => {
      warned.push(message)
      throw new Error('a logger that throws')
    }
    const { client } = await enrolled({ logger: { warn } })
    let told = 0
    client.on('stage', () => {
      throw new Error('bad listener')
    })
    const stop = client.on('stage', () => told++)
    await client.request('demo.echo')
    assert.equal(told, 5)
    assert.equal(warned.length, 5)
    stop()
    await client.request('demo.echo')
    assert.equal(told, 5)
  })

  test('H23 a misspelt option of the client, of a call or of a server key is a usage error that names it', async () => {
    const { client, gateway } = await enrolled()
    const good = optionsFor(gateway)
    const queue = intentQueue(client, { store: memoryIntents() })
    const cases = {
      namespce: () => connect({ ...good, namespce: 'a' }),
      notafter: () => connect({ ...good, serverKeys: [{ ...gateway.keys[0], notafter: 1 }] }),
      timeout: () => client.request('demo.echo', '', { timeout: 1 }),
      idempotencykey: () => client.sign('demo.echo', '', { idempotencykey: 'k' }),
      id: () => client.open(new Uint8Array(1), { id: 'x', requestId: 'x' }),
      from: () => client.events({ from: 1 }).next(),
      confirmed: () => client.rotateKey({ confirmed: () => '' }),
      mail: () => emailEnrollment(client, { mail: 'a@b.example', code: '1' }),
      expires: () => queue.add('demo.echo', '', { expires: 1 }),
      owners: () => intentQueue(client, { store: memoryIntents(), owners: 'a' })
    }
    const sent = gateway.seen.length
    for (const [name, work] of Object.entries(cases)) {
      const error = await (async () => work())().then(
        () => undefined,
        (failure) => failure
      )
      assert.equal(error?.code, 'ERR_INVALID_ARGUMENT', name)
      assert.ok(error.message.endsWith(`has no member ${name}`), error.message)
    }
    assert.equal(gateway.seen.length, sent)
    await queue.close()
  })
}
