// SPDX-License-Identifier: MIT
// What only Node can show: real redirects (E6), compressed answers (E10), and environments without crypto (F-19).

import { connect, memoryStore } from 'countersign'
import { fakeGateway } from './fake-gateway.mjs'
import { enrol, text } from './fixture.mjs'

// Written so that a bundler for pages leaves these alone.
const node = (name) => import(`node:${name}`)

/** A real server before a fake gateway; `change(exchange)` may answer in its place or rewrite what is sent. */
const serve = async (change = () => undefined) => {
  const { createServer } = await node('http')
  const server = createServer(async (request, response) => {
    const chunks = []
    for await (const chunk of request) chunks.push(chunk)
    const origin = `http://${request.headers.host}`
    const body = chunks.length > 0 ? { body: Buffer.concat(chunks) } : {}
    const { method, headers, url } = request
    seen.push(url)
    const init = { method, headers: { 'content-type': headers['content-type'] ?? '' }, ...body }
    if (headers.countersign) init.headers.countersign = headers.countersign
    const answer = await gateway.fetch(`${origin}${url}`, init)
    const exchange = { url, response, answer, bytes: new Uint8Array(await answer.arrayBuffer()) }
    if (await change(exchange)) return
    response.writeHead(answer.status, Object.fromEntries(answer.headers)).end(exchange.bytes)
  })
  const seen = []
  const gateway = await fakeGateway()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${server.address().port}`
  const client = await connect({
    url,
    label: 'demo',
    serverKeys: gateway.keys,
    store: memoryStore(),
    maxPayload: 2 ** 20
  })
  const close = () => new Promise((resolve) => server.close(resolve).closeAllConnections())
  return { client, gateway, url, seen, close }
}

/** Runs a module in a process of its own, `before` ahead of the import of this package; gives what it printed. */
const isolated = async (before, body) => {
  const { execFile } = await node('child_process')
  const code = `${before}
    const { connect, emailEnrollment, memoryStore, isCountersignError } = await import(${JSON.stringify(import.meta.resolve('countersign'))})
    const options = { url: 'https://gateway.test', label: 'demo', store: memoryStore(),
      serverKeys: [{ id: 'k', publicKey: '11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=' }] }
    const codeOf = (promise) => promise.then(() => 'resolved', (error) => isCountersignError(error) ? error.code : String(error))
    ${body}`
  return new Promise((resolve, reject) => {
    execFile(process.execPath, ['--input-type=module', '-e', code], (error, stdout) =>
      error ? reject(error) : resolve(stdout.trim())
    )
  })
}

export const suite = (test, assert, env) => {
  if (env.runtime !== 'node') return

  test('E6 a redirect, to wherever, is an error, and nothing is sent on', async () => {
    const { createServer } = await node('http')
    let followed = 0
    const other = createServer((_, response) => {
      followed++
      response.end()
    })
    await new Promise((resolve) => other.listen(0, '127.0.0.1', resolve))
    let redirect
    const it = await serve(({ url, response }) => {
      if (!redirect || url === '/target') return false
      response.writeHead(redirect.status, { location: redirect.to }).end()
      return true
    })
    try {
      await enrol(it.client, it.gateway)
      const { length } = it.seen
      let count = 0
      for (const status of [301, 302, 303, 307, 308]) {
        for (const to of ['/target', `http://127.0.0.1:${other.address().port}/`]) {
          redirect = { status, to }
          const error = await assert.rejects(it.client.request('demo.echo'), { code: 'ERR_OUTCOME_UNKNOWN' })
          assert.equal(error.cause.code, 'ERR_NETWORK')
          await assert.rejects(it.client.fetch('/x', { method: 'POST' }), { code: 'ERR_OUTCOME_UNKNOWN' })
          const call = it.client.request('demo.echo', '', { idempotencyKey: 'k' })
          await assert.rejects(call, { code: 'ERR_NETWORK', retry: 'never' }, 'not tried again')
          count += 3
        }
      }
      assert.equal(followed, 0)
      assert.equal(it.seen.length, length + count)
      assert.ok(!it.seen.includes('/target'))
      assert.equal(it.client.state, 'ready')
    } finally {
      await it.close()
      await new Promise((resolve) => other.close(resolve))
    }
  })

  test('E10 the payload is what comes after content decoding, capped after it: a bomb does not go off', async () => {
    const { gzipSync, brotliCompressSync } = await node('zlib')
    let encode
    const it = await serve(({ response, answer, bytes }) => {
      if (!encode) return false
      const { name, body } = encode(bytes)
      response.writeHead(answer.status, { ...Object.fromEntries(answer.headers), 'content-encoding': name }).end(body)
      return true
    })
    try {
      await enrol(it.client, it.gateway)
      const codings = { gzip: gzipSync, br: brotliCompressSync }
      for (const [name, compress] of Object.entries(codings)) {
        encode = (bytes) => ({ name, body: compress(bytes) })
        assert.equal(
          text((await it.client.request('demo.echo', 'squeezed'.repeat(100))).payload),
          'squeezed'.repeat(100)
        )
        assert.equal(await (await it.client.fetch('/x', { method: 'POST', body: 'squeezed' })).text(), 'squeezed')
      }
      const bomb = gzipSync(new Uint8Array(200 * 2 ** 20))
      encode = () => ({ name: 'gzip', body: bomb })
      const before = process.memoryUsage().arrayBuffers
      await assert.rejects(it.client.request('demo.echo'), { code: 'ERR_ANSWER_TOO_LARGE' })
      await assert.rejects(it.client.fetch('/x'), { code: 'ERR_ANSWER_TOO_LARGE' })
      assert.ok(process.memoryUsage().arrayBuffers - before < 100 * 2 ** 20)
    } finally {
      await it.close()
    }
  })

  test('R72 a refused connection leaves nothing in doubt; one that breaks does', async () => {
    const { url, gateway, client, close } = await serve()
    await enrol(client, gateway)
    await close()
    const options = { url, label: 'demo', serverKeys: gateway.keys, retries: 0 }
    const store = memoryStore()
    await store.put('demo', await storedOf(client, gateway))
    const dead = await connect({ ...options, store, trustLocalClock: true })
    await assert.rejects(dead.request('demo.echo'), { code: 'ERR_NETWORK', retry: 'safe' })
    const broken = await serve(({ response }) => Boolean(response.destroy()))
    try {
      const cut = await connect({ ...options, url: broken.url, store, trustLocalClock: true })
      await assert.rejects(cut.request('demo.echo'), { code: 'ERR_OUTCOME_UNKNOWN' })
    } finally {
      await broken.close()
    }
  })

  test('R35 R72 in a page a bare TypeError stays an unknown outcome, with a hint where the gateway lacks the origin', async () => {
    const page = (report, origin = 'https://page.test') => `
      globalThis.location = { origin: '${origin}' }
      globalThis.asked = []
      globalThis.fetch = async (url, init) => {
        asked.push(url.slice(20) + ' ' + init.credentials + ' ' + init.redirect)
        if (url.endsWith('/.well-known/countersign-cors')) return new Response('${report}')
        throw new TypeError('Failed to fetch')
      }`
    const body = `
      const pair = await crypto.subtle.generateKey('Ed25519', false, ['sign', 'verify'])
      const publicKey = new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey))
      const key = { sign: async (bytes) => new Uint8Array(await crypto.subtle.sign('Ed25519', pair.privateKey, bytes)) }
      const sessionId = Buffer.alloc(16).toString('base64url')
      await options.store.put('demo', { key, publicKey, algorithm: 'ed25519', sessionId })
      const settings = { ...options, retries: 0, trustLocalClock: true }
      const client = await connect(settings)
      const lost = await client.request('demo.order').catch((error) => error)
      const stranger = await connect({ ...settings, store: memoryStore() })
      const form = { email: 'a@b.example', code: '1' }
      const first = await emailEnrollment(stranger, form).catch((error) => error)
      console.log(JSON.stringify([lost, lost.cause, first].map(({ code, message }) => code + ' ' + message).concat(asked)))`
    const hint = "CORS: the gateway's origins lack https://page.test"
    const check = '/.well-known/countersign-cors omit error'
    const [lost, cause, first, ...asked] = JSON.parse(await isolated(page('{"allowed":false}'), body))
    assert.ok(lost.startsWith('ERR_OUTCOME_UNKNOWN ') && lost.endsWith(hint), lost)
    assert.ok(cause.startsWith('ERR_NETWORK ') && cause.endsWith(hint), cause)
    assert.ok(first.startsWith('ERR_NETWORK ') && first.endsWith(hint), first)
    assert.deepEqual(asked.filter((url) => url === check).length, 2)
    const opaque = 'globalThis.origin = "null";'
    for (const [report, isTold] of [
      ['{"allowed":true}', false],
      ['{"allowed":false}', true],
      ['<html>', true]
    ]) {
      const told = JSON.parse(await isolated(opaque + page(report, 'null'), body)).slice(0, 3)
      for (const message of told)
        assert.equal(message.includes('this page has no origin: serve it over'), isTold, message)
      for (const message of told) assert.ok(!message.includes('CORS'), message)
    }
    for (const [report, origin] of [
      ['{"allowed":true}'],
      ['null'],
      ['<html>'],
      ['{"allowed":false}', 'https://gateway.test']
    ]) {
      const [same, , other] = JSON.parse(await isolated(page(report, origin), body))
      assert.ok(same.startsWith('ERR_OUTCOME_UNKNOWN ') && !same.includes('CORS'), same)
      assert.ok(other.startsWith('ERR_NETWORK ') && !other.includes('CORS'), other)
    }
  })

  test('F-19 without WebCrypto or secure random numbers there is no client', async () => {
    const without = [
      'delete globalThis.crypto',
      'Object.defineProperty(globalThis, "crypto", { value: { getRandomValues: crypto.getRandomValues } })',
      'Object.defineProperty(globalThis, "crypto", { value: { subtle: crypto.subtle } })'
    ]
    for (const before of without) {
      assert.equal(await isolated(before, 'console.log(await codeOf(connect(options)))'), 'ERR_NO_CRYPTO', before)
    }
    const fine = 'Math.random = () => { throw new Error("Math.random is not random") }'
    assert.equal(await isolated(fine, 'console.log((await connect(options)).state)'), 'no-session')
  })

  test('F-19 M9 an insecure page is told what to do, not that crypto is undefined', async () => {
    const before =
      'globalThis.isSecureContext = false; globalThis.location = { origin: "http://192.168.1.5:8787" }; delete globalThis.crypto'
    const body = 'const error = await connect(options).catch((e) => e); console.log(error.code, error.message)'
    const printed = await isolated(before, body)
    assert.ok(printed.startsWith('ERR_INSECURE_CONTEXT'), printed)
    assert.ok(printed.includes('https') && printed.includes('http://192.168.1.5:8787'), printed)
  })

  const generation = [
    ['two failures of Ed25519 are tried through', 'n < 2', 'OperationError', 'ed25519', 3],
    ['three are given up for P-256', 'name === "Ed25519"', 'OperationError', 'es256', 4],
    ['an engine without Ed25519 is asked once', 'name === "Ed25519"', 'NotSupportedError', 'es256', 2],
    ['none at all is a typed failure', 'true', 'OperationError', 'ERR_KEY_GENERATION_FAILED', 6]
  ]
  for (const [what, when, error, expected, calls] of generation) {
    test(`B2 generateKey: ${what}`, async () => {
      const before = `
        const real = crypto.subtle.generateKey.bind(crypto.subtle)
        let n = 0, all = 0
        crypto.subtle.generateKey = (algorithm, ...rest) => {
          const { name } = algorithm
          all++
          return ${when} ? (n++, Promise.reject(new DOMException('made to fail', '${error}'))) : real(algorithm, ...rest)
        }`
      const body = `
        const client = await connect(options)
        const result = await codeOf(client.enroll(async ({ algorithm }) => { throw algorithm }))
        console.log(result, all)`
      assert.equal(await isolated(before, body), `${expected} ${calls}`)
    })
  }
}

const storedOf = async (client, gateway) => {
  const key = await gateway.foreignKey()
  return { key: { sign: key.sign }, publicKey: key.publicKey, algorithm: 'ed25519', sessionId: client.sessionId }
}
