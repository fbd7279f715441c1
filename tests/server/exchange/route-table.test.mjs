// SPDX-License-Identifier: MIT
// Which route serves a request (R170, R171): wildcards, routes for every method, the signed 405, and routes that are
// refused at the start.
import assert from 'node:assert/strict'
import { posix, win32 } from 'node:path'
import { test } from 'node:test'
import { idempotent, memoryAnswerStore } from 'countersign/server'
import fc from 'fast-check'
import { createRouteTable } from '../../../dist/server/exchange/route-table.js'
import { runSeed } from '../../unit/harness/random.mjs'
import { createWorld, openAnswer } from '../kit.mjs'

/** createHouse makes a gateway whose handlers answer with their own route, and `ask`, which calls it with any target. */
const createHouse = async (names, options = {}) => {
  const seen = []
  const handler = (context) => {
    seen.push(context)
    return { payload: context.route }
  }
  const routes = { ...Object.fromEntries(names.map((name) => [name, handler])), ...options.routes }
  const world = await createWorld({ ...options, routes })
  const send = async (method, target) => {
    const request = world.requestOf({ type: `${method} ${target}`, payload: '' })
    const headers = { countersign: Buffer.from(request.envelope).toString('base64url') }
    // A Request would resolve the target's dot segments; others on the network do not.
    const from = { remoteAddress: '192.0.2.1', rawTarget: target }
    const response = await world.gateway.handle(new Request('http://gateway/', { method, headers }), from)
    return { headers: response.headers, ...(await openAnswer(response, request.requestId, world.signer)) }
  }
  const ask = async (method, target) => {
    const { resultCode, text } = await send(method, target)
    return resultCode === 'http.200' ? text : resultCode
  }
  return { ...world, seen, send, ask }
}

const NAMES = [
  '/*',
  '/api/*',
  'GET /api/*',
  'GET /api/items/:id',
  'GET /api/items/all',
  'POST /api/items/:id',
  '/api/items/:id/*',
  '/api/any',
  'HEAD /api/items/all'
]

test('R171 the narrower path serves, then the method of its own, whatever the order of the routes', async () => {
  for (const names of [NAMES, NAMES.toReversed()]) {
    const { ask } = await createHouse(names)
    for (const [method, target, served] of [
      ['GET', '/other', '/*'],
      ['GET', '/api/x', 'GET /api/*'],
      ['GET', '/api/x/y/z', 'GET /api/*'],
      ['PUT', '/api/x', '/api/*'],
      ['GET', '/api/any', '/api/any'],
      ['DELETE', '/api/any?x=/api/items/all', '/api/any'],
      ['GET', '/api/items/all', 'GET /api/items/all'],
      ['GET', '/api/items/7', 'GET /api/items/:id'],
      ['POST', '/api/items/all', 'POST /api/items/:id'],
      ['PUT', '/api/items/all', '/api/*'],
      ['PATCH', '/api/items/7/parts/8', '/api/items/:id/*']
    ])
      assert.equal(await ask(method, target), served, `${method} ${target}`)
  }
})

test('R171 a wildcard takes one segment or more, and its route gets method, path and query', async () => {
  const { ask, seen } = await createHouse(['GET /files/:owner/*'])
  for (const target of ['/files/ada', '/files/ada/', '/files', '/files//x', '/FILES/ada/x', '/files/%zz/x'])
    assert.equal(await ask('GET', target), 'http.404', target)
  for (const target of ['/files/ada/x', '/files/a%64a/x/y%2Fz/', '/files/ada/...?n=1&n=%C3%BC&%zz'])
    assert.equal(await ask('GET', target), 'GET /files/:owner/*', target)
  const shown = seen.map(({ method, path, query, params }) => [method, path, query.getAll('n'), params.owner])
  assert.deepEqual(shown, [
    ['GET', '/files/ada/x', [], 'ada'],
    ['GET', '/files/a%64a/x/y%2Fz/', [], 'ada'],
    ['GET', '/files/ada/...', ['1', 'ü'], 'ada']
  ])
})

test('R171 a message has no method, path or query', async () => {
  const world = await createWorld()
  await world.call()
  const [{ method, path, query, target }] = world.handled
  assert.deepEqual([method, path, [...query], target], ['', '', [], ''])
})

test('H31 R171 no path that leads out of its prefix reaches a wildcard or a :name', async () => {
  const { ask, seen } = await createHouse(['/api/*', 'GET /items/:id'])
  const rests = [
    '..',
    '.',
    '../admin',
    'a/../../admin',
    '%2e%2E/admin',
    'a/.%2e',
    '..%2fadmin',
    '..%5cadmin',
    'a\\..\\b'
  ]
  const others = ['/admin', '/', '\\host\\x', 'a//b', '%00', 'a%0Ab', '%09', '%zz', '%C0%AF']
  for (const rest of [...rests, ...others]) assert.equal(await ask('GET', `/api/${rest}`), 'http.404', rest)
  for (const value of ['..', '.', '%2e%2e', '']) assert.equal(await ask('GET', `/items/${value}`), 'http.404', value)
  assert.equal(seen.length, 0)
  assert.equal(await ask('GET', '/api/%40scope%2Fname/..a/b..'), '/api/*')
})

test('R170 a path with other methods is a signed 405 with the methods that it has', async () => {
  const { send, handled, stages } = await createHouse(['GET /x', 'PUT /x', 'POST /x/:id', 'DELETE /x/*'])
  for (const [method, target, allow] of [
    ['POST', '/x', 'GET, HEAD, PUT'],
    ['PATCH', '/x/7', 'DELETE, POST'],
    ['GET', '/x/7/8', 'DELETE'],
    ['HEAD', '/x/7/8', 'DELETE']
  ]) {
    const { status, resultCode, headers, text } = await send(method, target)
    assert.deepEqual([status, resultCode, headers.get('allow'), text], [405, 'http.405', allow, ''])
  }
  const missing = await send('GET', '/y')
  assert.deepEqual([missing.resultCode, missing.headers.get('allow')], ['http.404', null])
  assert.equal(handled.length, 0)
  assert.deepEqual(
    stages.filter(({ stage }) => stage === 'handler').map(({ verdict }) => verdict),
    ['pass', 'pass', 'pass', 'pass', 'pass']
  )
})

test('R170 HEAD is served by GET, and by its own route where there is one', async () => {
  const { send, seen } = await createHouse(['GET /x', 'GET /y', 'HEAD /y', 'HEAD /*'])
  for (const target of ['/x', '/y', '/z']) assert.equal((await send('HEAD', target)).resultCode, 'http.200')
  assert.deepEqual(
    seen.map(({ route, method }) => [route, method]),
    [
      ['GET /x', 'HEAD'],
      ['HEAD /y', 'HEAD'],
      ['HEAD /*', 'HEAD']
    ]
  )
})

test('R170 a forged or stale request hears nothing of methods: it is refused at its own stage', async () => {
  const house = await createHouse(['GET /x'])
  const stale = await house.callHeader('POST', '/x', { payload: '', timestampMs: 1 })
  assert.deepEqual([stale.status, stale.resultCode], [401, 'cs.stale'])
  const forged = await house.callHeader('POST', '/x', { payload: '', signature: new Uint8Array(64) })
  assert.deepEqual([forged.status, forged.resultCode], [401, 'cs.unauthenticated'])
  assert.deepEqual(
    house.refusals.map(({ stage }) => stage),
    ['freshness', 'signature']
  )
})

test('R130 R171 a key of an intent belongs to one path of a wildcard, and another path is a conflict', async () => {
  const runs = []
  const pay = idempotent((context) => void runs.push(context.path), { answers: memoryAnswerStore() })
  const world = await createWorld({ routes: { 'POST /pay/*': pay } })
  const results = []
  for (const path of ['/pay/a', '/pay/b', '/pay/a']) {
    const { resultCode } = await world.callHeader('POST', path, { payload: '', idempotencyKey: 'one' })
    results.push(resultCode)
  }
  assert.deepEqual(results, ['http.200', 'cs.idempotency_conflict', 'http.200'])
  assert.deepEqual(runs, ['/pay/a'])
})

test('R170 the rate of a type counts a wildcard as one route', async () => {
  const { ask } = await createHouse(['GET /x/*'], { rates: { perType: { 'GET /x/*': 2 } } })
  const answers = []
  for (const target of ['/x/1', '/x/2', '/x/3']) answers.push(await ask('GET', target))
  assert.deepEqual(answers, ['GET /x/*', 'GET /x/*', 'cs.rate_limited'])
})

test('R171 routes that serve the same requests, and paths that are none, are refused at the start', async () => {
  const refused = async (names, detail) =>
    assert.rejects(createHouse(names), { code: 'ERR_INVALID_ARGUMENT', message: detail }, names.join(' + '))
  const crossing = [
    ['GET /items/:id', 'GET /items/:name'],
    ['GET /items/:id', 'GET /:kind/new'],
    ['/a/:x/c', 'POST /a/b/*'],
    ['GET /a/:x/c', 'HEAD /a/b/:y'],
    ['/a/:x', '/a/:y']
  ]
  for (const names of crossing) await refused(names, /serve the same requests/)
  for (const path of ['/a/*/b', '/a/*.png', '/*splat', '/a*']) await refused([`GET ${path}`], /the whole last segment/)
  for (const path of ['/a?x=1', '/a#x', '/ä', '/a b']) await refused([`GET ${path}`], /is no path/)
  await refused(['/a?x=1'], /is no path/)
  await refused(['GET /a/:/b'], /a name of its own/)
  await refused(['GET /a/:x/:x'], /a name of its own/)
  await refused(['OPTIONS /a'], /OPTIONS/)
  await createHouse(['GET /items/:id', 'POST /:kind/new', 'GET /items/:id/*', 'PUT /items/:id', 'GET /*', '/*'])
})

const LETTERS = ['a', 'b', 'c']
/** All paths of one to three segments. */
const PATHS = LETTERS.flatMap((one) => [
  `/${one}`,
  ...LETTERS.flatMap((two) => [`/${one}/${two}`, ...LETTERS.map((three) => `/${one}/${two}/${three}`)])
])

/** Says what a route serves by a regular expression, another way than the table's. */
const reads = (route) => {
  const [, method = '', path] = /^(?:(\w+) )?(.*)$/.exec(route)
  const pattern = new RegExp(`^${path.replace(/:\w+/g, '[^/]+').replace('*', '.+')}$`)
  const isMethod = (asked) => method === '' || method === asked || (method === 'GET' && asked === 'HEAD')
  return {
    paths: PATHS.filter((one) => pattern.test(one)),
    isMethod,
    serves: (asked, at) => isMethod(asked) && pattern.test(at)
  }
}

test('R171 any routes: the same in any order, and the one that serves has no path that another one lacks', () => {
  const segment = fc.constantFrom('a', 'b', ':x', ':y')
  const path = fc
    .tuple(fc.uniqueArray(segment, { minLength: 0, maxLength: 2 }), fc.constantFrom('a', 'b', ':z', '*'))
    .map(([begin, end]) => `/${[...begin, end].join('/')}`)
  const route = fc.tuple(fc.constantFrom('GET ', 'POST ', 'HEAD ', ''), path).map((parts) => parts.join(''))
  const compile = (names) => {
    try {
      return createRouteTable(Object.fromEntries(names.map((name) => [name, () => {}])))
    } catch (error) {
      assert.equal(error.code, 'ERR_INVALID_ARGUMENT')
      return undefined
    }
  }
  const counts = { compiled: 0, refused: 0 }
  const property = fc.property(fc.uniqueArray(route, { minLength: 1, maxLength: 5 }), (names) => {
    const [table, turned] = [compile(names), compile(names.toReversed())]
    assert.equal(table === undefined, turned === undefined)
    counts[table ? 'compiled' : 'refused'] += 1
    if (!table) return
    for (const method of ['GET', 'HEAD', 'POST', 'PUT'])
      for (const at of PATHS) {
        const found = table.ofTarget(method, at)?.route
        assert.equal(found, turned.ofTarget(method, at)?.route)
        const serving = names.filter((name) => reads(name).serves(method, at))
        assert.equal(found === undefined, serving.length === 0, `${method} ${at}`)
        for (const other of serving)
          for (const one of reads(found).paths) assert.ok(reads(other).paths.includes(one), `${found} before ${other}`)
      }
  })
  fc.assert(property, { seed: runSeed, numRuns: 300 })
  assert.ok(counts.compiled > 50 && counts.refused > 10, JSON.stringify(counts))
})

test('H31 R171 any path that a wildcard takes stays below its prefix, for URL and for a file system', () => {
  const table = createRouteTable({ '/api/*': () => {} })
  const part = fc.constantFrom(
    '.',
    '..',
    '/',
    '\\',
    '%2e',
    '%2E',
    '%2f',
    '%5C',
    'a',
    '%',
    '%09',
    '%00',
    ':',
    '@',
    ';',
    '~'
  )
  const counts = { taken: 0, refused: 0 }
  const property = fc.property(fc.array(part, { minLength: 1, maxLength: 8 }), (parts) => {
    const path = `/api/${parts.join('')}`
    const isTaken = table.ofTarget('GET', path) !== undefined
    counts[isTaken ? 'taken' : 'refused'] += 1
    if (!isTaken) return
    const url = new URL(path, 'http://backend/')
    assert.deepEqual([url.host, url.pathname.startsWith('/api/')], ['backend', true], path)
    assert.equal(posix.join('/', path), path, path)
    assert.ok(posix.join('/', decodeURIComponent(path)).startsWith('/api/'), path)
    assert.ok(win32.join('/', decodeURIComponent(path)).startsWith('\\api\\'), path)
  })
  fc.assert(property, { seed: runSeed, numRuns: 20_000 })
  assert.ok(counts.taken > 100 && counts.refused > 100, JSON.stringify(counts))
})
